"""HTML pieces for notebooks, pages and reports; every value is escaped by markupsafe.

No piece has a colour of its own, so that all follow the light or dark theme around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

__all__ = ["Markup", "bullets", "code", "facts", "grid", "html", "paragraph", "strong"]

_NOTHING = Markup("")
_YES, _NO = Markup("yes"), Markup("no")
_LEFT, _RIGHT = "text-align:left", "text-align:right"


def html(value: object) -> Markup:
    """Return a value as HTML: None and an empty text as nothing, true and false as yes and no.

    >>> [str(html(value)) for value in ("<b>", None, True, 1234, Markup("<b>x</b>"))]
    ['&lt;b&gt;', '', 'yes', '1,234', '<b>x</b>']
    """
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return _YES if value else _NO
    return escape(f"{value:,}" if isinstance(value, int) else value)


def paragraph(*parts: object) -> Markup:
    """Return parts as a paragraph."""
    return Markup("<p>{}</p>").format(_NOTHING.join(map(html, parts)))


def strong(value: object) -> Markup:
    """Return emphasised text."""
    return Markup("<strong>{}</strong>").format(html(value))


def code(value: object) -> Markup:
    """Return a name, an id or a command."""
    return Markup("<code>{}</code>").format(html(value))


def bullets(lines: Iterable[object]) -> Markup:
    """Return lines as a list; nothing if there are none."""
    items = _NOTHING.join(Markup("<li>{}</li>").format(html(line)) for line in lines)
    return Markup("<ul>{}</ul>").format(items) if items else _NOTHING


def facts(pairs: Mapping[str, object]) -> Markup:
    """Return names with their values as a table with a header in each row; values of None are left out."""
    row = Markup('<tr><th scope="row" style="{0}">{1}</th><td style="{0}">{2}</td></tr>')
    rows = (row.format(_LEFT, html(name), html(value)) for name, value in pairs.items() if value is not None)
    return Markup('<table class="qrkit-facts">{}</table>').format(_NOTHING.join(rows))


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Markup:
    """Return a table with a header in each column; numbers are aligned right.

    >>> str(grid(["port"], [[104]])).partition("<tbody>")[2]
    '<tr><td style="text-align:right">104</td></tr></tbody></table>'
    """
    head = Markup('<th scope="col" style="{}">{}</th>')
    heads = _NOTHING.join(head.format(_LEFT, html(column)) for column in columns)
    body = _NOTHING.join(Markup("<tr>{}</tr>").format(_NOTHING.join(map(_cell, row))) for row in rows)
    title = Markup('<caption style="{}">{}</caption>').format(_LEFT, caption) if caption else _NOTHING
    table = Markup('<table class="qrkit-grid">{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table>')
    return table.format(title, heads, body)


def _cell(value: object) -> Markup:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Markup('<td style="{}">{}</td>').format(_RIGHT if is_number else _LEFT, html(value))
