"""`parcel-ledger send` against a real ledger: a line is durable or refused, and twice is once."""

import csv
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.app.demo.processes import LedgerProcess
from ledger.app.exits import DONE, FAILED, REFUSED
from tests.shells import COMMAND, Said, entries_of, environment, ledger_up, spawned, typed

pytestmark = pytest.mark.slow

HEADER = "source,tracking_number,type,scan_time,facility"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    """A ledger for all tests of this file; each has tracking numbers of its own."""
    with ledger_up(tmp_path_factory.mktemp("ledger")) as running:
        yield running


def send(ledger: LedgerProcess, *words: object) -> Said:
    """Send to that ledger."""
    return typed("send", *words, "--server", ledger.address)


def test_a_csv_is_sent_and_twice_is_once(ledger: LedgerProcess, tmp_path: Path) -> None:
    """All lines durable; the same file again changes no trail, only the log has further copies."""
    path = tmp_path / "scans.csv"
    numbers = [f"AA{n:09}DE" for n in range(7)]
    lines = [
        f"scanner-1,{numbers[n % 7]},SORTED,2026-03-01T12:00:{n:02}+01:00,DE-1" for n in range(50)
    ]
    path.write_text("\n".join([HEADER, *lines]))
    once = send(ledger, path)
    first = [entry.event for entry in entries_of(ledger, *numbers, at_least=50)]
    twice = send(ledger, path)
    again = entries_of(ledger, *numbers)

    assert (once.code, twice.code) == (DONE, DONE)
    assert "50 lines: 50 durable (synced to disk), 0 refused" in once.answer
    assert len(first) == 50
    assert [entry.event for entry in again] == first
    assert {entry.source_id for entry in again} == {"scanner-1"}
    assert not list(tmp_path.glob("*.refused.csv"))


