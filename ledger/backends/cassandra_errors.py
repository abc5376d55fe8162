"""What an error of the driver means for the caller: one table, for writes and for reads.

A read changes nothing, so its failure is Busy where a write's is Uncertain. Behind a statement that
may be repeated, another node is tried at once where that has a chance.
"""

from __future__ import annotations

from enum import Enum
from ssl import SSLEOFError
from typing import TYPE_CHECKING, Final, NamedTuple

from cassandra import (
    AuthenticationFailed,
    CoordinationFailure,
    OperationTimedOut,
    RequestValidationException,
    Timeout,
    Unauthorized,
    Unavailable,
    UnresolvableContactPoints,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import (
    ConnectionBusy,
    ConnectionException,
    ConnectionShutdown,
    ProtocolVersionUnsupported,
)
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import (
    ErrorMessage,
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    ProtocolException,
)
from cassandra.protocol import RequestValidationException as RequestValidationMessage

from ledger.errors import Busy, Closed, LedgerError, Refused, Uncertain

if TYPE_CHECKING:
    from collections.abc import Iterable

RETRY_AFTER_S: Final = 0.5
"""Shortest wait that has a chance: how often the driver tries to reach a node that is away."""


class Outcome(Enum):
    """What a write that failed may have done."""

    NOTHING = "nothing"
    """Nothing, and another try may go through."""
    PERHAPS = "perhaps"
    """It may have been kept, also by some replicas only, or be kept later."""
    NEVER = "never"
    """Nothing, and no other try will go through."""


class _Meaning(NamedTuple):
    outcome: Outcome
    elsewhere: bool
    """True: another node may be able at once."""
    words: str


_MEANINGS: Final[tuple[tuple[tuple[type[BaseException], ...], _Meaning], ...]] = (
    # No node was asked: none is up, or none has room for a request.
    ((NoHostAvailable,), _Meaning(Outcome.NOTHING, False, "no node can be asked")),
    # The coordinator saw too few replicas before it asked one. Another may see more of them.
    ((Unavailable,), _Meaning(Outcome.NOTHING, True, "too few replicas are up")),
    ((IsBootstrappingErrorMessage,), _Meaning(Outcome.NOTHING, True, "the node only starts")),
    # To ask another one would only overload that one too.
    ((OverloadedErrorMessage,), _Meaning(Outcome.NOTHING, False, "the node is overloaded")),
    # Some replicas may have kept it, and those that were late may keep it yet.
    ((Timeout,), _Meaning(Outcome.PERHAPS, False, "too few replicas answered in time")),
    ((CoordinationFailure,), _Meaning(Outcome.PERHAPS, False, "replicas failed")),
    # Ours, longer than all of the server's: another node was asked already, see the session.
    ((OperationTimedOut,), _Meaning(Outcome.PERHAPS, False, "no node answered in time")),
    # The node is gone, with the request in its hands.
    (
        (ConnectionShutdown, ConnectionException, OSError),
        _Meaning(Outcome.PERHAPS, True, "the connection to the node broke"),
    ),
    ((Unauthorized,), _Meaning(Outcome.NEVER, False, "the user may not do this")),
    # Too large, or a mistake of ours, or tables that have gone.
    (
        (RequestValidationException, RequestValidationMessage, ProtocolException),
        _Meaning(Outcome.NEVER, False, "the request was refused"),
    ),
    # An error inside the server, or one that the driver does not know: a compare-and-set whose
    # outcome the server does not know either (code 0x1700) is one of these.
    ((ErrorMessage,), _Meaning(Outcome.PERHAPS, True, "the server failed")),
)

_FULL: Final = (ConnectionBusy, NoConnectionsAvailable)
"""The socket takes no more for now, or the connection is being replaced."""

_NOT_ASKED: Final = (ConnectionException, ConnectionBusy, NoConnectionsAvailable, OSError)
"""Why a node could not be asked. Anything else is a mistake of ours that stopped the driver."""


class Failure(Exception):
    """A request failed, and this is what it means. Never leaves the backends."""

    def __init__(self, error: BaseException, outcome: Outcome, words: str, elsewhere: bool) -> None:
        super().__init__(words)
        self.error = error
        self.outcome = outcome
        self.words = words
        self.elsewhere = elsewhere
        """True: another node may be able at once."""
        causes = _causes(error)
        self.full = bool(causes) and all(isinstance(cause, _FULL) for cause in causes)
        """True: all that could be asked have no room for a request at this moment."""


def failure_of(error: BaseException) -> Failure:
    """Tell what a driver's error means. What is not in the table is raised as it is: a bug."""
    for cause in _causes(error):
        if not isinstance(cause, _NOT_ASKED):
            raise cause
    for kinds, (outcome, elsewhere, words) in _MEANINGS:
        if isinstance(error, kinds):
            return Failure(error, outcome, f"{words}: {_said(error)}", elsewhere)
    raise error


def write_error(failure: Failure) -> LedgerError:
    """Tell a writer."""
    match failure.outcome:
        case Outcome.NEVER:
            return _refused(failure)
        case Outcome.PERHAPS:
            return Uncertain(
                f"The trail store may have kept this, or not: {failure.words}.",
                reason="STORE_UNCERTAIN",
            )
        case Outcome.NOTHING:
            return _busy(failure)


def read_error(failure: Failure) -> LedgerError:
    """Tell a reader."""
    return _refused(failure) if failure.outcome is Outcome.NEVER else _busy(failure)


def connect_error(
    error: BaseException, points: Iterable[str], data_centre: str, centres: Iterable[str] = ()
) -> LedgerError:
    """Tell why no connection was made at all. `centres` are those that nodes said they are in."""
    where = ", ".join(points)
    if isinstance(error, NoHostAvailable) and not isinstance(error.errors, dict):
        # A node has said who is there, and then no connection for calls came about: the driver
        # leaves out nodes of other data centres. Or the node died in between.
        found = sorted(set(centres))
        if found and data_centre and data_centre not in found:
            return Refused(
                f"None of {where} is in the data centre `{data_centre}`: there is "
                f"{', '.join(found)}.",
                reason="NO_SUCH_DATA_CENTRE",
                field="cassandra_data_centre",
            )
        return _unreachable(where, "it answered, and then took no connection")
    causes = _causes(error) or [error]
    for cause in causes:
        if isinstance(cause, AuthenticationFailed):
            return Refused(
                f"Cassandra does not take the user or the password: {cause}",
                reason="STORE_LOGIN_FAILED",
                field="cassandra_user",
            )
        if isinstance(cause, ProtocolVersionUnsupported):
            return Refused(
                "This Cassandra is too old: 5.0 or later is needed.", reason="STORE_TOO_OLD"
            )
    said = "; ".join(dict.fromkeys(map(str, causes)))
    if "CERTIFICATE" in said:
        return Refused(
            f"Cassandra and we do not take each other's certificates: {said}",
            reason="STORE_TLS_FAILED",
            field="cassandra_tls_ca",
        )
    if not all(isinstance(c, (*_NOT_ASKED, UnresolvableContactPoints, Timeout)) for c in causes):
        raise error
    if any(isinstance(cause, SSLEOFError) for cause in causes):
        # A node that dies does that too, so it is no refusal. What it says of a certificate that it
        # misses may come too late to be read.
        said += ". A node that asks for our certificate may do that: see `cassandra_tls_cert`"
    return _unreachable(where, said)


def closed() -> Closed:
    """Tell somebody who comes too late."""
    return Closed("The store has been closed.", reason="CLOSED")


def _unreachable(where: str, said: str) -> Busy:
    return Busy(
        f"No node of Cassandra can be reached at {where}: {said}",
        reason="STORE_UNREACHABLE",
        retry_after_s=RETRY_AFTER_S,
    )


def _refused(failure: Failure) -> Refused:
    return Refused(f"The trail store does not take this: {failure.words}.", reason="STORE_REFUSED")


def _busy(failure: Failure) -> Busy:
    return Busy(
        f"The trail store does not answer now: {failure.words}.",
        reason="STORE_UNAVAILABLE",
        retry_after_s=RETRY_AFTER_S,
    )


def _causes(error: BaseException) -> list[BaseException]:
    """Give the reason of each node for which none could be asked."""
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict):
        return list(error.errors.values())
    return []


def _said(error: BaseException) -> str:
    if isinstance(error, ErrorMessage):
        return f"{error.summary}: {error.message}"
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict):
        return "; ".join(f"{host}: {cause}" for host, cause in error.errors.items())
    return str(error) or type(error).__name__
