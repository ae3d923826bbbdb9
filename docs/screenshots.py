"""Takes the pictures of every dashboard, at 1280 and 800 pixels, light and dark, from a hospital in a box.

``python docs/screenshots.py`` writes those of ``docs/pages``; ``--to FOLDER`` and ``--only query,dose`` take others.
It needs Chromium and the ``test`` extra; it asks nothing of other machines, and every patient in it is invented.
"""

from __future__ import annotations

import argparse
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

import qrkit
from qrkit.simulator import Quirks, Simulator, small_hospital

_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_LIMIT = 60.0
_HALF_WAY = 45
"""Objects of which a retrieve has some and not all."""
_WIDTHS = (1280, 800)
_HEIGHT = 3000
"""Pixels of the window: the page scrolls inside, so that what is below the window would not be seen."""
_ACCOUNTS = {"anna": "administrator", "oskar": "operator", "vera": "viewer"}
"""Who may log in to the demo, for the picture of that page."""

_STILL = """() => new Promise((done) => {
  const look = () => [...document.querySelectorAll(".qrkit-page *")]
    .map((one) => one.getBoundingClientRect()).map((box) => [box.x, box.y, box.width, box.height].join()).join(";");
  let before = "", since = performance.now();
  const timer = setInterval(() => {
    const now = look();
    if (now !== before) [before, since] = [now, performance.now()];
    else if (performance.now() - since > 600) { clearInterval(timer); done(true); }
  }, 100);
})"""
"""Waits until nothing on the page has moved for a while: tables draw, and take a new width, by themselves."""

