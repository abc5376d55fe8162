"""The logs of one folder: they share a commit and a sync, and nothing else."""

import asyncio
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from ledger.backends import log_rocksdb
from ledger.backends.rocksdb_folder import Folder
from ledger.backends.rocksdb_format import HIGH_WATERS
from ledger.errors import Busy, Diverged
from ledger.position import LOGS, QUARANTINE_LOG, RECEIPTS_LOG, REFUSALS_LOG, SCANS_LOG
from ledger.scan_log import RECORD_BYTES_MAX_OF, Run, ScanLog
from tests.contracts.patience import Starting, append, ends, follow_until, records
from tests.faults.test_flipped_bits import listing
from tests.folders import PARTITIONS, opened


def logs_of(ledger: Folder) -> dict[str, ScanLog]:
    """All logs of a folder by their names."""
    found: list[ScanLog] = [ledger.log, ledger.receipts, ledger.refusals, ledger.quarantine]
    return {log.identity.name: log for log in found}


def as_of_before_named_logs(folder: Path) -> None:
    """Make of a folder what a program left that knew `scans` alone."""
    made = json.loads((folder / "FORMAT").read_text())
    del made["logs"]
    (folder / "FORMAT").write_text(json.dumps(made))
    for name in (RECEIPTS_LOG, REFUSALS_LOG, QUARANTINE_LOG):
        (folder / f"HIGHWATER-{name}").unlink()


