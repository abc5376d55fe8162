"""What issuing counts: numbers given, numbers wasted, and how much of a range is free."""

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.errors import LedgerError, NotPossibleNow, Uncertain
from ledger.issuing import Issuer
from ledger.metrics import REGISTRY
from tests.folders import opened
from tests.number_blocks import NOW_NS, FaultyBlocks, small_range, wanted


class Counts(NamedTuple):
    """The metrics of a range."""

    issued: float | None
    wasted: float | None
    contended: float | None
    free: float | None


def counts(name: str) -> Counts:
    """Read them as Prometheus would."""

    def value(metric: str) -> float | None:
        return REGISTRY.get_sample_value(f"ledger_numbers_{metric}", {"range": name})

    return Counts(
        value("issued_total"),
        value("wasted_total"),
        value("contended_takes_total"),
        value("free_ratio"),
    )


async def test_numbers_given_and_what_is_left(tmp_path: Path) -> None:
    """A block counts once, however often its request comes; what is refused counts for nothing."""
    one = small_range(20, name="counted")
    async with opened(tmp_path) as ledger:
        issuer = Issuer(ledger.numbers, [one], now_ns=lambda: NOW_NS)
        before = counts("counted")
        request = wanted(15, range_id="counted")
        await issuer.issue(request)
        await issuer.issue(request)
        with pytest.raises(NotPossibleNow):
            await issuer.issue(wanted(6, range_id="counted"))
        after = counts("counted")
        again = Issuer(ledger.numbers, [one], now_ns=lambda: NOW_NS)
        await again.issue(wanted(5, range_id="counted"))

    assert before == Counts(0, 0, 0, None)
    assert after == Counts(15, 0, 0, 0.25)
    assert counts("counted") == Counts(20, 0, 0, 0)


async def test_a_range_that_is_only_listed_is_shown(tmp_path: Path) -> None:
    """Who lists ranges brings what is free up to date, also in a process that issued nothing."""
    one = small_range(10, name="listed")
    async with opened(tmp_path) as ledger:
        await Issuer(ledger.numbers, [one], now_ns=lambda: NOW_NS).standing()

    assert counts("listed") == Counts(0, 0, 0, 1)


async def test_what_is_unsure_is_wasted(tmp_path: Path) -> None:
    """A move whose outcome is not known, and the block of a retry that came second, go to nobody;
    who was overtaken takes again.
    """
    one = small_range(100, name="unsure")
    async with opened(tmp_path) as ledger:
        blocks = FaultyBlocks(ledger.numbers)
        issuer = Issuer(blocks, [one], now_ns=lambda: NOW_NS)
        faults: list[LedgerError | None] = [Uncertain("", reason="TEST"), None, None]
        blocks.fails_written = lambda method: faults.pop(0) if method == "move" else None
        await issuer.issue(wanted(7, range_id="unsure"))
        unsure = counts("unsure")

        blocks.fails_written = lambda _: None
        request = wanted(10, range_id="unsure")
        await asyncio.gather(issuer.issue(request), issuer.issue(request))
        twice = counts("unsure")

    assert unsure == Counts(7, 7, 0, 0.86)
    assert (twice.issued, twice.wasted) == (17, 17)
    assert twice.contended in (0, 1)
    assert twice.free == pytest.approx(0.66)
