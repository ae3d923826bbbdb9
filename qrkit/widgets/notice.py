"""Errors on the page: one sentence, escaped, read out; a callback's exception would be seen by nobody otherwise."""

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
    """What happened last, as text: an error is an alert, anything else a status."""

    def say(self, text: str) -> None:
        """Show a sentence; an empty one shows nothing."""
        self.value = f'<div role="status">{html.escape(text)}</div>' if text else ""

    def alert(self, text: str) -> None:
        """Show what went wrong."""
        self.value = f'<div role="alert">{html.escape(text)}</div>'

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Show the error of what is done meanwhile, if there is one."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the page must say so
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Show an error as one sentence with what to do."""
        self.alert(error_on_page(error))

    def button(
        self, label: str, do: Callable[[], object], *, primary: bool = False, tip: str = ""
    ) -> ipywidgets.Button:
        """Return a button whose errors are shown here; `tip` explains it."""

        def clicked(_: object) -> None:
            with self.telling():
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
