from qrkit.markup import Markup, bullets, facts, grid, html, paragraph

_NASTY = '<img src=x onerror="alert(1)">'
_SAFE = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;"


def test_every_value_is_escaped_wherever_it_stands() -> None:
    pieces = (
        paragraph(_NASTY),
        bullets([_NASTY]),
        facts({_NASTY: _NASTY}),
        grid([_NASTY], [[_NASTY]], caption=_NASTY),
    )
    for piece in pieces:
        assert "<img" not in piece
        assert _SAFE in piece


def test_what_is_html_already_is_left_alone() -> None:
    assert html(Markup("<b>x</b>")) == "<b>x</b>"
    assert paragraph("a ", Markup("<b>x</b>")) == "<p>a <b>x</b></p>"


def test_facts_without_a_value_are_left_out() -> None:
    shown = facts({"there": 0, "missing": None})
    assert "there" in shown
    assert "missing" not in shown


def test_a_grid_says_what_its_headers_are_of() -> None:
    shown = grid(["node", "port"], [["pacs", 104]])
    assert shown.count('scope="col"') == 2
    assert 'text-align:right">104' in shown


def test_no_lines_are_no_list() -> None:
    assert bullets([]) == ""
