"""The visitors of a server: their sessions, accounts and kernels, and which of them sent a request."""

from __future__ import annotations

import contextlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import tornado.web
from jupyter_core.utils import ensure_async
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User

from qrkit.access import Role
from qrkit.dashboard.kernels import KernelOwners, KernelRequests, LoggedKernels
from qrkit.dashboard.options import ServeOptions
from qrkit.workspace import Users

SESSION_COOKIE = "qrkit-session"
SECRET_HEADER = "X-Qrkit-Secret"  # noqa: S105 - the name of a header
_LONGEST_NAME = 100

_WRONG_FROM_ONE_ADDRESS = 50
"""Wrong passwords in five minutes from one address, which a proxy or gateway shares among many users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A user who is logged in."""

    name: str
    role: Role


class Sessions:
    """The sessions of a server, which end with it, or `longest` seconds after the login."""

    def __init__(self, *, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._open: dict[str, tuple[Visitor, float]] = {}  # with the time of the login
        self._links: dict[str, Visitor] = {}

    def begin(self, visitor: Visitor) -> str:
        """Return the secret of a new session, for the visitor's cookie."""
        secret = secrets.token_urlsafe(32)
        self._open[secret] = (visitor, self._clock())
        return secret

    def visitor(self, secret: str) -> Visitor | None:
        """Return the visitor of a session; None if it has ended or never existed."""
        visitor, began = self._open.get(secret, (None, 0.0))
        if visitor is not None and self._clock() - began > self._longest:
            self.end(secret)
            return None
        return visitor

    def end(self, secret: str) -> None:
        """End a session."""
        self._open.pop(secret, None)

    def end_of(self, name: str) -> None:
        """End all sessions of a user."""
        for secret in [key for key, (visitor, _) in self._open.items() if visitor.name == name]:
            self.end(secret)

    def names(self) -> frozenset[str]:
        """Return the names of users with a session."""
        return frozenset(
            visitor.name for secret in tuple(self._open) if (visitor := self.visitor(secret)) is not None
        )

    def link_for(self, visitor: Visitor) -> str:
        """Return a secret that starts one session, once: for the user who starts the server."""
        secret = secrets.token_urlsafe(32)
        self._links[secret] = visitor
        return secret

    def follow(self, link: str) -> Visitor | None:
        """Return the visitor of a link, which does not work again."""
        return self._links.pop(link, None)


class Attempts:
    """Recent wrong passwords, by name or address: after `most` of them `within` seconds, further ones are refused."""

    def __init__(self, *, most: int = 8, within: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._within = within
        self._clock = clock
        self._failed: dict[str, list[float]] = {}

    def may_try(self, key: str) -> bool:
        """Whether another try is allowed."""
        return len(self._lately(key)) < self._most

    def failed(self, key: str) -> None:
        """Record a wrong password."""
        self._failed[key] = [*self._lately(key), self._clock()]

    def succeeded(self, key: str) -> None:
        """Forget earlier wrong passwords."""
        self._failed.pop(key, None)

    def _lately(self, key: str) -> list[float]:
        since = self._clock() - self._within
        return [moment for moment in self._failed.get(key, []) if moment > since]


class Visitors:
    """The visitors of a server: their sessions, accounts and kernels.

    The application sets `kernels`, the manager of the running kernels, once it has one.
    """

    kernels: LoggedKernels

    def __init__(self, users: Users, options: ServeOptions) -> None:
        self.users = users
        self.options = options
        self.sessions = Sessions(longest=options.session_hours * 3600)
        self.attempts = Attempts()
        self.attempts_from = Attempts(most=_WRONG_FROM_ONE_ADDRESS)
        self.owners = KernelOwners(options.seats)
        self.kernel_requests = KernelRequests()
        self._accounts: dict[str, str] = {}

    def role_of(self, name: str) -> Role:
        """Return the role of a user whom a proxy or a Hub authenticated."""
        return self.users.role_of(name) or Role.parse(self.options.proxy_role)

    def note_account(self, name: str) -> None:
        """Record the version of a user's account at login."""
        self._accounts[name] = self.users.stamp(name)

    def forget_ended(self) -> None:
        """Forget the kernels that have ended."""
        running = set(self.kernels.list_kernel_ids())
        self.owners.keep(running)
        self.kernel_requests.keep(running)

    async def end_kernel(self, kernel_id: str) -> None:
        """End a kernel; its jobs continue in the worker."""
        if kernel_id in self.kernels:
            with contextlib.suppress(KeyError, tornado.web.HTTPError):  # already ended
                await ensure_async(self.kernels.shutdown_kernel(kernel_id))
        self.forget_ended()

    async def end_kernels_of(self, name: str) -> None:
        """End all kernels of a user."""
        for kernel_id in self.owners.of(name):
            await self.end_kernel(kernel_id)

    async def keep_house(self) -> None:
        """End the sessions of changed accounts, and kernels that are unused or whose user has no session."""
        for name, stamp in tuple(self._accounts.items()):
            if self.users.stamp(name) != stamp:
                self.sessions.end_of(name)
                del self._accounts[name]
        self.forget_ended()
        over = set() if self.options.proxy_header else set(self.owners.without(self.sessions.names()))
        await self.kernels.replace_ended()
        limit = datetime.now(UTC) - timedelta(minutes=self.options.idle_minutes)
        for kernel_id in self.kernels.list_kernel_ids():
            kernel = self.kernels.get_kernel(kernel_id)
            idle = self.owners.owner(kernel_id) is not None and kernel.last_activity < limit
            if idle or kernel_id in over:
                await self.end_kernel(kernel_id)


class Identity(IdentityProvider):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Identifies visitors by the session in their cookie, or by the header of a trusted proxy.

    The application sets `visitors` right after creating it.
    """

    visitors: Visitors
    need_token = False

    @property
    def auth_enabled(self) -> bool:
        """Whether a login is required: always."""
        return True

    def get_user(self, handler: Any) -> User | None:  # noqa: ANN401 - a tornado handler
        """Return the user of a request."""
        visitor = self._proxied(handler) if self.visitors.options.proxy_header else self._session(handler)
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
        return self.visitors.sessions.visitor(handler.get_cookie(SESSION_COOKIE, ""))

    def _proxied(self, handler: Any) -> Visitor | None:  # noqa: ANN401 - a tornado handler
        headers = handler.request.headers
        secret = str(headers.get(SECRET_HEADER, ""))
        if not hmac.compare_digest(secret.encode(), self.visitors.options.proxy_secret.encode()):
            return None
        name = str(headers.get(self.visitors.options.proxy_header, "")).strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            return None
        return Visitor(name=name, role=self.visitors.role_of(name))


class OwnKernelsOnly(Authorizer):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Allows visitors the kernels that were started for them, and no others.

    The application sets `visitors` right after creating it.
    """

    visitors: Visitors

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # noqa: ANN401, ARG002
        """Whether a visitor may do this."""
        if resource != "kernels":
            return True
        kernel_id = (handler.path_kwargs or {}).get("kernel_id") or next(iter(handler.path_args or []), None)
        if kernel_id is not None and kernel_id not in handler.kernel_manager:
            return True  # answered by 404: it has ended
        return kernel_id is not None and self.visitors.owners.owner(kernel_id) == user.username
