"""One bit of a write-ahead log is flipped, everywhere in turn: refused, or nothing is lost."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from ledger.errors import Diverged
from ledger.trail_store import ProgressCell
from tests.faults.known import append, contents, entry, keep_rows, known, unmarked_rows
from tests.folders import PARTITIONS, opened
from tests.scale import is_soak, scaled

WAL_BYTES_MAX = 4 << 10
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it; thousands of opens are quicker.

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(600, soak=7_200))]


class Crashed(NamedTuple):
    """A folder as a crash leaves it, and what had been acknowledged."""

    folder: Path
    acknowledged: dict[tuple[int, int], bytes]
    progress: ProgressCell

    @property
    def wal(self) -> Path:
        """The only write-ahead log."""
        (wal,) = (self.folder / "ledger" / "database").glob("*.log")
        return wal


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


async def crash(folder: Path) -> Crashed:
    """Make a ledger with records, rows, marks and progress, and copy it while it is open."""
    acknowledged = {}
    async with opened(folder / "running") as ledger:
        for number in range(10):
            one = known(number, partitions=PARTITIONS, padding=1)
            acknowledged[await append(ledger.log, one)] = one.value
            if number == 5:
                await keep_rows(ledger, [(p, i, v) for (p, i), v in acknowledged.items()][:3])
                assert await ledger.store.decide_progress(entry(1))
        await keep_rows(ledger, [(p, i, v) for (p, i), v in acknowledged.items()][3:5])
        shutil.copytree(folder / "running", folder / "crashed")
    return Crashed(folder / "crashed", acknowledged, entry(1))


async def outcome(crashed: Crashed, wal: bytes) -> str:
    """Put `wal` in place of the write-ahead log, open, and judge."""
    crashed.wal.write_bytes(wal)
    before = listing(crashed.folder)
    refusal: Diverged | None = None
    try:
        async with opened(crashed.folder) as ledger:
            found = await contents(ledger.log)
            assert found == crashed.acknowledged | found, "an acknowledged record is gone"
            assert not await unmarked_rows(ledger), "a mark without its rows"
            assert await ledger.store.progress_at() == crashed.progress
    except Diverged as error:
        refusal = error
    if refusal is None:
        return "harmless"
    assert "Nothing has been changed" in refusal.message
    assert listing(crashed.folder) == before, "a refusal changed the folder"
    return refusal.reason


def listing(folder: Path) -> dict[str, bytes]:
    """Every file and its bytes, but for who holds the folder."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "LOCK"
    }


async def test_a_flipped_bit_is_refused_or_harmless(memory: Path) -> None:
    """Whichever bit of the write-ahead log is flipped, no acknowledged record is lost silently.

    One bit of each byte, and all eight in the soak.
    """
    original = await crash(memory)
    wal = original.wal.read_bytes()
    assert 2_000 < len(wal) <= WAL_BYTES_MAX
    working = memory / "working"
    outcomes: Counter[str] = Counter()
    fresh = False
    for at in range(len(wal)):
        for bit in range(8) if is_soak() else [at % 8]:
            if not fresh:
                shutil.rmtree(working, ignore_errors=True)
                shutil.copytree(original.folder, working)
            flipped = bytearray(wal)
            flipped[at] ^= 1 << bit
            # A refusal changes nothing, so its folder serves again.
            result = await outcome(original._replace(folder=working), bytes(flipped))
            fresh = result != "harmless"
            outcomes[result] += 1

    # It sees losses, it is not all alarm, and it knows the one that makes RocksDB spin.
    assert outcomes["LOG_SHORTER_THAN_ACKNOWLEDGED"] > len(wal) // 2
    assert outcomes["harmless"] > 0
    assert outcomes["WRITE_AHEAD_LOG_DAMAGED"] > 0
