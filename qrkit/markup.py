"""HTML of what a notebook and a report show: small pieces, with every value escaped.

Nothing has a colour of its own, so that all of it follows the theme it is shown in, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def html(value: object) -> Markup:
    """Return a value as HTML; None and an empty text are nothing, true and false are yes and no.

    >>> html("<b>"), html(None), html(True), html(1234), html(Markup("<b>x</b>"))
    ('&lt;b&gt;', '', 'yes', '1,234', '<b>x</b>')
    """
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup("")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    return Markup(f"{value:,}" if isinstance(value, int) else escape(str(value)))


def paragraph(*parts: object) -> Markup:
    """Return parts, one after the other, as a paragraph."""
    return Markup(f"<p>{''.join(map(html, parts))}</p>")


def strong(value: object) -> Markup:
    """Return what counts."""
    return Markup(f"<strong>{html(value)}</strong>")


def code(value: object) -> Markup:
    """Return a name, an id or a command."""
    return Markup(f"<code>{html(value)}</code>")


def bullets(lines: Iterable[object]) -> Markup:
    """Return lines as a list; nothing where there are none."""
    items = "".join(f"<li>{html(line)}</li>" for line in lines)
    return Markup(f"<ul>{items}</ul>" if items else "")


def facts(pairs: Mapping[str, object]) -> Markup:
    """Return names with their values, as a table with a header in each row; values of None are left out."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html(name)}</th>'
        f'<td style="text-align:left">{html(value)}</td></tr>'
        for name, value in pairs.items()
        if value is not None
    )
    return Markup(f'<table class="qrkit-facts">{rows}</table>')


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Markup:
    """Return a table with a header in each column; numbers stand to the right.

    >>> grid(["port"], [[104]]).partition("<tbody>")[2]
    '<tr><td style="text-align:right">104</td></tr></tbody></table>'
    """
    head = "".join(f'<th scope="col" style="text-align:left">{html(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    told = f'<caption style="text-align:left">{html(caption)}</caption>' if caption else ""
    return Markup(f'<table class="qrkit-grid">{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _cell(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td style="text-align:{"right" if is_number else "left"}">{html(value)}</td>'
