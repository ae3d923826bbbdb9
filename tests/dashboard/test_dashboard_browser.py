"""The whole way in a real browser: log in, ask, choose, retrieve, reload, cancel; and what a viewer may not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from qrkit.job import JobState
from qrkit.workspace import Workspace
from tests.dashboard.served import PASSWORD, Served
from tests.widgets.test_browser import Watched, chromium, watched

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["chromium", "watched"]
_RULES = ["wcag2a", "wcag2aa", "wcag21aa"]


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


def _enter(page: Page, served: Served, name: str, to: str = "") -> None:
    page.goto(served.url + to)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def _ask_and_choose(page: Page) -> None:
    """Query the last 30 days of CT, and choose the first two rows by keyboard."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="Query and retrieve").click()
    page.get_by_label("Study date").select_option("Last 30 days")
    page.get_by_label("CT", exact=True).check()
    _button(page, "Query").click()
    expect(page.get_by_text("Choose rows, then retrieve them.")).to_be_visible()
    rows = page.locator("table.dataTable tbody tr")
    rows.nth(0).click()
    rows.nth(1).click(modifiers=["Control"])
    expect(_button(page, "Retrieve 2 rows")).to_be_enabled()


def _has_no_violations(page: Page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # What itables draws itself is not ours to mend.
    found = axe.run(page, context={"exclude": [[".itables"], [".dt-container"]]}, options={"runOnly": _RULES})
    told = [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found.response["violations"]]
    assert told == []


def test_an_operator_asks_retrieves_reloads_and_cancels(served: Served, ws: Workspace, watched: Watched) -> None:
    from playwright.sync_api import expect

    page = watched.page
    _enter(page, served, "ann")
    expect(page.get_by_text("ann, operator")).to_be_visible()
    expect(page.get_by_text(re.compile(r"answers in \d+ ms"))).to_be_visible()
    _has_no_violations(page)
    _ask_and_choose(page)
    _has_no_violations(page)
    _button(page, "Retrieve 2 rows").click()
    job = page.get_by_role("region", name="Retrieve from pacs")
    expect(job).to_be_visible()

    page.reload()
    expect(page.get_by_role("region", name="Retrieve from pacs")).to_be_visible()
    assert page.url.endswith("/query.ipynb")
    page.get_by_role("button", name="Cancel retrieve from pacs").click()
    expect(job.get_by_role("status")).to_have_text("Cancelled")
    (row,) = ws.jobs.list()[["job_id", "user"]].to_dict("records")
    assert (row["user"], ws.jobs[row["job_id"]].state) == ("ann", JobState.CANCELLED)

    page.get_by_role("link", name="History").click()
    expect(page.locator("table.dataTable tbody tr").first).to_contain_text("ann")
    page.get_by_role("link", name="Nodes").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("other")
    page.get_by_role("textbox", name="Host").fill("localhost")
    page.get_by_role("textbox", name="AE title").fill("OTHER")
    _button(page, "Save node").click()
    expect(page.get_by_role("alert").filter(has_text="ann may not change nodes")).to_be_visible()
    _has_no_violations(page)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert watched.outside == []
    assert watched.errors == []


def test_a_viewer_is_refused_by_the_kernel(served: Served, ws: Workspace, watched: Watched) -> None:
    from playwright.sync_api import expect

    page = watched.page
    before = len(ws.jobs.list())
    _enter(page, served, "vic", "/voila/render/query.ipynb")
    _ask_and_choose(page)
    _button(page, "Retrieve 2 rows").click()
    expect(page.get_by_role("alert").filter(has_text="vic may not retrieve")).to_be_visible()
    assert len(ws.jobs.list()) == before
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
