"""A crash while a spool writes its last scans anew: the next start finds every one of them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from random import Random

import pytest

from ingest.spool import Spool
from ingest.spool_opening import spool_on
from tests.virtual_disk import Crash, VirtualDisk

SCANS = [b"scan %d" % number for number in range(7)]
CALLS_MOST = 20
"""More calls than a start makes."""


async def at_once(call: Callable[..., object], *args: object) -> object:
    """Do what blocks, here and now."""
    return call(*args)


def opened(disk: VirtualDisk) -> AbstractAsyncContextManager[Spool]:
    """The spool on a disk."""
    return spool_on(disk, now_ns=lambda: 1, random_bytes=bytes, worker=at_once)


async def dies_after_spooling(disk: VirtualDisk) -> None:
    """Spool scans, and die before anything says that they are synced."""
    with suppress(Crash):
        async with opened(disk) as spool:
            await spool.append(SCANS[:3])
            await spool.append(SCANS[3:])
            disk.in_calls(0, "before")


async def starts_and_dies(disk: VirtualDisk, call: int, fault: str) -> bool:
    """Start, and die in that call; say whether it did."""
    disk.in_calls(call, fault)
    try:
        async with opened(disk):
            disk.plan.clear()
    except Crash:
        return True
    return False


@pytest.mark.parametrize("fault", ["before", "after", "torn"])
@pytest.mark.parametrize("power", [False, True])
async def test_every_start_may_be_the_one_that_dies(fault: str, power: bool) -> None:
    """Whichever call of a start is its last one, once or twice in a row: no scan is lost."""
    died = 0
    for first in range(CALLS_MOST):
        for second in range(CALLS_MOST):
            disk = VirtualDisk(Random(first))
            await dies_after_spooling(disk)
            for call in (first, second):
                if power:
                    disk.cut_power()
                died += await starts_and_dies(disk, call, fault)
            disk.plan.clear()
            async with opened(disk) as spool:
                found = {
                    scan for at in (1, 4) for frame in spool.frames(at, 1) for scan in frame.scans
                }
                assert found == set(SCANS), (first, second, disk.fell)
                assert (spool.next_place, spool.unsettled) == (len(SCANS) + 1, len(SCANS))
    assert died > CALLS_MOST
