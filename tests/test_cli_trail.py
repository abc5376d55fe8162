"""`parcel-ledger trail`, `watch` and `progress` against a real ledger."""

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.app.demo.processes import LedgerProcess
from ledger.app.exits import DONE, REFUSED
from tests.shells import COMMAND, Said, environment, ledger_up, typed

pytestmark = pytest.mark.slow

HEADER = "tracking_number,type,scan_time,facility,device,event_id\n"
ONE, TWO, THREE = (f"{n:032x}" for n in (1, 2, 3))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    """A ledger for all tests of this file; each has tracking numbers of its own."""
    with ledger_up(tmp_path_factory.mktemp("ledger")) as running:
        yield running


def ask(ledger: LedgerProcess, *words: object) -> Said:
    """Ask that ledger."""
    return typed(*words, "--server", ledger.address)


def record(ledger: LedgerProcess, *lines: str) -> None:
    """Record scans, and wait until they can be read."""
    before = ledger.records()
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(HEADER + "\n".join(lines))
        file.flush()
        said = ask(ledger, "send", file.name, "--source", "scanner-7")
    assert said.code == DONE, said
    until_s = time.monotonic() + 10
    while ledger.records() < before + len(lines):
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_trail_is_shown_in_order_with_what_matters(ledger: LedgerProcess) -> None:
    """By scan time, whatever the order of arrival: local times, event, place, device, source."""
    record(
        ledger,
        f"rr473124829gb,DELIVERED,2026-03-02T09:00:00+01:00,DE-2,handheld-1,{TWO}",
        f"RR 4731 2482 9GB,SORTED,2026-03-01T22:30:00-05:00,US-1,belt-4,{ONE}",
    )
    said = ask(ledger, "trail", "RR473124829GB")
    title, _, header, first, second = said.answer.splitlines()

    assert said.code == DONE
    assert title == "RR473124829GB  2 events, by scan time"
    assert header.split() == ["local", "time", "event", "place", "device", "source", "marks"]
    assert first.split()[:7] == [
        *("2026-03-01", "22:30:00", "-05:00", "sorted", "US-1", "belt-4", "scanner-7"),
    ]
    assert second.startswith("2026-03-02 09:00:00 +01:00  delivered")


def test_a_trail_can_be_shown_as_it_was_recorded(ledger: LedgerProcess) -> None:
    """With record time and position; as JSON the same, entry by entry."""
    record(
        ledger,
        f"RR100000005DE,DELIVERED,2026-03-02T09:00:00Z,A,d,{TWO}",
        f"RR100000005DE,SORTED,2026-03-01T09:00:00Z,A,d,{ONE}",
    )
    said = ask(ledger, "trail", "RR100000005DE", "--order", "recorded")
    document = json.loads(
        ask(ledger, "trail", "RR100000005DE", "--order", "recorded", "--json").answer
    )

    lines = said.answer.splitlines()
    assert lines[0].endswith("as recorded")
    assert "delivered" in lines[3]
    assert "scans-g1/" in lines[3]
    assert "sorted" in lines[4]
    assert document["status"] == "LOOKUP_STATUS_FOUND"
    assert document["tracking_keys"] == ["RR100000005DE"]
    assert [entry["event"]["type"] for entry in document["entries"]] == [
        *("SCAN_EVENT_TYPE_DELIVERED", "SCAN_EVENT_TYPE_SORTED"),
    ]


def test_copies_and_conflicts_are_marked(ledger: LedgerProcess) -> None:
    """The same scan twice is one line; the same id with other content is shown twice, loudly."""
    line = f"RR100000014DE,SORTED,2026-03-01T09:00:00Z,A,d,{ONE}"
    other = f"RR100000014DE,SORTED,2026-03-01T10:00:00Z,B,d,{TWO}"
    record(ledger, line)
    record(ledger, line)
    record(ledger, other, other.replace("B,d", "C,d"))
    said = ask(ledger, "trail", "RR100000014DE")

    lines = said.answer.splitlines()[3:]
    assert len(lines) == 3
    assert "+1 copy" in lines[0]
    assert all("CONFLICT" in each for each in lines[1:])


def test_a_long_trail_is_read_to_its_end(ledger: LedgerProcess) -> None:
    """Through all pages, each event once."""
    record(
        ledger,
        *(f"RR100000028DE,SORTED,2026-03-01T09:00:00Z,A,d,{n:032x}" for n in range(1, 1_052)),
    )
    document = json.loads(ask(ledger, "trail", "RR100000028DE", "--json").answer)
    table = ask(ledger, "trail", "RR100000028DE").answer

    assert len({entry["event"]["event_id"] for entry in document["entries"]}) == 1_051
    assert len(document["entries"]) == 1_051
    assert "1,051 events" in table
    assert len(table.splitlines()) == 1_054


