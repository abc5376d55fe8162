"""Batches as bytes: what the driver does in Python for each value is done here once for each batch.

The driver encodes a batch value by value, at some 6 µs of the client's CPU a row; here it takes
1 µs. All but the rows is still written by the driver's own encoder, so a newer protocol version or
flag needs nothing here; a test compares the result with the driver's, byte for byte.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cassandra.io.libevreactor import LibevConnection
from cassandra.protocol import ProtocolHandler
from cassandra.query import BatchStatement, BatchType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.trail_store import Row

_HEADER_BYTES: Final = 9
"""Version, flags, stream 2, opcode; then the length of the body, 4 bytes."""

_BEFORE_STATEMENTS: Final = 3
"""Bytes of a batch's body before its statements: the type, and how many they are."""

_INT: Final = struct.Struct(">i").pack
_BIGINT: Final = struct.Struct(">q").pack
_SHORT: Final = struct.Struct(">H").pack
_TIMESTAMP: Final = struct.Struct(">iq").pack
_LENGTHS: Final = [_INT(length) for length in range(20_000)]
"""Lengths as bytes, of all records that the ledger makes: found in a third of the time of pack."""


class Connection(LibevConnection):  # type: ignore[misc] # The driver has no types.
    """The driver's connection, on libev: its loop on asyncio costs more, and Python 3.12 no longer
    has the older one.
    """

    out_buffer_size = 1 << 16
    """A batch leaves in one call of the system, not in ten."""
    in_buffer_size = 1 << 16
    """The same for a trail that comes in."""


class _Statements:
    """Statements of a batch as bytes. The driver counts them, and finds nothing to encode."""

    __slots__ = ("count", "encoded")

    def __init__(self, count: int, encoded: bytes) -> None:
        self.count = count
        self.encoded = encoded

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[object]:
        return iter(())


class EncodedBatch(BatchStatement):  # type: ignore[misc] # The same.
    """An unlogged batch whose statements are encoded already. Repeating it changes nothing."""

    def __init__(self, count: int, encoded: bytes, *, keyspace: str, routing_key: bytes) -> None:
        """`routing_key` is the partition key of one of the rows: all have the same replicas."""
        super().__init__(BatchType.UNLOGGED)
        self._statements_and_parameters = _Statements(count, encoded)
        self.keyspace = keyspace
        self.routing_key = routing_key
        self.is_idempotent = True


class Encoder(ProtocolHandler):  # type: ignore[misc] # The same.
    """The driver's encoder, which also knows batches that are encoded."""

    @classmethod
    def encode_message(cls, msg: object, *args: object, **kwargs: object) -> bytes:
        """Encode a message as a frame of the protocol."""
        frame: bytes = super().encode_message(msg, *args, **kwargs)
        statements = getattr(msg, "queries", None)
        if type(statements) is not _Statements:
            return frame
        begin = _HEADER_BYTES + _BEFORE_STATEMENTS
        length = len(frame) - _HEADER_BYTES + len(statements.encoded)
        return b"".join(
            (
                frame[: _HEADER_BYTES - 4],
                _INT(length),
                frame[_HEADER_BYTES:begin],
                statements.encoded,
                frame[begin:],
            )
        )


def encode_rows(query_id: bytes, rows: Sequence[Row]) -> bytes:
    """Encode one statement for each row: its key, order and record, and its time as timestamp."""
    prefix = _prefix(query_id, 4)
    parts: list[bytes] = []
    extend, lengths, timestamp = parts.extend, _LENGTHS, _TIMESTAMP
    try:
        for key, order, record, time_us in rows:
            extend(
                (
                    prefix,
                    lengths[len(key)],
                    key,
                    lengths[len(order)],
                    order,
                    lengths[len(record)],
                    record,
                    timestamp(8, time_us),
                )
            )
    except IndexError:
        values = ((key, order, record, _BIGINT(time)) for key, order, record, time in rows)
        return encode_statements(query_id, list(values))
    return b"".join(parts)


def encode_statements(query_id: bytes, statements: Sequence[Sequence[bytes]]) -> bytes:
    """Encode one statement for each sequence of values."""
    parts = []
    for values in statements:
        parts.append(_prefix(query_id, len(values)))
        for value in values:
            parts += (_INT(len(value)), value)
    return b"".join(parts)


def encode_list(values: Sequence[bytes]) -> bytes:
    """Encode a list of blobs or texts: one value of a statement."""
    return _INT(len(values)) + b"".join(_INT(len(value)) + value for value in values)


def encode_int(number: int) -> bytes:
    """Encode an `int`."""
    return _INT(number)


def encode_bigint(number: int) -> bytes:
    """Encode a `bigint`, or a timestamp."""
    return _BIGINT(number)


def _prefix(query_id: bytes, values: int) -> bytes:
    """Begin a prepared statement with so many values."""
    return b"\x01" + _SHORT(len(query_id)) + query_id + _SHORT(values)
