"""From the lines of a file to batches of one source each. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Protocol

from ledger.app.lines import Line
from ledger.app.scan_file import Refusal, RefusedFile, ScanFile
from ledger.app.sending import Item
from ledger.errors import Refused

BATCH_LINES: Final = 500
"""Lines in one batch: more gains little, and a result comes sooner."""

BATCH_BYTES: Final = 512 << 10
"""Bytes after which a batch is sent: half of what the ledger takes."""

WAITING_LINES_MAX: Final = 20_000
"""Most lines that wait for others of their source."""


class Takes(Protocol):
    """Takes batches."""

    def send(self, source: str, items: Sequence[Item]) -> None:
        """Take the lines of one source."""


class Shipment:
    """The lines on their way from the file to the sender.

    Attributes:
        lines: how many have been read.
    """

    def __init__(self, scan_file: ScanFile, sender: Takes, bad: RefusedFile, source: str) -> None:
        """`source` is that of lines that name none."""
        self.lines = 0
        self._scan_file = scan_file
        self._sender = sender
        self._bad = bad
        self._source = source
        self._waiting: defaultdict[str, list[Item]] = defaultdict(list)
        self._bytes: defaultdict[str, int] = defaultdict(int)
        self._waits = 0

    def take(self, line: Line | None) -> None:
        """Take one line, and send its batch when that is full; None sends all that waits."""
        if line is None:
            self.flush()
            return
        self.lines += 1
        try:
            event = self._scan_file.event_of(line)
        except Refused as error:
            self._bad.add(Refusal(line, error.field, error.reason, error.message))
            return
        source = self._scan_file.source_of(line) or self._source
        if not source:
            why = "The line does not say who saw the scan, and there is no --source."
            self._bad.add(Refusal(line, "source", "REQUIRED", why))
            return
        self._waiting[source].append(Item(line, event))
        self._bytes[source] += event.ByteSize()
        self._waits += 1
        if len(self._waiting[source]) >= BATCH_LINES or self._bytes[source] >= BATCH_BYTES:
            self._send(source)
        elif self._waits >= WAITING_LINES_MAX:
            self.flush()

    def flush(self) -> None:
        """Send all that waits."""
        for source in list(self._waiting):
            self._send(source)

    def _send(self, source: str) -> None:
        items = self._waiting.pop(source)
        self._bytes.pop(source)
        self._waits -= len(items)
        self._sender.send(source, items)
