"""The pages of the server around Voilà's: log in, log out, a dashboard in a kernel of one's own, its end."""

from __future__ import annotations

import hmac
import re
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import tornado.web
from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.ioloop import IOLoop
from voila.static_file_handler import TemplateStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler

from qrkit.access import Role
from qrkit.dashboard.hub import Hub
from qrkit.dashboard.identity import SESSION_COOKIE
from qrkit.dashboard.sessions import Visitor
from qrkit.errors import NotAllowed

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

    from qrkit.dashboard.server import DashboardServer

START = "voila/render/start.ipynb"
_TEMPLATE_FILE = re.compile(r"\w+/static/(?:[\w-]+/)*[\w-][\w.-]*")
HUB_COOKIE = "qrkit-hub"
USER_HEADER, ROLE_HEADER = "X-Qrkit-User", "X-Qrkit-Role"
"""What the server tells a kernel of its visitor; what a request says in them is thrown away."""


class _Page(JupyterHandler):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """A page of ours, in the look of the dashboard."""

    def initialize(self, server: DashboardServer) -> None:
        """Take the application, as tornado gives it."""
        self.server = server

    @property
    def hub(self) -> Hub | None:
        """The Hub whose service we are."""
        return self.server.serve_options.hub

    def ask(self, hub: Hub, to: str) -> None:
        """Send a visitor to the Hub, which sends them back to `HubCallback`."""
        state = secrets.token_urlsafe(32)
        secure = self.request.protocol == "https"
        told = {"httponly": True, "samesite": "Lax", "secure": secure, "path": self.base_url}
        self.set_cookie(HUB_COOKIE, f"{state}|{quote(to, safe='')}", **told)
        self.redirect(hub.login_url(state))

    def show(self, name: str, **values: object) -> None:
        """Answer with a template."""
        template = self.settings["voila_jinja2_env"].get_template(name)
        self.finish(template.render(base_url=self.base_url, **values))

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ANN401 - as tornado calls it
        """Answer with one sentence."""
        self.show("message.html", message=f"{status_code}: {HTTPStatus(status_code).phrase}.", xsrf="")

    def enter(self, visitor: Visitor, to: str = "") -> None:
        """Begin a session, and go on."""
        self.set_cookie(
            SESSION_COOKIE,
            self.server.sessions.begin(visitor),
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
            path=self.base_url,
        )
        self.server.note_account(visitor.name)
        self.redirect(to or self.base_url)


class LoginPage(_Page):
    """Asks for name and password."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    def get(self) -> None:
        """Show the form, or lead to the Hub."""
        if self.current_user is not None:
            self.redirect(self.base_url)
        elif self.hub is not None:
            self.ask(self.hub, self.get_argument("next", ""))
        else:
            self._form("")

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    async def post(self) -> None:
        """Let somebody in, or say why not."""
        if self.hub is not None:  # its users have no password here
            raise tornado.web.HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        name, password = (
            self.get_body_argument("name", "").strip(),
            self.get_body_argument("password", "", strip=False),
        )
        address = str(self.request.remote_ip)
        if not (self.server.attempts.may_try(name) and self.server.attempts_from.may_try(address)):
            self.set_status(HTTPStatus.TOO_MANY_REQUESTS)
            self._form("Too many wrong passwords. Wait five minutes, then try again.")
            return
        # Hashing takes a tenth of a second on purpose, and nobody else shall wait for it.
        role = await IOLoop.current().run_in_executor(None, self.server.users.check, name, password)
        if role is None:
            self.server.attempts.failed(name)
            self.server.attempts_from.failed(address)
            self.set_status(HTTPStatus.UNAUTHORIZED)
            self._form("This name and password do not go together.")
            return
        self.server.attempts.succeeded(name)
        self.enter(Visitor(name=name, role=role), inside(self.get_argument("next", ""), self.base_url))

    def _form(self, message: str) -> None:
        xsrf = self.xsrf_token.decode()
        self.show("login.html", message=message, xsrf=xsrf, to=self.get_argument("next", ""))


def inside(to: str, base: str) -> str:
    """Return a link if it leads to a page of ours, whatever it looks like; else nothing.

    >>> inside("/voila/render/jobs.ipynb", "/"), inside("//evil.example/x", "/")
    ('/voila/render/jobs.ipynb', '')
    """
    parts = urlsplit(to.replace("\\", "/"))
    ours = not parts.scheme and not parts.netloc and parts.path.startswith(base) and "//" not in parts.path
    return parts.geturl() if ours else ""


class HubCallback(_Page):
    """Lets in whom the Hub has sent."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    async def get(self) -> None:
        """Begin a session for the user of the Hub, if they come from where we have sent them."""
        if self.hub is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        state, _, to = self.get_cookie(HUB_COOKIE, "").partition("|")
        self.clear_cookie(HUB_COOKIE, path=self.base_url)
        if not state or not hmac.compare_digest(state, self.get_argument("state", "")):
            self.ask(self.hub, "")  # an old tab, or a link from elsewhere
            return
        try:
            name = await self.hub.user_of(self.get_argument("code", ""))
        except NotAllowed as error:
            self.set_status(HTTPStatus.FORBIDDEN)
            self.show("message.html", message=str(error), xsrf="")
            return
        role = self.server.users.role_of(name) or Role.parse(self.server.serve_options.proxy_role)
        self.enter(Visitor(name=name, role=role), inside(unquote(to), self.base_url))


