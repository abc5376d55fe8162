"""Revisions: short opaque text that stands for an answer, so that an equal one need not be sent.

One is made of the question, of the positions of all that was read under every key, and of when time
alone changes the answer next. Nothing in it gives a right: who makes one up gets UNCHANGED.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ledger.facilities import Directory
    from ledger.vocabulary import Mappings
    from query.containers import Carried
    from query.reading import KeyedRows

DIGEST_BYTES: Final = 16

RULES: Final = 3
"""What the fold says of the same events. Raise it with every change of that: then no revision from
before stands for an answer of now.
"""

_REVISION: Final = struct.Struct(f">{DIGEST_BYTES}sQ")


class Revision(NamedTuple):
    """What an answer was made from."""

    digest: bytes
    """Of the question and of all that was read."""
    until_ns: int
    """When time alone changes the answer; 0 where it never does."""

    def holds(self, digest: bytes, now_ns: int) -> bool:
        """Whether the answer is still the same."""
        return self.digest == digest and (not self.until_ns or now_ns < self.until_ns)


def edition_of(mappings: Mappings, facilities: Directory) -> bytes:
    """Give what answers depend on beside the ledger, the same in every process that has the same:
    the fold's rules, mappings, and where facilities are.
    """
    found = hashlib.sha256(b"%d" % RULES)
    for mapping in mappings.all:
        found.update(f"{mapping.system}\0{mapping.version}\0".encode())
    for one in facilities.all:
        found.update(one.brief.SerializeToString(deterministic=True))
    return found.digest()[:DIGEST_BYTES]


def digest_of_carried(before: bytes, carried: Carried) -> bytes:
    """Give the digest of what was read before, and of what an item inherits."""
    found = hashlib.sha256(before + bytes([carried.is_truncated]))
    for one in carried.lain:
        found.update(repr((one.path, one.begin_ns, one.end_ns)).encode())
    for scan in carried.scans:
        found.update(scan.told.digest + repr((scan.told.path, scan.told.source_id)).encode())
    return found.digest()[:DIGEST_BYTES]


def digest_of_container(before: bytes) -> bytes:
    """Give the digest of what was read before, and that something was put into it."""
    return hashlib.sha256(before + b"container").digest()[:DIGEST_BYTES]


def digest_of(question: bytes, keyed_rows: KeyedRows) -> bytes:
    """Give the digest of a question and of what was read for it."""
    found = hashlib.sha256(question)
    for key, rows in keyed_rows:
        # An order ends with the position, so of each length there is one meaning alone.
        found.update(b"%d %d " % (len(key), len(rows)) + key)
        found.update(b"".join([row[0] for row in rows]))
    return found.digest()[:DIGEST_BYTES]


def write_revision(digest: bytes, until_ns: int) -> str:
    """Write a revision."""
    return text_of(_REVISION.pack(digest, until_ns))


def read_revision(text: str) -> Revision | None:
    """Read a revision; None for what is none."""
    try:
        return Revision(*_REVISION.unpack(base64.urlsafe_b64decode(text)))
    except (binascii.Error, ValueError, struct.error):
        return None


def text_of(data: bytes) -> str:
    """Write bytes as URL-safe text; a multiple of three has no padding."""
    return base64.urlsafe_b64encode(data).decode()
