"""`parcel-ledger quarantine` and `jobs`, against a real ledger with records nobody can keep."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.backends.rocksdb_folder import open_folder
from ledger.codec import read_record
from ledger.numbers import partition_of
from ledger.position import Position
from tests.shells import Said, free_address, ledger_up, typed
from tests.trails import Arrival, row, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger.app.demo.processes import LedgerProcess

pytestmark = pytest.mark.slow

PARTITIONS = 32
ONE, TWO = "RR123456785CH", "RR473124829GB"


def value_of(name: str, number: str, **fields: object) -> bytes:
    """The record of a scan, as ingest makes it."""
    arrival = Arrival(scan(name, number=number, **fields))  # type: ignore[arg-type]
    return row(arrival, Position(1, 0, 0), record_time_ns=time.time_ns()).record


async def poison(folder: Path) -> list[str]:
    """Write good records and bad ones into a folder; give the positions of the bad ones: one that
    is astray, one that is garbage, and one with an event that is none.
    """
    bad = []
    async with open_folder(folder, partitions=PARTITIONS, on_fatal=_fail) as ledger:

        async def put(value: bytes, partition: int) -> str:
            index = await ledger.log.append(partition, [b"K"], [value])
            return f"scans-g1/{partition}/{index}"

        home = partition_of(ONE.encode(), PARTITIONS)
        await put(value_of("a", ONE), home)
        bad.append(await put(value_of("b", ONE, minute=1), (home + 1) % PARTITIONS))
        bad.append(await put(b"\xff garbage", home))
        record = read_record(value_of("c", TWO))
        record.event = b"\x0a\xff"
        two = partition_of(TWO.encode(), PARTITIONS)
        bad.append(await put(record.SerializeToString(), two))
        await put(value_of("d", ONE, minute=2), home)
        await put(value_of("e", TWO, minute=3), two)
    return bad


def _fail(error: Exception) -> None:
    raise AssertionError("the folder broke") from error


@contextmanager
def poisoned(folder: Path) -> Iterator[tuple[LedgerProcess, list[str]]]:
    """A ledger that runs on such a folder."""
    bad = asyncio.run(poison(folder / "data"))
    with ledger_up(folder) as ledger:
        wait(lambda: len(listed(ledger)) == 3)
        yield ledger, bad


def ask(ledger: LedgerProcess, *words: object) -> Said:
    """Ask that ledger."""
    return typed(*words, "--server", ledger.address)


def listed(ledger: LedgerProcess, *words: object) -> list[dict[str, object]]:
    """What is in quarantine, as a program reads it."""
    said = ask(ledger, "quarantine", "list", "--state", "all", "--json", *words)
    assert said.code == DONE, said
    return [json.loads(line) for line in said.answer.splitlines()]


def trail(ledger: LedgerProcess, number: str) -> list[dict[str, object]]:
    """A trail, as a program reads it."""
    said = ask(ledger, "trail", number, "--json")
    assert said.code == DONE, said
    return list(json.loads(said.answer)["entries"])


def as_of_last(ledger: LedgerProcess, number: str) -> tuple[str, str]:
    """The last moment of the progress history, and a trail as of it."""
    said = ask(ledger, "progress", "--json")
    moment = str(json.loads(said.answer).get("history_time", "1970-01-01T00:00:00Z"))
    return moment, ask(ledger, "trail", number, "--as-of", moment).answer


def wait(until: object) -> None:
    """Wait until something is so."""
    assert callable(until)
    until_s = time.monotonic() + 20
    while not until():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_an_operator_looks_after_what_could_not_be_kept(tmp_path: Path) -> None:
    """Everything behind the bad records is in its trail, notices stand in theirs; listed, shown,
    replayed, dropped; and the past is as it was, also after a restart.
    """
    with poisoned(tmp_path) as (ledger, (astray, garbage, bad_event)):
        wait(lambda: len(trail(ledger, ONE)) == 3 and len(trail(ledger, TWO)) == 2)
        shown = ask(ledger, "trail", ONE).answer
        told = ask(ledger, "quarantine", "list").answer
        one = ask(ledger, "quarantine", "show", bad_event)
        wait(lambda: "1 in quarantine" in as_of_last(ledger, ONE)[1])
        before, _ = as_of_last(ledger, ONE)

        replayed = ask(ledger, "quarantine", "replay", astray, "--why", "wrong count")
        again = ask(ledger, "quarantine", "replay", astray)
        unfit = ask(ledger, "quarantine", "replay", garbage)
        dropped = ask(ledger, "quarantine", "drop", garbage, "--why", "a test", "--by", "ann")
        wait(lambda: "quarantined" not in json.dumps(trail(ledger, ONE)))
        past = ask(ledger, "trail", ONE, "--as-of", before).answer
        ledger.kill()
        ledger.start()
        states = {item["state"] for item in listed(ledger)}
        now = ask(ledger, "trail", ONE).answer
        of_item = listed(ledger, "--item", TWO)

    assert "2 events, 1 in quarantine" in shown
    assert f"in quarantine (wrong partition)  {astray}" in shown
    assert [line.split()[0] for line in told.splitlines()[1:]] == sorted(
        (astray, garbage, bad_event), key=told.index
    )
    assert "cannot be read" in one.answer
    assert replayed.code == again.code == DONE
    assert "replayed to scans-g1/" in replayed.answer
    assert replayed.answer == again.answer
    assert unfit.code == REFUSED
    assert "cannot be kept in a trail now either" in unfit.remark
    assert "dropped" in dropped.answer
    assert "2 events, 1 in quarantine" in past
    assert "3 events, by scan time" in now
    assert "out of quarantine" in now
    assert {str(state).removeprefix("QUARANTINE_STATE_") for state in states} == {
        "OPEN",
        "REPLAYED",
        "DROPPED",
    }
    assert len(of_item) == 1


def test_all_that_is_open_is_replayed_by_a_job(tmp_path: Path) -> None:
    """The command shows it to its end; what is still unfit stays; the job is listed and watched."""
    with poisoned(tmp_path) as (ledger, _):
        said = ask(ledger, "quarantine", "replay", "--all", "--json")
        job = json.loads(said.answer)
        jobs = ask(ledger, "jobs", "list")
        watched = ask(ledger, "jobs", "watch", job["job_id"])
        cancelled = ask(ledger, "jobs", "cancel", job["job_id"])
        unknown = ask(ledger, "jobs", "watch", "nobody's")

    assert (said.code, job["state"], job["done"]) == (DONE, "JOB_STATE_DONE", "3")
    assert job["message"] == "1 replayed, 2 still unfit"
    assert job["job_id"] in jobs.answer
    assert "done: 3 of 3" in watched.answer
    assert watched.answer == cancelled.answer
    assert unknown.code == REFUSED


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("quarantine", "show", "scans/1"), "is no position"),
        (("quarantine", "replay"), "Name one position"),
        (("quarantine", "replay", "scans-g1/0/0", "--all"), "Name one position"),
        (("quarantine", "replay", "--reason", "invalid"), "Name one position"),
    ],
)
def test_what_cannot_be_meant_is_said(words: tuple[str, ...], why: str) -> None:
    """Before anything is asked; a position shows how it reads."""
    said = typed(*words, "--server", free_address())

    assert said.code == FAILED
    assert why in said.remark or "No ledger answers" in said.remark


def test_without_the_service_it_is_said_where_it_is(tmp_path: Path) -> None:
    """A process that does not take it, since it listens elsewhere, is told apart from none."""
    with ledger_up(tmp_path) as ledger:
        said = ask(ledger, "quarantine", "show", "scans-g1/0/0")

    assert said.code == REFUSED
    assert "There is no record scans-g1/0/0 in quarantine" in said.remark
