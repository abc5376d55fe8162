"""The scanners' own list of what was acknowledged: a CSV, written as results come, read to verify.

It is kept outside of the ledger and of its clients' memory, so that whoever verifies asks neither.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

COLUMNS = ("tracking_number", "source_id", "event_id", "positions")


Place = tuple[int, int, int]
"""The highest position that a batch took in one partition: generation, partition, index."""


class Acknowledged(NamedTuple):
    """One acknowledged scan.

    Attributes:
        tracking_number: as it was scanned.
        source_id: who saw it.
        event_id: its id.
        places: of the whole batch, with the first scan of a batch; empty with the others.
    """

    tracking_number: str
    source_id: str
    event_id: bytes
    places: Sequence[Place]


class AcknowledgedFile:
    """The list while it is written."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def add(self, scans: Iterable[Acknowledged]) -> None:
        """Write scans behind the others."""
        for number, source, event_id, places in scans:
            positions = " ".join("/".join(map(str, place)) for place in places)
            self._rows.writerow((number, source, event_id.hex(), positions))

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        self._file.close()


def read_acknowledged(path: Path) -> Iterator[Acknowledged]:
    """Read a list."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        assert tuple(next(rows)) == COLUMNS
        for number, source, event_id, positions in rows:
            places = [_place(words) for words in positions.split()]
            yield Acknowledged(number, source, bytes.fromhex(event_id), places)


def _place(words: str) -> Place:
    generation, partition, index = map(int, words.split("/"))
    return generation, partition, index
