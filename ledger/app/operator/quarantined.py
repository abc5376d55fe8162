"""What is in quarantine, as the operator's service says it, and the job that replays much of it."""

from __future__ import annotations

from typing import Final

from ledger.app.operator.jobs import Progress
from ledger.errors import NotPossibleNow
from ledger.quarantine.desk import Desk
from ledger.quarantine.items import Item, State
from ledger.quarantine.records import wire_position
from ledger.v1 import operator_service_pb2 as pb
from ledger.v1.quarantine_pb2 import QuarantineReason

STATES: Final = {
    State.OPEN: pb.QuarantineState.QUARANTINE_STATE_OPEN,
    State.REPLAYED: pb.QuarantineState.QUARANTINE_STATE_REPLAYED,
    State.DROPPED: pb.QuarantineState.QUARANTINE_STATE_DROPPED,
}
"""How each state is said."""


async def replay_all(
    desk: Desk,
    reason: QuarantineReason.ValueType,
    progress: Progress,
    *,
    by: str,
    why: str,
) -> None:
    """Replay what is open, of one reason or (0) of any. What is still unfit stays, and is counted.

    Raises Busy or Uncertain where an engine is away; another job goes on from there.
    """
    items = (await desk.items()).all()
    waiting = [
        item.position for item in items if item.state is State.OPEN and reason in {0, item.reason}
    ]
    progress.total(len(waiting))
    replayed = unfit = 0
    for count, position in enumerate(waiting, 1):
        try:
            await desk.replay(position, by=by, why=why)
            replayed += 1
        except NotPossibleNow:
            unfit += 1
        progress.done(count, f"{replayed:,} replayed, {unfit:,} still unfit")


def item_message(item: Item) -> pb.QuarantineItem:
    """Say what became of an item."""
    message = pb.QuarantineItem(
        position=wire_position(item.position),
        state=STATES[item.state],
        reason=item.reason,
        message=item.message,
        tracking_key=item.tracking_key.decode(),
        source_id=item.source_id,
        value_bytes=item.value_bytes,
    )
    message.quarantine_time.FromNanoseconds(item.time_ns)
    if item.note is not None:
        message.note_time.FromNanoseconds(item.note_time_ns)
        message.note_by, message.note_why = item.note.by, item.note.why
    if item.replayed_to is not None:
        message.replayed_to.CopyFrom(wire_position(item.replayed_to))
    return message
