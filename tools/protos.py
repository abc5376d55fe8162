"""Reads the proto files with their comments, which the generated code has lost.

Every length on the wire is stated in a comment, in one form that a program can read: "At most 128
bytes", "Exactly 16 bytes", "At most 64" for a list.
"""

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import grpc_tools
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
INCLUDES = (f"-I{PROTO}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}")

_LENGTH = re.compile(r"\b(at most|exactly|1 to) ([\d,]*\d)(?: (bytes|KiB|MiB)\b)?", re.IGNORECASE)
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20}


class Field(NamedTuple):
    """A field of a message."""

    message: str
    """Full name of the message."""
    proto: FieldDescriptorProto
    comment: str
    """What stands above it, in one line."""

    @property
    def repeated(self) -> bool:
        """Whether it is a list."""
        return self.proto.label == FieldDescriptorProto.LABEL_REPEATED


class Limits(NamedTuple):
    """The greatest lengths that a comment states; 0 where it states none."""

    bytes_max: int = 0
    count_max: int = 0
    exact: bool = False
    """True: always `bytes_max`, and never empty."""


def parsed(protos: Iterable[Path]) -> list[FileDescriptorProto]:
    """These files and those of ours that they import, each after what it imports."""
    with tempfile.NamedTemporaryFile() as out:
        wanted = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out.name}"]
        if protoc.main(["protoc", *INCLUDES, *wanted, *map(str, protos)]) != 0:
            sys.exit("protoc refused the proto files; its words are above")
        files = FileDescriptorSet.FromString(Path(out.name).read_bytes()).file
    return [file for file in files if (PROTO / file.name).is_file()]


def fields(file: FileDescriptorProto) -> Iterator[Field]:
    """The fields of all messages of a file, in its order."""
    comments = {
        tuple(location.path): " ".join(location.leading_comments.split())
        for location in file.source_code_info.location
    }
    for i, message in enumerate(file.message_type):
        path = (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, i)
        yield from _fields(message, f"{file.package}.{message.name}", path, comments)


def limits(comment: str) -> Limits:
    """The lengths that a comment states: the first of bytes, and the first of elements."""
    found = Limits()
    for words, digits, unit in _LENGTH.findall(comment):
        number = int(digits.replace(",", ""))
        if not unit:
            found = found._replace(count_max=found.count_max or number)
        elif not found.bytes_max:
            exact = words.lower() == "exactly" and "empty" not in comment
            found = found._replace(bytes_max=number * _UNITS[unit], exact=exact)
    return found


def _fields(
    message: DescriptorProto,
    name: str,
    path: tuple[int, ...],
    comments: dict[tuple[int, ...], str],
) -> Iterator[Field]:
    for i, field in enumerate(message.field):
        at = (*path, DescriptorProto.FIELD_FIELD_NUMBER, i)
        yield Field(name, field, comments.get(at, ""))
    for i, nested in enumerate(message.nested_type):
        at = (*path, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, i)
        yield from _fields(nested, f"{name}.{nested.name}", at, comments)
