"""Writes the fleet's traffic of its first days to files: the truth, and the scans to be sent.

The scans are NDJSON for `parcel-ledger send`, in the order of sending. What cannot be decoded on
the wire is a line that cannot be read: with letters in Latin-1, or cut off in the middle.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from google.protobuf.json_format import MessageToDict

from ledger.v1 import scan_event_pb2 as pb
from loadtest.fleet import Fleet
from loadtest.journeys import DAY_NS, SPAN_DAYS
from loadtest.truth import TruthWriter
from loadtest.world.encoding import Upload, gather
from loadtest.world.journey import Journey
from loadtest.world.sendings import ID_BYTES, REFUSED, UNDECODABLE, Kind
from loadtest.world.wire import ID_HEAD

TRUTH_FILE: Final = "truth.jsonl"
SCANS_FILE: Final = "scans.ndjson"

_NUMBER_AT = len(ID_HEAD) + ID_BYTES + 2  # Behind the tag and the length of the number.


class Exported(NamedTuple):
    """What was written."""

    days: int
    items: int
    scans: int
    refused: int
    """Scans of them that no ledger takes."""


def export(
    fleet: Fleet,
    journeys: int,
    folder: Path,
    *,
    on_progress: Callable[[int], None] = lambda items: None,
) -> Exported:
    """Write at least so many journeys: all that begin on the first days, until they are enough.

    With the items come their bags and the trips that carry these. `on_progress` is told how many
    items are written.
    """
    days = fleet.days_for(journeys)
    items = 0
    counts: Counter[Kind] = Counter()
    waiting: defaultdict[int, list[Upload]] = defaultdict(list)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / TRUTH_FILE).open("w", encoding="utf-8") as truth_file,
        (folder / SCANS_FILE).open("wb") as scans_file,
    ):
        truth = TruthWriter(truth_file, fleet)
        done: set[str] = set()
        for day in range(fleet.first_day, fleet.first_day + days):
            for plan in _plans(fleet, day, done):
                truth.add(plan)
                found: list[Upload] = []
                gather(plan, fleet.odds, None, found)
                for one in found:
                    waiting[one.send_time_ns // DAY_NS].append(one)
                items += plan.is_item
            on_progress(items)
            for due in sorted(key for key in waiting if key < day - 1):
                counts += _write(scans_file, waiting.pop(due))
        for due in sorted(waiting):
            counts += _write(scans_file, waiting.pop(due))
        for facility, closure in fleet.closures(days + SPAN_DAYS):
            truth.add_closure(facility, closure)
    refused = sum(counts[kind] for kind in REFUSED)
    return Exported(days, items, counts.total(), refused)


def scan_line(upload: Upload) -> bytes:
    """Give the line of one event, without its end."""
    who: dict[str, Any] = {"source": Fleet.source_id(upload.scanner)}
    who["event_id"] = upload.event_id.hex()
    if upload.kind in UNDECODABLE:
        number = upload.event[_NUMBER_AT : _NUMBER_AT + upload.event[_NUMBER_AT - 1]]
        line = json.dumps(who)[:-1].encode() + b', "tracking_number": "' + number
        return line if upload.kind is Kind.BROKEN else line + b'"}'
    event = pb.ScanEvent.FromString(upload.event)
    values = MessageToDict(event, preserving_proto_field_name=True)
    return json.dumps({**values, **who}).encode()


def _plans(fleet: Fleet, day: int, done: set[str]) -> Iterator[Journey]:
    """Give the items and bags that begin on a day, and trips that were not given before."""
    for lane in range(fleet.lanes):
        items, bags = fleet.cohort(lane, day)
        yield from items
        yield from bags
        for bag in bags:
            trip = fleet.trip_of(bag)
            if trip.number not in done:
                done.add(trip.number)
                yield trip


def _write(file: BinaryIO, uploads: list[Upload]) -> Counter[Kind]:
    file.writelines(scan_line(upload) + b"\n" for upload in sorted(uploads))
    return Counter(upload.kind for upload in uploads)
