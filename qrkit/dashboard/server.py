"""The server application: Voilà with our handlers, headers and housekeeping."""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web
from jupyter_server import DEFAULT_STATIC_FILES_PATH
from tornado.ioloop import PeriodicCallback
from traitlets.config import Config
from voila.app import Voila, _kernel_id_regex
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.static_file_handler import TemplateStaticFileHandler
from voila.tornado.contentshandler import VoilaContentsHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.treehandler import TornadoVoilaTreeHandler

from qrkit.access import Role
from qrkit.advice import Action, Advice
from qrkit.dashboard import handlers
from qrkit.dashboard.identity import Identity, OwnKernelsOnly, Visitor, Visitors
from qrkit.dashboard.kernels import LOG_FILE, KernelRequestHandler, LoggedKernels
from qrkit.dashboard.options import ServeOptions
from qrkit.errors import InputError, PortInUse
from qrkit.workspace import Workspace

_HERE = Path(__file__).parent
_HOUSEKEEPING = 10.0
"""Most seconds between two checks of sessions and kernels; fewer if limits are shorter."""

_PREHEATED = "start.ipynb"
"""The page of the kernels that are started in advance, which serve any page."""

_UNCONNECTED = 120
"""Seconds after which a kernel without a connected page ends."""

_OUTPUT = 120
"""Seconds that a page's output may be read after its reply. After 4, nbclient's own limit, the page stays empty, and
a server with ten visitors in the same moment may be busy for longer."""

