"""`ExplainItem`: an item in words over gRPC, in the language that is asked for, now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.v1.explanation_pb2 import ContactParty, ExplanationKind, LikelyCause, SilenceBasis
from ledger.v1.item_service_pb2 import ExplainItemRequest, ItemView
from ledger.v1.trail_service_pb2 import LookupStatus
from query.explanation import Basis, Cause
from query.lanes import TIMES_MIN
from query.texts.keys import PARTIES
from tests.asking import failing
from tests.bags import put_in, see
from tests.item_doors import Clock, item_door, put
from tests.tellers import START_NS, WITHDRAWN, correct, say, usual
from tests.trails import NUMBER, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ledger.v1.item_service_pb2 import ExplainItemResponse
    from tests.asking import Asked

TIMELINE = ItemView.ITEM_VIEW_TIMELINE


async def explain(door: Asked, **fields: object) -> ExplainItemResponse:
    """Ask about the usual number, unless the fields say otherwise."""
    request = ExplainItemRequest(**{"tracking_number": NUMBER, **fields})  # type: ignore[arg-type]
    return await door.items.ExplainItem(request)


@pytest.mark.parametrize(
    ("wanted", "spoken", "headline"),
    [
        ("en", "en", "Out for delivery"),
        ("de-AT", "de", "In Zustellung"),
        ("ES", "es", "En reparto"),
        ("fr", "en", "Out for delivery"),
        ("", "en", "Out for delivery"),
    ],
)
async def test_the_language_that_is_spoken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, spoken: str, headline: str
) -> None:
    """The one that is asked for, the one that it is a kind of, or English; and the answer says
    which, beside the item itself.
    """
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, usual())
        found = await explain(door, language=wanted)

    assert found.language == spoken
    assert found.status.headline == headline
    assert found.status.kind == ExplanationKind.EXPLANATION_KIND_STATUS
    assert found.status.name == "OUT_FOR_DELIVERY"
    assert found.answer.status == LookupStatus.LOOKUP_STATUS_FOUND
    assert found.answer.item.place.facility == "DU"
    assert not found.events


async def test_events_are_explained_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, each with its id, so that a program finds it in the trail."""
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, usual())
        found = await explain(door, view=TIMELINE)

    ids = [one.event.event_id for one in found.answer.item.events]
    assert [one.event_id for one in found.events] == ids
    assert [one.explanation.name for one in found.events][-2:] == ["ARRIVED", "OUT_FOR_DELIVERY"]
    assert found.events[1].explanation.headline == "Accepted: PO"
    assert found.events[1].time == "22 September 2026, 00:13"


@pytest.mark.parametrize("language", ["en", "de", "es"])
async def test_a_scan_of_a_container_is_explained_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """What nobody scanned the item for says which container it was; so does the last scan."""
    way = [
        see(NUMBER, "ACCEPTED", 1, "A"),
        put_in(NUMBER, "BAG7", 2),
        put_in("BAG7", "TRUCK8", 3),
        see("TRUCK8", "ARRIVED", 8, "B"),
    ]
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, way)
        found = await explain(door, view=TIMELINE, language=language)

    accepted, into, bag, truck = (one.explanation.meaning for one in found.events)
    assert "BAG7" not in accepted + into
    assert "BAG7" in bag
    assert "TRUCK8" in truck
    assert "TRUCK8" in found.facts[1]


async def test_a_number_that_nobody_saw_is_explained_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOT_YET_SEEN has words and somebody to ask; what is no number is refused; so is a tag that is
    none.
    """
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        found = await explain(door)
        with failing() as failures:
            await explain(door, language="x" * 36)
        with failing() as unfilable:
            await explain(door, tracking_number=" ")

    assert found.answer.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN
    assert found.status.name == "NOT_YET_SEEN"
    assert found.status.party == ContactParty.CONTACT_PARTY_SENDER
    assert found.cause == LikelyCause.LIKELY_CAUSE_NOTHING_KNOWN
    assert NUMBER in found.facts[0]
    assert failures[0].reason == "LANGUAGE_MALFORMED"
    assert unfilable[0].field == "tracking_number"


async def test_what_others_took_is_learned_from_what_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten items between the same two places were looked up, the silence of another is held
    against theirs; of a past moment it is not, as that answer may never change.
    """
    async with item_door(tmp_path, clock := Clock(), monkeypatch) as door:
        for place in range(TIMES_MIN):
            number = f"RR47312{place:04d}GB"
            story = [
                say("DEPARTED", 20, "SC", name=(number, 1), next_facility="DU"),
                say("ARRIVED", 22 + place, "DU", name=(number, 2)),
            ]
            await put(door, story, number)
            await explain(door, tracking_number=number)
        await put(door, usual()[:6])
        clock.ns = START_NS + 30 * 3_600 * 1_000_000_000
        now = await explain(door)
        at = await explain(door, at_time={"seconds": clock.ns // 1_000_000_000 - 60})

    assert now.silence.basis == SilenceBasis.SILENCE_BASIS_PAIR
    assert now.silence.known_count == TIMES_MIN
    assert now.silence.usual.seconds == 10 * 3_600
    assert now.silence.slower_count == 1
    assert at.silence.basis == SilenceBasis.SILENCE_BASIS_STATUS


async def test_what_was_said_then_and_what_is_said_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a moment before a delivery was withdrawn it is delivered, and the same answer says that
    it is not today, and why.
    """
    done = say("DELIVERED", 36, "DU")
    async with item_door(tmp_path, Clock(), monkeypatch) as door:
        await put(door, [*usual(), done])
        then = await door.shelf.settle()
        await put(door, [correct(done, WITHDRAWN, "CORRECTION", 38)])
        found = await explain(door, as_of_time=timestamp(then), language="de")
        now = await explain(door, language="de")

    assert found.status.headline == "Zugestellt"
    assert found.changes[1] == "Heute heißt es: In Zustellung"
    assert found.changes[2].startswith("Seither berichtigt: Zugestellt, DU")
    assert now.status.headline == "In Zustellung"
    assert not now.changes


def test_every_word_has_a_number_on_the_wire() -> None:
    """Causes, bases and parties have the same names there."""
    assert set(names(LikelyCause.keys(), "LIKELY_CAUSE_")) == set(Cause)
    assert set(names(SilenceBasis.keys(), "SILENCE_BASIS_")) == set(Basis) - {Basis.NONE}
    assert set(names(ContactParty.keys(), "CONTACT_PARTY_")) == {one.upper() for one in PARTIES}


def names(keys: Iterable[str], prefix: str) -> list[str]:
    """Give the names of an enum, but for the one of zero."""
    return [key.removeprefix(prefix) for key in keys if not key.endswith("_UNSPECIFIED")]
