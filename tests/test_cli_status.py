"""`parcel-ledger status` and `agent`: made to be read, and the same for programs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, REFUSED
from ledger.v1.scan_event_pb2 import DeliveryMode
from query.reading import WHOLE_ROWS_MAX
from tests.bags import put_in, see
from tests.item_doors import OTHER, Clock, put
from tests.shells import Said, entries_of, ledger_up, typed
from tests.tellers import WRONG_DATA, correct, notice, other_content, say, usual
from tests.trails import NUMBER, scan, timestamp

pytestmark = pytest.mark.usefixtures("clock")  # The door has it.

if TYPE_CHECKING:
    from pathlib import Path

    from query.journey import Told
    from tests.asking import Asked

FRANKFURT, BERLIN = "DE60313", "DE10115"

GOLDEN = """\
RR123456785CH  Delivered
Handed over by DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE
Like this for 4 hours; last seen 4 hours ago.
! An entry was corrected

● Item Accepted     2026-09-22 02:13:20 +02:00 Europe/Berlin  DE10115 · Berlin Mitte, DE
● In Transit        2026-09-22 19:13:20 +02:00 Europe/Berlin  DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE
● Out for Delivery  2026-09-23 01:13:20 +02:00 Europe/Berlin  DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE  area 603
● Delivered         2026-09-23 04:13:20 +02:00 Europe/Berlin  DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE  person

   2026-09-21 14:13:20 +00:00  Announced by the sender
   2026-09-22 02:13:20 +02:00  Accepted                            DE10115 · Berlin Mitte, DE
   2026-09-22 04:13:20 +02:00  Left → DE60313                      DE10115 · Berlin Mitte, DE
   2026-09-22 19:13:20 +02:00  Arrived (incorrect data dc4e2cd3…)  DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE
   2026-09-23 01:13:20 +02:00  Out for delivery                    DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE
   2026-09-23 04:13:20 +02:00  Delivered (person)                  DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE

Corrected, with what was said before:
-  2026-09-22 18:13:20 +02:00  Arrived                             XX · Nowhere
+  2026-09-22 19:13:20 +02:00  Arrived (incorrect data dc4e2cd3…)  DE60313 · Frankfurt Innenstadt, Frankfurt am Main, DE
"""  # noqa: E501 - as it is printed.


async def ask(door: Asked, *words: object) -> Said:
    """Ask that ledger, as a person does."""
    return await asyncio.to_thread(typed, *words, "--server", door.listen)


def told() -> list[Told]:
    """A delivery, with one place that was corrected."""
    wrong = say("ARRIVED", 26, "XX", place={"name": "Nowhere"}, utc_offset_minutes=120)
    return [
        notice("LABEL_CREATED", 0, announced={"destination_postcode_area": "603"}),
        say("ACCEPTED", 10, BERLIN, utc_offset_minutes=120),
        say("DEPARTED", 12, BERLIN, next_facility=FRANKFURT, utc_offset_minutes=120),
        wrong,
        correct(wrong, WRONG_DATA, "ARRIVED", 27, facility=FRANKFURT, utc_offset_minutes=120),
        say("OUT_FOR_DELIVERY", 33, FRANKFURT, device="van-3", utc_offset_minutes=120),
        say(
            "DELIVERED", 36, FRANKFURT, device="van-3", utc_offset_minutes=120,
            delivery_mode=DeliveryMode.DELIVERY_MODE_PERSON,
        ),
    ]  # fmt: skip


def lines(answer: str) -> list[str]:
    """Give printed lines without the blanks that fill them up."""
    return [line.rstrip() for line in answer.splitlines()]


async def test_one_item_is_told_from_its_status_to_its_scans(door: Asked) -> None:
    """Stages with local times, their zone and places by name; a timeline; both versions of what
    was corrected.
    """
    await put(door, told())

    said = await ask(door, "status", NUMBER)

    assert said.code == DONE
    assert lines(said.answer) == GOLDEN.splitlines()


async def test_several_items_are_one_line_each(door: Asked, clock: Clock) -> None:
    """With status, since when, place and flags; one that is invalid makes the command fail."""
    await put(door, told())
    await put(door, usual()[:4], OTHER)
    clock.ns += 30 * 86_400 * 1_000_000_000

    said = await ask(door, "status", NUMBER, OTHER, "NEW1")
    bad = await ask(door, "status", NUMBER, "")

    head, one, other, new = lines(said.answer)
    assert head.split() == ["number", "status", "since", "place", "beside", "it"]
    assert one.startswith("RR123456785CH           Delivered     2026-09-23 04:13:20 +02:00")
    assert "In transit" in other
    assert " ".join(other.split()).endswith("at SC No scan for longer than is usual")
    assert new.split() == ["NEW1", "Not", "seen", "yet"]
    assert (said.code, bad.code) == (DONE, REFUSED)
    assert "No item can have this number" in bad.answer


async def test_a_program_reads_the_same(door: Asked) -> None:
    """As JSON: answers in the order of the numbers, and the facilities once."""
    await put(door, told())

    said = await ask(door, "status", NUMBER, "NEW1", "--json")
    one, new = json.loads(said.answer)["answers"]

    assert one["item"]["milestone"] == "MILESTONE_DELIVERED"
    assert one["item"]["delivered"]["mode"] == "DELIVERY_MODE_PERSON"
    assert (new["index"], new["status"]) == (1, "LOOKUP_STATUS_NOT_YET_SEEN")
    facilities = json.loads(said.answer)["facilities"]
    assert sorted(one["facility_id"] for one in facilities) == [BERLIN, FRANKFURT]


async def test_what_there_is_no_status_for_is_said(door: Asked) -> None:
    """Never scanned, impossible, and too long."""
    await door.shelf.put(*(scan(i, number="AB1", minute=i) for i in range(WHOLE_ROWS_MAX + 1)))

    never, bad, long = [await ask(door, "status", one) for one in ("NEW1", "", "AB1")]

    assert never == Said(DONE, "Nothing has been recorded for NEW1.\n", "")
    assert (bad.code, long.code) == (REFUSED, DONE)
    assert bad.answer.startswith("No item can have this number")
    assert "parcel-ledger trail" in long.answer


async def test_as_of_a_moment(door: Asked) -> None:
    """It is as it was known then."""
    await put(door, told()[:3])
    then = timestamp(await door.shelf.settle()).ToJsonString()
    await put(door, told()[3:])

    past = await ask(door, "status", NUMBER, "--as-of", then)
    behind = await ask(door, "agent", NUMBER, "--as-of", then)
    bad = await ask(door, "status", NUMBER, "--as-of", "yesterday")

    assert lines(past.answer)[0] == "RR123456785CH  In transit"
    assert "van-3" not in behind.answer
    assert bad.code != DONE
    assert "--as-of" in bad.remark


async def test_an_agent_sees_what_the_customer_does_and_what_is_behind_it(door: Asked) -> None:
    """The same lines first; then keys, carriers, confidence, conflicts, other items, devices."""
    first = [say("ACCEPTED", -24 * 300, "PO"), say("DELIVERED", -24 * 299, "DU", carrier="X")]
    double = say("SORTED", 28, FRANKFURT, device="belt-1")
    await put(door, [*first, *told(), double, other_content(double, operator="p")])
    await put(door, [say("DAMAGED", 39, "DU")], OTHER)
    await door.shelf.alias(NUMBER, OTHER)

    customer = lines((await ask(door, "status", NUMBER)).answer)
    said = await ask(door, "agent", NUMBER)
    agent = lines(said.answer)

    assert said.code == DONE
    assert agent[: len(customer)] == customer
    behind = "\n".join(agent[len(customer) :])
    assert f"Filed under {NUMBER}, {OTHER}." in behind
    assert "How far the delivery scan can be trusted: low." in behind
    assert "- The scan has no position that could speak for it." in behind
    assert "One scan came with several contents" in behind
    assert "Another item had this number: Delivered, 2025-11-25" in behind
    assert "belt-1" in behind
    assert "CONFLICT" in behind
    assert "van-3" not in "\n".join(customer)


async def test_an_agent_sees_which_device_scanned_the_container(door: Asked) -> None:
    """What is inherited is behind the item's own trail, with the container, device and source."""
    await put(door, [
        see(NUMBER, "ACCEPTED", 1, BERLIN),
        put_in(NUMBER, "BAG7", 2, BERLIN),
        see("BAG7", "ARRIVED", 8, FRANKFURT, device="gate-12", source="hub-3"),
    ])  # fmt: skip

    customer = (await ask(door, "status", NUMBER)).answer
    behind = lines((await ask(door, "agent", NUMBER)).answer)[len(lines(customer)) :]

    at = behind.index("Scans of containers that it lay in:")
    [scanned] = [line for line in behind[at:] if "gate-12" in line]
    assert "Arrived" in scanned
    assert "hub-3" in scanned
    assert "from BAG7" in scanned
    assert not any("gate-12" in line for line in behind[:at])


