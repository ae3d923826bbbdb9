from collections.abc import Iterator
from pathlib import Path

import pytest
from voila.execute import VoilaExecutor

from qrkit.dashboard.handlers import inside
from qrkit.dashboard.options import ServeOptions
from qrkit.dashboard.server import _config
from qrkit.workspace import Workspace
from tests.cli.commands import Here
from tests.dashboard.served import Caller, Served
from tests.peers.certificates import Authority
from tests.peers.waiting import wait_until

_PAGE = "/voila/render/jobs.ipynb"
_CLOSED = (
    "/api/kernels",
    "/api/contents",
    "/api/contents/start.ipynb",
    "/api/sessions",
    "/api/terminals",
    "/api/config/x",
    "/voila/api/contents/",
    "/voila/files/start.ipynb",
    "/voila/tree",
    "/files/start.ipynb",
    "/voila/render/../../etc/passwd",
    "/voila/render/%2e%2e/start.ipynb",
    "/voila/static/..%2f..%2f..%2fapp.py",
    "/voila/templates/qrkit/static/..%2findex.html.j2",
    "/voila/templates/x",
    "/lab",
    "/tree",
)
"""What a Jupyter server offers and this one does not: files, notebooks as they are, terminals, all kernels."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ws: Workspace) -> Iterator[Served]:
    """The dashboard with two seats, and no kernel that nobody has asked for."""
    with Served(tmp_path_factory.mktemp("dashboard"), ws, "--seats", "2", "--preheated", "0") as running:
        yield running


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
    assert "Wrong name or password." in answer.text
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
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_passwords_are_not_guessed_one_after_another(served: Served) -> None:
    caller = served.caller()
    answers = [caller.log_in("eve", f"guess {number}") for number in range(9)]
    assert [answer.status for answer in answers] == [401] * 8 + [429]
    assert "Try again in five minutes" in answers[-1].text


def test_kernels_are_their_visitors_alone_and_seats_are_limited(served: Served, ann: Caller) -> None:
    kernel = ann.get(_PAGE).kernel
    assert ann.get(f"/api/kernels/{kernel}").status == 200
    vic = served.caller()
    vic.log_in("vic")
    for answer in (
        vic.get(f"/api/kernels/{kernel}"),
        vic.delete(f"/api/kernels/{kernel}"),
        vic.post(f"/voila/api/shutdown/{kernel}"),
        vic.get(f"/api/kernels/{kernel}/channels"),
        served.caller().get(f"/api/kernels/{kernel}/channels"),
    ):
        assert answer.status == 403
    assert [one.open_channels(kernel) for one in (ann, vic, served.caller())] == [101, 403, 403]
    for path in _CLOSED:
        assert vic.get(path).status in (403, 404), path
    assert ann.get(f"/api/kernels/{kernel}").status == 200

    # The printed link lets its holder in, once, and takes the last seat.
    starter = served.caller()
    page = starter.get(served.link)
    assert page.path == "/voila/render/start.ipynb"
    assert served.caller().get(served.link).path == "/login"
    refused = vic.get(_PAGE)
    assert (refused.status, "All 2 seats are in use." in refused.text) == (503, True)

    # A page that is closed ends its kernel, and so does logging out; a cookie of before is of no use.
    assert starter.post(f"/voila/api/shutdown/{page.kernel}").status == 204
    assert starter.get(f"/api/kernels/{page.kernel}").status == 404
    before = "; ".join(f"{one.name}={one.value}" for one in ann.cookies)
    ann.post("/logout")
    assert not served.kernels()
    assert served.caller({"Cookie": before}).get("/").path == "/login"
    assert served.caller({"Cookie": before}).get(f"/api/kernels/{kernel}").status == 403


def test_a_session_that_has_lasted_long_enough_ends_with_its_pages(tmp_path: Path, ws: Workspace) -> None:
    with Served(tmp_path / "short", ws, "--preheated", "0", "--session-hours", "0.002") as short:
        caller = short.caller()
        caller.log_in("bob")
        page = caller.get(_PAGE)  # in time, unless the machine is very busy
        wait_until(lambda: caller.get("/").path == "/login" and not short.kernels(), 60, what="the session ends")
        assert page.status != 200 or caller.get(f"/api/kernels/{page.kernel}").status == 403


def test_a_busy_server_waits_for_what_a_page_shows(tmp_path: Path) -> None:
    executor = VoilaExecutor(None, config=_config(ServeOptions(), tmp_path, tmp_path))
    assert min(executor.iopub_timeout, executor.startup_timeout) > 60


def test_a_page_that_is_not_there_is_one_sentence(ann: Caller) -> None:
    answer = ann.get("/voila/render/other.ipynb")
    assert (answer.status, "Page not found." in answer.text) == (404, True)


def test_a_proxy_that_names_users_must_know_the_secret(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = Here(ws, monkeypatch, capfd)("dashboard", "--no-browser", "--proxy-header", "X-Forwarded-User")
    assert done.status == 2
    assert "secret" in done.err


def test_other_machines_are_not_served_before_anybody_has_an_account(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = Here(workspace, monkeypatch, capfd)("dashboard", "--no-browser", "--host", "0.0.0.0", "--port", "0")
    assert done.status == 2
    assert "Warning" in done.err
    assert "qrkit users add" in done.err


def test_by_tls_behind_a_proxy_that_names_the_user_until_the_page_is_left_alone(
    tmp_path: Path, ws: Workspace
) -> None:
    authority = Authority(tmp_path)
    shown = authority.sign("dashboard")
    options = ["--certificate", str(shown.certificate), "--key", str(shown.key), "--idle-minutes", "0.03"]
    options += ["--preheated", "0", "--proxy-header", "X-Forwarded-User", "--proxy-secret", "between us"]
    proxied = Served(tmp_path / "proxied", ws, *options)
    proxied.authority = authority.certificate
    with proxied:
        named = {"X-Forwarded-User": "ann"}
        assert proxied.caller(named).get("/").path == "/login"
        assert proxied.caller({**named, "X-Qrkit-Secret": "guessed"}).get("/").path == "/login"
        starter = proxied.caller()
        starter.get(proxied.link)
        assert starter.flags_of("qrkit-session") == (True, True, "Lax")
        assert starter.flags_of("_xsrf") == (True, False, "Lax")
        caller = proxied.caller({**named, "X-Qrkit-Secret": "between us"})
        kernel = caller.get("/voila/render/history.ipynb").kernel
        assert caller.get(f"/api/kernels/{kernel}").status in (200, 404)
        wait_until(
            lambda: caller.get(f"/api/kernels/{kernel}").status == 404, 30, what="a page that nobody uses ends"
        )
