from collections.abc import Iterator
from pathlib import Path

import pytest

from qrkit.dashboard.handlers import inside
from qrkit.workspace import Workspace
from tests.cli.commands import qrkit
from tests.dashboard.served import Caller, Served

_PAGE = "/voila/render/jobs.ipynb"


@pytest.fixture
def ann(served: Served) -> Iterator[Caller]:
    """An operator who is logged in, and out after the test."""
    caller = Caller(served.url)
    caller.log_in("ann")
    yield caller
    caller.post("/logout")


def test_nothing_is_shown_to_who_is_not_logged_in(served: Served) -> None:
    for path in ("/", _PAGE, "/voila/render/start.ipynb?token=x"):
        assert Caller(served.url).get(path).path == "/login"
    assert Caller(served.url).get("/voila/api/contents/").status == 404
    assert Caller(served.url).get("/voila/files/start.ipynb").status == 404
    assert Caller(served.url, {"X-Qrkit-User": "adm", "X-Qrkit-Role": "administrator"}).get("/").path == "/login"


def test_a_wrong_password_is_one_sentence_and_the_audit_tells(served: Served, ws: Workspace) -> None:
    answer = Caller(served.url).log_in("ann", "not the password")
    assert answer.status == 401
    assert "This name and password do not go together." in answer.text
    told = ws.sql("SELECT who, action FROM audit WHERE subject = 'dashboard'")
    assert ("ann", "login refused") in set(zip(told["who"], told["action"], strict=True))


def test_a_login_needs_the_servers_own_form(served: Served) -> None:
    assert Caller(served.url).post("/login", name="ann", password="correct horse").status == 403


@pytest.mark.parametrize("link", ["//evil.example/x", "https://evil.example/", "/\\evil.example", "x", "/a//b"])
def test_a_login_leads_to_pages_of_ours_only(link: str) -> None:
    assert inside(link, "/") == ""
    assert inside("/voila/render/jobs.ipynb", "/") == "/voila/render/jobs.ipynb"


def test_every_page_says_what_it_may_load(served: Served) -> None:
    headers = Caller(served.url).get("/login").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_kernel_is_its_visitors_alone_and_ends_with_the_page(served: Served, ann: Caller) -> None:
    kernel = ann.get(_PAGE).kernel
    assert ann.get(f"/api/kernels/{kernel}").status == 200
    bob = Caller(served.url)
    bob.log_in("bob")
    for answer in (
        bob.get(f"/api/kernels/{kernel}"),
        bob.delete(f"/api/kernels/{kernel}"),
        bob.post(f"/voila/api/shutdown/{kernel}"),
        bob.get(f"/api/kernels/{kernel}/channels"),
    ):
        assert answer.status == 403
    assert ann.get(f"/api/kernels/{kernel}").status == 200
    assert ann.post(f"/voila/api/shutdown/{kernel}").status == 204
    assert ann.get(f"/api/kernels/{kernel}").status in (403, 404)
    bob.post("/logout")


def test_a_page_that_is_not_there_is_one_sentence(ann: Caller) -> None:
    answer = ann.get("/voila/render/other.ipynb")
    assert (answer.status, "There is no such page." in answer.text) == (404, True)


def test_seats_are_limited_and_logging_out_gives_them_back(served: Served, ann: Caller) -> None:
    kernels = [ann.get(_PAGE).kernel for _ in range(3)]
    assert len(set(kernels)) == 3
    refused = ann.get(_PAGE)
    assert refused.status == 503
    assert "All 3 seats are taken." in refused.text
    ann.post("/logout")
    assert ann.get("/").path == "/login"
    other = Caller(served.url)
    other.log_in("bob")
    assert other.get(_PAGE).status == 200
    other.post("/logout")


def test_the_printed_link_lets_its_holder_in_once(served: Served) -> None:
    first, second = Caller(served.url), Caller(served.url)
    link = served.link
    assert first.get(link).path == "/voila/render/start.ipynb"
    assert second.get(link).path == "/login"
    first.post("/logout")


def test_a_proxy_that_names_users_must_know_the_secret(ws: Workspace) -> None:
    done = qrkit(ws, "dashboard", "--no-browser", "--proxy-header", "X-Forwarded-User")
    assert done.status == 2
    assert "secret" in done.err


def test_other_machines_are_not_served_before_anybody_has_an_account(workspace: Workspace) -> None:
    done = qrkit(workspace, "dashboard", "--no-browser", "--host", "0.0.0.0", "--port", "0")
    assert done.status == 2
    assert "Warning" in done.err
    assert "qrkit users add" in done.err


def test_a_trusted_proxy_names_the_user(tmp_path: Path, ws: Workspace) -> None:
    options = ["--preheated", "0", "--proxy-header", "X-Forwarded-User", "--proxy-secret", "between us"]
    with Served(tmp_path / "proxied", ws, *options) as proxied:
        named = {"X-Forwarded-User": "ann"}
        assert Caller(proxied.url, named).get("/").path == "/login"
        assert Caller(proxied.url, {**named, "X-Qrkit-Secret": "guessed"}).get("/").path == "/login"
        caller = Caller(proxied.url, {**named, "X-Qrkit-Secret": "between us"})
        answer = caller.get("/voila/render/history.ipynb")
        assert caller.get(f"/api/kernels/{answer.kernel}").status == 200
