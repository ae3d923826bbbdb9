"""The user of a request, and whether the user may use the requested kernel."""

from __future__ import annotations

import hmac
from typing import Any

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User

from qrkit.access import Role
from qrkit.dashboard.kernels import KernelOwners
from qrkit.dashboard.options import ServeOptions
from qrkit.dashboard.sessions import Sessions, Visitor
from qrkit.workspace import Users

SESSION_COOKIE = "qrkit-session"
SECRET_HEADER = "X-Qrkit-Secret"  # noqa: S105 - the name of a header
_LONGEST_NAME = 100


class Identity(IdentityProvider):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Identifies visitors by the session in their cookie, or by the header of a trusted proxy.

    The application sets `sessions`, `options` and `users` right after creating it.
    """

    sessions: Sessions
    options: ServeOptions
    users: Users
    need_token = False

    @property
    def auth_enabled(self) -> bool:
        """Whether a login is required: always."""
        return True

    def get_user(self, handler: Any) -> User | None:  # noqa: ANN401 - a tornado handler
        """Return the user of a request."""
        visitor = self._proxied(handler) if self.options.proxy_header else self._session(handler)
        if visitor is None:
            return None
        user = User(username=visitor.name)
        # Set first, since xsrf_token requests the user; its cookie is what a closing page sends to end its kernel.
        handler.current_user = handler._jupyter_current_user = user  # noqa: SLF001 - where jupyter_server looks
        if getattr(handler, "_headers", None) is not None and handler.request.method == "GET":
            _ = handler.xsrf_token
        handler.qrkit_visitor = visitor
        return user

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ANN401, ARG002 - a tornado handler
        """Whether the request was authenticated by a token: never."""
        return False

    def get_handlers(self) -> list[Any]:
        """Return no handlers: the application has its own."""
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
    """Allows visitors the kernels that were started for them, and no others.

    The application sets `owners` right after creating it.
    """

    owners: KernelOwners

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # noqa: ANN401, ARG002
        """Whether a visitor may do this."""
        if resource != "kernels":
            return True
        arguments = {**(handler.path_kwargs or {})}
        kernel_id = arguments.get("kernel_id") or next(iter(handler.path_args or []), None)
        if kernel_id is not None and kernel_id not in handler.kernel_manager:
            return True  # answered by 404: it has ended
        return kernel_id is not None and self.owners.owner(kernel_id) == user.username
