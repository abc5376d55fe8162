"""The embedded trail store against a small oracle: any sequence of puts, reads, marks, entries and
reopenings.
"""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.event import order_key
from ledger.trail_store import MarkCell, MarkKind, ProgressCell, Row, Slice, StoredRow
from tests.folders import opened
from tests.scale import scaled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(150, soak=7_200))]

# Few of everything, so that rules meet on the same rows, and keys that begin alike.
KEYS = st.sampled_from([b"A", b"AB", b"A\x01", b"A\xff", b"\xff" * 128])
TIMES = st.integers(0, 5)
ROWS = st.builds(
    lambda key, time_ns, event, index: Row(
        key,
        order_key(time_ns, bytes([event]) * 16, 1 << 56 | index),
        b"%d %d %d" % (time_ns, event, index) * (1 + 40 * (index % 3)),
        time_ns,
    ),
    KEYS,
    TIMES,
    st.integers(0, 2),
    st.integers(0, 5),
)
BOUNDS = st.one_of(
    st.none(),
    st.builds(lambda time, cut: time.to_bytes(8, "big")[:cut], TIMES, st.integers(0, 8)),
    ROWS.map(lambda row: row.order),
    ROWS.map(lambda row: row.order + b"\0"),
)
MARKS = st.builds(
    lambda kind, log, partition, index: MarkCell(
        kind, log, 1, partition, index, b"mark %d" % index
    ),
    st.sampled_from(MarkKind),
    st.sampled_from(["scans", "scan"]),
    st.integers(0, 2),
    st.integers(0, 9),
)
ENTRIES = st.builds(
    ProgressCell, st.integers(1, 6), st.integers(0, 12), st.sampled_from([b"", b"one", b"two"])
)
READERS = st.sampled_from(["trail", "trails"])


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.rows: dict[bytes, dict[bytes, bytes]] = {}
        self.marks: dict[str, dict[tuple[MarkKind, str, int], MarkCell]] = {}
        self.history: list[ProgressCell] = []

    @initialize()
    def open(self) -> None:
        """Begin with an empty folder."""
        self.stack = AsyncExitStack()
        self.ledger = self.runner.run(self.stack.enter_async_context(opened(self.folder)))

    @rule()
    def reopen(self) -> None:
        """Close the folder, and open it again."""
        self.runner.run(self.stack.aclose())
        self.open()

    @rule(rows=st.lists(ROWS, max_size=30))
    def put(self, rows: list[Row]) -> None:
        """Keep rows, many of them again."""
        self.runner.run(self.ledger.store.put(rows))
        for row in rows:
            self.rows.setdefault(row.tracking_key, {})[row.order] = row.record

    @rule(
        key=KEYS,
        start=BOUNDS,
        stop=BOUNDS,
        descending=st.booleans(),
        max_rows=st.integers(1, 20),
        max_bytes=st.integers(1, 900),
    )
    def read(  # noqa: PLR0917 - Hypothesis passes them by name.
        self,
        key: bytes,
        start: bytes | None,
        stop: bytes | None,
        descending: bool,
        max_rows: int,
        max_bytes: int,
    ) -> None:
        """Read a slice of one trail."""
        slice_ = self.runner.run(
            self.ledger.store.read(
                key,
                start=start or b"",
                stop=stop,
                descending=descending,
                max_rows=max_rows,
                max_bytes=max_bytes,
            )
        )
        wanted = [
            StoredRow(order, record)
            for order, record in sorted(self.rows.get(key, {}).items(), reverse=descending)
            if order >= (start or b"") and (stop is None or order < stop)
        ]
        self.compare(slice_, wanted, max_rows, max_bytes)

    @rule(keys=st.lists(KEYS, max_size=6), max_rows=st.integers(1, 9))
    def read_many(self, keys: list[bytes], max_rows: int) -> None:
        """Read several trails."""
        slices = self.runner.run(
            self.ledger.store.read_many(keys, max_rows=max_rows, max_bytes=300)
        )
        assert len(slices) == len(keys)
        for key, slice_ in zip(keys, slices, strict=True):
            trail = [StoredRow(*row) for row in sorted(self.rows.get(key, {}).items())]
            self.compare(slice_, trail, max_rows, 300)

    @staticmethod
    def compare(slice_: Slice, wanted: list[StoredRow], max_rows: int, max_bytes: int) -> None:
        """A slice is as much of the rows as the limits allow, and says whether there is more."""
        rows = list(slice_.rows)
        assert rows == wanted[: len(rows)]
        size = sum(len(row.record) for row in rows[:-1])
        assert len(rows) <= max_rows
        assert size < max_bytes, "the row before was too much already"
        full = len(rows) == max_rows or size + len(rows[-1].record if rows else b"") >= max_bytes
        assert full or len(rows) == len(wanted), "no limit ended it"
        assert slice_.more or len(rows) == len(wanted)

    @rule(reader=READERS, marks=st.lists(MARKS, max_size=5))
    def put_marks(self, reader: str, marks: list[MarkCell]) -> None:
        """Put marks; the larger stand."""
        self.runner.run(self.ledger.store.put_marks(reader, marks))
        standing = self.marks.setdefault(reader, {})
        for mark in marks:
            place = (mark.kind, mark.log, mark.partition)
            if place not in standing or mark.next_index > standing[place].next_index:
                standing[place] = mark

    @rule(entry=ENTRIES)
    def decide(self, entry: ProgressCell) -> None:
        """Try an entry of the history."""
        decided = self.runner.run(self.ledger.store.decide_progress(entry))
        if entry.number <= len(self.history):
            assert decided == (self.history[entry.number - 1] == entry)
            return
        later = not self.history or entry.time_ns > self.history[-1].time_ns
        assert decided == (entry.number == len(self.history) + 1 and later)
        if decided:
            self.history.append(entry)

    @rule(time_ns=st.one_of(st.none(), st.integers(0, 14)))
    def progress_at(self, time_ns: int | None) -> None:
        """Ask the history."""
        found = self.runner.run(self.ledger.store.progress_at(time_ns))
        before = [e for e in self.history if time_ns is None or e.time_ns <= time_ns]
        assert found == (before[-1] if before else None)

    @invariant()
    def the_marks_stand(self) -> None:
        """After every step the marks are those that should stand."""
        for reader, standing in self.marks.items():
            cells = self.runner.run(self.ledger.store.marks(reader))
            assert sorted(cells, key=str) == sorted(standing.values(), key=str)

    def teardown(self) -> None:
        """Close and remove the folder."""
        self.runner.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=scaled(40, soak=2_000), stateful_step_count=scaled(30, soak=200)
)