class TestApart:
    async def test_each_has_its_name_and_its_limit(self, tmp_path: Path) -> None:
        """Partitions and promise are the same, the largest record is a log's own."""
        async with opened(tmp_path) as ledger:
            identities = {name: log.identity for name, log in logs_of(ledger).items()}

        assert tuple(identities) == LOGS
        assert {name: one.record_bytes_max for name, one in identities.items()} == dict(
            RECORD_BYTES_MAX_OF
        )
        assert {one.partitions for one in identities.values()} == {PARTITIONS}

    async def test_each_counts_and_is_read_for_itself(self, tmp_path: Path) -> None:
        """Appends at once to all logs: each has its own indexes, records and followers, also after
        the folder was opened again.
        """
        values = {name: records(3 + place) for place, name in enumerate(LOGS)}
        async with opened(tmp_path) as ledger:
            logs = logs_of(ledger)
            firsts = await asyncio.gather(*(append(logs[n], 1, values[n]) for n in LOGS))
            await append(ledger.refusals, 0, [b"one more"])
            async with ledger.receipts.follow("r", Starting(dict.fromkeys(range(4), 0))) as reader:
                seen = await follow_until(reader, len(values[RECEIPTS_LOG]))
        async with opened(tmp_path) as ledger:
            logs = logs_of(ledger)
            after = {name: await ends(log) for name, log in logs.items()}
            read = {name: list(await log.read(1, 0, 100)) for name, log in logs.items()}

        assert list(firsts) == [0, 0, 0, 0]
        assert {place: list(of.values()) for place, of in seen.items()} == {1: values[RECEIPTS_LOG]}
        assert {name: of[1] for name, of in after.items()} == {n: len(values[n]) for n in LOGS}
        assert {name: of[0] for name, of in after.items()} == {
            **dict.fromkeys(LOGS, 0),
            "refusals": 1,
        }
        assert read == values

    async def test_a_follower_is_not_woken_into_another_log(self, tmp_path: Path) -> None:
        """Readers of one name in two logs do not stand in each other's way."""
        start = Starting(dict.fromkeys(range(PARTITIONS), 0))
        async with (
            opened(tmp_path) as ledger,
            ledger.log.follow("same", start) as scans,
            ledger.quarantine.follow("same", start) as quarantined,
        ):
            await append(ledger.log, 0, [b"scan"])
            await append(ledger.quarantine, 0, [b"record"])

            assert list(await scans.next(10)) == [Run(0, 0, [b"scan"])]
            assert list(await quarantined.next(10)) == [Run(0, 0, [b"record"])]

    async def test_a_flood_in_one_leaves_room_in_the_others(self, tmp_path: Path) -> None:
        """What waits is bounded log by log: refusals that find no room are Busy, scans go on."""
        async with opened(tmp_path) as ledger:
            size = RECORD_BYTES_MAX_OF[REFUSALS_LOG]
            flood = [
                asyncio.create_task(append(ledger.refusals, n % PARTITIONS, [bytes(size)] * 10))
                for n in range(2 * log_rocksdb.SIDE_PENDING_BYTES_MAX // (10 * size))
            ]
            scans = asyncio.create_task(append(ledger.log, 0, [b"scan"]))
            outcomes = await asyncio.gather(*flood, return_exceptions=True)

            assert await scans == 0
        assert Counter(type(one) for one in outcomes).keys() == {int, Busy}


async def test_logs_share_one_commit(tmp_path: Path) -> None:
    """What comes for all logs at once is one write and one sync."""
    steps: Counter[str] = Counter()
    async with opened(tmp_path, on_step=lambda step: steps.update([step])) as ledger:
        await asyncio.gather(*(append(log, 0, [b"x"]) for log in logs_of(ledger).values()))

    assert steps["log: before the write"] == steps["log: after the sync"] == 1


@pytest.mark.parametrize("name", LOGS)
async def test_a_log_that_lost_records_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    """A folder from a backup under a newer high-water file: the log, its partition and the indexes
    that are gone are named, and nothing is changed.
    """
    folder, older = tmp_path / "ledger", tmp_path / "older"
    file = "HIGHWATER" if name == SCANS_LOG else f"HIGHWATER-{name}"
    async with opened(tmp_path) as ledger:
        for log in logs_of(ledger).values():
            await append(log, 2, records(3))
    shutil.copytree(folder, older / "ledger")
    async with opened(tmp_path) as ledger:
        await append(logs_of(ledger)[name], 2, records(4))
    shutil.copy(folder / file, older / "ledger" / file)
    before = listing(older)

    with pytest.raises(Diverged, match=f"log `{name}` are gone: partition 2, indexes 3 to 6") as e:
        async with opened(older):
            pass

    assert e.value.reason == "LOG_SHORTER_THAN_ACKNOWLEDGED"
    assert e.value.metadata["log"] == name
    assert listing(older) == before


class TestOlderFolders:
    async def test_one_without_the_other_logs_gets_them(self, tmp_path: Path) -> None:
        """A folder that was made when there was `scans` alone opens as it was, with empty logs
        beside it, which are kept from then on.
        """
        values = records(5)
        async with opened(tmp_path) as ledger:
            await append(ledger.log, 3, values)
        as_of_before_named_logs(tmp_path / "ledger")

        async with opened(tmp_path) as ledger:
            assert list(await ledger.log.read(3, 0, 10)) == values
            for log in (ledger.receipts, ledger.refusals, ledger.quarantine):
                assert set((await ends(log)).values()) == {0}
            await append(ledger.receipts, 0, [b"receipt"])
        (tmp_path / "ledger" / "HIGHWATER-receipts").unlink()

        with pytest.raises(Diverged, match=r"high-water file .*-receipts is missing"):
            async with opened(tmp_path):
                pass

    async def test_a_getting_that_was_cut_short_is_repeated(self, tmp_path: Path) -> None:
        """A crash between the new files and the line that names them is no obstacle."""
        async with opened(tmp_path) as ledger:
            await append(ledger.log, 0, [b"scan"])
        as_of_before_named_logs(tmp_path / "ledger")
        (tmp_path / "ledger" / "HIGHWATER-receipts").write_bytes(b"PLH")
        (tmp_path / "ledger" / "FORMAT.new").write_bytes(b"{")

        async with opened(tmp_path) as ledger:
            assert list(await ledger.log.read(0, 0, 10)) == [b"scan"]
            await append(ledger.receipts, 0, [b"receipt"])

    async def test_one_that_is_refused_is_left_as_it_was(self, tmp_path: Path) -> None:
        """Nothing is added to a folder that lost scans."""
        async with opened(tmp_path) as ledger:
            await append(ledger.log, 0, [b"scan"])
        as_of_before_named_logs(tmp_path / "ledger")
        shutil.rmtree(tmp_path / "ledger" / "database")
        before = listing(tmp_path)

        with pytest.raises(Diverged, match="database"):
            async with opened(tmp_path):
                pass

        assert listing(tmp_path) == before

    async def test_logs_of_a_later_program_stay_named(self, tmp_path: Path) -> None:
        """A log that we do not know is left as it is."""
        async with opened(tmp_path):
            pass
        as_of_before_named_logs(tmp_path / "ledger")
        file = tmp_path / "ledger" / "FORMAT"
        file.write_text(json.dumps({**json.loads(file.read_text()), "logs": ["scans", "access"]}))

        async with opened(tmp_path):
            pass

        assert json.loads(file.read_text())["logs"] == ["scans", "access", *HIGH_WATERS[1:]]
