"""A small ledger in a process of its own, to be killed: appends, the writer, the history.

Every acknowledgement is one line on standard output, written before anything else happens:
`A partition index number` for a record, `P number` for an entry of the progress history, `S number`
for a row that has settled, `B` for a whole backup, `F reason` for a failure of the engine. Started
with a `Life` as JSON.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from ledger import progress
from ledger.backends import rocksdb_engine, rocksdb_options, store_rocksdb
from ledger.backends.rocksdb_folder import Folder, open_folder
from ledger.codec import read_record
from ledger.errors import Busy, Diverged, LedgerError
from ledger.position import pack_position
from tests.faults.known import known
from tests.folders import PARTITIONS, writer_of
from tests.rebuilds import rebuilding_of
from tests.rows import row_of
from tests.upkeep import Heard

FAILED = 3
"""Exit status after a failure of the engine."""

SENDERS = 7
"""One for each of the known keys."""

BATCH_RECORDS = 10
"""Records of one append."""

PADDING = 300
"""Bytes that make the records long enough to fill files."""

ROWS_FROM = pack_position(1, 0, 0)
"""Where rows without a log are said to come from."""

FAST_S = 0.1
"""Periods that are seconds in earnest."""


@dataclass(frozen=True, slots=True)
class Life:
    """How one process lives and dies."""

    folder: str
    first_number: int = 0
    sync: bool = True
    die_at: str = ""
    """Name of the durable step at which the process kills itself."""
    die_after: int = 1
    """How often the step is passed before."""
    write_buffer_bytes: int = 256 << 10
    """Small, so that a second sees many files."""
    does: str = "everything"
    """Or `history` alone, without any other sync; or `rows` alone; or everything and `rebuild`, or
    everything and `give up a rebuild`.
    """
    backs_up_to: str = ""
    """Folder that the ledger is backed up to, once, while it does everything."""
    file_bytes_max: int = 0
    """Length at which every file is full; 0 is no limit."""

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


def say(line: str) -> None:
    """Write a line, whole, at once."""
    os.write(1, f"{line}\n".encode())


def hurry(life: Life) -> None:
    """Make files small and periods short, so that a second sees many of each."""
    rocksdb_options.WRITE_BUFFER_BYTES = life.write_buffer_bytes  # type: ignore[misc]
    rocksdb_options.LEVEL_BASE_BYTES = 1 << 20  # type: ignore[misc]
    rocksdb_options.BLOB_FILE_BYTES = 1 << 20  # type: ignore[misc]
    rocksdb_engine.SYNC_PERIOD_S = FAST_S  # type: ignore[misc]
    store_rocksdb.SETTLE_AFTER_S = 3 * FAST_S  # type: ignore[misc]
    progress.TICK_S = FAST_S
    if life.does == "history":
        rocksdb_engine.SYNC_PERIOD_S = 3_600  # type: ignore[misc]
        progress.QUIET_S = 0


async def main(life: Life) -> None:
    """Live until killed."""
    passed: Counter[str] = Counter()

    def on_step(step: str) -> None:
        passed[step] += 1
        if step == life.die_at and passed[step] > life.die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_fatal(error: LedgerError) -> None:
        say(f"F {error.reason}")

    async with open_folder(
        Path(life.folder),
        partitions=PARTITIONS,
        on_fatal=on_fatal,
        sync=life.sync,
        on_step=on_step,
    ) as ledger:
        say("O")
        if life.file_bytes_max:
            limit = (life.file_bytes_max, life.file_bytes_max)
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        async with asyncio.TaskGroup() as tasks:
            for work in works(ledger, life):
                tasks.create_task(work)


def works(ledger: Folder, life: Life) -> Iterator[Coroutine[None, None, None]]:
    """What the process does, all at once."""
    if life.does == "rows":
        yield settle_rows(ledger)
        return
    yield progress.keep_history(ledger.store, now_ns=time.time_ns)
    yield tell_history(ledger)
    if life.does == "history":
        return
    for sender in range(SENDERS):
        yield send(ledger, life, sender)
    yield writer_of(ledger).run()
    if life.backs_up_to:
        yield back_up(ledger, life)
    if life.does.endswith("rebuild"):
        yield rebuild(ledger, life)


async def back_up(ledger: Folder, life: Life) -> None:
    """Make a backup, when some of everything is there, and say that it is whole."""
    await asyncio.sleep(5 * FAST_S)
    await ledger.backups.back_up(Path(life.backs_up_to), Heard())
    say("B")


async def rebuild(ledger: Folder, life: Life) -> None:
    """Rebuild, when some of everything is there; or begin to, and give it up."""
    await asyncio.sleep(5 * FAST_S)
    if life.does == "rebuild":
        await rebuilding_of(ledger).rebuild(Heard())
        return
    building = await ledger.generations.begin()
    await asyncio.sleep(FAST_S)
    await ledger.generations.drop(building.generation)


async def send(ledger: Folder, life: Life, sender: int) -> None:
    """Append the numbers of one key, in batches, and say which are acknowledged."""
    numbers = count(life.first_number * SENDERS + sender, SENDERS)
    while True:
        batch = [next(numbers) for _ in range(BATCH_RECORDS)]
        records = [known(n, partitions=PARTITIONS, padding=PADDING) for n in batch]
        partition = records[0].partition
        try:
            first = await ledger.log.append(
                partition, [one.key for one in records], [one.value for one in records]
            )
        except Busy:
            await asyncio.sleep(FAST_S)
            continue
        for index, number in enumerate(batch, first):
            say(f"A {partition} {index} {number}")


async def settle_rows(ledger: Folder) -> None:
    """Put rows, and say which of them must be there for good."""
    for number in count():
        value = known(number, partitions=PARTITIONS, padding=PADDING).value
        await ledger.store.put([row_of(read_record(value), value, ROWS_FROM + number)])
        await asyncio.sleep(ledger.store.settle_after_s)
        say(f"S {number}")


async def tell_history(ledger: Folder) -> None:
    """Say which entries of the progress history have been seen."""
    told = 0
    while True:
        entry = await ledger.store.progress_at()
        if entry is not None and entry.number > told:
            told = entry.number
            say(f"P {told}")
        await asyncio.sleep(FAST_S / 4)


if __name__ == "__main__":
    its_life = Life(**json.loads(sys.argv[1]))
    hurry(its_life)
    try:
        asyncio.run(main(its_life))
    except* Diverged:
        sys.exit(FAILED)
