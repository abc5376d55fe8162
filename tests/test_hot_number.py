"""One number that is scanned a million times, a test label: its trail pages, and nobody waits."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.asking import asked, listing
from tests.scale import scaled
from tests.trails import NUMBER, at_minute, scan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asking import Asked

SCANS = scaled(20_000, soak=1_000_000)
PUT_AT_ONCE = 5_000
PAGE = 1_000
OTHER = "RR987654326CH"

ASKED = 100
SLOWER_MAX = 3.0
"""Another trail, beside what it took before: the machine may be busy with other tests."""

PAGE_S_MAX = 1.0
"""A page of a thousand entries, wherever in the trail; some 30 ms on a quiet machine."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(120, soak=3_600))]


async def other_s(door: Asked) -> float:
    """How long another number's trail usually takes."""
    took = []
    for _ in range(ASKED):
        began = time.monotonic()
        answer = await door.trails.ListScanEvents(listing(tracking_number=OTHER))
        took.append(time.monotonic() - began)
        assert len(answer.entries) == 20
    return median(took)


async def test_a_number_that_is_scanned_without_end(tmp_path: Path) -> None:
    """Each of its scans comes once and in order, no page takes long, the middle is found as fast
    as the start, and another number's trail takes what it took before.
    """
    async with asked(tmp_path / "ledger") as door:
        await door.shelf.put(*(scan(("o", i), minute=i, number=OTHER) for i in range(20)))
        before_s = await other_s(door)
        for first in range(0, SCANS, PUT_AT_ONCE):
            numbers = range(first, first + PUT_AT_ONCE)
            await door.shelf.put(*(scan(i, minute=i) for i in numbers))
        after_s = await other_s(door)

        began = time.monotonic()
        middle = await door.list(page_size=1, start_time=at_minute(SCANS // 2))
        longest_s = time.monotonic() - began
        expected = 0
        async for page in door.pages(page_size=PAGE):
            longest_s = max(longest_s, time.monotonic() - began)
            start_s = at_minute(0).seconds
            minutes = [(entry.event.scan_time.seconds - start_s) // 60 for entry in page.entries]
            assert minutes == list(range(expected, expected + len(minutes)))
            expected += len(minutes)
            began = time.monotonic()

    print(f"longest page {longest_s:.3f} s, another trail {before_s:.5f} then {after_s:.5f} s")  # noqa: T201
    assert expected == SCANS
    assert middle.entries[0].event.tracking_number == NUMBER
    assert longest_s < PAGE_S_MAX
    assert after_s < SLOWER_MAX * before_s
