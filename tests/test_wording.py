"""Labels, messages, help, docstrings and docs use plain words."""

import pytest

from tests.wording import Kind, Text, findings, findings_in, parts, texts_of_code, texts_of_markdown

PARTS = parts()


@pytest.mark.slow
@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_of_the_project_uses_plain_words(part: str) -> None:
    found = findings_in(PARTS[part])
    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("sentence", "instead"),
    [
        ("The job goes on by itself.", "continues"),
        ("Nobody can say how it is.", "states"),
        ("A blank is no number.", "is not a"),
        ("It failed. Of the rest 3 are missing.", "subject"),
        ("What the node can do.", "noun"),
        ("Description: not proven complete", "may be incomplete"),
    ],
)
def test_a_sentence_with_a_word_of_the_list_is_found(sentence: str, instead: str) -> None:
    found = findings(Text(place="page.md", line=1, kind=Kind.PROSE, text=sentence))
    assert any(instead in finding.instead for finding in found)


@pytest.mark.parametrize(
    "sentence",
    ["The job continues by itself.", "There is no data.", "It is no longer connected.", "What is a node?"],
)
def test_a_plain_sentence_is_not_found(sentence: str) -> None:
    assert findings(Text(place="page.md", line=1, kind=Kind.PROSE, text=sentence)) == []


def test_docstrings_labels_and_formatted_messages_are_read_but_not_names_and_sql() -> None:
    source = '''"""A module.

    More of it.
    """
def f(name):
    """A function."""
    execute("select a from b", "column_name", "told")
    raise ValueError(f"{name} is no node")
BUTTON = "Retry"
'''
    assert {(text.kind, text.text) for text in texts_of_code(source, "module.py")} == {
        (Kind.DOCSTRING, "A module."),
        (Kind.DOCSTRING, "A function."),
        (Kind.MESSAGE, "{} is no node"),
        (Kind.MESSAGE, "Retry"),
    }


def test_code_and_addresses_of_a_page_are_not_read() -> None:
    page = "# Title\n\nSee [faults](told.md) and `told`.\n\n```sh\ntold\n```\n<!-- told -->\n\n- last\n"
    assert [(text.line, text.text) for text in texts_of_markdown(page, "page.md")] == [
        (1, "# Title"),
        (3, "See [faults] and code."),
        (10, "- last"),
    ]
