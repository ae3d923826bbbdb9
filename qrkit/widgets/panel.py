"""`Panel`, the base of all pages: notices, slow work in a thread, and repeated reads on the kernel's own loop.

Widgets are changed on that loop only, a few times a second, and only while something can change. Voilà shows no
exception of a callback, so each callback runs inside a notice: escaped text that screen readers announce.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

import ipywidgets

from qrkit.advice import Surface
from qrkit.errors import QrkitError, StateUnavailable
from qrkit.stop import Stop

INTERVAL = 0.2
"""Seconds between two calls."""

_SHARE = 0.1
"""Share of the kernel's time that the calls may take: if one is slow, the next waits longer."""

_LONGEST = 15.0
"""Most seconds between two calls: one to an unreachable database may take half a minute."""

logger = logging.getLogger(__name__)

_NO_STATE = (
    "The database of this workspace is not available. Running retrieves continue. Try again in a minute; if the "
    "problem remains, contact an administrator."
)


class Poller:
    """Calls a function five times a second until it returns False.

    It runs as one task on the loop on which it was created, so that no other thread changes a widget. Without a
    running loop, as in a script, it does nothing. The function must not raise.
    """

    def __init__(self, poll: Callable[[], bool], *, interval: float = INTERVAL) -> None:
        self._poll = poll
        self._interval = interval
        self._task: asyncio.Task[None] | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # asyncio's only sign that none is running
            self._loop = None

    @property
    def is_running(self) -> bool:
        """Whether it will call again by itself."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """Call again soon and continue; any thread may call this."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin)

    def stop(self) -> None:
        """Stop calling."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        if self._loop is not None and not self.is_running:
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            if not self._poll():
                return
            wait = min((clock() - before) / _SHARE, _LONGEST)
            await asyncio.sleep(max(self._interval, wait))


class Background:
    """Runs one call after another in a thread, and passes each outcome to the kernel's own loop.

    The thread changes no widget.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._waiting: list[tuple[Future[Any], Callable[[Any], None], Callable[[BaseException], None]]] = []
        self._stop = Event()
        self._poller = Poller(self.tick)

    @property
    def is_busy(self) -> bool:
        """Whether a call is running."""
        return bool(self._waiting)

    def run(
        self,
        call: Callable[[Stop], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start a call and return at once; the call gets the token that ends it."""
        self._stop = event = Event()
        self._waiting.append((self._threads.submit(call, Stop(event.is_set)), done, failed))
        self._poller.wake()

    def cancel(self) -> None:
        """Ask the running call to stop."""
        self._stop.set()

    def tick(self) -> bool:
        """Pass on the outcomes of ended calls; return whether any call is still running."""
        for entry in [waiting for waiting in self._waiting if waiting[0].done()]:
            self._waiting.remove(entry)
            future, done, failed = entry
            error = future.exception()
            if error is not None:
                failed(error)
            else:
                done(future.result())
        return self.is_busy

    def close(self) -> None:
        """Stop, and pass on no outcome."""
        self.cancel()
        self._poller.stop()
        self._waiting.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)


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


class Panel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A page or a part of one, with a notice for its errors and slow work that ends with it."""

    def __init__(self) -> None:
        super().__init__()
        self.background = Background()
        self.notice = Notice()
        self._pollers: list[Poller] = []
        self._work_buttons: tuple[ipywidgets.Button, ...] = ()

    def poller(self, poll: Callable[[], bool], *, interval: float = INTERVAL) -> Poller:
        """Return a poller that stops when the panel is closed."""
        self._pollers.append(Poller(poll, interval=interval))
        return self._pollers[-1]

    def work_buttons(
        self, label: str, start: Callable[[], object], *, tip: str, stop_tip: str, primary: bool = True
    ) -> tuple[ipywidgets.Button, ipywidgets.Button]:
        """Return a button that starts the work, and one that stops it; only one of them is enabled."""
        begin = self.notice.button(label, start, primary=primary, tip=tip)
        stop = self.notice.button("Stop", self.background.cancel, tip=stop_tip)
        stop.disabled = True
        self._work_buttons = (begin, stop)
        return begin, stop

    def work(self, call: Callable[[Stop], Any], done: Callable[[Any], object]) -> None:
        """Start a slow call and return at once; `done` gets its result, and the notice shows its error."""

        def ended(show: Callable[[Any], object], outcome: Any) -> None:  # noqa: ANN401 - of any call
            self._set_working(working=False)
            with self.notice.shown_errors():
                show(outcome)

        self._set_working(working=True)
        self.background.run(call, partial(ended, done), partial(ended, self.notice.failed))

    def close(self) -> None:
        """Close it with its parts, and stop what they have started; jobs continue."""
        self.background.close()
        for poller in self._pollers:
            poller.stop()
        super().close()
        close_parts(self)

    def _set_working(self, *, working: bool) -> None:
        for button, disabled in zip(self._work_buttons, (working, not working), strict=False):
            button.disabled = disabled


def close_parts(box: ipywidgets.Widget) -> None:
    """Close all widgets in a box, so that neither the kernel nor the browser keeps them."""
    for part in getattr(box, "children", ()):
        part.close()
        close_parts(part)


def row(*widgets: ipywidgets.Widget) -> ipywidgets.HBox:
    """Return widgets side by side, in several lines if there is not enough space."""
    return ipywidgets.HBox(widgets, layout=ipywidgets.Layout(flex_flow="row wrap"))


def title(text: str, *, level: int = 2) -> ipywidgets.HTML:
    """Return a heading."""
    return ipywidgets.HTML(f"<h{level}>{text}</h{level}>")
