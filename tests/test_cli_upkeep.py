"""`compare`, `backup`, `restore` and `rebuild` as they are typed, against a ledger that runs."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.commands.operating import operator_at
from ledger.app.exits import DIVERGED, DONE, FAILED, REFUSED, CommandFailed
from ledger.backends.rocksdb_folder import open_folder
from ledger.v1.operator_service_pb2 import StartBackupRequest
from tests.shells import Said, entries_of, ledger_up, typed
from tests.upkeep import rows_in, tamper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.app.demo.processes import LedgerProcess

pytestmark = pytest.mark.slow

SCANS = 50
PARTITIONS = 32  # What `up` has where nobody says another number.
SETTLED_WITHIN_S = 30


def send(ledger: LedgerProcess, folder: Path) -> None:
    """Send some scans, and wait until their trail shows them."""
    lines = [f"ITEM1,SORTED,2026-03-01T10:00:{number:02}Z,{number}" for number in range(SCANS)]
    head = "tracking_number,type,scan_time,source_event_id"
    (folder / "scans.csv").write_text("\n".join([head, *lines]) + "\n")
    said = typed("send", folder / "scans.csv", "--source", "belt", "--server", ledger.address)
    assert said.code == DONE, said
    assert len(entries_of(ledger, "ITEM1", at_least=SCANS)) == SCANS


def compare(ledger: LedgerProcess, *flags: str) -> Said:
    """Compare when all is settled: some seconds after it was readable."""
    until_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        said = typed("compare", "--server", ledger.address, "--json")
        records = int(json.loads(said.answer)["comparison"]["records"])
        if records == SCANS or time.monotonic() > until_s:
            return typed("compare", "--server", ledger.address, *flags)
        time.sleep(0.2)


async def lose_a_row(data: Path) -> None:
    """Remove a row behind the ledger's back."""

    async with open_folder(data, partitions=PARTITIONS, on_fatal=lambda _: None) as folder:
        tamper(folder, (await rows_in(folder))[3], None)


def test_store_and_log_are_compared(tmp_path: Path) -> None:
    """The same is exit code 0; with a row less it is 3, and the item and the position are named,
    for a person and for a program.
    """
    with ledger_up(tmp_path) as ledger:
        send(ledger, tmp_path)
        same = compare(ledger)
        ledger.end()
        asyncio.run(lose_a_row(tmp_path / "data"))
        ledger.start()
        differ, as_json = compare(ledger), compare(ledger, "--json")
        jobs = typed("jobs", "list", "--server", ledger.address)

    assert same.code == DONE, same
    assert f"The store holds what the log says: {SCANS} rows for {SCANS} settled" in same.answer
    assert differ.code == as_json.code == DIVERGED, differ
    assert "Store and log differ" in differ.answer
    assert "ITEM1: the row is missing" in differ.answer
    comparison = json.loads(as_json.answer)["comparison"]
    [position] = comparison["positions"]
    assert position["tracking_key"] == "ITEM1"
    assert position["fault"] == "COMPARED_FAULT_MISSING"
    assert not comparison["same"]
    assert jobs.answer.count("compare") >= 2


def test_a_backup_is_restored(tmp_path: Path) -> None:
    """Backed up while it runs, restored beside it, and started: the trail is there."""
    with ledger_up(tmp_path) as ledger:
        send(ledger, tmp_path)
        made = typed("backup", "--to", tmp_path / "backup", "--server", ledger.address)
        again = typed("backup", "--to", tmp_path / "backup", "--server", ledger.address)
        relative = typed("backup", "--to", tmp_path / "data" / "b", "--server", ledger.address)
    (tmp_path / "new").mkdir()
    restored = typed("restore", "--from", tmp_path / "backup", "--data", tmp_path / "new" / "data")
    over = typed("restore", "--from", tmp_path / "backup", "--data", tmp_path / "new" / "data")
    with ledger_up(tmp_path / "new") as ledger:
        entries = entries_of(ledger, "ITEM1", at_least=SCANS)
        compared = compare(ledger)

    assert made.code == DONE, made
    assert "The backup is whole" in made.answer
    assert f"at least {SCANS} scans" in made.answer
    assert again.code == relative.code == FAILED
    assert "not an empty folder" in again.answer
    assert restored.code == DONE, restored
    assert f"at least {SCANS} scans in {PARTITIONS} partitions" in restored.answer
    assert over.code == FAILED
    assert "is not empty" in over.remark
    assert len(entries) == SCANS
    assert compared.code == DONE, compared


def test_a_damaged_backup_is_refused_by_name(tmp_path: Path) -> None:
    """Exit code 3, one line that names the file, and no folder."""
    with ledger_up(tmp_path) as ledger:
        send(ledger, tmp_path)
        typed("backup", "--to", tmp_path / "backup", "--server", ledger.address, "--json")
    file = tmp_path / "backup" / "files" / "HIGHWATER"
    content = bytearray(file.read_bytes())
    content[50] ^= 1
    file.write_bytes(content)

    said = typed("restore", "--from", tmp_path / "backup", "--data", tmp_path / "new")

    assert said.code == DIVERGED
    assert said.remark.count("\n") == 1
    assert "files/HIGHWATER has other bytes" in said.remark
    assert not (tmp_path / "new").exists()


def test_an_empty_path_is_refused(tmp_path: Path) -> None:
    """By the server too: exit code 1."""
    request = StartBackupRequest()
    with (
        ledger_up(tmp_path) as ledger,
        pytest.raises(CommandFailed) as refused,
        operator_at(ledger.address, None) as stub,
    ):
        stub.StartBackup(request, timeout=10)

    assert refused.value.code == REFUSED
    assert "`folder`" in str(refused.value)


def test_a_store_that_lost_a_row_is_rebuilt(tmp_path: Path) -> None:
    """It differs, it is rebuilt while it serves, it is the same; the old one is listed until it is
    dropped, and after a start the new one serves.
    """
    with ledger_up(tmp_path) as ledger:
        send(ledger, tmp_path)
        compare(ledger)  # A writer would write again what is not settled.
        ledger.end()
        asyncio.run(lose_a_row(tmp_path / "data"))
        ledger.start()
        before = compare(ledger)
        made = typed("rebuild", "--server", ledger.address)
        listed = typed("rebuild", "list", "--server", ledger.address)
        dropped = typed("rebuild", "drop", "1", "--server", ledger.address, "--json")
        again = typed("rebuild", "drop", "2", "--server", ledger.address)
        ledger.end()
        ledger.start()
        entries = entries_of(ledger, "ITEM1", at_least=SCANS)
        after = compare(ledger)

    assert before.code == DIVERGED, before
    assert made.code == DONE, made
    assert "Generation 2 of the store serves" in made.answer
    assert "`parcel-ledger rebuild drop 1` removes it" in made.answer
    assert listed.answer == "generation 1: served before, and is kept\ngeneration 2: serves\n"
    assert [one["store_generation"] for one in json.loads(dropped.answer)["generations"]] == [2]
    assert again.code == REFUSED
    assert "serves: it is not dropped" in again.remark
    assert len(entries) == SCANS
    assert after.code == DONE, after
