"""An answer of 5,000 rows in the browser: from a key or a click to the next picture, many times over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.visitors import ask, button, chromium, house, log_in, open_query, pss

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

ROWS = 5_000
_WORDS = ("chest", "abdomen")
"""Typed letter by letter and taken back, each letter one key."""

_ROUNDS = 5

_WATCH = """([event, part, limit]) => { window.drawn = new Promise((done) => {
  let began = 0;
  setTimeout(() => done(null), limit);
  document.addEventListener(event, () => { began = performance.now(); }, { once: true, capture: true });
  const box = [...document.querySelectorAll(".dt-container")].findLast((one) => one.offsetParent);
  const watch = new MutationObserver(() => {
    if (!began) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  });
  watch.observe(part === "rows" ? box.querySelector("tbody") : box.querySelector(".dt-info"),
    { childList: true, subtree: true, characterData: true });
}); }"""
"""Milliseconds from a key or a click to the picture in which the table is another; null where it stays the same."""

_UNCHANGED = 2_000
"""Milliseconds after which a key has changed nothing, such as the third letter of a word that the first two found."""

Row = tuple[str, str]


@dataclass(slots=True)
class Figures:
    """Milliseconds of each try, by what was tried."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, milliseconds: float | None) -> None:
        """Note one, if it has changed anything."""
        if milliseconds is not None:
            self.found.setdefault(what, []).append(milliseconds)

    def rows(self) -> Sequence[Row]:
        """Return a line for each: the middle, the tenth from the top, and the worst."""
        return [(f"{what}: median, 90 %, worst of {len(tries)}", told(tries)) for what, tries in self.found.items()]


def told(tries: Sequence[float]) -> str:
    """Return the middle, the ninth decile and the worst.

    >>> told([10.0, 20.0, 30.0])
    '20, 30, 30 ms'
    """
    return f"{median(tries):.0f}, {quantiles(tries, n=10, method='inclusive')[-1]:.0f}, {max(tries):.0f} ms"


async def rows(folder: Path) -> Sequence[Row]:
    """5,000 rows: until the table is there, and for each thing that people do with it; what the kernel then needs."""
    with house(folder, "--preheated", "0", studies=ROWS) as opened:
        started = time.perf_counter()
        opened.workspace.find("pacs", date=("2000-01-01", date.today().isoformat()))
        asking = time.perf_counter() - started
        async with chromium() as browser:
            page = await log_in(browser, opened)
            await open_query(page, opened)
            (kernel,) = opened.kernels()
            opened.wait_for_quiet()
            before = pss(kernel)
            shown = await ask(page)
            opened.wait_for_quiet()
            figures = await _use(page)
            after = pss(kernel)
            again = await _from_history(page)
    return (
        (f"{ROWS:,} rows: click on Query to the table, of which the PACS needs {asking:.1f} s", f"{shown:.1f} s"),
        (f"{ROWS:,} rows opened from the history", f"{again:.2f} s"),
        *figures.rows(),
        (f"a visitor's kernel before and with {ROWS:,} rows, PSS", f"{before / 1e6:.0f}, {after / 1e6:.0f} MB"),
    )


async def _use(page: Page) -> Figures:
    """Search, filter, sort and turn pages."""
    figures = Figures()
    for what, place in (
        ("a key in the table's search", page.get_by_role("searchbox").last),
        ("a key in Show rows containing, which the kernel filters by", page.get_by_label("Show rows containing")),
    ):
        await place.focus()
        for word in _WORDS:
            for key in (*word, *["Backspace"] * len(word)):
                figures.add(what, await _drawn(page, "keydown", "info", key=key))
    for _ in range(_ROUNDS):
        for name in ("Study date", "Patient ID"):
            head = page.locator(".dt-scroll-head th").filter(has_text=name).first
            figures.add("a click on a column's head", await _drawn(page, "mousedown", "rows", click=head))
        for name in ("Next", "Previous"):
            turn = page.locator(".dt-paging-button").filter(visible=True).and_(page.get_by_label(name)).last
            figures.add("a page turned", await _drawn(page, "mousedown", "rows", click=turn))
    return figures


async def _drawn(page: Page, event: str, part: str, *, key: str = "", click: Locator | None = None) -> float | None:
    await page.evaluate(_WATCH, [event, part, _UNCHANGED])
    if click is not None:
        await click.click()
    else:
        await page.keyboard.press(key)
    found: float | None = await page.evaluate("window.drawn")
    return found


async def _from_history(page: Page) -> float:
    """Return the seconds until an answer of the history is there."""
    await page.get_by_role("link", name="History").click()
    await page.get_by_role("heading", name="History", exact=True).wait_for()
    await page.locator("table.dataTable tbody tr").first.click()
    started = time.perf_counter()
    await button(page, "Open").click()
    await page.get_by_text(f"to 10 of {ROWS:,}").last.wait_for()
    return time.perf_counter() - started