_BOX = """part => {
  const box = part.getBoundingClientRect();
  const whole = part.matches(".qrkit-page");
  const top = whole ? 0 : Math.max(0, box.top - 4);
  const bottom = Math.ceil(Math.min(innerHeight, box.bottom + (whole ? 24 : 0)));
  return { x: 0, y: top, width: innerWidth, height: bottom - top, scale: 1 };
}"""
"""What is shown: the page down to its end, or a part of it, over the whole width."""
_PARTS = dict.fromkeys(("query-days", "query-hours", "query-descriptions", "dose-funnel"), ".qrkit-charts")
"""Where the page above is the one of the picture before, only what has changed is shown."""
_QUALITY = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the charts are of: where the demo is served, its workspace, and a retrieve that runs meanwhile."""

    base: str
    workspace: qrkit.Workspace
    running: qrkit.workspace.Job


Scene = Callable[[Page, Site], None]
"""Brings a page to what is worth looking at, from any other page."""


def _start(page: Page, _site: Site) -> None:
    _go(page, "start", "Running jobs")
    expect(page.get_by_text(re.compile(r"responds in \d+ ms")).first).to_be_visible()


def _query_form(page: Page, _site: Site) -> None:
    _go(page, "query", "Query")
    page.get_by_label("Study date", exact=True).select_option("Custom range")
    page.get_by_role("button", name="More options").click()
    page.get_by_role("button", name="Dose: CT").click()


def _query(page: Page, _site: Site) -> None:
    page.get_by_label("Study date", exact=True).select_option("Last 30 days")
    page.get_by_role("button", name="More options").click()
    _press(page, "Query")
    expect(page.get_by_text(re.compile("Select rows to retrieve"))).to_be_visible()
    rows = page.locator("table.dataTable tbody tr")
    rows.nth(1).click()
    rows.nth(3).click()
    expect(page.get_by_role("button", name=re.compile("Retrieve 2"))).to_be_enabled()


def _query_pictures(page: Page, _site: Site) -> None:
    for name in ("Studies per day",):
        _picture(page, name)


def _query_hours(page: Page, _site: Site) -> None:
    _picture(page, "Hours of the day")


def _query_descriptions(page: Page, _site: Site) -> None:
    _picture(page, "Descriptions")


def _query_nothing(page: Page, _site: Site) -> None:
    _go(page, "query", "Query")
    page.get_by_label("Patient ID", exact=True).fill("NOBODY")
    _press(page, "Query")
    expect(page.get_by_text(re.compile("No studies found"))).to_be_visible()


def _dose(page: Page, _site: Site) -> None:
    _go(page, "dose", "Dose objects")
    page.get_by_label("Study date", exact=True).select_option("Last 30 days")
    for kind in ("CT", "MG"):
        page.get_by_label(kind, exact=True).check()
    _press(page, "Plan")
    expect(page.get_by_text("Plan ready. Nothing has been retrieved yet.")).to_be_visible()
    expect(page.locator("table.dataTable tbody td:not(.dt-empty)").first).to_be_visible()


def _dose_funnel(page: Page, _site: Site) -> None:
    _picture(page, "Funnel")


def _jobs(page: Page, site: Site) -> None:
    _go(page, "jobs", "Jobs")
    _job(page, site, site.running.job_id)


def _jobs_ended(page: Page, site: Site) -> None:
    listed = site.workspace.jobs.list()
    partial = listed[listed["state"].isin(["partial", "failed"])]["job_id"].iloc[0]
    _job(page, site, partial)


def _history(page: Page, _site: Site) -> None:
    _go(page, "history", "History")
    page.locator(".dt-container").first.get_by_text("CT studies of").first.click()
    _press(page, "Open")
    expect(page.get_by_text("Link to this query")).to_be_visible()


def _history_compared(page: Page, _site: Site) -> None:
    table = page.locator(".dt-container").first
    _press(page, "Clear selection", within=table)
    table.get_by_text("CT studies", exact=True).first.click()
    table.get_by_text("CT studies, description without head").first.click()
    _press(page, "Compare")
    expect(page.get_by_text(re.compile("differences?: "))).to_be_visible()


def _nodes(page: Page, _site: Site) -> None:
    _go(page, "nodes", "Add or edit a node")
    page.locator("table.dataTable tbody tr", has_text="demo").click()
    _press(page, "Edit node")
    _press(page, "Probe")
    expect(page.get_by_text("Probed. Queries and retrieves use this profile from now on.")).to_be_visible()


def _users(page: Page, _site: Site) -> None:
    _go(page, "users", "Add or edit a user")


def _login(page: Page, site: Site) -> None:
    page.context.clear_cookies()
    page.goto(f"{site.base}/login")


_SCENES: dict[str, Scene] = {
    "start": _start,
    "query-form": _query_form,
    "query": _query,
    "query-days": _query_pictures,
    "query-hours": _query_hours,
    "query-descriptions": _query_descriptions,
    "query-nothing": _query_nothing,
    "dose": _dose,
    "dose-funnel": _dose_funnel,
    "jobs": _jobs,
    "jobs-ended": _jobs_ended,
    "history": _history,
    "history-compared": _history_compared,
    "nodes": _nodes,
    "users": _users,
    "login": _login,
}
"""What is photographed, in this order: a scene may build on the one before."""


def main() -> int:
    """Take them all, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "pages", help="where they are written")
    parser.add_argument("--only", default="", help="names that those wanted begin with, such as query,dose")
    parser.add_argument("--scheme", default="light,dark", help="light, dark or both")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no browser; on Debian and Ubuntu: apt-get install chromium")
    given.to.mkdir(parents=True, exist_ok=True)
    wanted = tuple(given.only.split(","))
    with _site() as (link, site), sync_playwright() as playwright:
        expect.set_options(timeout=_LIMIT * 1e3)
        browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM)
        entered = browser.new_context()
        entered.new_page().goto(link)
        for scheme in given.scheme.split(","):
            context = browser.new_context(storage_state=entered.storage_state(), color_scheme=scheme)
            context.set_default_timeout(_LIMIT * 1e3)
            page = context.new_page()
            page.set_viewport_size({"width": _WIDTHS[0], "height": _HEIGHT})
            page.goto(f"{site.base}/voila/render/start.ipynb")
            for name, scene in _SCENES.items():
                if name.startswith(wanted):
                    scene(page, site)
                    _photograph(page, name, scheme, given.to)
            context.close()
        browser.close()
    return 0


