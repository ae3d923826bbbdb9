"""The request handlers around Voilà: login, logout, a dashboard in its visitor's kernel, the end of a kernel."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection
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

from qrkit.dashboard.identity import SESSION_COOKIE, Visitor, Visitors
from qrkit.dashboard.options import Hub
from qrkit.errors import NotAllowed

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest


START = "voila/render/start.ipynb"
_TEMPLATE_FILE = re.compile(r"\w+/static/(?:[\w-]+/)*[\w-][\w.-]*")
HUB_COOKIE = "qrkit-hub"
USER_HEADER, ROLE_HEADER = "X-Qrkit-User", "X-Qrkit-Role"
"""Headers that name the visitor to a kernel; those of the request itself are discarded."""


class _Page(JupyterHandler):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """A page in the style of the dashboard."""

    def initialize(self, visitors: Visitors) -> None:
        """Take the visitors, as tornado passes them."""
        self.visitors = visitors

    @property
    def hub(self) -> Hub | None:
        """The Hub that this server is a service of."""
        return self.visitors.options.hub

    def send_to_hub(self, hub: Hub, to: str) -> None:
        """Send a visitor to the Hub, which returns them to `HubCallback`."""
        state = secrets.token_urlsafe(32)
        secure = self.request.protocol == "https"
        flags = {"httponly": True, "samesite": "Lax", "secure": secure, "path": self.base_url}
        self.set_cookie(HUB_COOKIE, f"{state}|{quote(to, safe='')}", **flags)
        self.redirect(hub.login_url(state))

    def show(self, name: str, **values: object) -> None:
        """Answer with a template."""
        template = self.settings["voila_jinja2_env"].get_template(name)
        self.finish(template.render(base_url=self.base_url, **values))

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ANN401 - as tornado calls it
        """Answer with one sentence."""
        self.show("message.html", message=f"{status_code}: {HTTPStatus(status_code).phrase}.", xsrf="")

    def enter(self, visitor: Visitor, to: str = "") -> None:
        """Start a session, and open a page."""
        self.set_cookie(
            SESSION_COOKIE,
            self.visitors.sessions.begin(visitor),
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
            path=self.base_url,
        )
        self.visitors.note_account(visitor.name)
        self.redirect(to or self.base_url)


class LoginPage(_Page):
    """The login form."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    def get(self) -> None:
        """Show the form, or redirect to the Hub."""
        if self.current_user is not None:
            self.redirect(self.base_url)
        elif self.hub is not None:
            self.send_to_hub(self.hub, self.get_argument("next", ""))
        else:
            self._form("")

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    async def post(self) -> None:
        """Check name and password, and start a session or show the error."""
        if self.hub is not None:  # its users have no password here
            raise tornado.web.HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        name, password = (
            self.get_body_argument("name", "").strip(),
            self.get_body_argument("password", "", strip=False),
        )
        address = str(self.request.remote_ip)
        if not (self.visitors.attempts.may_try(name) and self.visitors.attempts_from.may_try(address)):
            self.set_status(HTTPStatus.TOO_MANY_REQUESTS)
            self._form("Too many wrong passwords. Try again in five minutes.")
            return
        # Hashing takes a tenth of a second on purpose; other visitors must not wait for it.
        role = await IOLoop.current().run_in_executor(None, self.visitors.users.check, name, password)
        if role is None:
            self.visitors.attempts.failed(name)
            self.visitors.attempts_from.failed(address)
            self.set_status(HTTPStatus.UNAUTHORIZED)
            self._form("Wrong name or password.")
            return
        self.visitors.attempts.succeeded(name)
        self.enter(Visitor(name=name, role=role), inside(self.get_argument("next", ""), self.base_url))

    def _form(self, message: str) -> None:
        xsrf = self.xsrf_token.decode()
        self.show("login.html", message=message, xsrf=xsrf, to=self.get_argument("next", ""))


def inside(to: str, base: str) -> str:
    """Return a link if it leads to a page of this server; else an empty text.

    >>> inside("/voila/render/jobs.ipynb", "/"), inside("//evil.example/x", "/")
    ('/voila/render/jobs.ipynb', '')
    """
    parts = urlsplit(to.replace("\\", "/"))
    ours = not parts.scheme and not parts.netloc and parts.path.startswith(base) and "//" not in parts.path
    return parts.geturl() if ours else ""


class HubCallback(_Page):
    """Logs in users who return from the Hub."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    async def get(self) -> None:
        """Start a session for the user of the Hub, if the state is the one that was sent."""
        if self.hub is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        state, _, to = self.get_cookie(HUB_COOKIE, "").partition("|")
        self.clear_cookie(HUB_COOKIE, path=self.base_url)
        if not state or not hmac.compare_digest(state, self.get_argument("state", "")):
            self.send_to_hub(self.hub, "")  # an old tab, or a link from elsewhere
            return
        try:
            name = await self.hub.user_of(self.get_argument("code", ""))
        except NotAllowed as error:
            self.set_status(HTTPStatus.FORBIDDEN)
            self.show("message.html", message=str(error), xsrf="")
            return
        role = self.visitors.role_of(name)
        self.enter(Visitor(name=name, role=role), inside(unquote(to), self.base_url))


class EnterPage(_Page):
    """Logs in the holder of the link that the server has printed, once."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    def get(self, link: str) -> None:
        """Start a session, or show the login form."""
        visitor = self.visitors.sessions.follow(link)
        if visitor is None:
            self.redirect(f"{self.base_url}login")
        else:
            self.enter(visitor)


