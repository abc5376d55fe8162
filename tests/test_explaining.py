"""Sources' own codes in answers: explained when they are read, marked, and never written anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ledger.metrics import REGISTRY
from ledger.v1 import scan_event_pb2 as pb
from ledger.v1.trail_service_pb2 import BatchGetTrailsRequest, WatchTrailRequest
from ledger.v1.vocabulary_pb2 import CodeFlag, MappedEvent
from ledger.vocabulary import built_in, load_mappings
from ledger.vocabulary.mapping import Way, sample
from tests.asking import asked
from tests.trails import NUMBER, Arrival, scan

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.v1.trail_service_pb2 import TrailEntry
    from tests.asking import Asked

UNMAPPED = pb.SCAN_EVENT_TYPE_UNMAPPED


def coded(name: object, system: str, code: str, **fields: object) -> pb.ScanEvent:
    """An event that came with its source's own code."""
    codes = {"code_system": system, "source_code": code}
    return scan(name, type=UNMAPPED, **codes, **fields)  # type: ignore[arg-type] # As `scan` does.


async def only(door: Asked) -> TrailEntry:
    """The one entry of the trail."""
    [entry] = (await door.list()).entries
    return entry


async def test_a_code_is_explained_beside_the_event(door: Asked) -> None:
    """The answer says what the code means, by which mapping; the event stays as it came."""
    event = coded("a", "usps", "51", source_text="Business Closed")
    await door.shelf.put(event)

    entry = await only(door)

    assert entry.event == event
    assert entry.mapped == MappedEvent(
        type=pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED,
        reason=pb.EVENT_REASON_BUSINESS_CLOSED,
        mapping="usps",
        mapping_version="1",
    )


async def test_what_the_event_says_itself_goes_first(door: Asked) -> None:
    """A reason or a mode that the source states is not replaced by that of the code."""
    reason, mode = pb.EVENT_REASON_HOLIDAY, pb.DELIVERY_MODE_LOCKER
    await door.shelf.put(coded("a", "usps", "51", reason=reason, delivery_mode=mode))

    entry = await only(door)

    assert (entry.mapped.reason, entry.mapped.delivery_mode) == (reason, mode)


async def test_all_that_a_code_says_is_shown(door: Asked) -> None:
    """Direction of customs, kind of facility, and whether somebody has to act."""
    await door.shelf.put(
        coded("a", "upu-emsevt-3", "EDB", minute=1),
        coded("b", "upu-emsevt-3", "EMG", minute=2),
        coded("c", "aftership", "Exception_006", minute=3),
    )

    a, b, c = (entry.mapped for entry in (await door.list()).entries)

    assert a.customs_direction == pb.CUSTOMS_DIRECTION_IMPORT
    assert b.facility_role == "DELIVERY_UNIT"
    assert (c.action_required, c.reason) == (True, pb.EVENT_REASON_PAYMENT_DUE)


@pytest.mark.parametrize(("system", "code"), [("usps", "ZZ"), ("acme", "01"), ("usps", "1")])
async def test_an_unknown_code_stays_unmapped(door: Asked, system: str, code: str) -> None:
    """Nothing is guessed."""
    event = coded("a", system, code)
    await door.shelf.put(event)

    entry = await only(door)

    assert not entry.HasField("mapped")
    assert entry.event == event


async def test_what_nobody_maps_is_counted(door: Asked) -> None:
    """By our own name of the code system, however a source writes it; what is mapped is not."""

    def counted() -> list[float]:
        samples = ({"system": "fedex"}, {"system": "other"}, {"system": "ups"})
        name = "ledger_query_unmapped_entries_total"
        return [REGISTRY.get_sample_value(name, labels) or 0.0 for labels in samples]

    await door.shelf.put(
        coded("a", " FedEx", "Q"),
        coded("b", "fedex", "DL", minute=1),
        coded("c", "zork", "1", minute=2),
        coded("d", "ups", "11", minute=3),
        scan("e", minute=4, code_system="ups", source_code="none"),
    )
    before = counted()
    await door.list()

    assert [after - was for after, was in zip(counted(), before, strict=True)] == [1, 1, 0]
    assert REGISTRY.get_sample_value("ledger_query_unmapped_entries_total", {"system": "dhl"}) == 0


