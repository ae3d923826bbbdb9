"""The whole way in a real browser: ask, choose, retrieve, reload, cancel, compare; nodes; the keyboard; a viewer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psutil
import pytest

from qrkit.job import JobState
from qrkit.simulator import Simulator
from qrkit.workspace import Workspace
from tests.dashboard.served import PASSWORD, Served
from tests.widgets.test_browser import Watched, chromium, watched

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["chromium", "watched"]
_RULES = ["wcag2a", "wcag2aa", "wcag21aa"]
_PAGES = ("Start", "Query and retrieve", "Dose objects", "Jobs", "History", "Nodes")

_EXECUTE = """async ([url, target]) => {
  const socket = new WebSocket(url);
  await new Promise((done, failed) => { socket.onopen = done; socket.onerror = failed; });
  const ask = (kind, content) => {
    const told = new Promise((done) => socket.addEventListener("message", ({ data }) => {
      const type = typeof data === "string" ? JSON.parse(data).msg_type : "";
      if (type === kind.replace("request", "reply")) done(type);
    }));
    socket.send(JSON.stringify({ channel: "shell", content, metadata: {}, parent_header: {}, buffers: [],
      header: { msg_id: kind, msg_type: kind, username: "", session: "test", version: "5.3", date: "" } }));
    return told;
  };
  ask("execute_request", { code: `open(${JSON.stringify(target)}, "w")`, silent: false });
  return await ask("kernel_info_request", {});
}"""
"""Sends code to a page's kernel as JupyterLab would, and waits until the kernel has answered what came after."""


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


def _rows(page: Page) -> Locator:
    return page.locator("table.dataTable tbody tr")


def _enter(page: Page, served: Served, name: str, to: str = "") -> None:
    page.goto(served.url + to)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def _leave(page: Page) -> None:
    from playwright.sync_api import expect

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def _ask(page: Page) -> None:
    """Query the last 30 days of CT."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="Query and retrieve").click()
    page.get_by_label("Study date").select_option("Last 30 days")
    page.get_by_label("CT", exact=True).check()
    _button(page, "Query").click()
    expect(page.get_by_text("Choose rows, then retrieve them.")).to_be_visible()


def _choose_two(page: Page) -> None:
    from playwright.sync_api import expect

    _rows(page).nth(0).click()
    _rows(page).nth(1).click(modifiers=["Control"])
    expect(_button(page, "Retrieve 2 rows")).to_be_enabled()


def _sort(page: Page, column: str) -> None:
    """Sort by a column: the newest, or the last of the alphabet, first."""
    from playwright.sync_api import expect

    head = page.get_by_role("button", name=re.compile(f"^{column}")).first
    head.click()
    expect(page.locator("th[aria-sort=ascending]").first).to_be_visible()
    head.click()
    expect(page.locator("th[aria-sort=descending]").first).to_be_visible()


def _open_and_compare(page: Page, name: str) -> None:
    """Open somebody's oldest answer from the history, ask again, and compare the two."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="History").click()
    _rows(page).filter(has_text=name).last.click()
    _button(page, "Open").click()
    expect(page.get_by_role("status").filter(has_text=re.compile(r"\d+ rows"))).to_be_visible()
    _button(page, "Run again").click()
    expect(page.get_by_text("Asked again")).to_be_visible()
    _rows(page).first.click(modifiers=["Control"])  # and the one of before is chosen still
    _button(page, "Compare").click()
    expect(page.get_by_text("0 rows came, went or changed")).to_be_visible()


def _has_no_violations(page: Page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = axe.run(page, options={"runOnly": _RULES})
        told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found.response["violations"]]
        assert (scheme, told) == (scheme, [])


def test_an_operator_asks_retrieves_reloads_cancels_and_compares(
    served: Served, ws: Workspace, watched: Watched
) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "ann")
    expect(page.get_by_text("ann, operator")).to_be_visible()
    expect(page.get_by_text(re.compile(r"answers in \d+ ms")).first).to_be_visible()
    _ask(page)
    _sort(page, "Study date")
    newest = str(ws.queries.read(ws.queries.list()["query_id"].iloc[0])["StudyDate"].max())[:10]
    expect(_rows(page).first).to_contain_text(newest)
    _choose_two(page)
    _button(page, "Retrieve 2 rows").click()
    job = page.get_by_role("region", name="Retrieve from pacs")
    expect(job).to_be_visible()

    # A page that is loaded again finds what runs.
    page.reload()
    expect(page.get_by_role("region", name="Retrieve from pacs")).to_be_visible()
    assert page.url.endswith("/query.ipynb")
    page.get_by_role("button", name="Cancel retrieve from pacs").click()
    expect(job.get_by_role("status")).to_have_text("Cancelled")
    row = ws.jobs.list().iloc[0]  # the newest
    assert (row["user"], ws.jobs[row["job_id"]].state) == ("ann", JobState.CANCELLED)

    # What did not come is tried again.
    page.get_by_role("link", name="Jobs").click()
    _rows(page).first.click()
    _button(page, "Try again what failed").click()
    expect(_rows(page).first).to_contain_text(re.compile("queued|running", re.IGNORECASE))
    _button(page, "Cancel").first.click()  # it is chosen still
    expect(_rows(page).first).to_contain_text(re.compile("cancelled", re.IGNORECASE))

    # The least that carries dose, its cost, and the retrieve.
    page.get_by_role("link", name="Dose objects").click()
    page.get_by_label("Study date").select_option("Last 30 days")
    page.get_by_label("MG", exact=True).check()
    _button(page, "Plan").click()
    expect(_button(page, "Retrieve this plan")).to_be_enabled()
    expect(page.get_by_text(re.compile(r"\d+ (objects|requests)")).first).to_be_visible()
    before = len(ws.jobs.list())
    _button(page, "Retrieve this plan").click()
    expect(page.get_by_role("region", name="Retrieve from pacs").first).to_be_visible()
    assert len(ws.jobs.list()) == before + 1

    _open_and_compare(page, "ann")

    page.get_by_role("link", name="Nodes").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("other")
    page.get_by_role("textbox", name="Host").fill("localhost")
    page.get_by_role("textbox", name="AE title").fill("OTHER")
    _button(page, "Save node").click()
    expect(page.get_by_role("alert").filter(has_text="ann may not change nodes")).to_be_visible()
    _leave(page)
    assert watched.outside == []
    assert watched.errors == []


