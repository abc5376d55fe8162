"""How large a run is, and which of its sections are wanted: read from the environment.

`QUICK=1` is what continuous integration runs; `SECTIONS=rf1,rf3` chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EMBEDDED: Final = "embedded"

NODES: Final[Mapping[str, int]] = {"rf1": 1, "rf3": 3}
"""Sections on Kafka and Cassandra: as many nodes of each as there are replicas."""

SECTIONS: Final = (EMBEDDED, *NODES)
"""All sections, in the order in which they run."""

STREAMS: Final = 8
"""Streams at once: sorting machines, each with a stream of its own."""

CALLERS: Final = 16
"""Readers at once, where trails are read as fast as they come."""


class Scale(NamedTuple):
    """How large a run is. Times in seconds.

    Attributes:
        quick: whether it is the short run, which is kept nowhere.
        warm_s: load before anything is measured, so that Java has compiled what it will need.
        embedded_s: closed loop on the embedded engine; the open loop takes half of it.
        ingest_s: ingest alone.
        ingest_scans_max: and at most so many scans, since a writer has to read them afterwards.
        whole_s: closed loop, the whole way.
        open_s: open loop.
        reference_s: the empty server, and bare RocksDB.
        java_s: one run of Kafka's own producer.
        loader_s: one run of the bare loader.
        loader_rows_max: and at most so many rows, which it holds in memory.
        tuned: whether references try several settings, and are measured before and after.
        items_at_once: items on their way on each stream, where nothing better is known.
        reads: trails read one at a time, and again several at a time.
        backlog_scans_max: in the whole way, senders wait while more scans are unread than this.
    """

    quick: bool
    warm_s: float
    embedded_s: float
    ingest_s: float
    ingest_scans_max: int
    whole_s: float
    open_s: float
    reference_s: float
    java_s: float
    loader_s: float
    loader_rows_max: int
    tuned: bool
    items_at_once: int
    reads: int
    backlog_scans_max: int


FULL: Final = Scale(
    quick=False,
    warm_s=15.0,
    embedded_s=60.0,
    ingest_s=20.0,
    ingest_scans_max=2_000_000,
    whole_s=60.0,
    open_s=30.0,
    reference_s=10.0,
    java_s=15.0,
    loader_s=12.0,
    loader_rows_max=400_000,
    tuned=True,
    items_at_once=2_000,
    reads=4_000,
    backlog_scans_max=100_000,
)

QUICK: Final = Scale(
    quick=True,
    warm_s=5.0,
    embedded_s=10.0,
    ingest_s=6.0,
    ingest_scans_max=200_000,
    whole_s=12.0,
    open_s=8.0,
    reference_s=2.0,
    java_s=5.0,
    loader_s=4.0,
    loader_rows_max=40_000,
    tuned=False,
    items_at_once=400,
    reads=1_000,
    backlog_scans_max=50_000,
)


def scale_of(environ: Mapping[str, str]) -> Scale:
    """Give the scale that is asked for."""
    return QUICK if environ.get("QUICK") else FULL


def sections_of(environ: Mapping[str, str]) -> Sequence[str]:
    """Give the sections that are asked for, in their order. Raises ValueError for another name."""
    asked = [name.strip() for name in environ.get("SECTIONS", "").split(",") if name.strip()]
    strange = [name for name in asked if name not in SECTIONS]
    if strange:
        raise ValueError(
            f"SECTIONS has {', '.join(strange)}; there are {', '.join(SECTIONS)}, with commas "
            "between."
        )
    if not asked:
        return tuple(name for name in SECTIONS if name != "rf3" or not environ.get("QUICK"))
    return tuple(name for name in SECTIONS if name in asked)
