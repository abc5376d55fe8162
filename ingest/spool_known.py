"""What the server says on opening that it has of our scans: what matches it is not sent again.

A sequence alone proves nothing, since another sender may have used it; a checksum of the scan
itself does. What does not match, or was refused, is sent, and gets its result.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ingest.scanner_batch import OutBatch
    from ingest.spool_lanes import Run, Source
    from ledger.v1.ingest_service_pb2 import SourceState

KNOWN_WAIT_S: Final = 0.25
"""Longest that scans wait, on a stream that has just been opened, for what the server says of their
sources: it says so at once, and one that does not is not waited for.
"""

KNOWN_SCANS_MAX: Final = 1_000_000
"""Most checksums that are kept, 4 MB: all that a server remembers. What is beyond is sent again."""


class KnownScans:
    """What the server has said on one stream."""

    def __init__(self) -> None:
        self._spans: dict[Source, list[tuple[int, Sequence[int]]]] = {}
        self._scans = 0
        self._awaited: set[Source] = set()
        self._until_s = 0.0

    def begin(self, sources: Iterable[Source], now_s: float) -> None:
        """A stream was opened, on which the server will speak of these sources."""
        self._spans.clear()
        self._scans = 0
        self._awaited = set(sources)
        self._until_s = now_s + KNOWN_WAIT_S

    def awaited_until_s(self, now_s: float) -> float | None:
        """Tell until when it is worth to wait for the server's word, if it is."""
        if self._awaited and now_s >= self._until_s:
            self._awaited.clear()
        return self._until_s if self._awaited else None

    def hear(self, state: SourceState) -> None:
        """Take what the server says of a source."""
        source = (state.source_id, state.spool_id)
        self._awaited.discard(source)
        spans = [(span.first, list(span.crc32)) for span in state.contents]
        scans = sum(len(checksums) for _, checksums in spans)
        if spans and self._scans + scans <= KNOWN_SCANS_MAX:
            self._spans[source] = sorted(spans)
            self._scans += scans

    def runs(self, batch: OutBatch[Run]) -> list[tuple[int, int, bool]] | None:
        """Cut a batch into runs of indexes, both ends included, and say whether the server has
        them; None where it has nothing of it.
        """
        spans = self._spans.get(batch.parts[0].owner.source) if self._spans else None
        if spans is None or not batch.first_sequence:
            return None
        has = list(_matches(batch, spans))
        if True not in has:
            return None
        runs, first = [], 0
        for index in range(1, len(has) + 1):
            if index == len(has) or has[index] is not has[first]:
                runs.append((first, index - 1, has[first]))
                first = index
        return runs


def _matches(batch: OutBatch[Run], spans: Sequence[tuple[int, Sequence[int]]]) -> Iterator[bool]:
    """Tell of each scan whether the server has it, to the checksum."""
    for sequence, event in enumerate(batch.events, batch.first_sequence):
        at = bisect_right(spans, sequence, key=_first_of) - 1
        if at < 0 or sequence - spans[at][0] >= len(spans[at][1]):
            yield False
        else:
            checksum = spans[at][1][sequence - spans[at][0]]
            yield bool(checksum) and checksum == crc32(event)


def _first_of(span: tuple[int, Sequence[int]]) -> int:
    return span[0]
