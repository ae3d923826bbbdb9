# ruff: noqa: INP001 - a script beside the documents, no package
"""Takes the pictures of every dashboard, at 1280 and 800 pixels, light and dark, from a hospital in a box.

``python docs/screenshots.py FOLDER`` needs Chromium and the ``test`` extra; it asks nothing of other machines.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

import qrkit

_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_LIMIT = 120.0
_SIZES = ((1280, 1700), (800, 2200))
"""Width and height, in pixels: the page scrolls inside, so that what is below the window would not be seen."""
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

_LOWEST = "pages => Math.ceil(Math.max(...pages.map(page => page.getBoundingClientRect().bottom)))"
_PAGES = {
    "start": "Running retrieves",
    "query": "Query",
    "dose": "Dose objects",
    "jobs": "Jobs",
    "history": "History",
    "nodes": "Add or change a node",
    "users": "Add or change a user",
}
"""Name of each page, and a heading that no other has."""


def main() -> int:
    """Take them all, and say where they are."""
    target = Path(sys.argv[1])
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("There is no Chromium.", file=sys.stderr)  # noqa: T201 - a script
        return 1
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "demo.log"
        command = [sys.executable, "-m", "qrkit.cli", "demo", "--no-browser", "--workspace", f"{scratch}/demo"]
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as demo:  # noqa: S603 - our own
            try:
                link = _link(log)
                with qrkit.open(f"{scratch}/demo") as workspace:
                    for name, role in _ACCOUNTS.items():
                        workspace.users.add(name, secrets.token_urlsafe(12), role=role)
                _photograph(link, chromium, target)
            finally:
                demo.terminate()
                demo.wait(30)
    return 0


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


def _photograph(link: str, chromium: str, target: Path) -> None:
    base = link.partition("/enter/")[0]
    expect.set_options(timeout=_LIMIT * 1e3)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(_LIMIT * 1e3)
        page.goto(link)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.goto(f"{base}/voila/render/start.ipynb")
            for name in _PAGES:
                _open(page, name)
                for width, height in _SIZES:
                    page.set_viewport_size({"width": width, "height": height})
                    page.evaluate(_STILL)
                    low = page.locator(".qrkit-page").evaluate_all(_LOWEST)
                    page.screenshot(
                        path=target / f"{name}-{width}-{scheme}.png",
                        clip={"x": 0, "y": 0, "width": width, "height": min(height, low + 24)},
                    )
        browser.close()


def _open(page: Page, name: str) -> None:
    """Open a page, and have it show something worth looking at."""
    page.locator(f"nav a[href$='/{name}.ipynb']").click()
    expect(page.get_by_role("heading", name=_PAGES[name], exact=True)).to_be_visible()
    if name == "query":
        page.get_by_label("Study date", exact=True).select_option("Last 30 days")
        page.get_by_role("button", name=re.compile("^Query$")).click()
        expect(page.get_by_text("Choose rows, then retrieve them.")).to_be_visible()
    if name == "dose":
        page.get_by_label("Study date", exact=True).select_option("Last 30 days")
        page.get_by_label("CT", exact=True).check()
        page.get_by_role("button", name=re.compile("^Plan$")).click()
        expect(page.get_by_text("Planned; nothing is fetched yet.")).to_be_visible()
    if name == "start":
        expect(page.get_by_text(re.compile(r"answers in \d+ ms")).first).to_be_visible()
    else:
        expect(page.locator("table.dataTable tbody td:not(.dt-empty)").first).to_be_visible()
    page.evaluate(_STILL)


if __name__ == "__main__":
    sys.exit(main())
