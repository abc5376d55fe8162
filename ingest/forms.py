"""The form of a scan event's fields: lengths, NUL, enums, lengths of lists. Pure.

It follows the schema and the table of limits, so that a field added later is judged too. A message
names fields, lengths and limits, never what a field holds.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from ingest.limits import FIELD_BYTES_EXACT, FIELD_BYTES_MAX, FIELD_COUNT_MAX
from ledger.v1.ingest_service_pb2 import (
    REFUSAL_REASON_ENUM,
    REFUSAL_REASON_MALFORMED,
    REFUSAL_REASON_TOO_LONG,
)
from ledger.v1.scan_event_pb2 import ScanEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from ledger.v1.ingest_service_pb2 import RefusalReason

_UTF8_BYTES_MAX = 4


class Violation(NamedTuple):
    """A rule that an event breaks."""

    field: str
    """Path from the scan."""

    reason: RefusalReason.ValueType
    message: str
    """What is wrong and what to do."""


def form_violations(message: Message, path: str = "event") -> Iterator[Violation]:
    """Lengths, NUL, negative enums and lengths of lists, in this message and those inside of it."""
    plan = _PLANS[type(message)]
    for text, (name, most) in zip(plan.read_texts(message), plan.texts, strict=False):
        # No character takes more than four bytes, so a short text need not be encoded.
        if len(text) * _UTF8_BYTES_MAX > most or "\0" in text:
            yield from _text(f"{path}.{name}", text, most)
    for name, exact, most in plan.blobs:
        size = len(getattr(message, name))
        if size > most or (exact and size and size != exact):
            yield from _size(f"{path}.{name}", size, exact, most)
    if min(plan.read_enums(message)) < 0:
        name, value = next(
            (name, getattr(message, name)) for name in plan.enums if getattr(message, name) < 0
        )
        where = f"{path}.{name}"
        yield Violation(
            where,
            REFUSAL_REASON_ENUM,
            f"{where} is {value}; the numbers of an enum are never negative.",
        )
    for name in plan.messages:
        if message.HasField(name):
            yield from form_violations(getattr(message, name), f"{path}.{name}")
    for name, most in plan.lists:
        elements = getattr(message, name)
        if len(elements) > most:
            yield _too_long(
                f"{path}.{name}", f"{path}.{name} has {len(elements)} elements", f"{most} are"
            )
        for index, element in enumerate(elements):
            yield from form_violations(element, f"{path}.{name}[{index}]")


def _text(where: str, text: str, most: int) -> Iterator[Violation]:
    yield from _size(where, len(text.encode()), 0, most)
    if "\0" in text:
        yield Violation(
            where, REFUSAL_REASON_MALFORMED, f"{where} has a NUL character in it; send it without."
        )


def _size(where: str, size: int, exact: int, most: int) -> Iterator[Violation]:
    if exact and size != exact:
        yield Violation(
            where, REFUSAL_REASON_MALFORMED, f"{where} has {size} bytes; it must have {exact}."
        )
    if size > most:
        yield _too_long(where, f"{where} has {size} bytes", f"{most} are")


def _too_long(field: str, problem: str, most: str) -> Violation:
    return Violation(field, REFUSAL_REASON_TOO_LONG, f"{problem}; at most {most} taken.")


class _Plan(NamedTuple):
    """Which fields of a message have which form: made once from the schema and the limits.

    Reading many fields by one call costs a third of reading them one by one.
    """

    read_texts: Callable[[Message], Sequence[str]]
    texts: Sequence[tuple[str, int]]
    """Name and most bytes."""

    blobs: Sequence[tuple[str, int, int]]
    """Name, the only length (0 where there is none), most bytes."""

    read_enums: Callable[[Message], Sequence[int]]
    enums: Sequence[str]
    messages: Sequence[str]
    lists: Sequence[tuple[str, int]]


def _plan(message: Descriptor) -> _Plan:
    texts, blobs, enums, messages, lists = [], [], [], [], []
    for field in message.fields:
        limit_name = f"{message.name}.{field.name}"
        if field.is_repeated:
            lists.append((field.name, FIELD_COUNT_MAX[limit_name]))
        elif field.type == FieldDescriptor.TYPE_STRING:
            texts.append((field.name, FIELD_BYTES_MAX[limit_name]))
        elif field.type == FieldDescriptor.TYPE_BYTES:
            exact = FIELD_BYTES_EXACT.get(limit_name, 0)
            blobs.append((field.name, exact, exact or FIELD_BYTES_MAX[limit_name]))
        elif field.type == FieldDescriptor.TYPE_ENUM:
            enums.append(field.name)
        elif field.message_type is not None and field.message_type.file == message.file:
            messages.append(field.name)
    names = [name for name, _ in texts]
    return _Plan(_reader(names, ""), texts, blobs, _reader(enums, 0), enums, messages, lists)


def _reader(names: Sequence[str], none: str | int) -> Callable[[Message], Any]:
    """Make a function that reads these fields into a tuple that is never empty."""
    if not names:
        return lambda _: (none,)
    return attrgetter(*names, names[0])  # The first one twice: of one name it would be no tuple.


def _plans(message: Descriptor) -> Iterator[tuple[type[Message], _Plan]]:
    """Plans of a message and of all messages of its file inside of it."""
    yield GetMessageClass(message), _plan(message)
    for field in message.fields:
        if field.message_type is not None and field.message_type.file == message.file:
            yield from _plans(field.message_type)


_PLANS: Final = dict(_plans(ScanEvent.DESCRIPTOR))
