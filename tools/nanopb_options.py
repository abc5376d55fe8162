"""Makes docs/ledger.options: the wire's greatest lengths, for C code that allocates no memory.

The numbers are read from the comments of the proto files, so that they stand in one place alone.
"""

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from tools.protos import PROTO, Field, fields, limits, parsed

CALLBACK_COUNT_FROM = 64  # Elements; so many are more than a small device wants in memory at once.
CALLBACK_BYTES_FROM = 8_192  # Bytes of one field, for the same reason: as much as a whole event.

HEAD = """\
# Greatest sizes of all strings, bytes and lists of the wire, as options for nanopb:
#
#     nanopb_generator -q -I proto -f docs/ledger.options -D out ledger/v1/scan_event.proto \\
#         ledger/v1/position.proto ledger/v1/ingest_service.proto \\
#         google/protobuf/timestamp.proto google/protobuf/duration.proto
#
# `make gen` makes this file from the comments of the proto files.
# max_length: bytes of a string, without the NUL that nanopb adds.
# max_size: bytes; with fixed_length always that many. max_count: elements.
# FT_CALLBACK: more than a small device wants in memory at once, or a list of the server's
# that has no stated limit; nanopb hands it over piece by piece.
# With these sizes an event takes 26 KB of memory. A device that never sends the greatest sizes
# lowers them in a copy of this file; it may not raise them.
"""


def options() -> str:
    """The text of docs/ledger.options: what the services speak, each file after its imports."""
    files = parsed(sorted(PROTO.rglob("*_service.proto")))
    callbacks = {field.message for file in files for field in fields(file) if _is_callback(field)}
    return "\n".join([HEAD, *filter(None, (_section(file, callbacks) for file in files))])


def _section(file: FileDescriptorProto, callbacks: set[str]) -> str:
    lines = [
        f"{field.message}.{field.proto.name} {' '.join(words)}\n"
        for field in fields(file)
        if (words := _words(field, callbacks))
    ]
    return "".join([f"# {file.name.rpartition('/')[2]}\n", *lines]) if lines else ""


def _words(field: Field, callbacks: set[str]) -> list[str]:
    stated = limits(field.comment)
    words = []
    if stated.bytes_max and field.proto.type == FieldDescriptorProto.TYPE_STRING:
        words.append(f"max_length:{stated.bytes_max}")
    if stated.bytes_max and field.proto.type == FieldDescriptorProto.TYPE_BYTES:
        words.append(f"max_size:{stated.bytes_max}")
        words += ["fixed_length:true"] * stated.exact
    if stated.count_max and field.repeated:
        words.append(f"max_count:{stated.count_max}")
    if _is_callback(field):
        words.append("type:FT_CALLBACK")
    # Of the members of a received oneof nanopb learns only while it reads; the device sets the
    # callbacks of the one that comes in a callback of its own.
    received = field.message.endswith("Response") and field.proto.HasField("oneof_index")
    if received and field.proto.type_name.removeprefix(".") in callbacks:
        words.append("submsg_callback:true")
    return words


def _is_callback(field: Field) -> bool:
    stated = limits(field.comment)
    if field.repeated and not 0 < stated.count_max < CALLBACK_COUNT_FROM:
        return True
    text = field.proto.type in {FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES}
    return text and not 0 < stated.bytes_max < CALLBACK_BYTES_FROM