class EnterPage(_Page):
    """Lets in whoever holds a link that the server has printed, once."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    def get(self, link: str) -> None:
        """Begin a session, or ask for name and password."""
        visitor = self.server.sessions.follow(link)
        if visitor is None:
            self.redirect(f"{self.base_url}login")
        else:
            self.enter(visitor)


class LogoutPage(_Page):
    """Ends a session and its kernels."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    async def post(self) -> None:
        """End them, and show the way back."""
        visitor = getattr(self, "qrkit_visitor", None)
        self.server.sessions.end(self.get_cookie(SESSION_COOKIE, ""))
        self.clear_cookie(SESSION_COOKIE, path=self.base_url)
        if visitor is not None:
            await self.server.end_kernels_of(visitor.name)
        self.redirect(self.hub.home if self.hub is not None else f"{self.base_url}login")


class HomePage(_Page):
    """Leads to the first dashboard."""

    @tornado.web.authenticated
    def get(self) -> None:
        """Go there."""
        self.redirect(self.base_url + START)


class VisitorsKernels:
    """The kernel manager as one visitor's request sees it: what it starts is theirs."""

    def __init__(self, server: DashboardServer, visitor: Visitor, request: HTTPServerRequest) -> None:
        self._server = server
        self._visitor = visitor
        self._request = request

    async def start_kernel(self, **options: Any) -> str:  # noqa: ANN401 - as Voilà calls it
        """Start a kernel for the visitor."""
        kernel_id: str = await ensure_async(self._server.kernel_manager.start_kernel(**options))
        self._server.seats.take(kernel_id, self._visitor.name)
        return kernel_id

    async def get_rendered_notebook(self, **options: Any) -> Any:  # noqa: ANN401 - as Voilà calls it
        """Give the visitor a kernel that is ready."""
        task, rendered, kernel_id = await self._server.kernel_manager.get_rendered_notebook(**options)
        self._server.seats.take(kernel_id, self._visitor.name)
        self._server.visits.tell(kernel_id, self._as_environment())
        return task, rendered, kernel_id

    def _as_environment(self) -> dict[str, str]:
        """Return what the kernel has to know, in the variables that a kernel of its own would have it in."""
        return {
            "SCRIPT_NAME": self._request.path,
            "QUERY_STRING": self._request.query,
            "HTTP_X_QRKIT_USER": self._visitor.name,
            "HTTP_X_QRKIT_ROLE": self._visitor.role.value,
        }

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the manager's
        return getattr(self._server.kernel_manager, name)


class DashboardPage(TornadoVoilaHandler):  # type: ignore[misc] # Voilà's classes are untyped
    """A dashboard, in a kernel of its visitor's own."""

    def initialize(self, server: DashboardServer, **options: Any) -> None:  # noqa: ANN401 - Voilà's own
        """Take the application and Voilà's settings, as tornado gives them."""
        super().initialize(**options)
        self.server = server

    @property
    def kernel_manager(self) -> VisitorsKernels:
        """The kernels, as this request sees them."""
        return VisitorsKernels(self.server, self.qrkit_visitor, self.request)

    @tornado.web.authenticated
    async def get(self, path: str) -> None:
        """Run the dashboard for its visitor; 503 when all seats are taken, 404 when there is none of that name."""
        if path not in self.server.pages:
            self._say(HTTPStatus.NOT_FOUND, "There is no such page.")
            return
        self.server.forget_ended()
        await self.server.kernel_manager.replace_ended()
        if self.server.seats.are_taken:
            most = self.server.seats.most
            self._say(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"All {most} seats are taken. Close a page that is open elsewhere, or try again in some minutes.",
            )
            return
        for name, value in ((USER_HEADER, self.qrkit_visitor.name), (ROLE_HEADER, self.qrkit_visitor.role.value)):
            self.request.headers[name] = value
        # One pool of kernels that are ready serves every page: the address says which.
        await super().get(self.server.preheated_page or path)

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ANN401 - as tornado calls it
        """Answer with one sentence."""
        self._say(status_code, "This page could not be started. Try again; the log of the server has more.")

    def _say(self, status: int, message: str) -> None:
        self.set_status(status)
        template = self.settings["voila_jinja2_env"].get_template("message.html")
        self.finish(template.render(base_url=self.base_url, message=message, xsrf=self.xsrf_token.decode()))


class TemplateFile(TemplateStaticFileHandler):  # type: ignore[misc] # Voilà's classes are untyped
    """A style or script of the template."""

    async def get(self, path: str, *, include_body: bool = True) -> None:
        """Answer with the file; 404 for an address that cannot be one, on which Voilà's own ends in an error."""
        if _TEMPLATE_FILE.fullmatch(path) is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        await super().get(path, include_body)


class EndKernel(APIHandler):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Ends the kernel of a page that is closed."""

    def initialize(self, server: DashboardServer) -> None:
        """Take the application, as tornado gives it."""
        self.server = server

    @tornado.web.authenticated
    async def post(self, kernel_id: str) -> None:
        """End it, if it is theirs."""
        if self.server.seats.owner(kernel_id) != self.current_user.username:
            raise tornado.web.HTTPError(HTTPStatus.FORBIDDEN)
        await self.server.end_kernel(kernel_id)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()
