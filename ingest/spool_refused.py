"""The scans of a spool that the ledger refused later: kept whole, each with its reason, and listed.

A line of JSON for each. A crash may leave one twice, which is shown once, or half of one at the
end, which is cut: its scan is not settled, and will be refused again. The list is bounded: it has
two files, and when the newer one is full the older one goes, and its scans are counted.
"""

from __future__ import annotations

import base64
import json
import logging
from contextlib import ExitStack, suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.ingest_service_pb2 import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ingest.spool_files import Files
    from ledger.v1.ingest_service_pb2 import Refusal

logger = logging.getLogger(__name__)

REFUSED: Final = "refused"
"""The first file. A later one has the number of its first scan in its name, too."""


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
    """The list of one spool, to which scans are added."""

    def __init__(self, files: Files, bytes_max: int) -> None:
        """Open it, and cut half a line at its end. Raises OSError."""
        self._files = files
        self._file_bytes_max = bytes_max // 2
        names = _names_in(files.names()) or {1: REFUSED}
        self._older = {name: files.size(name) for name in list(names.values())[:-1]}
        begin, self._name = list(names.items())[-1]
        size = files.size(self._name)
        data = files.read(self._name, 0, size) if size else b""
        whole = data.rfind(b"\n") + 1
        if whole < size:
            files.cut(self._name, whole)
        self._bytes = whole
        self._is_torn = bool(whole)  # Nobody knows how much of it a failed sync has left.
        self._next = begin + sum(1 for line in data[:whole].split(b"\n") if line)
        self.let_go = min(names) - 1
        """How many scans went out of it, as it was full; the ledger's own log has them."""

    @property
    def size_bytes(self) -> int:
        """What it takes on the disk."""
        return self._bytes + sum(self._older.values())

    @property
    def count(self) -> int:
        """How many lines it has."""
        return self._next - 1 - self.let_go

    def add(self, scans: Sequence[RefusedScan]) -> None:
        """Write scans, and sync them. Raises OSError: then they are to be added again."""
        lines: list[bytes] = []
        size = 0
        for scan in scans:
            line = _line(scan)
            if self._bytes + size and self._bytes + size + len(line) > self._file_bytes_max:
                self._write(lines)
                self._begin_file()
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        self._write(lines)
        self._let_go()

    def _write(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        data = b"".join(lines)
        if self._is_torn:
            data = b"\n" + data  # What may stand there would spoil the next line.
        is_new = not self._bytes
        self._is_torn = True
        try:
            self._files.append(self._name, data)
            self._files.sync(self._name)
            if is_new:
                self._files.sync_names()
        except OSError:
            with suppress(OSError):
                self._files.cut(self._name, self._bytes)
            raise
        self._is_torn = False
        self._bytes += len(data)
        self._next += len(lines)

    def _begin_file(self) -> None:
        self._older[self._name] = self._bytes
        self._name, self._bytes, self._is_torn = f"{REFUSED}-{self._next:016x}", 0, False

    def _let_go(self) -> None:
        """Remove the oldest scans beyond two files. The ledger has kept whole what it refused,
        before it said so. A crash before the removal leaves them for a while.
        """
        gone = list(self._older)[:-1]
        if not gone:
            return
        there = self._files.names()
        for name in gone:  # Oldest first: a crash in between must not leave a gap.
            if name in there:
                self._files.remove(name)
        self._files.sync_names()  # Else a power cut could bring back one, and not those behind it.
        for name in gone:
            del self._older[name]
        let_go, self.let_go = self.let_go, min(_names_in([*self._older, self._name])) - 1
        logger.warning(
            "the list of refused scans was full; its oldest stand in the ledger's log alone",
            extra={"scans": self.let_go - let_go},
        )


def reason_name(refusal: Refusal) -> str:
    """Give the reason of a refusal as people read it; a number where this version has no name."""
    try:
        return RefusalReason.Name(refusal.reason).removeprefix("REFUSAL_REASON_")
    except ValueError:
        return str(int(refusal.reason))


def read_refused(folder: Path) -> Iterator[RefusedScan]:
    """Read the list of a spool's folder, also while a process uses it."""
    with ExitStack() as opened:
        files = []
        for name in _names_in(_names_of(folder)).values():
            with suppress(FileNotFoundError):  # It was let go meanwhile.
                files.append(opened.enter_context((folder / name).open("rb")))
        yield from parse_refused(chain.from_iterable(files))


def count_let_go(folder: Path) -> int:
    """Tell how many scans went out of the list of a spool's folder, as it was full."""
    return min(_names_in(_names_of(folder)), default=1) - 1


def parse_refused(lines: Iterable[bytes]) -> Iterator[RefusedScan]:
    """Read lines, each scan once."""
    seen = set()
    for line in lines:
        if not line.endswith(b"\n"):
            continue  # It is being written, or was torn.
        try:
            found = json.loads(line)
        except ValueError:
            continue  # A disk that failed has left it; its scan was refused and listed again.
        if found["place"] not in seen:
            seen.add(found["place"])
            found["spool_id"] = bytes.fromhex(found["spool_id"])
            found["event"] = base64.b64decode(found["event"])
            yield RefusedScan(**found)


def _names_of(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def _names_in(names: Iterable[str]) -> dict[int, str]:
    """Give the files of the list, oldest first, by the number of the scan with which they begin."""
    found = {}
    for name in names:
        head, dash, number = name.partition("-")
        if head == REFUSED:
            with suppress(ValueError):  # Somebody else's.
                found[int(number, 16) if dash else 1] = name
    return dict(sorted(found.items()))


def _line(scan: RefusedScan) -> bytes:
    said = scan._asdict()
    said["spool_id"] = scan.spool_id.hex()
    said["event"] = base64.b64encode(scan.event).decode()
    return json.dumps(said).encode() + b"\n"
