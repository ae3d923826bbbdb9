"""Who a request is from, and whether it may have the kernel it asks for."""

from __future__ import annotations

import hmac
from typing import Any

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User

from qrkit.access import Role
from qrkit.dashboard.options import ServeOptions
from qrkit.dashboard.seats import Seats
from qrkit.dashboard.sessions import Sessions, Visitor
from qrkit.workspace import Users

SESSION_COOKIE = "qrkit-session"
SECRET_HEADER = "X-Qrkit-Secret"  # noqa: S105 - the name of a header
_LONGEST_NAME = 100


class Identity(IdentityProvider):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Knows visitors by the session in their cookie, or by what a trusted proxy says.

    The application sets `sessions`, `options` and `users` right after it is made.
    """

    sessions: Sessions
    options: ServeOptions
    users: Users
    need_token = False

    @property
    def auth_enabled(self) -> bool:
        """Whether anybody has to log in: always."""
        return True

    def get_user(self, handler: Any) -> User | None:  # noqa: ANN401 - a tornado handler
        """Return who a request is from."""
        visitor = self._proxied(handler) if self.options.proxy_header else self._session(handler)
        if visitor is None:
            return None
        user = User(username=visitor.name)
        # First, or xsrf_token asks for the user again; then its cookie, which a closing page sends back to end its
        # kernel: without it the kernel stays.
        handler.current_user = handler._jupyter_current_user = user  # noqa: SLF001 - where jupyter_server looks
        if getattr(handler, "_headers", None) is not None and handler.request.method == "GET":
            _ = handler.xsrf_token
        handler.qrkit_visitor = visitor
        return user

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ANN401, ARG002 - a tornado handler
        """Whether a token let the request in: never."""
        return False

    def get_handlers(self) -> list[Any]:
        """Return no pages: the application has its own."""
        return []

    def _session(self, handler: Any) -> Visitor | None:  # noqa: ANN401 - a tornado handler
        return self.sessions.visitor(handler.get_cookie(SESSION_COOKIE, ""))

    def _proxied(self, handler: Any) -> Visitor | None:  # noqa: ANN401 - a tornado handler
        headers = handler.request.headers
        secret = str(headers.get(SECRET_HEADER, ""))
        if not hmac.compare_digest(secret.encode(), self.options.proxy_secret.encode()):
            return None
        name = str(headers.get(self.options.proxy_header, "")).strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            return None
        return Visitor(name=name, role=self.users.role_of(name) or Role.parse(self.options.proxy_role))


class OwnKernelsOnly(Authorizer):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Lets visitors have the kernels that were started for them, and no other.

    The application sets `seats` right after it is made.
    """

    seats: Seats

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # noqa: ANN401, ARG002
        """Whether a visitor may have what they ask for."""
        if resource != "kernels":
            return True
        arguments = {**(handler.path_kwargs or {})}
        kernel_id = arguments.get("kernel_id") or next(iter(handler.path_args or []), None)
        if kernel_id is not None and kernel_id not in handler.kernel_manager:
            return True  # to learn, as 404, that it has ended
        return kernel_id is not None and self.seats.owner(kernel_id) == user.username