def test_refused_lines_come_back_with_their_reasons(ledger: LedgerProcess, tmp_path: Path) -> None:
    """In a file that can be mended and sent; the good lines are not touched by the bad ones."""
    path = tmp_path / "scans.csv"
    path.write_text(
        f"{HEADER}\n"
        "s,BB000000001DE,SORTED,2026-03-01T12:00:00Z,A\n"
        "s,BB000000001DE,SORTD,2026-03-01T12:00:00Z,A\n"
        "s,BB000000001DE,SORTED,2026-03-01T12:00:00Z\n"
        "s,---,SORTED,2026-03-01T12:00:00Z,A\n"
        f"s,BB000000001DE,SORTED,2026-03-01T12:00:00Z,{'F' * 65}\n"
        ",BB000000001DE,SORTED,2026-03-01T12:00:00Z,A\n"
        "s,BB000000001DE,SORTED,2201-03-01T12:00:00Z,A\n"
    )
    said = send(ledger, path)
    with (tmp_path / "scans.csv.refused.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, restkey="more"))

    assert said.code == REFUSED
    assert "7 lines: 1 durable" in said.answer
    assert "6 refused" in said.answer
    assert [(row["refused_line"], row["refused_field"]) for row in rows] == [
        *(("3", "type"), ("4", ""), ("7", "source")),
        *(("5", "tracking_number"), ("6", "facility"), ("8", "scan_time")),
    ]
    assert all(row["refused_reason"] for row in rows)
    assert all(row["refused_message"] for row in rows)
    assert rows[0]["type"] == "SORTD"
    assert "line 3, type: " in said.remark
    assert len(entries_of(ledger, "BB000000001DE", at_least=1)) == 1

    mended = tmp_path / "mended.csv"
    text = (tmp_path / "scans.csv.refused.csv").read_text()
    mended.write_text("\n".join(text.replace("SORTD", "ARRIVED").splitlines()[:2]))
    assert send(ledger, mended).code == DONE
    assert len(entries_of(ledger, "BB000000001DE", at_least=2)) == 2


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_one_stray_quote_costs_one_line(
    ledger: LedgerProcess, tmp_path: Path, delimiter: str
) -> None:
    """Of 3,000 lines 2,999 are durable. The other stands in the refused file as it was: sent as it
    is it is refused again, and without the quote it is durable.
    """
    number = f"AB00000000{ord(delimiter) % 10}DE"
    rows = [f"s,{number},SORTED,2026-03-01T12:00:00Z,F-{n}" for n in range(3_000)]
    rows[11] = rows[11].replace("F-", '"F-')
    path = tmp_path / "scans.csv"
    path.write_text("\r\n".join([HEADER, *rows]).replace(",", delimiter))
    said = send(ledger, path)
    refused = tmp_path / "scans.csv.refused.csv"
    again = send(ledger, refused)
    twice = tmp_path / "scans.csv.refused.csv.refused.csv"
    last = twice.read_text().splitlines()[1]
    mended = tmp_path / "mended.csv"
    mended.write_text(twice.read_text().replace('"F-', "F-"))
    at_last = send(ledger, mended)

    assert "3,000 lines: 2,999 durable" in said.answer
    assert "1 line: 0 durable" in again.answer
    assert last.endswith(delimiter + rows[11].replace(",", delimiter))
    assert "1 line: 1 durable" in at_last.answer
    entries = entries_of(ledger, number, at_least=3_000)
    assert {entry.event.facility for entry in entries} == {f"F-{n}" for n in range(3_000)}


def test_ndjson_comes_through_a_pipe(ledger: LedgerProcess, tmp_path: Path) -> None:
    """Standard input, the source by flag, names in either spelling, a bad line told apart."""
    line = {
        "trackingNumber": "CC000000001DE",
        "type": "sorted",
        "scan_time": "2026-03-01T12:00:00Z",
    }
    text = f"{json.dumps(line)}\n{{nonsense\n{json.dumps(line | {'device': 'd'})}\n"
    said = spawned(
        *("send", "-", "--format", "ndjson", "--source", "p", "--server", ledger.address),
        stdin=text,
        folder=tmp_path,
    )

    assert said.code == REFUSED
    assert "3 lines: 2 durable" in said.answer
    assert (tmp_path / "stdin.refused.csv").read_text().splitlines()[1].endswith("{nonsense")
    assert len(entries_of(ledger, "CC000000001DE", at_least=2)) == 2


def test_what_a_trail_prints_can_be_sent(ledger: LedgerProcess, tmp_path: Path) -> None:
    """The events of `trail --json`, sent again by their source, are the same scans."""
    line = "s,DD000000001DE,SORTED,2026-03-01T12:00:00.123456789+01:00,A"
    path = tmp_path / "scans.csv"
    path.write_text(f"{HEADER}\n{line}\n")
    send(ledger, path)
    [entry] = entries_of(ledger, "DD000000001DE", at_least=1)
    document = typed("trail", "DD000000001DE", "--json", "--server", ledger.address)
    path = tmp_path / "again.ndjson"
    path.write_text(json.dumps(json.loads(document.answer)["entries"][0]["event"]))
    said = send(ledger, path, "--source", "s")
    [again] = entries_of(ledger, "DD000000001DE")

    assert said.code == DONE
    assert again.event == entry.event
    assert again.marks.duplicate_count == 1


def test_many_sources_in_one_file(ledger: LedgerProcess, tmp_path: Path) -> None:
    """Each line goes under its own source; the same event id of two sources is two scans."""
    path = tmp_path / "scans.csv"
    path.write_text(
        "event_id,source,tracking_number,type,scan_time\n"
        + "".join(f"{'0' * 32},s{n},EE000000001DE,SORTED,2026-03-01T12:00Z\n" for n in range(300))
    )
    said = send(ledger, path)

    assert said.code == DONE
    entries = entries_of(ledger, "EE000000001DE", at_least=300)
    assert len({entry.source_id for entry in entries}) == 300


def test_a_source_that_cannot_be_is_refused_by_line(ledger: LedgerProcess, tmp_path: Path) -> None:
    """A rule for batches that is broken by one source harms no other source."""
    path = tmp_path / "scans.csv"
    path.write_text(
        f"{HEADER}\n"
        f"{'s' * 129},FF000000001DE,SORTED,2026-03-01T12:00:00Z,A\n"
        "s,FF000000001DE,SORTED,2026-03-01T12:00:00Z,A\n"
    )
    said = send(ledger, path)

    assert said.code == REFUSED
    assert "1 durable" in said.answer
    assert len(entries_of(ledger, "FF000000001DE", at_least=1)) == 1


@pytest.mark.parametrize(
    ("name", "text", "remark"),
    [
        ("scans.txt", "", "--format"),
        ("scans.csv", None, "cannot be read"),
        ("scans.csv", "", "no CSV of scans"),
        ("scans.csv", "tracking_number,type,scan_time\n", "--source"),
        ("scans.csv", "source,tracking_number,type\n", "`scan_time`"),
        ("scans.csv", "source,number,type,scan_time\n", "`tracking_number`"),
    ],
)
def test_a_file_that_cannot_be_sent_is_said_in_one_line(
    ledger: LedgerProcess, tmp_path: Path, name: str, text: str | None, remark: str
) -> None:
    """Nothing of it is sent."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    said = send(ledger, path)

    assert said.code == FAILED
    assert not said.answer
    assert remark in said.remark
    assert said.remark.count("\n") == 1


@pytest.mark.slow
def test_a_ledger_that_is_killed_is_waited_for(tmp_path: Path) -> None:
    """kill -9 in the middle of a pipe: what has no answer is sent again, and each scan is once."""
    with ledger_up(tmp_path) as ledger:
        sending = subprocess.Popen(
            [
                *(*COMMAND, "send", "-", "--format", "csv", "--source", "s"),
                *("--server", ledger.address),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        assert sending.stdin is not None

        def crash() -> None:
            ledger.kill()
            ledger.start()

        crashing = threading.Timer(1.0, crash)
        crashing.start()
        sending.stdin.write("tracking_number,type,scan_time,source_event_id\n")
        for n in range(20_000):
            sending.stdin.write(f"GG{n % 100:09}DE,SORTED,2026-03-01T12:00:00Z,{n}\n")
        crashing.join()
        answer, _ = sending.communicate(timeout=60)
        numbers = [f"GG{n:09}DE" for n in range(100)]
        entries = entries_of(ledger, *numbers, at_least=20_000)

    assert sending.returncode == DONE
    assert "20,000 lines: 20,000 durable" in answer
    assert sorted(int(entry.event.source_event_id) for entry in entries) == list(range(20_000))


@pytest.mark.slow
def test_a_ledger_that_stays_away_is_given_up(tmp_path: Path) -> None:
    """Exit code 2, with how far it came: sending again is safe."""
    with ledger_up(tmp_path) as ledger:
        path = tmp_path / "scans.csv"
        with path.open("w") as file:
            file.write("tracking_number,type,scan_time,source_event_id\n")
            for n in range(200_000):
                file.write(f"HH{n % 100:09}DE,SORTED,2026-03-01T12:00:00Z,{n}\n")
        threading.Timer(1.5, ledger.kill).start()
        said = send(ledger, path, "--source", "s", "--give-up-s", "1")

    assert said.code == FAILED
    assert "No ledger answers" in said.remark
    assert "durable" in said.answer