def test_an_administrator_adds_a_node_tests_and_probes_it_and_no_page_has_violations(
    served: Served, pacs: Simulator, watched: Watched
) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "adm", "/voila/render/nodes.ipynb")
    page.get_by_role("textbox", name="Name", exact=True).fill("second")
    page.get_by_role("textbox", name="Host").fill(pacs.host)
    page.get_by_role("spinbutton", name="Port").fill(str(pacs.port))
    page.get_by_role("textbox", name="AE title").fill(pacs.ae_title)
    _button(page, "Save node").click()
    expect(page.get_by_text("Saved second.")).to_be_visible()
    expect(_rows(page).filter(has_text="second")).to_have_count(1)
    _button(page, "Test").click()
    expect(page.get_by_role("status").filter(has_text=re.compile(r"^second answers in \d+ ms"))).to_be_visible()
    _button(page, "Probe").click()
    expect(page.get_by_text("Probed; what was seen is used from now on.")).to_be_visible()
    expect(page.get_by_text("C-FIND").first).to_be_visible()

    _ask(page)
    for name in _PAGES:
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading").first).to_be_visible()
        _has_no_violations(page)
    _leave(page)
    assert watched.outside == []
    assert watched.errors == []


def _tab_to(page: Page, wanted: Locator, *, back: bool = False) -> None:
    """Go on by Tab until something has the focus."""
    for _ in range(80):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    pytest.fail(f"Tab does not come to {wanted}")


def test_a_retrieve_needs_no_mouse(served: Served, ws: Workspace, watched: Watched) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "bob")
    before = len(ws.jobs.list())
    expect(page.get_by_text(re.compile(r"answers in \d+ ms")).first).to_be_visible()
    _tab_to(page, page.get_by_role("link", name="Query and retrieve"))
    page.keyboard.press("Enter")
    date = page.get_by_label("Study date")
    expect(date).to_be_visible()
    _tab_to(page, date)
    page.keyboard.type("Last 30")
    _tab_to(page, page.get_by_label("CT", exact=True))
    page.keyboard.press("Space")
    _tab_to(page, _button(page, "Query"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Choose rows, then retrieve them.")).to_be_visible()
    expect(_rows(page).first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    cell = _rows(page).first.locator("td").first
    _tab_to_row(page)
    page.keyboard.press("Space")
    expect(cell).to_be_visible()
    wanted = _button(page, "Retrieve 1 row")
    expect(wanted).to_be_enabled()
    _tab_to(page, wanted)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Retrieve from pacs").first).to_be_visible()
    assert len(ws.jobs.list()) == before + 1
    _tab_to(page, page.get_by_role("button", name="Log out"), back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Password")).to_be_visible()


def _tab_to_row(page: Page) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement.closest('table.dataTable tbody'))"):
            return
    pytest.fail("Tab does not come to the rows")


def test_a_viewer_is_refused_by_the_kernel_which_runs_no_code_and_whose_end_is_told(
    served: Served, ws: Workspace, watched: Watched
) -> None:
    from playwright.sync_api import expect

    page = watched.page
    before = len(ws.jobs.list())
    _enter(page, served, "vic", "/voila/render/query.ipynb")
    _ask(page)
    _choose_two(page)
    _button(page, "Retrieve 2 rows").click()
    expect(page.get_by_role("alert").filter(has_text="vic may not retrieve")).to_be_visible()
    assert len(ws.jobs.list()) == before

    # Past the page: the server passes no code on.
    config = "JSON.parse(document.getElementById('jupyter-config-data').textContent)"
    kernel = page.evaluate(f"{config}.kernelId")
    target = ws.settings.workspace / "written"
    channels = f"{served.url.replace('http', 'ws')}/api/kernels/{kernel}/channels"
    assert page.evaluate(_EXECUTE, [channels, str(target)]) == "kernel_info_reply"
    assert not target.exists()

    (process,) = [
        one
        for one in psutil.Process(served.pid).children(recursive=True)
        if any(kernel in word for word in one.cmdline())
    ]
    process.kill()
    gone = page.get_by_role("alert").filter(has_text="This page has ended.")
    expect(gone).to_be_visible()
    expect(gone.get_by_role("button", name="Start again")).to_be_visible()
