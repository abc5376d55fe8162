"""The scans of a spool that the ledger refused later: kept whole, each with its reason, and listed.

A line of JSON for each. A crash may leave one twice, which is shown once, or half of one at the
end, which is cut: its scan is not settled, and will be refused again.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.ingest_service_pb2 import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ingest.spool_files import Files
    from ledger.v1.ingest_service_pb2 import Refusal

REFUSED: Final = "refused"
"""The file."""


class RefusedScan(NamedTuple):
    """A scan that was refused after it had been spooled."""

    place: int
    time_ns: int
    """When the refusal came, by this machine's clock."""

    source_id: str
    spool_id: bytes
    sequence: int
    """In the source's own spool; 0 where the source is unnumbered."""

    field: str
    reason: str
    """The name of a `RefusalReason`, without its prefix."""

    message: str
    event: bytes
    """The whole scan event, as it came."""


class RefusedList:
    """The file of one spool, to which scans are added."""

    def __init__(self, files: Files) -> None:
        """Open it, and cut half a line at its end. Raises OSError."""
        self._files = files
        self.bytes = files.size(REFUSED)
        """What it takes on the disk."""

        data = files.read(REFUSED, 0, self.bytes) if self.bytes else b""
        whole = data.rfind(b"\n") + 1
        if whole < self.bytes:
            files.cut(REFUSED, whole)
            self.bytes = whole
        self._is_torn = bool(whole)  # Nobody knows how much of it a failed sync has left.
        self.count = sum(1 for line in data[:whole].split(b"\n") if line)
        """How many lines it has."""

    def add(self, scans: Sequence[RefusedScan]) -> None:
        """Write scans, and sync them. Raises OSError: then they are to be added again."""
        lines = b"".join(_line(scan) for scan in scans)
        if self._is_torn:
            lines = b"\n" + lines  # What may stand there would spoil the next line.
        is_new = not self.bytes
        self._is_torn = True
        try:
            self._files.append(REFUSED, lines)
            self._files.sync(REFUSED)
            if is_new:
                self._files.sync_names()
        except OSError:
            with suppress(OSError):
                self._files.cut(REFUSED, self.bytes)
            raise
        self._is_torn = False
        self.bytes += len(lines)
        self.count += len(scans)


def reason_name(refusal: Refusal) -> str:
    """Give the reason of a refusal as people read it; a number where this version has no name."""
    try:
        return RefusalReason.Name(refusal.reason).removeprefix("REFUSAL_REASON_")
    except ValueError:
        return str(int(refusal.reason))


def read_refused(folder: Path) -> Iterator[RefusedScan]:
    """Read the list of a spool's folder, also while a process uses it."""
    path = folder / REFUSED
    if not path.exists():
        return
    with path.open("rb") as file:
        yield from parse_refused(file)


def parse_refused(lines: Iterable[bytes]) -> Iterator[RefusedScan]:
    """Read lines, each scan once."""
    seen = set()
    for line in lines:
        if not line.endswith(b"\n"):
            return  # It is being written.
        try:
            found = json.loads(line)
        except ValueError:
            continue  # A disk that failed has left it; its scan was refused and listed again.
        if found["place"] not in seen:
            seen.add(found["place"])
            found["spool_id"] = bytes.fromhex(found["spool_id"])
            found["event"] = base64.b64decode(found["event"])
            yield RefusedScan(**found)


def _line(scan: RefusedScan) -> bytes:
    said = scan._asdict()
    said["spool_id"] = scan.spool_id.hex()
    said["event"] = base64.b64encode(scan.event).decode()
    return json.dumps(said).encode() + b"\n"
