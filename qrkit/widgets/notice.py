"""`Notice`: messages and errors on a page, as escaped text that screen readers announce.

Voilà shows no exception of a callback, so each callback runs inside a notice.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets

from qrkit.advice import Surface
from qrkit.errors import QrkitError, StateUnavailable

logger = logging.getLogger(__name__)

_NO_STATE = (
    "The database of this workspace is not available. Running retrieves continue. Try again in a minute; if the "
    "problem remains, contact an administrator."
)


def error_on_page(error: BaseException) -> str:
    """Return an error as a page shows it: what failed, and what a reader without a command line can do."""
    if isinstance(error, StateUnavailable):
        logger.error("%s", error)  # the page names neither server nor file
        return _NO_STATE
    if isinstance(error, QrkitError):
        return f"{error.message} {error.remedy.on(Surface.PAGE)}".strip()
    logger.error("A callback of the page has failed", exc_info=error)
    return f"Internal error in qrkit ({type(error).__name__}). The kernel's log has the details."


class Notice(ipywidgets.HTML):  # type: ignore[misc] # ipywidgets publishes no types
    """The last message: an error has the role alert, any other text the role status."""

    def say(self, text: str) -> None:
        """Show a sentence; an empty one clears the notice."""
        self.value = f'<div role="status">{html.escape(text)}</div>' if text else ""

    def alert(self, text: str) -> None:
        """Show an error."""
        self.value = f'<div role="alert">{html.escape(text)}</div>'

    @contextmanager
    def shown_errors(self) -> Iterator[None]:
        """Show an error that is raised inside."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every error must be shown
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Show an error with its advice."""
        self.alert(error_on_page(error))

    def button(
        self, label: str, do: Callable[[], object], *, primary: bool = False, tip: str = ""
    ) -> ipywidgets.Button:
        """Return a button whose errors are shown here, with a tooltip."""

        def clicked(_: object) -> None:
            with self.shown_errors():
                self.value = ""
                do()

        made = ipywidgets.Button(
            description=label,
            tooltip=tip or label,
            button_style="primary" if primary else "",
            layout=ipywidgets.Layout(width="auto"),
        )
        made.on_click(clicked)
        return made