@contextmanager
def _site() -> Iterator[tuple[str, Site]]:
    """Run a demo with its dashboard, two more nodes, and retrieves that run and that have ended otherwise."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        log = scratch / "demo.log"
        command = [sys.executable, "-m", "qrkit.cli", "demo", "--no-browser", "--workspace", f"{scratch}/demo"]
        out = stack.enter_context(log.open("wb"))
        demo = stack.enter_context(subprocess.Popen(command, stdout=out, stderr=out))  # noqa: S603 - our own
        stack.callback(demo.terminate)
        link = _link(log)
        workspace = stack.enter_context(qrkit.open(f"{scratch}/demo"))
        for name, role in _ACCOUNTS.items():
            workspace.users.add(name, secrets.token_urlsafe(12), role=role)
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        workspace.nodes.add("mammography", host="127.0.0.1", port=port, ae_title="MG1", description="switched off")
        hospital = small_hospital(2, until=date.today(), days=30, studies=60)
        pacs = stack.enter_context(Simulator(hospital, ae_title="ARCHIVE", quirks=Quirks(send_less=2)))
        workspace.nodes.add(
            "archive", host=pacs.host, port=pacs.port, ae_title="ARCHIVE", description="a slow one", can_store=True
        )
        found = workspace.find("archive", modalities=["CT"])
        workspace.find("archive", modalities=["CT"], description_exclude="head")
        workspace.retrieve(found.head(3), method="get").wait(timeout=_LIMIT)
        pacs.quirks = Quirks(delay_object=0.2)
        running = workspace.retrieve(found.tail(8), method="get")
        while running.status.stored < _HALF_WAY:
            time.sleep(0.2)
        pacs.quirks = Quirks(delay_object=_LIMIT)  # it still runs when the last picture is taken
        stack.callback(running.cancel)
        yield link, Site(base=link.partition("/enter/")[0], workspace=workspace, running=running)


def _link(log: Path) -> str:
    """Return the link that lets in whoever has started the demo.

    Raises
    ------
    RuntimeError
        If it does not come in time.
    """
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        found = re.search(r"http://\S+/enter/\S+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    raise RuntimeError(f"The demo does not serve: {log.read_text()[-2000:]}")


def _photograph(page: Page, name: str, scheme: str, target: Path) -> None:
    """Take one scene at every width."""
    browser = page.context.new_cdp_session(page)  # Playwright's own takes no WebP, a third of the size
    for width in _WIDTHS:
        is_login = page.locator(".qrkit-page").count() == 0
        page.set_viewport_size({"width": width, "height": 560 if is_login else _HEIGHT})
        page.mouse.move(2, 2)
        page.evaluate(_STILL)
        clip = page.locator("html" if is_login else _PARTS.get(name, ".qrkit-page")).first.evaluate(_BOX)
        given = {"format": "webp", "quality": _QUALITY, "clip": clip}
        taken = browser.send("Page.captureScreenshot", given)
        (target / f"{name}-{width}-{scheme}.webp").write_bytes(b64decode(taken["data"]))
    page.set_viewport_size({"width": _WIDTHS[0], "height": _HEIGHT})


def _go(page: Page, name: str, heading: str) -> None:
    """Open a page by the navigation."""
    page.locator(f"nav a[href$='/{name}.ipynb']").click()
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def _press(page: Page, label: str, *, within: Locator | None = None) -> None:
    (within or page).get_by_role("button", name=re.compile(f"^{label}$")).click()


def _picture(page: Page, name: str) -> None:
    """Open a picture, drawn by plotly."""
    page.get_by_role("button", name=name).click()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    page.evaluate(_STILL)


def _job(page: Page, site: Site, job_id: str) -> None:
    """Open one job of the table, by its link."""
    page.goto(f"{site.base}/voila/render/jobs.ipynb?job={job_id}")
    expect(page.get_by_role("region", name=re.compile("^Retrieve from"))).to_be_visible()
    expect(page.locator("table.dataTable tbody td:not(.dt-empty)").first).to_be_visible()


if __name__ == "__main__":
    sys.exit(main())