async def test_an_agents_program_reads_the_trail_beside_the_item(door: Asked) -> None:
    """The item as in `status --json`, and every entry with its marks."""
    await put(door, told())

    document = json.loads((await ask(door, "agent", NUMBER, "--json")).answer)

    assert document["answers"][0]["item"]["milestone"] == "MILESTONE_DELIVERED"
    assert len(document["entries"]) == len(told())
    assert sum("corrected" in one.get("marks", {}) for one in document["entries"]) == 1


async def test_what_a_terminal_would_obey_is_shown(door: Asked) -> None:
    """Text of scans comes from anywhere: escapes and markup in it are text."""
    place = {"name": "[bold]\x1b[31mHub"}
    await put(door, [say("ACCEPTED", 1, "A\x1b[2J", place=place)])

    for command in ("status", "agent"):
        said = await ask(door, command, NUMBER)
        assert "\x1b" not in said.answer
        assert "[bold]\\x1b[31mHub" in said.answer


@pytest.mark.slow
def test_a_ledger_in_one_process_answers(tmp_path: Path) -> None:
    """`up` serves items, too: sent as a file, and asked for at once."""
    scans = tmp_path / "scans.csv"
    scans.write_text(
        "tracking_number,type,scan_time,facility\n"
        "RR473124829GB,ACCEPTED,2026-03-01T09:00:00+01:00,DE60313\n"
        "RR473124829GB,DELIVERED,2026-03-02T09:00:00+01:00,DE10115\n"
    )
    with ledger_up(tmp_path) as ledger:
        sent = typed("send", scans, "--source", "s", "--server", ledger.address)
        entries_of(ledger, "RR473124829GB", at_least=2)
        said = typed("status", "RR 4731 2482 9GB", "--server", ledger.address)

    assert sent.code == DONE, sent
    assert lines(said.answer)[0] == "RR 4731 2482 9GB  Delivered"
    assert "2026-03-02 09:00:00 +01:00 Europe/Berlin  DE10115 · Berlin Mitte, DE" in said.answer