def test_a_number_that_was_never_scanned_is_an_answer(ledger: LedgerProcess) -> None:
    """In words, and with exit code 0; as JSON an empty trail that says why."""
    said = ask(ledger, "trail", "RR999999999XX")
    document = json.loads(ask(ledger, "trail", "RR999999999XX", "--json").answer)

    assert said.code == DONE
    assert said.answer == "Nothing has been recorded for RR999999999XX so far.\n"
    assert document["status"] == "LOOKUP_STATUS_NOT_YET_SEEN"
    assert document["entries"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("trail", "\u00a0"),
        ("trail", "R" * 129),
        ("watch", " "),
        ("trail", "RR1", "--as-of", "2199-01-01T00:00:00Z"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(
    ledger: LedgerProcess, words: tuple[str, ...]
) -> None:
    """No item can have that number; no answer can be given of the future."""
    said = ask(ledger, *words)

    assert said.code == REFUSED
    assert not said.answer
    assert said.remark.splitlines()[-1].startswith("parcel-ledger: ")
    assert "Traceback" not in said.remark


@pytest.mark.slow
def test_the_past_is_shown_as_it_was(ledger: LedgerProcess) -> None:
    """`--as-of` a time before the second scan was recorded shows the first alone."""
    record(ledger, f"RR100000031DE,SORTED,2026-03-01T09:00:00Z,A,d,{ONE}")
    until_s = time.monotonic() + 30
    while True:  # Until the first scan is settled and the history has an entry that says so.
        past = json.loads(ask(ledger, "progress", "--json").answer).get("history_time")
        if past and "sorted" in ask(ledger, "trail", "RR100000031DE", "--as-of", past).answer:
            break
        assert time.monotonic() < until_s
        time.sleep(0.5)
    record(ledger, f"RR100000031DE,DELIVERED,2026-03-01T10:00:00Z,A,d,{TWO}")
    then = ask(ledger, "trail", "RR100000031DE", "--as-of", past)
    now = ask(ledger, "trail", "RR100000031DE")

    assert "1 event," in then.answer
    assert "2 events," in now.answer


def test_progress_is_a_table_and_json(ledger: LedgerProcess) -> None:
    """Per partition, and the sum of what has been recorded."""
    record(ledger, f"RR100000045DE,SORTED,2026-03-01T09:00:00Z,A,d,{ONE}")
    said = ask(ledger, "progress")
    document = json.loads(ask(ledger, "progress", "--json").answer)

    records = sum(int(one["readable_index"]) for one in document["partitions"])
    sums = next(line for line in said.answer.splitlines() if line.startswith("all"))
    assert said.code == DONE
    assert records > 0
    assert sums.split()[2] == f"{records:,}"


def watching(ledger: LedgerProcess, *words: str) -> subprocess.Popen[str]:
    """Start a watch."""
    return subprocess.Popen(
        [*COMMAND, "watch", *words, "--server", ledger.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        text=True,
    )


def test_a_watch_shows_what_is_there_and_what_comes(ledger: LedgerProcess) -> None:
    """Each scan once; a copy of a known scan is not shown; Ctrl-C ends with 0."""
    line = f"RR100000059DE,SORTED,2026-03-01T09:00:00Z,A,d,{ONE}"
    record(ledger, line)
    watch = watching(ledger, "RR100000059DE")
    assert watch.stdout is not None
    first = watch.stdout.readline()
    record(ledger, line)
    record(ledger, f"RR100000059DE,DELIVERED,2026-03-01T10:00:00Z,A,d,{TWO}")
    second = watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    rest, remark = watch.communicate(timeout=20)

    assert "sorted" in first
    assert "delivered" in second
    assert not rest
    assert watch.returncode == DONE
    assert "Traceback" not in remark


@pytest.mark.slow
def test_a_watch_outlives_the_ledger(tmp_path: Path) -> None:
    """kill -9, an ordered end, a new start: it goes on behind what was shown, without gap or
    double.
    """
    with ledger_up(tmp_path) as ledger:
        record(ledger, f"RR100000062DE,SORTED,2026-03-01T09:00:00Z,A,d,{ONE}")
        watch = watching(ledger, "RR100000062DE", "--json")
        assert watch.stdout is not None
        shown = [json.loads(watch.stdout.readline())]
        for number, kind, ends in (
            (TWO, "ARRIVED", ledger.kill),
            (THREE, "DELIVERED", ledger.end),
        ):
            ends()
            ledger.start()
            record(ledger, f"RR100000062DE,{kind},2026-03-01T10:00:00Z,A,d,{number}")
            shown.append(json.loads(watch.stdout.readline()))
        watch.send_signal(signal.SIGINT)
        rest, remark = watch.communicate(timeout=20)

    assert not rest
    assert watch.returncode == DONE
    assert 1 <= remark.count("The ledger is away") <= 2
    assert [entry["event"]["type"].removeprefix("SCAN_EVENT_TYPE_") for entry in shown] == [
        *("SORTED", "ARRIVED", "DELIVERED"),
    ]
