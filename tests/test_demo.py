"""The demo, and above all that its count can fail: a verifier that never says no shows nothing."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from ledger.app.client import open_channel
from ledger.app.demo.processes import LedgerProcess, ScannersProcess
from ledger.app.demo.processes import verify as verdict_of
from ledger.app.exits import DONE, FAILED
from loadtest.acknowledged import Acknowledged, AcknowledgedFile, read_acknowledged
from loadtest.verify import verify
from tests.shells import ledger_up, spawned, typed

pytestmark = pytest.mark.slow

NUMBER = "RR473124829GB"
HEADER = "tracking_number,type,scan_time,facility,event_id\n"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    """A ledger for all tests of this file."""
    with ledger_up(tmp_path_factory.mktemp("ledger")) as running:
        yield running


@pytest.fixture
def channel(ledger: LedgerProcess) -> Iterator[grpc.Channel]:
    """A connection to it."""
    with open_channel(ledger.address) as channel:
        yield channel


def record(ledger: LedgerProcess, source: str, number: str, *facilities: str) -> None:
    """Record scans that have the same event id."""
    lines = [f"{number},SORTED,2026-03-01T09:00:00Z,{name},{1:032x}" for name in facilities]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(HEADER + "\n".join(lines))
        file.flush()
        said = typed("send", file.name, "--source", source, "--server", ledger.address)
    assert said.code == DONE


def told(source: str, number: str, event: int = 1) -> Acknowledged:
    """Make a line of a scanner's list."""
    return Acknowledged(number, source, event.to_bytes(16, "big"), ())


def test_what_was_acknowledged_is_found(ledger: LedgerProcess, channel: grpc.Channel) -> None:
    """Once each, by source, and under any writing of the number."""
    record(ledger, "a", "rr 000 000 018 de", "A")
    record(ledger, "b", "RR000000018DE", "B")
    verdict = verify(channel, [told("a", "RR-000000018DE"), told("b", "RR000000018DE")])

    assert verdict.good
    assert (verdict.acknowledged, verdict.in_trails, verdict.copies) == (2, 2, 0)
    assert verdict.example == "RR000000018DE"


def test_a_copy_in_the_log_is_counted(ledger: LedgerProcess, channel: grpc.Channel) -> None:
    """It is no double: the trail shows the scan once."""
    record(ledger, "a", "RR000000021DE", "A")
    record(ledger, "a", "RR000000021DE", "A")
    verdict = verify(channel, [told("a", "RR000000021DE")])

    assert verdict.good
    assert verdict.copies == 1


def test_a_lost_scan_is_found(ledger: LedgerProcess, channel: grpc.Channel) -> None:
    """One that was never recorded, one of another source, and an item that nobody knows."""
    record(ledger, "a", "RR000000035DE", "A")
    scans = [
        told("a", "RR000000035DE"),
        told("a", "RR000000035DE", event=2),
        told("b", "RR000000035DE"),
        told("a", "RR000000049DE"),
    ]
    verdict = verify(channel, scans)

    assert not verdict.good
    assert (verdict.acknowledged, verdict.in_trails, verdict.lost) == (4, 1, 3)


def test_a_doubled_scan_is_found(ledger: LedgerProcess, channel: grpc.Channel) -> None:
    """The same identity shown twice, here because its content differs: a conflict as well."""
    record(ledger, "a", "RR000000052DE", "A", "B")
    verdict = verify(channel, [told("a", "RR000000052DE")])

    assert not verdict.good
    assert (verdict.lost, verdict.doubled, verdict.conflicts) == (0, 1, 2)


def test_what_nobody_was_told_is_counted(ledger: LedgerProcess, channel: grpc.Channel) -> None:
    """A scan in a trail without an acknowledgement is no error: its answer may have been lost."""
    record(ledger, "a", "RR000000066DE", "A")
    record(ledger, "b", "RR000000066DE", "A")
    verdict = verify(channel, [told("a", "RR000000066DE")])

    assert verdict.good
    assert verdict.unacknowledged == 1


def test_the_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Whatever stands in a number."""
    scans = [
        Acknowledged('R,"R\n1', "a", bytes(16), [(1, 2, 3), (1, 4, 5)]),
        Acknowledged("RR2", "a", bytes(range(16)), []),
    ]
    written = AcknowledgedFile(tmp_path / "list.csv")
    written.add(scans)
    written.close()

    assert list(read_acknowledged(tmp_path / "list.csv")) == scans


@pytest.mark.slow
def test_a_ledger_that_is_ended_under_load_finishes_first(tmp_path: Path) -> None:
    """SIGTERM: it ends by itself, scanners go on with the next one, and nothing is lost."""
    running = LedgerProcess(tmp_path / "data", tmp_path / "ledger.log")
    running.start()
    scanners = ScannersProcess(running.address, tmp_path / "list.csv", scanners=20, seed=3)
    try:
        scanners.wait(lambda: scanners.count("acknowledged") > 2_000, within_s=20, what="Answers")
        running.end()
        assert "ended" in (tmp_path / "ledger.log").read_text()
        running.start()
        acknowledged = scanners.count("acknowledged")
        scanners.wait(
            lambda: scanners.count("acknowledged") > acknowledged, within_s=20, what="Answers"
        )
        scanners.finish()
        found = verdict_of(running.address, tmp_path / "list.csv", on_progress=lambda *_: None)
    finally:
        scanners.end()
        running.end()

    assert found["acknowledged"] == found["in_trails"] > 2_000
    assert found["lost"] == found["doubled"] == found["conflicts"] == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_keeps_the_promise(tmp_path: Path) -> None:
    """With 200 scanners, killed in mid-flight: nothing lost, nothing doubled, and it says so."""
    said = spawned(
        *("demo", "--seconds", "3", "--scanners", "200", "--seed", "7", "--json"),
        *("--data", tmp_path / "data"),
    )

    assert said.code == DONE, said.remark
    figures = json.loads(said.answer)
    assert figures["good"] is True
    assert figures["lost"] == figures["doubled"] == figures["conflicts"] == figures["refused"] == 0
    assert figures["acknowledged"] == figures["in_trails"] > 1_000
    assert figures["kills"] in {1, 2, 3}
    assert figures["in_flight_at_kill"] > 0
    assert figures["sent_again"] > 0
    assert "kill -9" in said.remark
    assert (tmp_path / "data").is_dir()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_is_shown_to_a_person(tmp_path: Path) -> None:
    """The trail of one item and the table of counts, also where nothing can move."""
    said = spawned("demo", "--seconds", "1", "--scanners", "20", "--no-kill")

    assert said.code == DONE, said.remark
    assert "parcel-ledger trail " in said.answer
    assert "local time" in said.answer
    assert "Nothing is lost, nothing is doubled." in said.answer
    assert "kill -9" not in said.answer


def test_the_demo_refuses_what_makes_no_sense() -> None:
    """No scanners, no time."""
    assert typed("demo", "--scanners", "0").code == FAILED
    assert typed("demo", "--seconds", "0").code == FAILED
