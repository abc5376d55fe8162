"""Log lines: plain or JSON, with their fields, and drivers that do not fill the log."""

import asyncio
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from ledger.app.logs import Formatter, Seldom, set_up_logs
from tests.shells import kept_logs


def record(**extra: object) -> logging.LogRecord:
    """Make a log record."""
    made = logging.makeLogRecord(
        {"name": "ledger.x", "levelname": "INFO", "msg": "kept %s", "args": ("all",), **extra}
    )
    made.created = 0.25
    return made


def test_a_log_line_has_its_fields() -> None:
    """Plain: behind the message; what would be misread is quoted."""
    line = Formatter(as_json=False).format(record(rows=7, why="disk full", none=""))

    assert (
        line
        == '1970-01-01T00:00:00.250+00:00 INFO ledger.x: kept all rows=7 why="disk full" none=""'
    )


def test_a_log_line_can_be_json() -> None:
    """One object a line, also where there is an exception."""
    error = ValueError("x\ny")
    line = Formatter(as_json=True).format(record(rows=7, exc_info=(ValueError, error, None)))

    found = json.loads(line)
    assert "\n" not in line
    assert (found["message"], found["level"], found["rows"]) == ("kept all", "INFO", 7)
    assert "ValueError: x" in found["exception"]


def test_a_driver_says_the_same_only_now_and_then() -> None:
    """And how often it would have said it; what the ledger says is always written."""
    now_s = 0.0
    seldom = Seldom(lambda: now_s)
    written = []
    for _ in range(35):
        for name, words in (
            ("aiokafka", "no node %s"),
            ("aiokafka", "no group"),
            ("cassandra.pool", "no node %s"),
            ("ledger.x", "no node %s"),
        ):
            made = logging.makeLogRecord({"name": name, "msg": words, "args": (now_s,)})
            if seldom.filter(made):
                written.append((now_s, name, words, made.__dict__.get("said_before")))
        now_s += 1

    for said in (("aiokafka", "no node %s"), ("aiokafka", "no group"), ("cassandra.pool",)):
        found = [line for line in written if line[1 : 1 + len(said)] == said]
        assert [line[0] for line in found] == [0, 10, 20, 30]
        assert [line[3] for line in found] == [None, 9, 9, 9]
    assert sum(line[1] == "ledger.x" for line in written) == 35


@pytest.fixture
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging that a test may set up."""
    monkeypatch.setenv("GRPC_VERBOSITY", "ERROR")
    with kept_logs():
        yield


@pytest.mark.usefixtures("own_logs")
def test_a_known_false_alarm_of_grpc_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else that an event loop tells: no other error there, nor this one elsewhere."""
    set_up_logs(level="info", as_json=False)
    loop = asyncio.new_event_loop()
    taken, other = BlockingIOError(11, "Resource temporarily unavailable"), OSError("disk")
    poller = "Exception in callback PollerCompletionQueue._handle_events()()"
    for message, error in ((poller, taken), (poller, other), ("Exception in callback x()", taken)):
        loop.call_exception_handler({"message": message, "exception": error})
    loop.close()

    said = [line for line in capsys.readouterr().err.splitlines() if " ERROR " in line]
    assert ["PollerCompletionQueue" in line for line in said] == [True, False]


@pytest.mark.usefixtures("own_logs")
def test_logs_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is for answers."""
    set_up_logs(level="warning", as_json=False)
    logging.getLogger("ledger.x").info("no")
    logging.getLogger("ledger.x").warning("yes")

    answer, remark = capsys.readouterr()
    assert not answer
    assert remark.endswith("WARNING ledger.x: yes\n")


@pytest.mark.usefixtures("own_logs")
@pytest.mark.parametrize(("level", "said"), [("info", 2), ("debug", 6)])
def test_everything_that_is_logged_is_json(
    capsys: pytest.CaptureFixture[str], level: str, said: int
) -> None:
    """Also what the drivers say, of which only warnings are wanted, and Python's own warnings."""
    set_up_logs(level=level, as_json=True)
    for name in ("aiokafka.consumer", "cassandra.cluster"):
        logging.getLogger(name).info("joined group %s", "trail")
        logging.getLogger(name).debug("sent")
    logging.getLogger("cassandra.pool").warning("a node is away")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == said
    assert lines[-2]["message"] == "a node is away"
    assert lines[-1]["logger"] == "py.warnings"
