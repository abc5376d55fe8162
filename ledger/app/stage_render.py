"""The four stages of an item as users know them, each with when and where it was reached. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from ledger.app.item_words import mode_words, where_words
from ledger.app.place_render import as_event, zoned_time
from ledger.app.render import printable, utc_time
from ledger.v1 import item_pb2 as pb
from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from ledger.app.place_render import Known

_REACHED, _AHEAD = ("● ", "green"), ("○ ", "dim")
_STAGES: Final = {
    "accepted": "Item Accepted",
    "in_transit": "In Transit",
    "out_for_delivery": "Out for Delivery",
    "delivered": "Delivered",
}
_STAGE_WIDTH: Final = 18


def stage_lines(item: pb.Item, known: Known) -> Iterator[Text]:
    """Give the four stages as users know them."""
    moving, tour = item.in_transit, item.out_for_delivery
    yield _stage(item, "accepted", known)
    towards = where_words(moving.next_facility, "", known)
    onwards = f"→ {towards}" if towards else ""
    yield _stage(item, "in_transit", known, onwards, _expected(moving, moving.next_facility, known))
    area = f"area {printable(tour.area)}" if tour.area else ""
    yield _stage(item, "out_for_delivery", known, area, _expected(tour, tour.facility, known))
    yield _stage(item, "delivered", known, _mode(item))


def _stage(item: pb.Item, name: str, known: Known, *details: str) -> Text:
    title = _STAGES[name]
    if not item.HasField(name):  # type: ignore[arg-type] # One of the four.
        return Text().append(*_AHEAD).append(title, "dim")
    stage = getattr(item, name)
    line = Text().append(*_REACHED).append(f"{title:{_STAGE_WIDTH}}", "bold")
    line.append(zoned_time(as_event(stage.at, stage.facility), known))
    words = "" if name == "out_for_delivery" else stage.words
    for more in (where_words(stage.facility, words, known), *details):
        if more:
            line.append(f"  {more}")
    return line


def _mode(item: pb.Item) -> str:
    if item.milestone == pb.MILESTONE_RETURNED:
        return "back to the sender"
    return mode_words(item.delivered.mode)


def _expected(
    stage: pb.InTransitStage | pb.OutForDeliveryStage, facility: str, known: Known
) -> str:
    """Say when the next step is expected, by the clocks of where it is."""

    def at(time: Timestamp) -> str:
        if facility not in known:
            return utc_time(time)
        return zoned_time(ScanEvent(scan_time=time, facility=facility), known)

    words = []
    if stage.HasField("expected_from_time"):
        words.append(f"from {at(stage.expected_from_time)}")
    if stage.HasField("expected_until_time"):
        words.append(f"by {at(stage.expected_until_time)}")
    return f"expected {' '.join(words)}" if words else ""
