"""Starting a child ledger, ending it, and comparing what it acknowledged with what is there."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.backends.rocksdb_folder import Folder, open_folder
from ledger.codec import read_record
from ledger.marks import TRAIL_READER
from ledger.position import pack_position
from ledger.trail_store import MarkKind, Row
from tests.faults.child import PADDING, ROWS_FROM, Life
from tests.faults.known import all_rows, contents, known
from tests.folders import PARTITIONS, writer_of
from tests.rows import row_of, rows_of_one

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 40.0
KILLED = -signal.SIGKILL


@dataclass
class Told:
    """What a child said before it ended."""

    status: int = 0
    opened: bool = False
    acknowledged: dict[tuple[int, int], int] = field(default_factory=dict)
    """Partition and index of each acknowledged number."""
    progress: int = 0
    settled_rows: int = 0
    backed_up: bool = False
    failure: str = ""
    errors: str = ""

    def hear(self, line: str) -> None:
        """Take one line."""
        match line.split():
            case ["O"]:
                self.opened = True
            case ["A", partition, index, number]:
                self.acknowledged[int(partition), int(index)] = int(number)
            case ["P", number]:
                self.progress = int(number)
            case ["S", number]:
                self.settled_rows = int(number) + 1
            case ["B"]:
                self.backed_up = True
            case ["F", reason]:
                self.failure = reason


async def live(
    life: Life,
    *,
    kill_when: Callable[[Told], bool] = lambda _: False,
    while_running: Callable[[int], Awaitable[None]] | None = None,
    environment: dict[str, str] | None = None,
) -> Told:
    """Run a child until it ends by itself, or is killed with -9 when `kill_when` says so."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.child",
        life.to_json(),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout
    assert child.stderr
    told = Told()
    errors = asyncio.create_task(child.stderr.read())
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for line in child.stdout:
                told.hear(line.decode())
                if while_running and told.acknowledged:
                    await while_running(child.pid)
                    while_running = None
                if kill_when(told):
                    child.kill()
                    break
            # What it wrote before it died is still in the pipe.
            async for line in child.stdout:
                told.hear(line.decode())
            told.status = await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    told.errors = (await errors).decode()
    return told


async def judge(folder: Path, *lives: Told) -> None:
    """Open what is left; what was acknowledged must be in the log, and the log in the trails."""
    async with open_folder(folder, partitions=PARTITIONS, on_fatal=_never) as ledger:
        log = await contents(ledger.log)
        for told in lives:
            for place, number in told.acknowledged.items():
                assert place in log, f"acknowledged and gone: {place}"
                assert log[place] == value_of(number), f"acknowledged and altered: {place}"
        for place, value in log.items():
            number = read_record(value).sequence - 1
            assert value == value_of(number), f"nobody appended this: {place}"
        last = await ledger.store.progress_at()
        assert (last.number if last else 0) >= max(told.progress for told in lives)
        await write_all(ledger)
        wanted = {
            (row.tracking_key, row.order, row.record)
            for told in lives
            for row in map(settled_row, range(told.settled_rows))
        }
        for (partition, index), value in log.items():
            position = pack_position(1, partition, index)
            for row in rows_of_one(read_record(value), value, position):
                wanted.add((row.tracking_key, row.order, value))
        found = await all_rows(ledger.store)
        assert wanted <= found, "rows are gone"
        if not any(told.settled_rows for told in lives):
            assert found == wanted, "rows that are not in the log"


def value_of(number: int) -> bytes:
    """The record that a child appends for a number."""
    return known(number, partitions=PARTITIONS, padding=PADDING).value


def settled_row(number: int) -> Row:
    """The row that a child puts without a log."""
    value = value_of(number)
    return row_of(read_record(value), value, ROWS_FROM + number)


async def write_all(ledger: Folder) -> None:
    """Let a writer carry everything that is in the log."""
    carrier = writer_of(ledger)
    running = asyncio.create_task(carrier.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            # Nothing tells when marks move.
            while not running.done() and not await _caught_up(ledger):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    if not running.cancelled():
        running.result()


async def _caught_up(ledger: Folder) -> bool:
    readable = {
        cell.partition: cell.next_index
        for cell in await ledger.store.marks(TRAIL_READER)
        if cell.kind is MarkKind.READABLE
    }
    for partition in range(PARTITIONS):
        if readable.get(partition, 0) < (await ledger.log.bounds(partition)).next:
            return False
    return True


def _never(error: Exception) -> None:
    raise AssertionError(error)