async def test_a_canonical_event_is_not_mapped(door: Asked) -> None:
    """What the source has mapped itself stands, whatever code it left beside it."""
    await door.shelf.put(scan("a", code_system="usps", source_code="01"))

    assert not (await only(door)).HasField("mapped")


async def test_rules_set_flags_also_on_canonical_events(door: Asked) -> None:
    """EMH without reason and action, EME without retention reason; whole ones have none."""
    upu = "upu-emsevt-3"
    whole = {"source_reason_code": "12", "source_action_code": "B"}
    await door.shelf.put(
        coded("a", upu, "EMH", minute=1),
        coded("b", upu, "EMH", minute=2, **whole),
        coded("c", upu, "EME", minute=3),
        scan("d", minute=4, code_system=upu, source_code="EME"),
        coded("e", upu, "EMI", minute=5),
    )

    flags = [list(entry.marks.code_flags) for entry in (await door.list()).entries]

    assert flags == [
        [CodeFlag.CODE_FLAG_REASON_MISSING, CodeFlag.CODE_FLAG_ACTION_MISSING],
        [],
        [CodeFlag.CODE_FLAG_CLOCK_NOT_STOPPED],
        [CodeFlag.CODE_FLAG_CLOCK_NOT_STOPPED],
        [],
    ]


async def test_every_answer_explains_alike(door: Asked) -> None:
    """A page, a batch and a watch say the same of an event."""
    await door.shelf.put(
        coded("a", "fedex", "DL"), Arrival(coded("b", "fedex", "Q", minute=1), "other")
    )
    listed = list((await door.list()).entries)

    batch = BatchGetTrailsRequest(tracking_numbers=[NUMBER])
    [got] = [answer async for answer in door.trails.BatchGetTrails(batch)]
    watch = door.trails.WatchTrail(WatchTrailRequest(tracking_number=NUMBER))
    async with asyncio.timeout(10):
        first = await anext(aiter(watch))
    watch.cancel()

    assert list(got.entries) == listed
    assert list(first.entries) == listed
    assert [entry.HasField("mapped") for entry in listed] == [True, False]


async def test_a_better_mapping_explains_old_scans(tmp_path: Path) -> None:
    """Nothing is recorded again: the same folder, read with another mapping, says what it means,
    and names the version of that mapping.
    """
    own = tmp_path / "own"
    own.mkdir()
    folder = tmp_path / "ledger"
    seen = []
    for version, rows in enumerate(("K1,HELD", "K1,HELD\nK9,LOST")):
        (own / "acme.csv").write_text(
            f"# code-system: acme\n# version: {version}\ncode,event\n{rows}\n"
        )
        async with asked(folder, mappings=load_mappings(own)) as door:
            if not version:
                await door.shelf.put(coded("a", "ACME", "k9"))
            entry = await only(door)
            seen.append((entry.event, entry.mapped.type, entry.mapped.mapping_version))

    assert seen[0][0] == seen[1][0]
    assert [said[1:] for said in seen] == [(0, ""), (pb.SCAN_EVENT_TYPE_LOST, "1")]


def test_what_is_passed_over_at_a_glance_says_nothing() -> None:
    """For every row that is built in: where a code is silent, its row needs nothing and holds for
    every event; and there are codes of both kinds.
    """
    mappings, silent = built_in(), 0
    for mapping in mappings.all:
        for row in mapping.rows:
            event = sample(row, mapping.system)
            if row.way is not Way.OUT and mappings.is_silent(event):
                silent += 1
                found = mappings.inwards(event)
                assert found is not None
                assert not found.row.needs
                assert not found.row.is_conditional
    assert 0 < silent < sum(len(mapping.rows) for mapping in mappings.all)


async def test_what_a_code_needs_is_said_of_events_with_a_type(door: Asked) -> None:
    """Also where the type is the event's own: nothing is silent that misses something."""
    needing = [
        (mapping.system, row.code)
        for mapping in built_in().all
        for row in mapping.rows
        if row.needs and not row.is_conditional and row.way is not Way.OUT
    ]
    system, code = needing[0]
    await door.shelf.put(scan("a", code_system=system, source_code=code))

    assert (await only(door)).marks.code_flags
