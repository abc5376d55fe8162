"""Errors, sorted by what the caller should do.

Every port and role raises these and nothing else; drivers' errors never leave `ledger.backends`.
`ledger.app.rpc` turns them into status codes by one table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class LedgerError(Exception):
    """Base of all. `reason` is for programs (UPPER_SNAKE), `metadata` repeats what the message
    names.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        field: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """`field` is the path of the field at fault, or empty."""
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.metadata: Mapping[str, str] = metadata or {}


class Refused(LedgerError):
    """The request itself is wrong. Never send it again as it is. Nothing happened."""


class TooLarge(Refused):
    """The request is larger than a limit. Never send it again as it is. Nothing happened."""


class NotPossibleNow(Refused):
    """The request is well formed, but the state of the ledger does not allow it. Nothing
    happened.
    """


class Busy(LedgerError):
    """Nothing happened. Slow down, and send the same again after `retry_after_s` seconds."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        retry_after_s: float,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """`retry_after_s` is the shortest wait in seconds that has a chance."""
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after_s = retry_after_s


class Uncertain(LedgerError):
    """It may have happened. Sending the same again is safe."""


class DeadlinePassed(LedgerError):
    """What was waited for did not come in time. Nothing happened; asking again is safe."""


class Diverged(LedgerError):
    """What is stored is not what was stored before: cut, altered or unreadable.

    The role that finds it stops; going on would mix two histories. A person has to look.
    """


class Closed(LedgerError):
    """The caller uses a log or a store that has been closed, or that failed before: a mistake of
    ours.
    """
