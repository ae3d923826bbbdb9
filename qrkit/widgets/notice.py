"""Errors on the page: one sentence, escaped, read out; a callback's exception would be seen by nobody otherwise."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ipywidgets

from qrkit.errors import QrkitError, StateUnavailable
from qrkit.widgets.in_place import on_page

logger = logging.getLogger(__name__)


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
        if isinstance(error, QrkitError):
            if isinstance(error, StateUnavailable):
                logger.error("%s", error)  # the page names neither server nor file
            self.alert(on_page(str(error)))
            return
        logger.error("A callback of the page has failed", exc_info=error)
        self.alert(f"An error inside qrkit, {type(error).__name__}; the kernel's log has more.")

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