class LogoutPage(_Page):
    """Ends a session and its kernels."""

    @allow_unauthenticated  # type: ignore[untyped-decorator] # jupyter_server is untyped here
    async def post(self) -> None:
        """End them, and show the login form."""
        visitor = getattr(self, "qrkit_visitor", None)
        self.visitors.sessions.end(self.get_cookie(SESSION_COOKIE, ""))
        self.clear_cookie(SESSION_COOKIE, path=self.base_url)
        if visitor is not None:
            await self.visitors.end_kernels_of(visitor.name)
        self.redirect(self.hub.home if self.hub is not None else f"{self.base_url}login")


class HomePage(_Page):
    """Redirects to the first page."""

    @tornado.web.authenticated
    def get(self) -> None:
        """Redirect."""
        self.redirect(self.base_url + START)


class VisitorsKernels:
    """The kernel manager for one request: the kernels it starts belong to the visitor."""

    def __init__(self, visitors: Visitors, visitor: Visitor, request: HTTPServerRequest) -> None:
        self._visitors = visitors
        self._visitor = visitor
        self._request = request

    async def start_kernel(self, **options: Any) -> str:  # noqa: ANN401 - as Voilà calls it
        """Start a kernel for the visitor."""
        kernel_id: str = await ensure_async(self._visitors.kernels.start_kernel(**options))
        self._visitors.owners.assign(kernel_id, self._visitor.name)
        return kernel_id

    async def get_rendered_notebook(self, **options: Any) -> Any:  # noqa: ANN401 - as Voilà calls it
        """Give the visitor a kernel that was started in advance."""
        task, rendered, kernel_id = await self._visitors.kernels.get_rendered_notebook(**options)
        self._visitors.owners.assign(kernel_id, self._visitor.name)
        self._visitors.kernel_requests.assign(kernel_id, self._as_environment())
        return task, rendered, kernel_id

    def _as_environment(self) -> dict[str, str]:
        """Return the environment variables that Voilà sets in a kernel started for the request."""
        return {
            "SCRIPT_NAME": self._request.path,
            "QUERY_STRING": self._request.query,
            "HTTP_X_QRKIT_USER": self._visitor.name,
            "HTTP_X_QRKIT_ROLE": self._visitor.role.value,
        }

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the manager's
        return getattr(self._visitors.kernels, name)


class DashboardPage(TornadoVoilaHandler):  # type: ignore[misc] # Voilà's classes are untyped
    """A dashboard, in a kernel of its visitor."""

    def initialize(
        self,
        visitors: Visitors,
        pages: Collection[str],
        preheated_page: str,
        **options: Any,  # noqa: ANN401 - Voilà's own
    ) -> None:
        """Take the visitors, the pages and Voilà's settings, as tornado passes them."""
        super().initialize(**options)
        self.visitors = visitors
        self._pages = pages
        self._preheated_page = preheated_page

    @property
    def kernel_manager(self) -> VisitorsKernels:
        """The kernels, for this request."""
        return VisitorsKernels(self.visitors, self.qrkit_visitor, self.request)

    @tornado.web.authenticated
    async def get(self, path: str) -> None:
        """Run the dashboard for its visitor; 503 if there are too many visitors, 404 if there is no such page."""
        if path not in self._pages:
            self._respond(HTTPStatus.NOT_FOUND, "Page not found.")
            return
        self.visitors.forget_ended()
        await self.visitors.kernels.replace_ended()
        if self.visitors.owners.is_full:
            most = self.visitors.owners.most
            self._respond(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"All {most} seats are in use. Close another page, or try again in a few minutes.",
            )
            return
        for name, value in ((USER_HEADER, self.qrkit_visitor.name), (ROLE_HEADER, self.qrkit_visitor.role.value)):
            self.request.headers[name] = value
        # One pool of kernels serves every page; the address names the page.
        await super().get(self._preheated_page or path)

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ANN401 - as tornado calls it
        """Answer with one sentence."""
        self._respond(
            status_code, "The page could not start. Try again, or ask an administrator to check the server log."
        )

    def _respond(self, status: int, message: str) -> None:
        self.set_status(status)
        template = self.settings["voila_jinja2_env"].get_template("message.html")
        self.finish(template.render(base_url=self.base_url, message=message, xsrf=self.xsrf_token.decode()))


class TemplateFile(TemplateStaticFileHandler):  # type: ignore[misc] # Voilà's classes are untyped
    """A style or script of the template."""

    async def get(self, path: str, *, include_body: bool = True) -> None:
        """Send the file; 404 for an invalid address, on which Voilà's own handler fails."""
        if _TEMPLATE_FILE.fullmatch(path) is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        await super().get(path, include_body)


class EndKernel(APIHandler):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Ends the kernel of a closed page."""

    def initialize(self, visitors: Visitors) -> None:
        """Take the visitors, as tornado passes them."""
        self.visitors = visitors

    @tornado.web.authenticated
    async def post(self, kernel_id: str) -> None:
        """End it, if it belongs to the user."""
        if self.visitors.owners.owner(kernel_id) != self.current_user.username:
            raise tornado.web.HTTPError(HTTPStatus.FORBIDDEN)
        await self.visitors.end_kernel(kernel_id)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()
