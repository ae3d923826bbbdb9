"""A card: titled lines in their order, for a terminal and for a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from qrkit.advice import Advice, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLine:
    """One line of a card: a label, its text, and the evidence."""

    about: str
    text: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSection:
    """A section of a card."""

    heading: str
    lines: tuple[CardLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The content of a card.

    Attributes
    ----------
    title
        The node, and the time and number of requests of the probe.
    warnings
        Why the profile is stale, and other remarks.
    """

    title: str
    warnings: tuple[Advice, ...]
    sections: tuple[CardSection, ...]

    def html(self, surface: Surface = Surface.NOTEBOOK) -> str:
        """Return the card as HTML, with all values escaped."""
        parts = [f"<div><strong>{escape(self.title)}</strong>"]
        parts += [f"<p>⚠ {escape(warning.on(surface))}</p>" for warning in self.warnings]
        parts.append("<table>")
        for section in self.sections:
            parts.append(f'<tr><th colspan="3" style="text-align:left">{escape(section.heading)}</th></tr>')
            for line in section.lines:
                cells = map(escape, (line.about, line.text, line.evidence))
                parts.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
        return "".join((*parts, "</table></div>"))
