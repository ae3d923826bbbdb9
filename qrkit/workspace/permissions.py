"""What somebody does in a workspace: only what their role covers, and the audit tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qrkit.access import Access, Role
from qrkit.store.audit import AuditTable


class Acts:
    """The acts of one user.

    Parameters
    ----------
    access
        Of that user.
    audit
        Where it is written down; None writes nothing.
    """

    def __init__(self, access: Access, audit: AuditTable | None = None) -> None:
        self.access = access
        self._audit = audit

    @contextmanager
    def operating(self, what: str, action: str, subject: str) -> Iterator[None]:
        """Let an operator do something, and write it down once it is done.

        Raises
        ------
        NotAllowed
            If the user is no operator.
        """
        self.access.require(Role.OPERATOR, what)
        yield
        self.write(action, subject)

    def write(self, action: str, subject: str, details: Mapping[str, object] | None = None, *, who: str = "") -> None:
        """Write down what was done; by somebody else, if `who` names them."""
        if self._audit is not None:
            self._audit.write(who or self.access.user, action, subject, details)


ANYBODY = Acts(Access.unlimited("unknown"))
"""Acts of which nobody asks whose they are."""
