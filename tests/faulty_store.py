"""A trail store with faults in pairs: a call fails before anything is kept, or after all is."""

from collections.abc import Callable, Mapping, Sequence

from ledger.errors import LedgerError, Refused
from ledger.trail_store import MarkCell, ProgressCell, Row, Slice, TrailStore

Fault = Callable[[str], LedgerError | None]


class FaultyStore:
    """Passes everything on to a real store, and fails as it is told. Stricter than the store: it
    checks that no row is ever put with other bytes, and no mark before its rows.
    """

    def __init__(self, store: TrailStore, *, settle_after_s: float | None = None) -> None:
        self.fails_unwritten: Fault = lambda _: None
        """Asked with the method's name before a call; the error is raised and nothing is kept."""

        self.fails_written: Fault = lambda _: None
        """Asked after a call; the error is raised though everything is kept."""

        self.forgets: Callable[[Row], bool] = lambda _: False
        """Asked for each row that is put; the store says that it is kept, and does not keep it."""

        self.refuses: Callable[[Row], bool] = lambda _: False
        """Asked for each row; a put with such a row is refused, and the rows before it are kept."""

        self.lives_are: Mapping[str, str] = {}
        """What the store's processes say of their lives."""

        self.puts = 0
        """Rows put, repeats included."""

        self._store = store
        self._settle_after_s = settle_after_s
        self._rows: dict[tuple[bytes, bytes], tuple[bytes, int]] = {}

    @property
    def generation(self) -> int:
        """As the store's."""
        return self._store.generation

    @property
    def settle_after_s(self) -> float:
        """As the store's, or as told."""
        return self._store.settle_after_s if self._settle_after_s is None else self._settle_after_s

    async def lives(self) -> Mapping[str, str]:
        """As told, or fail."""
        self._fail(self.fails_unwritten, "lives")
        return self.lives_are

    async def put(self, rows: Sequence[Row]) -> None:
        """Keep rows, or fail before or after."""
        self._fail(self.fails_unwritten, "put")
        await self._put_until_refused(rows)
        for key, order, record, time_us in rows:
            assert self._rows.setdefault((key, order), (record, time_us)) == (record, time_us)
        self.puts += len(rows)
        self._fail(self.fails_written, "put")

    async def _put_until_refused(self, rows: Sequence[Row]) -> None:
        refused = next((at for at, row in enumerate(rows) if self.refuses(row)), None)
        await self._store.put([row for row in rows[:refused] if not self.forgets(row)])
        if refused is not None:
            raise Refused("The store does not take this row.", reason="ROW_REFUSED")

    async def put_marks(self, reader: str, marks: Sequence[MarkCell]) -> None:
        """Keep marks, or fail before or after."""
        self._fail(self.fails_unwritten, "put_marks")
        await self._store.put_marks(reader, marks)
        self._fail(self.fails_written, "put_marks")

    async def marks(self, reader: str) -> Sequence[MarkCell]:
        """Read marks, or fail."""
        self._fail(self.fails_unwritten, "marks")
        return await self._store.marks(reader)

    async def read(
        self,
        tracking_key: bytes,
        *,
        start: bytes = b"",
        stop: bytes | None = None,
        descending: bool = False,
        max_rows: int,
        max_bytes: int,
    ) -> Slice:
        """As the store's."""
        return await self._store.read(
            tracking_key,
            start=start,
            stop=stop,
            descending=descending,
            max_rows=max_rows,
            max_bytes=max_bytes,
        )

    async def read_many(
        self, tracking_keys: Sequence[bytes], *, max_rows: int, max_bytes: int
    ) -> Sequence[Slice]:
        """As the store's."""
        return await self._store.read_many(tracking_keys, max_rows=max_rows, max_bytes=max_bytes)

    async def decide_progress(self, cell: ProgressCell) -> bool:
        """Decide, or fail before or after."""
        self._fail(self.fails_unwritten, "decide_progress")
        decided = await self._store.decide_progress(cell)
        self._fail(self.fails_written, "decide_progress")
        return decided

    async def progress_at(self, time_ns: int | None = None) -> ProgressCell | None:
        """Read the history, or fail."""
        self._fail(self.fails_unwritten, "progress_at")
        return await self._store.progress_at(time_ns)

    @staticmethod
    def _fail(fault: Fault, method: str) -> None:
        if error := fault(method):
            raise error
