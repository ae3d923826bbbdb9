"""The dashboard as people meet it: ``python -m benchmarks.page``, or ``python -m benchmarks.page PART …`` for some.

Each part ends by itself, at the latest after some minutes, and the table then says that it was not measured.

Needs Chromium and the extra ``test``. Browser, dashboard, kernels and hospital share this machine's cores, as they
would on a workstation.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import lab
from benchmarks.visitors import QUERY, House, ask, button, chromium, cpu_seconds, house, log_in, open_query, pss

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.dashboard.served import Caller


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

VISITORS = 10
RETRIEVERS = 6
ASSOCIATIONS = 2
"""That the node of the six who retrieve at once allows."""

_LONGEST = 400.0
"""Seconds after which a part is given up, and the table shows it."""

_LAB = "lab"


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


async def first(folder: Path) -> Sequence[Row]:
    """Seconds until the first page is usable, with and without a kernel that waits."""
    found: list[Row] = []
    for preheated, what in (("0", "cold"), ("1", "preheated")):
        with house(folder / what, "--preheated", preheated) as opened:
            async with chromium() as browser:
                seconds = []
                for _ in range(4):
                    page = await log_in(browser, opened)
                    opened.wait_for_quiet()
                    seconds.append(await open_query(page, opened))
                    await page.context.close()
        # The first also fills the caches of the machine.
        found.append((f"first page usable, {what}, median of 3 (the very first)", _spread(seconds)))
    return found


async def visitors(folder: Path) -> Sequence[Row]:
    """Ten visitors open a page in the same moment."""
    with house(folder, people=VISITORS) as opened:
        async with chromium() as browser:
            pages = [await log_in(browser, opened, f"person{number}") for number in range(1, VISITORS + 1)]
            opened.wait_for_quiet()
            server = psutil.Process(opened.served.pid)
            alone, before = pss(server), (cpu_seconds(server), cpu_seconds(*opened.browsers()))
            seconds = sorted(await asyncio.gather(*(open_query(page, opened) for page in pages)))
            opened.wait_for_quiet()
            kernels = sorted(map(pss, opened.kernels()))
            total = pss(server) + sum(kernels)
            used = sorted(map(cpu_seconds, opened.kernels()))
            after = (cpu_seconds(server), cpu_seconds(*opened.browsers()))
    return (
        (
            f"{VISITORS} visitors at once: first, middle, last page usable",
            f"{seconds[0]:.1f}, {median(seconds):.1f}, {seconds[-1]:.1f} s",
        ),
        (
            "processor time per visitor: kernel (median), server, browser",
            f"{median(used):.2f}, {(after[0] - before[0]) / VISITORS:.2f}, {(after[1] - before[1]) / VISITORS:.2f} s",
        ),
        (f"memory per visitor, PSS of the kernel, median of {len(kernels)}", _mb(median(kernels))),
        (f"the server alone; with {VISITORS} visitors and their kernels", f"{_mb(alone)}; {_mb(total)}"),
    )


async def served(folder: Path) -> Sequence[Row]:
    """Ten visitors in the same moment whose browsers are elsewhere: until the server has sent the whole page."""
    with house(folder, people=VISITORS) as opened:
        callers = [opened.served.caller() for _ in range(VISITORS)]
        for number, caller in enumerate(callers, 1):
            caller.log_in(f"person{number}")
        opened.wait_for_quiet()
        seconds = sorted(await asyncio.gather(*(asyncio.to_thread(_sent, caller) for caller in callers)))
    told = f"{seconds[0]:.1f}, {median(seconds):.1f}, {seconds[-1]:.1f} s"
    return ((f"the same with browsers on other machines: first, middle, last of {VISITORS} pages sent", told),)


def _sent(caller: Caller) -> float:
    started = time.perf_counter()
    answer = caller.get(QUERY)
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"The page is answered with {answer.status}.")
    return time.perf_counter() - started


async def six(folder: Path) -> Sequence[Row]:
    """Six people retrieve in the same moment from a node that allows two associations."""
    with house(folder, people=RETRIEVERS, delay=0.05) as opened:
        opened.workspace.nodes.edit("pacs", associations=ASSOCIATIONS)
        async with chromium() as browser:
            pages = [await log_in(browser, opened, f"person{number}") for number in range(1, RETRIEVERS + 1)]
            for place, page in enumerate(pages):
                await open_query(page, opened)
                await page.get_by_label("CT", exact=True).check()
                await ask(page)
                lines = page.locator("table.dataTable tbody tr")
                await lines.nth(place).click()
            started = time.perf_counter()
            watching = asyncio.create_task(_watch(opened))
            live = await asyncio.gather(*(_retrieve(page, started) for page in pages))
            listed = await _jobs_seen(pages[0])
            firsts, ends, most = await watching
            ended = [await page.get_by_role("status").filter(has_text="Complete").count() for page in pages]
    return (
        (f"{RETRIEVERS} retrieve at once: own job shown after", _range(live)),
        ("… first object of each job after", _range(firsts)),
        ("… each job complete after", _range(ends)),
        ("… pages that show Complete in the end", f"{sum(map(bool, ended))} of {RETRIEVERS}"),
        ("… jobs that one of them sees on the page Jobs, of as many people", listed),
        (f"… most associations at once, allowed {ASSOCIATIONS}", str(most)),
    )


PARTS: dict[str, Callable[[Path], Coroutine[Any, Any, Sequence[Row]]]] = {
    "rows": rows,
    "first": first,
    "visitors": visitors,
    "served": served,
    "six": six,
}


def measure(folder: Path, parts: Sequence[str] = (*PARTS, _LAB)) -> Iterator[Row]:
    """Yield what each part finds: what was measured, and the figure."""
    for part in parts:
        try:
            if part == _LAB:
                yield from lab.measure(folder / part)
            else:
                yield from asyncio.run(asyncio.wait_for(PARTS[part](folder / part), _LONGEST))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other parts are worth measuring
            yield f"{part}: not measured", f"{type(error).__name__} {error}".strip()[:200]


async def _retrieve(page: Page, started: float) -> float:
    await button(page, "Retrieve").click()
    await page.get_by_role("region", name="Retrieve from pacs").first.wait_for()
    return time.perf_counter() - started


async def _jobs_seen(page: Page) -> str:
    """Count the jobs and people on the page Jobs, and go back."""
    await page.get_by_role("link", name="Jobs").click()
    lines = page.locator("table.dataTable tbody tr").filter(has_text="person")
    await lines.nth(RETRIEVERS - 1).wait_for()
    told = await lines.all_inner_texts()
    people = {word for line in told for word in line.split() if word.startswith("person")}
    await page.get_by_role("link", name="Query and retrieve").click()
    return f"{len(told)}, {len(people)}"


async def _watch(opened: House) -> tuple[list[float], list[float], int]:
    """Return the seconds until each job's first object and end, and the most associations seen."""
    started, most = time.perf_counter(), 0
    firsts: dict[str, float] = {}
    ends: dict[str, float] = {}
    looked = 0.0
    while len(ends) < RETRIEVERS:
        most = max(most, opened.pacs.open_associations)
        now = time.perf_counter() - started
        if now - looked > 0.2:
            looked = now
            for job in opened.workspace.jobs.list().to_dict("records"):
                if job["stored"]:
                    firsts.setdefault(job["job_id"], now)
                if job["state"] in ("complete", "partial", "failed", "cancelled"):
                    ends.setdefault(job["job_id"], now)
        await asyncio.sleep(0.01)
    return list(firsts.values()), list(ends.values()), most


def _spread(found: Sequence[float]) -> str:
    return f"{median(found[1:]):.1f} s ({found[0]:.1f} s)"


def _range(found: Sequence[float]) -> str:
    return f"{min(found):.1f} to {max(found):.1f} s"


def _mb(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


def main() -> None:
    """Measure the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, _LAB, []], help="which; all without")
    folder = Path(tempfile.mkdtemp(prefix="qrkit-page-"))
    try:
        print("| page | |\n|---|--:|")
        for what, figure in measure(folder, parser.parse_args().parts or (*PARTS, _LAB)):
            print(f"| {what} | {figure} |", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
