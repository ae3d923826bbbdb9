"""The dashboard as a service of a JupyterHub, of which the test plays the part that its services see."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from qrkit.dashboard.options import Hub
from qrkit.errors import InputError
from qrkit.workspace import Workspace
from tests.dashboard.served import Caller, Served
from tests.peers.waiting import LOOPBACK

PREFIX = "/services/qrkit/"
SCOPE = "access:services!service=qrkit"
USERS = {"code-of-ann": "ann", "code-of-new": "new", "code-of-nobody": "nobody"}


class _Hub(BaseHTTPRequestHandler):
    """Knows whom a code is for, and gives a token for it to whoever has the service's secret."""

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if asked["client_secret"] != ["secret"] or asked["redirect_uri"] != [f"{PREFIX}oauth_callback"]:
            self.send_error(403)
            return
        self._answer({"access_token": asked["code"][0]})

    def do_GET(self) -> None:
        name = USERS.get(self.headers["Authorization"].removeprefix("token "), "")
        self._answer({"name": name, "scopes": [] if name == "nobody" else [SCOPE]})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, told: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())


class HubServed(Served):
    """``qrkit dashboard`` as the Hub starts it."""

    hub: Mapping[str, str] = {}

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), **self.hub, "JUPYTERHUB_SERVICE_URL": self.url}

    def is_ready(self) -> bool:
        return self.log.exists() and "service of the Hub" in self.log.read_text()


def given(api_url: str) -> dict[str, str]:
    """What a Hub tells its services."""
    return {
        "JUPYTERHUB_API_URL": api_url,
        "JUPYTERHUB_API_TOKEN": "secret",
        "JUPYTERHUB_CLIENT_ID": "service-qrkit",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([SCOPE]),
        "JUPYTERHUB_USER": "",
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ws: Workspace) -> Iterator[Served]:
    server = ThreadingHTTPServer((LOOPBACK, 0), _Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    dashboard = HubServed(tmp_path_factory.mktemp("hub"), ws, "--preheated", "0", "--proxy-role", "viewer")
    dashboard.hub = given(f"http://{LOOPBACK}:{server.server_port}/hub/api")
    with dashboard as running:
        yield running
    server.shutdown()
    server.server_close()


def asked_of(caller: Caller) -> dict[str, list[str]]:
    """Go to a page; give what the Hub is asked, since nobody answers there."""
    answer = caller.get(f"{PREFIX}voila/render/jobs.ipynb")
    assert answer.path == "/hub/api/oauth2/authorize"
    return parse_qs(urlsplit(answer.url).query)


def test_users_of_the_hub_come_in_with_their_account_here_or_the_role_of_those_without(served: Served) -> None:
    for name, role in (("ann", "operator"), ("new", "viewer")):
        caller = served.caller()
        (state,) = asked_of(caller)["state"]
        page = caller.get(f"{PREFIX}oauth_callback?code=code-of-{name}&state={state}")
        assert page.path == f"{PREFIX}voila/render/jobs.ipynb"
        (kernel,) = served.kernels(page.kernel)
        told = kernel.environ()
        assert (told["HTTP_X_QRKIT_USER"], told["HTTP_X_QRKIT_ROLE"]) == (name, role)
        assert "JUPYTERHUB_API_TOKEN" not in told
        assert caller.flags_of("qrkit-session") == (False, True, "Lax")


def test_nobody_comes_in_by_a_code_of_somebody_elses_browser_nor_without_leave_nor_by_a_password(
    served: Served,
) -> None:
    caller = served.caller()
    asked_of(caller)
    stolen = caller.get(f"{PREFIX}oauth_callback?code=code-of-ann&state=another")
    assert stolen.path == "/hub/api/oauth2/authorize"
    (state,) = asked_of(caller)["state"]
    refused = caller.get(f"{PREFIX}oauth_callback?code=code-of-nobody&state={state}")
    assert (refused.status, "has no access" in refused.text) == (403, True)
    assert caller.post(f"{PREFIX}login", name="ann", password="correct horse").status in (403, 405)
    assert "/enter/" not in served.log.read_text(), "a link that lets anybody in stands in the Hub's log"


def test_only_a_service_of_a_hub_is_one_and_its_secret_is_not_left_to_kernels() -> None:
    environment = given("http://hub/hub/api")
    hub = Hub.of(environment)
    assert hub is not None
    assert "JUPYTERHUB_API_TOKEN" not in environment
    assert hub.home == "/hub/home"
    assert Hub.of({}) is None
    assert Hub.of(given("x") | {"JUPYTERHUB_USER": "ann"}) is None, "that is a user's own server"
    with pytest.raises(InputError, match="JUPYTERHUB_CLIENT_ID"):
        Hub.of(given("x") | {"JUPYTERHUB_CLIENT_ID": ""})
