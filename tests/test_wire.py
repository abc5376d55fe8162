"""The wire's own promises: twins with the same bytes, lengths that are stated, enums that can grow.

They are what readers of the proto files rely on, where buf has no rule for it.
"""

import re
from collections.abc import Iterable

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ledger.v1 import raw_pb2
from tools.nanopb_options import options
from tools.protos import PROTO, ROOT, Limits, fields, limits, parsed

AS_BYTES = {"ScanEvent", "PersonalData"}
"""The messages that the twins carry without looking at them."""

TWINS: dict[str, Descriptor] = dict(raw_pb2.DESCRIPTOR.message_types_by_name)
ORIGINALS: dict[str, Descriptor] = {
    f"Raw{name}": message
    for file in raw_pb2.DESCRIPTOR.dependencies
    for known in (file, *file.dependencies)
    for name, message in known.message_types_by_name.items()
}


def members(twin: str) -> range:
    """Which members of its oneof a message may have."""
    return range(max([1, *(len(oneof.fields) for oneof in ORIGINALS[twin].oneofs)]))


@pytest.fixture(scope="module")
def files() -> list[FileDescriptorProto]:
    """Every proto file, with its comments."""
    return parsed(sorted(PROTO.rglob("*.proto")))


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_has_the_fields_of_its_original(name: str) -> None:
    """Numbers, names, repetition and types are the same, but for bytes in the place of messages."""
    wanted = [as_in_a_twin(field) for field in described(ORIGINALS[name])]

    assert [shape(field) for field in described(TWINS[name])] == [shape(field) for field in wanted]


def described(message: Descriptor) -> list[FieldDescriptorProto]:
    """The fields of a message as its proto file describes them."""
    proto = DescriptorProto()
    message.CopyToProto(proto)
    return sorted(proto.field, key=lambda field: field.number)


def as_in_a_twin(field: FieldDescriptorProto) -> FieldDescriptorProto:
    """What a field of an original is in the twin."""
    package, _, kind = field.type_name.rpartition(".")
    if kind in AS_BYTES:
        field.type = FieldDescriptorProto.TYPE_BYTES
        field.type_name = ""
    elif f"Raw{kind}" in TWINS:
        field.type_name = f"{package}.Raw{kind}"
    return field


def shape(field: FieldDescriptorProto) -> tuple[object, ...]:
    """All of a field that decides its bytes, its name in a program, and what it excludes."""
    # `optional` is made of a oneof of one; it gives bytes the presence that a message has anyway.
    in_oneof = field.HasField("oneof_index") and not field.proto3_optional
    return field.number, field.name, field.label, field.type, field.type_name, in_oneof


@pytest.mark.parametrize(
    ("name", "member"), [(name, member) for name in TWINS for member in members(name)]
)
def test_a_twin_has_the_bytes_of_its_original(name: str, member: int) -> None:
    """A message with every field set goes through its twin and back, and no byte changes."""
    original = filled(ORIGINALS[name], member)
    encoded = original.SerializeToString()

    twin = GetMessageClass(TWINS[name]).FromString(encoded)
    again = twin.SerializeToString()
    twin.DiscardUnknownFields()

    assert again == encoded
    assert twin.SerializeToString() == encoded  # Every field has its place in the twin.
    assert type(original).FromString(again) == original


def filled(message: Descriptor, member: int = 0) -> Message:
    """A message with every field set, two elements in every list, and one member of its oneof."""
    made = GetMessageClass(message)()
    for field in message.fields:
        if field.containing_oneof and field.containing_oneof.fields[member] is not field:
            continue
        if field.is_repeated:
            getattr(made, field.name).extend([value(field, 1), value(field, 2)])
        elif field.message_type:
            getattr(made, field.name).CopyFrom(value(field, 1))
        else:
            setattr(made, field.name, value(field, 1))
    return made


def value(field: FieldDescriptor, variety: int) -> object:
    """Some value of a field that is not its default."""
    if field.message_type:
        return filled(field.message_type)
    if field.enum_type:
        return field.enum_type.values[-variety].number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"\x00\xff" * variety
    if field.type == FieldDescriptor.TYPE_STRING:
        return f"{field.name} é {variety}"
    return field.type == FieldDescriptor.TYPE_BOOL or 300 * variety + field.number


def test_every_text_states_its_greatest_length(files: list[FileDescriptorProto]) -> None:
    """No string and no bytes field is without a length in its comment; the twins have theirs from
    the originals.
    """
    text = {FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES}
    stated = {
        f"{field.message}.{field.proto.name}": limits(field.comment).bytes_max
        for file in files
        if not file.name.endswith("/raw.proto")
        for field in fields(file)
        if field.proto.type in text
    }

    assert stated["ledger.v1.ScanEvent.tracking_number"] == 128
    assert [name for name, bytes_max in stated.items() if not bytes_max] == []


@pytest.mark.parametrize(
    ("comment", "wanted"),
    [
        ("Why. At most 1,024 bytes. Batch rule.", Limits(bytes_max=1024)),
        ("The event. At most 8 KiB.", Limits(bytes_max=8192)),
        ("The id. Exactly 16 bytes.", Limits(bytes_max=16, exact=True)),
        ("The spool. Exactly 16 bytes; empty where there is none.", Limits(bytes_max=16)),
        ("Keys. At most 16, each at most 128 bytes.", Limits(bytes_max=128, count_max=16)),
        ("Lines, at most 8 of at most 256 bytes each.", Limits(bytes_max=256, count_max=8)),
        ("Required. 1 to 2,000 scans.", Limits(count_max=2000)),
        ("The first 16 bytes of SHA-256 over 2 texts.", Limits()),
    ],
)
def test_a_length_is_read_from_a_comment(comment: str, wanted: Limits) -> None:
    """Bytes and elements are told apart, and a number alone is no limit."""
    assert limits(comment) == wanted


def test_every_enum_begins_with_unspecified(files: list[FileDescriptorProto]) -> None:
    """0 is what an absent field reads as, so it never means anything."""
    enums = [enum for file in files for enum in [*file.enum_type, *nested_enums(file.message_type)]]
    wanted = [
        (0, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_UNSPECIFIED")
        for enum in enums
    ]

    assert wanted
    assert [(enum.value[0].number, enum.value[0].name) for enum in enums] == wanted


def nested_enums(messages: Iterable[DescriptorProto]) -> list[EnumDescriptorProto]:
    """The enums inside of messages."""
    return [
        enum
        for message in messages
        for enum in [*message.enum_type, *nested_enums(message.nested_type)]
    ]


def test_the_options_are_what_the_comments_say() -> None:
    """docs/ledger.options is made from the proto files as they are."""
    assert (ROOT / "docs" / "ledger.options").read_text() == options()


@pytest.mark.parametrize(
    "line",
    [
        "ScanEvent.event_id max_size:16 fixed_length:true",
        "ScanEvent.tracking_number max_length:128",
        "ScanEvent.attachments max_count:8",
        "Party.address_lines max_length:256 max_count:8",
        "Batch.spool_id max_size:16",
        "Batch.scans max_count:2000 type:FT_CALLBACK",
        "BatchResult.durable type:FT_CALLBACK",
        "RecordScansResponse.result submsg_callback:true",
        "TrailEntry.log_record max_size:16384 type:FT_CALLBACK",
    ],
)
def test_an_option_says_what_a_device_needs(line: str) -> None:
    """One line of each kind is as nanopb wants it."""
    assert f"ledger.v1.{line}" in options().splitlines()