_START = 300
"""Seconds that a kernel may take to start, for the same reason: after 60, Voilà's own limit, the page fails."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' blob:; style-src 'self' 'unsafe-inline' blob:; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; frame-ancestors 'self'; base-uri 'self'; form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
}


def dashboards_folder() -> Path:
    """Return the folder of the dashboards: in the installed package, or next to it in a clone."""
    installed = _HERE / "pages"
    return installed if installed.is_dir() else _HERE.parents[1] / "dashboards"


class DashboardServer(Voila):  # type: ignore[misc] # Voilà's classes are untyped
    """Serves the dashboards of one workspace; use `serve`."""

    def prepare(self, workspace: Workspace, options: ServeOptions, started: Callable[[str], None]) -> None:
        """Take the workspace, the options, and what is called with a login link once the server listens."""
        self.workspace = workspace
        self.serve_options = options
        self.started = started
        self.visitors = Visitors(workspace.users, options)

    def load_config_file(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as Voilà calls it
        """Read no configuration file, which could override the options."""

    def init_settings(self) -> dict[str, Any]:
        """Return the settings of the tornado application, ours among them."""
        self._answer_kernels()  # before any kernel starts
        settings: dict[str, Any] = super().init_settings()
        self.visitors.kernels = self.kernel_manager
        self.identity_provider.visitors = self.authorizer.visitors = self.visitors
        ours = {"headers": _HEADERS, "xsrf_cookies": True, "login_url": f"{self.base_url}login"}
        return settings | ours | {"xsrf_cookie_kwargs": {"samesite": "Lax", "secure": self.serve_options.is_secure}}

    def init_handlers(self) -> list[Any]:
        """Return Voilà's handlers, with ours instead of those that need no login or show the server's files."""
        self.app.settings["static_path"] = DEFAULT_STATIC_FILES_PATH  # required by jupyter_server's error pages
        ours = {"visitors": self.visitors}
        dropped = (
            TornadoVoilaHandler,
            TornadoVoilaTreeHandler,
            VoilaContentsHandler,
            VoilaShutdownKernelHandler,
            RequestInfoSocketHandler,
            TemplateStaticFileHandler,
        )
        inherited = super().init_handlers()
        kept = [rule for rule in inherited if rule[1] not in dropped and "/voila/files/" not in rule[0]]
        page = {
            **ours,
            "pages": frozenset(path.name for path in dashboards_folder().glob("*.ipynb")),
            "preheated_page": _PREHEATED if self.serve_options.preheated else "",
            "template_paths": self.template_paths,
            "config": self.config,
            "voila_configuration": self.voila_configuration,
        }
        return [
            (self.base_url, handlers.HomePage, ours),
            (f"{self.base_url}login", handlers.LoginPage, ours),
            (f"{self.base_url}logout", handlers.LogoutPage, ours),
            (rf"{self.base_url}enter/([\w-]+)", handlers.EnterPage, ours),
            (f"{self.base_url}oauth_callback", handlers.HubCallback, ours),
            (f"{self.base_url}voila/render/(.*)", handlers.DashboardPage, page),
            (f"{self.base_url}voila/api/shutdown/(.*)", handlers.EndKernel, ours),
            (f"{self.base_url}voila/templates/(.*)", handlers.TemplateFile),
            *kept,
        ]

    def listen(self) -> None:
        """Listen, and run until stopped."""
        options = self.serve_options
        try:
            (listener,) = tornado.netutil.bind_sockets(options.port, options.host)[:1]
        except OSError as error:
            raise PortInUse(
                f"The dashboard cannot listen on {options.host}:{options.port}: {error.strerror}.",
                advice="Set another --port, or stop the program that uses it.",
            ) from error
        self.port = listener.getsockname()[1]
        server = tornado.httpserver.HTTPServer(
            self.app, xheaders=options.is_behind_a_proxy, ssl_options=_tls(options)
        )
        server.add_sockets([listener])
        shortest = min(options.idle_minutes * 60, options.session_hours * 3600)
        PeriodicCallback(self.visitors.keep_house, min(_HOUSEKEEPING, shortest / 3) * 1e3).start()
        self.started(self._login_link())
        self.ioloop = tornado.ioloop.IOLoop.current()
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    def _login_link(self) -> str:
        """Return a login link for the user of the server; for a service of a Hub, its path."""
        options = self.serve_options
        if options.hub is not None:
            return options.hub.prefix
        scheme = "https" if options.is_secure else "http"
        user = self.workspace.user
        role = self.visitors.users.role_of(user) or Role.ADMINISTRATOR
        link = self.visitors.sessions.link_for(Visitor(name=user, role=role))
        self.visitors.note_account(user)
        return f"{scheme}://{options.host}:{self.port}{self.base_url}enter/{link}"

    def _answer_kernels(self) -> None:
        """Serve the kernels that were started in advance, on a port that only this machine can reach."""
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        inside = tornado.web.Application(
            [(rf"/visit/{_kernel_id_regex}", KernelRequestHandler, {"requests": self.visitors.kernel_requests})]
        )
        tornado.httpserver.HTTPServer(inside).add_sockets(sockets)
        os.environ["QRKIT_REQUESTS"] = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/visit"


def serve(workspace: Workspace, options: ServeOptions, *, started: Callable[[str], None]) -> None:
    """Serve the dashboards of a workspace until stopped by SIGTERM or Ctrl-C.

    `started` is called with a login link, which works once. Raises `InputError` if other machines can reach the
    server and there are no accounts, and `PortInUse` if it cannot listen.
    """
    if not options.is_loopback and not options.is_behind_a_proxy and not len(workspace.users):
        raise InputError(
            "There are no accounts, so no one can log in from another machine.",
            advice=Advice(action=Action.ADD_USER),
        )
    os.environ.update(workspace.settings.environment())  # kernels open the same workspace with the same settings
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        filter(None, [str(_HERE / "share"), os.environ.get("JUPYTER_PATH", "")])
    )
    with tempfile.TemporaryDirectory(prefix="qrkit-") as scratch:
        os.environ.update(JUPYTER_RUNTIME_DIR=scratch, JUPYTER_NO_CONFIG="1")
        server = DashboardServer(config=_config(options, workspace.settings.workspace, Path(scratch)))
        server.prepare(workspace, options, started)
        server.initialize([])
        server.start()


def _config(options: ServeOptions, workspace: Path, scratch: Path) -> Config:
    config = Config()
    config.Voila.root_dir = str(dashboards_folder())
    config.Voila.open_browser = False
    if options.hub is not None:
        config.Voila.base_url = options.hub.prefix
    config.Voila.log_level = logging.WARNING
    config.Voila.connection_dir_root = str(scratch)
    config.Voila.identity_provider_class = Identity
    config.Voila.authorizer_class = OwnKernelsOnly
    config.VoilaConfiguration.template = "qrkit"
    config.VoilaConfiguration.allow_template_override = "NO"
    config.VoilaConfiguration.allow_theme_override = "NO"
    config.VoilaConfiguration.show_tracebacks = False
    config.VoilaConfiguration.http_header_envs = [handlers.USER_HEADER, handlers.ROLE_HEADER]
    config.VoilaConfiguration.preheat_kernel = bool(options.preheated)
    config.VoilaConfiguration.default_pool_size = options.preheated
    config.VoilaKernelManager.preheat_denylist = sorted(
        path.name for path in dashboards_folder().glob("*.ipynb") if path.name != _PREHEATED
    )
    config.VoilaExecutor.iopub_timeout = _OUTPUT
    config.VoilaExecutor.startup_timeout = _START
    config.VoilaConfiguration.multi_kernel_manager_class = LoggedKernels
    config.LoggedKernels.log_file = str(workspace / LOG_FILE)
    config.MappingKernelManager.cull_idle_timeout = _UNCONNECTED
    config.MappingKernelManager.cull_interval = _UNCONNECTED // 2
    config.MappingKernelManager.cull_connected = False
    config.MappingKernelManager.buffer_offline_messages = False
    config.KernelRestarter.restart_limit = 0  # a restarted kernel does not have the page, which would seem alive
    if os.name == "posix":
        config.KernelManager.transport = "ipc"  # no ports that other users of this machine could reach
    return config


def _tls(options: ServeOptions) -> ssl.SSLContext | None:
    if not options.is_secure:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"The certificate {options.certificate} cannot be used with its key: {error}.") from error
    return context
