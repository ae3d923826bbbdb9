"""Sessions, login links that work once, and limits for wrong passwords. No I/O."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from qrkit.access import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A user who is logged in."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    visitor: Visitor
    began: float


class Sessions:
    """The sessions of a server, which end with it.

    Parameters
    ----------
    longest
        Seconds after which users must log in again.
    clock
        Returns seconds.
    """

    def __init__(self, *, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._open: dict[str, _Session] = {}
        self._links: dict[str, Visitor] = {}

    def begin(self, visitor: Visitor) -> str:
        """Return the secret of a new session, for the visitor's cookie."""
        secret = secrets.token_urlsafe(32)
        self._open[secret] = _Session(visitor=visitor, began=self._clock())
        return secret

    def visitor(self, secret: str) -> Visitor | None:
        """Return the visitor of a session; None if it has ended or never existed."""
        session = self._open.get(secret)
        if session is not None and self._clock() - session.began > self._longest:
            self.end(secret)
            return None
        return session.visitor if session is not None else None

    def end(self, secret: str) -> None:
        """End a session."""
        self._open.pop(secret, None)

    def end_of(self, name: str) -> None:
        """End all sessions of a user."""
        for secret in [key for key, session in self._open.items() if session.visitor.name == name]:
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
    """The number of recent wrong passwords, by name or by address.

    Parameters
    ----------
    most
        Wrong passwords after which further ones are refused for a while.
    within
        Seconds that count as recent.
    """

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
