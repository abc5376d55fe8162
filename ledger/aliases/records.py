"""Records which say that two tracking keys are one item, one under each of the two.

The row of such a record is what look-ups read: it stands before all events of its key, so whoever
reads a trail from its beginning has its aliases at hand, and a trail without any costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.codec import read_record
from ledger.event import EVENT_ID_BYTES, order_key
from ledger.v1.log_record_pb2 import Alias, LogRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.trail_store import StoredRow

KEYS_MAX: Final = 16
"""Most keys of one item that are read: a parcel that every carrier on its way numbers anew has
three or four. It bounds the reads of one look-up, and the partitions in its page token.
"""

_ID: Final = bytes(EVENT_ID_BYTES)
"""Event id of all aliases, at the beginning of time: so they stand in the order of their positions,
and nothing that comes later pushes one out of what is looked through.
"""

ALIASES_END: Final = order_key(0, (1).to_bytes(EVENT_ID_BYTES, "big"), 0)
"""The order before which all aliases of a key stand. An event may stand there too: of a clock that
was never set, with an id that was not set either.
"""


def alias_record(
    key: bytes, other: bytes, *, form: int, other_form: int, by: str, why: str, time_ns: int
) -> bytes:
    """Make the record that stands under `key` and names the other one. Said again it is a copy,
    whoever says it.
    """
    return LogRecord(
        alias=Alias(other_key=other, other_key_form=other_form, reason=why, by=by),
        tracking_key=key,
        key_form=form,
        event_id=_ID,
        send_time_ns=time_ns,
        record_time_ns=time_ns,
    ).SerializeToString(deterministic=True)


def other_keys(rows: Iterable[StoredRow]) -> Iterator[bytes]:
    """Give the keys that the first rows of a trail say are the same item, in the order of rows."""
    for row in rows:
        if row.order >= ALIASES_END:
            return
        record = read_record(row.record)
        if record.HasField("alias"):
            yield record.alias.other_key


class Joined:
    """The keys of one item as they are found, each once, the nearest first: so cycles end."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys = list(keys)
        self.is_cut = False
        """True: there were more than are followed."""

    def add(self, others: Iterable[bytes]) -> None:
        """Take the keys that one of the keys is joined with."""
        for other in others:
            if other not in self.keys:
                if len(self.keys) < KEYS_MAX:
                    self.keys.append(other)
                else:
                    self.is_cut = True
