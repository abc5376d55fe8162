"""Each error of the driver has one meaning for who writes, and one for who reads."""

from ssl import SSLEOFError

import pytest
from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    InvalidRequest,
    OperationTimedOut,
    ReadFailure,
    ReadTimeout,
    Unauthorized,
    Unavailable,
    UnresolvableContactPoints,
    WriteFailure,
    WriteTimeout,
    WriteType,
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
    ServerError,
    SyntaxException,
)

from ledger.backends.cassandra_errors import (
    connect_error,
    failure_of,
    read_error,
    write_error,
)
from ledger.errors import Busy, LedgerError, Refused, Uncertain

QUORUM = ConsistencyLevel.LOCAL_QUORUM
DOWN = NoHostAvailable("none", {"10.0.0.1": ConnectionException("Host has been marked down")})
FULL = NoHostAvailable("none", {"10.0.0.1": ConnectionBusy(), "2": NoConnectionsAvailable()})
CAS_UNKNOWN = ErrorMessage(code=0x1700, message="CAS result unknown", info=None)


def name_of(argument: object) -> str:
    """What a case is called."""
    return argument.__name__ if isinstance(argument, type) else type(argument).__name__


TABLE: list[tuple[BaseException, type[LedgerError], type[LedgerError], bool]] = [
    (DOWN, Busy, Busy, False),
    (FULL, Busy, Busy, False),
    (NoHostAvailable("none", {}), Busy, Busy, False),
    (Unavailable("few", QUORUM, 2, 1), Busy, Busy, True),
    (IsBootstrappingErrorMessage(0x1002, "starts", None), Busy, Busy, True),
    (OverloadedErrorMessage(0x1001, "too much", None), Busy, Busy, False),
    (WriteTimeout("late", write_type=WriteType.UNLOGGED_BATCH), Uncertain, Busy, False),
    (ReadTimeout("late"), Uncertain, Busy, False),
    (WriteFailure("failed", write_type=WriteType.CAS), Uncertain, Busy, False),
    (ReadFailure("failed"), Uncertain, Busy, False),
    (OperationTimedOut({}, None), Uncertain, Busy, False),
    (ConnectionShutdown("gone"), Uncertain, Busy, True),
    (ConnectionResetError("gone"), Uncertain, Busy, True),
    (ServerError(0, "a bug", None), Uncertain, Busy, True),
    (CAS_UNKNOWN, Uncertain, Busy, True),
    (InvalidRequest("Batch too large"), Refused, Refused, False),
    (SyntaxException(0x2000, "no CQL", None), Refused, Refused, False),
    (Unauthorized("no right"), Refused, Refused, False),
]


@pytest.mark.parametrize(("error", "writes", "reads", "elsewhere"), TABLE, ids=name_of)
def test_an_error_has_its_meaning(
    error: BaseException,
    writes: type[LedgerError],
    reads: type[LedgerError],
    elsewhere: bool,
) -> None:
    """What a writer and a reader are told, and whether another node is asked."""
    failure = failure_of(error)

    assert type(write_error(failure)) is writes
    assert type(read_error(failure)) is reads
    assert failure.elsewhere is elsewhere
    assert failure.full is (error is FULL)


def test_a_mistake_of_ours_is_not_hidden() -> None:
    """What is no error of server or network comes out as it is, also from within the driver's."""
    for mistake in (TypeError("x"), NoHostAvailable("none", {"10.0.0.1": TypeError("x")})):
        with pytest.raises(TypeError):
            failure_of(mistake)


def test_what_the_server_said_is_in_the_message() -> None:
    """The words of server and driver reach the person who reads the log."""
    refused = write_error(failure_of(InvalidRequest("Batch too large")))
    busy = read_error(failure_of(DOWN))

    assert "Batch too large" in refused.message
    assert "10.0.0.1" in busy.message
    assert "marked down" in busy.message


CONNECTING: list[tuple[BaseException, type[LedgerError], str]] = [
    (NoHostAvailable("x", {"a": ConnectionRefusedError("refused")}), Busy, "STORE_UNREACHABLE"),
    (UnresolvableContactPoints({"a": None}), Busy, "STORE_UNREACHABLE"),
    (
        NoHostAvailable("x", {"a": AuthenticationFailed("bad password")}),
        Refused,
        "STORE_LOGIN_FAILED",
    ),
    (NoHostAvailable("x", {"a": ProtocolVersionUnsupported("a", 5)}), Refused, "STORE_TOO_OLD"),
    (
        NoHostAvailable("x", {"a": OSError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")}),
        Refused,
        "STORE_TLS_FAILED",
    ),
]


@pytest.mark.parametrize(("error", "kind", "reason"), CONNECTING, ids=name_of)
def test_why_nothing_could_be_reached_is_told(
    error: BaseException, kind: type[LedgerError], reason: str
) -> None:
    """What may change by itself is Busy, what somebody has to change is Refused and named."""
    told = connect_error(error, ["a"], "dc")

    assert type(told) is kind
    assert told.reason == reason


@pytest.mark.parametrize(
    ("configured", "centres", "kind"),
    [
        ("the-moon", ["dc1", "dc2"], Refused),
        ("dc1", ["dc1", "dc2"], Busy),  # It died between its answer and the next connection.
        ("", ["dc1"], Busy),
        ("the-moon", [], Busy),  # Nobody has said where he is.
    ],
)
def test_no_connection_for_calls_is_no_wrong_data_centre(
    configured: str, centres: list[str], kind: type[LedgerError]
) -> None:
    """Only where nodes have said that they are in others; a process that starts waits for them."""
    told = connect_error(NoHostAvailable("x", ["a"]), ["a"], configured, centres)

    assert type(told) is kind
    assert told.reason == ("NO_SUCH_DATA_CENTRE" if kind is Refused else "STORE_UNREACHABLE")


def test_a_mistake_while_connecting_is_not_hidden() -> None:
    """What is no error of server or network comes out as it is."""
    with pytest.raises(TypeError):
        connect_error(TypeError("x"), ["a"], "dc")


def test_an_end_in_the_middle_of_tls_is_no_refusal() -> None:
    """A node that dies ends so too; what else it may be is told."""
    error = NoHostAvailable("none", {"10.0.0.1": SSLEOFError(8, "EOF occurred")})
    told = connect_error(error, ["10.0.0.1"], "dc")

    assert type(told) is Busy
    assert "EOF occurred. A node that asks for our certificate may do that" in told.message
    assert "`cassandra_tls_cert`" in told.message
