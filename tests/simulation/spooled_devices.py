"""Scanners with a spool on a disk that may lose, tear and fail; the spool is the real one.

What the spool has taken is promised: it gets its result, however often program and power fail. What
it did not take, because it was full or the disk failed, is taken again with the same id.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ingest.spool_opening import spool_on
from ingest.spooled_scanner import SpooledScanner
from ledger.errors import Busy, NotPossibleNow, Uncertain
from tests.simulation.devices import SETTINGS, Device
from tests.virtual_disk import Crash, VirtualDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from ingest.spool import Spool
    from ingest.spool_refused import RefusedScan
    from tests.simulation.devices import Scan
    from tests.simulation.network import SimChannel

DISK_S: Final = 0.004
"""Time that the work of one call on the disk takes at most."""


class SpooledDevice(Device):
    """One scanner with a disk, through all lives of its program."""

    def __init__(self, source: str, *, random: Random, **more: Any) -> None:  # noqa: ANN401
        super().__init__(source, random=random, **more)
        self.disk = VirtualDisk(random)
        self.die: Callable[[], object] = bool
        """Ends this life of the program."""
        self._at: dict[tuple[bytes, int], Scan] = {}
        """By spool and place."""
        self._in_hand: list[Scan] = []
        """What the spool has not taken yet."""

    async def run(self, channel: SimChannel, now_ns: Any) -> None:  # noqa: ANN401
        with suppress(NotPossibleNow):  # The disk fails at the start: the next life tries again.
            await self._live(channel, now_ns)

    async def _live(self, channel: SimChannel, now_ns: Any) -> None:  # noqa: ANN401
        random, loop = self._random, self._loop
        async with (
            spool_on(
                self.disk,
                source_id=self.source,
                now_ns=now_ns,
                random_bytes=random.randbytes,
                worker=self._work,
            ) as spool,
            SpooledScanner(
                "",
                source_id=self.source,
                spool=spool,
                settings=SETTINGS,
                channel=channel,  # type: ignore[arg-type] # It has what is used.
                now_ns=now_ns,
                monotonic=loop.time,
                random=random.random,
            ) as scanner,
        ):
            self._listen(spool)
            while self._left > 0 or self._in_hand:
                if not self._in_hand:
                    await asyncio.sleep(self._gap_s * random.random() * 2)
                    self._in_hand = self._see()
                await self._put_into(spool, scanner)
            await scanner.flush()
        self.is_done = True

    async def _put_into(self, spool: Spool, scanner: SpooledScanner) -> None:
        """Have the spool take what is in hand; where it does not, try again."""
        scans = [scan for scan in self._in_hand if scan.event]  # What is nothing is not spooled.
        try:
            first = await scanner.submit([scan.event for scan in scans]) if scans else 0
        except (Busy, Uncertain):
            await asyncio.sleep(0.2)
            return
        self._in_hand = []
        for place, scan in enumerate(scans, first):
            self._at[spool.spool_id, place] = scan
            if not scan.is_bad:
                self._history.spooled(scan)

    def _listen(self, spool: Spool) -> None:
        """Hear what the spool is told of each scan."""
        settle, refuse = spool.settle, spool.refuse

        def settled(first: int, end: int) -> None:
            for place in range(first, end):
                self._tell(spool, place, "durable")
            settle(first, end)

        def refused(scans: Sequence[RefusedScan]) -> None:
            for scan in scans:
                self._tell(spool, scan.place, "refused")
            refuse(scans)

        spool.settle, spool.refuse = settled, refused  # type: ignore[method-assign]

    def _tell(self, spool: Spool, place: int, fate: str) -> None:
        # What a life left in the spool that died before it knew is nobody's promise.
        if scan := self._at.get((spool.spool_id, place)):
            scan.fate = fate
            self._history.told(scan)
            self._history.on_placed(scan, spool.spool_id, place)

    async def _work(self, call: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401
        """Do what blocks, after a time; the program may die in the middle of it."""
        await asyncio.sleep(DISK_S * self._random.random())
        try:
            return call(*args)
        except Crash:
            self.die()
            return await asyncio.get_running_loop().create_future()
