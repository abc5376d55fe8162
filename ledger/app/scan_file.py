"""A file of scans on its way in, and the file of its refused lines on its way out.

The file is read in a thread of its own: lines of a slow pipe need not wait for a full batch.
"""

from __future__ import annotations

import csv
import io
import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from ledger.app.event_fields import SOURCE_NAME, check_name, make_event
from ledger.app.exits import CommandFailed
from ledger.app.json_list import read_json_list
from ledger.app.lines import REFUSED_PREFIX, Line, line_event_id, open_csv, read_ndjson
from ledger.app.partner_format import Kind
from ledger.app.partner_list import PartnerList
from ledger.errors import Refused
from ledger.v1.scan_event_pb2 import ScanEvent

STDIN: Final = "-"
"""The name that means standard input."""

READ_AHEAD_LINES: Final = 2_000
"""Lines that are read before they can be sent."""

SHOWN_MAX: Final = 5
"""Refused lines that are kept to be shown; the file has all."""

REQUIRED: Final = ("tracking_number", "type", "scan_time")
"""Columns without which no line can be a scan."""

KINDS: Final[dict[str, Kind]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
"""The format of a file, by the ending of its name."""


class Refusal(NamedTuple):
    """A line that was refused, and why."""

    line: Line
    field: str
    reason: str
    message: str


class ScanFile:
    """An open file of scans.

    Attributes:
        kind: its format.
        columns: the header of a CSV; of a partner's list in JSON the columns that are read; else
            empty.
        delimiter: what stands between the cells of a CSV.
        lines: its lines, once.
        size: bytes in all; None for a pipe.
    """

    def __init__(self, stream: TextIO, kind: Kind, partner: PartnerList | None = None) -> None:
        """`partner` is whose list it is, where it is not written as the ledger's own."""
        self.kind = kind
        self._partner = partner
        self.columns: Sequence[str] = ()
        self.delimiter = ","
        self._descriptor = stream.fileno()
        self.size = os.fstat(self._descriptor).st_size or None
        if kind == "csv":
            self.columns, self.delimiter, self.lines = open_csv(stream)
            if partner:
                partner.format.check_header(self.columns)
            else:
                _check_columns(self.columns)
        elif partner:
            is_list = kind == "json"
            lines = (
                read_json_list(stream, partner.format.records) if is_list else read_ndjson(stream)
            )
            self.columns, self.lines = partner.format.names, partner.in_columns(lines)
        else:
            self.lines = read_ndjson(stream)

    def position(self) -> int:
        """Bytes that have been read; 0 for a pipe."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR) if self.size else 0

    def event_of(self, line: Line) -> ScanEvent:
        """Make the event of a line. Raises Refused."""
        if line.problem:
            raise Refused(f"The line cannot be read: {line.problem}.", reason="UNREADABLE")
        if self._partner:
            return self._partner.event_of(line.values)
        event = make_event(line.values, raw_is_text=self.kind == "csv")
        if not event.event_id:
            event.event_id = line_event_id(line.values)
        return event

    def source_of(self, line: Line) -> str:
        """Say who saw the scan of a line; empty where the line does not."""
        if self._partner:
            return self._partner.source_of(line.values)
        return line.values.get(SOURCE_NAME, "")

    @property
    def names_sources(self) -> bool:
        """Whether lines may say who saw the scan."""
        if self._partner:
            is_column = SOURCE_NAME in self._partner.format.columns
            return is_column or bool(self._partner.format.source)
        return not self.columns or SOURCE_NAME in self.columns


@contextmanager
def open_scan_file(
    name: str, kind: Kind | None, partner: PartnerList | None = None
) -> Iterator[ScanFile]:
    """Open a file, or standard input for `-`. Raises CommandFailed or Refused."""
    by_name = KINDS.get(Path(name).suffix.lower())
    if partner:
        # Refused rows of every list come back as CSV, and are sent again as it.
        kind = by_name or partner.format.kind
    kind = kind or by_name
    if kind is None:
        raise CommandFailed(
            f"The name {name} does not say what is in it. Say --format csv or --format ndjson."
        )
    # Bytes that are no UTF-8 come through as lone surrogates, and only their line is refused.
    try:
        stream = io.TextIOWrapper(
            sys.stdin.buffer if name == STDIN else open(name, "rb"),  # noqa: SIM115 - closed below.
            encoding="utf-8",
            errors="surrogateescape",
            newline="" if kind == "csv" else "\n",
        )
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read: {error.strerror}.") from None
    try:
        yield ScanFile(stream, kind, partner)
    finally:
        if name != STDIN:
            stream.close()


def in_background(lines: Iterable[Line], *, linger_s: float) -> Iterator[Line | None]:
    """Read in a thread; give each line, and None whenever none came for `linger_s` seconds."""
    read: queue.Queue[Line | BaseException | None] = queue.Queue(READ_AHEAD_LINES)

    def work() -> None:
        try:
            for line in lines:
                read.put(line)
            read.put(None)
        except BaseException as error:
            read.put(error)

    # Nobody can end a thread that reads from a terminal: it must not keep the process.
    threading.Thread(target=work, daemon=True).start()
    while True:
        try:
            line = read.get(timeout=linger_s)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        if isinstance(line, BaseException):
            raise line
        yield line


class RefusedFile:
    """A CSV of refused lines; made with the first of them. Mended, it can be sent as it is.

    Each line of it is one refused line. One that cannot be split stands there as it stood, with
    its stray quote: what is not mended is refused again, and never sent as something else.

    Attributes:
        path: where it is, or would be.
        count: how many lines it has.
        first: the first few.
    """

    def __init__(self, path: Path, sent: ScanFile) -> None:
        """`sent` is the file whose lines they are: they stay in its columns."""
        self.path = path
        self.count = 0
        self.first: list[Refusal] = []
        self._columns = sent.columns
        self._delimiter = sent.delimiter
        self._kept = [
            i for i, name in enumerate(sent.columns) if not name.startswith(REFUSED_PREFIX)
        ]
        self._file: TextIO | None = None

    def add(self, refusal: Refusal) -> None:
        """Write one line behind why it was refused."""
        self.count += 1
        if len(self.first) < SHOWN_MAX:
            self.first.append(refusal)
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            why = [REFUSED_PREFIX + name for name in ("line", "field", "reason", "message")]
            self._write([*why, *([self._columns[i] for i in self._kept] or ["text"])])
        line, *reasons = refusal
        why = [str(line.number), *(" ".join(reason.splitlines()) for reason in reasons)]
        cells = line.original
        if not self._columns:
            self._write([*why, *cells])
        elif len(cells) == len(self._columns):
            self._write([*why, *(cells[i] for i in self._kept)])
        else:
            self._write(why, as_it_stood=self._delimiter + cells[0])

    def close(self) -> None:
        """Close the file, where there is one."""
        if self._file:
            self._file.close()

    def _write(self, cells: Sequence[str], as_it_stood: str = "") -> None:
        assert self._file is not None
        end = f"{as_it_stood}\n"
        csv.writer(self._file, delimiter=self._delimiter, lineterminator=end).writerow(cells)


def _check_columns(columns: Sequence[str]) -> None:
    """Raise Refused for a header with which no line can be right."""
    for name in columns:
        if not name.startswith(REFUSED_PREFIX):
            check_name(name)
    for name in REQUIRED:
        if name not in columns and _camel(name) not in columns:
            raise Refused(
                f"The header has no column `{name}`. Each scan needs {', '.join(REQUIRED)}.",
                reason="REQUIRED",
                field=name,
            )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
