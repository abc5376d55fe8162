"""A gateway says how far its sources have minted: so the ledger knows what lies at a facility."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest import minted as minted_module
from ingest.minted import PASSED_ON_S, Minted
from ledger.position import RECEIPTS_LOG
from ledger.v1.ingest_service_pb2 import SourceProgress
from ledger.v1.receipt_pb2 import RECEIPT_KIND_WORD
from tests.gateways import FAST, Gateway, gateway
from tests.ingest_server import Caller, faulty_log, record_batch, serving
from tests.ingest_traffic import SOURCE, SPOOL, a_batch, an_encoded_event
from tests.receipt_logs import QUICK, progress, written
from tests.scripted_server import ScriptedServer, scripted, taken
from tests.shells import free_address

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LIVELY = replace(FAST, heartbeat_s=0.05)


def word(source: str, through: int, *, acked: int = 0) -> SourceProgress:
    """What a source says of itself."""
    return SourceProgress(
        source_id=source, spool_id=SPOOL, minted_through=through, acked_through=acked
    )


async def test_batches_carry_it_on(tmp_path: Path) -> None:
    """What the source said with its batch stands on the gateway's batch; one that says nothing has
    minted what it has sent.
    """
    async with scripted(taken) as ledger, gateway(tmp_path, ledger.address) as between:
        events = [an_encoded_event(n) for n in range(5)]
        channel = between.served.channel
        await record_batch(channel, a_batch(events, minted_through=100))
        await record_batch(channel, a_batch(events, source_id="gate-2"))
        await between.forwarded()

    said = {one.source_id: one.minted_through for one in ledger.batches}
    assert said == {SOURCE: 100, "gate-2": 5}


async def test_it_speaks_for_who_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a source that has sent nothing, while its stream is open, and no longer. What the
    gateway told it is no word of the ledger: that is not passed on.
    """
    monkeypatch.setattr(minted_module, "PASSED_ON_S", 0.0)
    async with (
        scripted(taken) as ledger,
        gateway(tmp_path, ledger.address, settings=LIVELY) as between,
    ):
        scanner = Caller(between.served.channel)
        await scanner.open([word("gate-7", 12, acked=12)])
        told = await next_heartbeat(ledger)
        while not told:
            told = await next_heartbeat(ledger)
        await scanner.close()
        await silence(between)
        after = [await next_heartbeat(ledger) for _ in range(2)]

    assert told == [word("gate-7", 12)]
    assert after == [[], []]


async def test_a_word_outlives_its_stream(tmp_path: Path) -> None:
    """Who says how far it is, and leaves before the next heartbeat, is passed on all the same; so
    it is by every stream to the ledger that is opened meanwhile.
    """
    async with gateway(tmp_path, address := free_address(), settings=LIVELY) as between:
        scanner = Caller(between.served.channel)
        await scanner.open([word("gate-7", 12)])
        await scanner.close()
        await silence(between)
        async with scripted(taken, address) as ledger:
            await ledger.greeted.wait()
            opened = ledger.opens[0].sources
            told = await next_heartbeat(ledger)

    assert list(opened) == told == [word("gate-7", 12)]


async def next_heartbeat(ledger: ScriptedServer) -> list[SourceProgress]:
    """Wait for one that comes from now on, and give its sources."""
    heard = len(ledger.others)
    while len(ledger.others) == heard:  # noqa: ASYNC110 - nothing tells.
        await asyncio.sleep(0.01)
    return list(ledger.others[heard].heartbeat.sources)


async def silence(between: Gateway) -> None:
    """Wait until nobody speaks to the gateway."""
    while between.served.service.speaking:  # noqa: ASYNC110 - nothing tells.
        await asyncio.sleep(0.01)


async def test_the_ledger_writes_down_what_lies_at_the_facility(tmp_path: Path) -> None:
    """When a gateway gets its line back, its first words say how much there is to come."""
    address = free_address()
    async with (
        faulty_log(tmp_path) as log,
        gateway(tmp_path, address) as between,
    ):
        scanner = Caller(between.served.channel)
        await scanner.open([progress(minted=100, acked=60)])
        async with serving(log, port=int(address.rpartition(":")[2]), limits=QUICK):
            [first, *_] = await written(log.beside[RECEIPTS_LOG], 1)

    assert first.kind == RECEIPT_KIND_WORD
    assert (first.minted_through, first.acked_through) == (100, 0)


def test_many_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message takes so many of those that speak now, and the next one goes on; those beyond a
    limit are spoken for when they send.
    """
    monkeypatch.setattr(minted_module, "TOLD_MAX", 2_500)
    now_s = [0.0]
    minted = Minted(monotonic=lambda: now_s[0])
    sources = [(f"gate-{n}", SPOOL) for n in range(3_000)]
    for n, source in enumerate(sources):
        minted.hear(source, n + 1)
    now_s[0] = PASSED_ON_S + 1

    turns = [minted.progress([*sources, ("unknown", SPOOL)]) for _ in range(4)]
    assert [len(turn) for turn in turns] == [1_000, 1_000, 500, 1_000]
    assert turns[2][-1] == word("gate-2499", 2_500)
    assert turns[3] == turns[0]


def test_who_has_left_is_spoken_for_a_while() -> None:
    """For so long after its last word, each source once, before those that are only connected."""
    now_s = [0.0]
    minted = Minted(monotonic=lambda: now_s[0])
    here, left = ("gate-1", SPOOL), ("gate-2", SPOOL)
    minted.hear(here, 5)
    minted.hear(left, 7)

    assert minted.progress([here]) == [word("gate-2", 7), word("gate-1", 5)]
    now_s[0] = PASSED_ON_S
    minted.hear(left, 6)
    now_s[0] += PASSED_ON_S
    assert minted.progress([here]) == [word("gate-2", 7), word("gate-1", 5)]
    now_s[0] += 1.0
    assert minted.progress([here]) == [word("gate-1", 5)]


def test_it_only_grows_and_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older word changes nothing; the source that was quiet for longest is forgotten."""
    monkeypatch.setattr(minted_module, "KNOWN_MAX", 2)
    minted = Minted(monotonic=lambda: 0.0)
    for source, through in (("a", 5), ("b", 7), ("a", 3), ("c", 1)):
        minted.hear((source, SPOOL), through)

    assert [minted.through((source, SPOOL)) for source in "abc"] == [5, 0, 1]
