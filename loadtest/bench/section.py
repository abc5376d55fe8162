"""What every section is given, and what it remembers: figures, and what was acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loadtest.bench.counting import Counted, count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loadtest.bench.client import Sent
    from loadtest.bench.plan import Scale


@dataclass(slots=True)
class Section:
    """A section while it runs.

    Attributes:
        name: of the section.
        scale: how large it is.
        say: tells a person what is done now.
        data: folder for engines and data, removed at the end.
        logs: folder for the output of processes, which stays.
        profiled: whether servers write down where their time goes.
        figures: what was measured so far; kept even where a later part fails.
        told: by run, for each item, which of its steps were acknowledged.
        highest: per partition, the highest index that was told.
        refused: scans that were refused or to be sent again.
    """

    name: str
    scale: Scale
    say: Callable[[str], None]
    data: Path
    logs: Path
    profiled: bool = False
    figures: dict[str, Any] = field(default_factory=dict)
    told: dict[int, Mapping[int, int]] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)
    refused: int = 0

    @property
    def next_run(self) -> int:
        """The number of the next run, from 1."""
        return len(self.told) + 1

    def remember(self, run: int, sent: Sent) -> None:
        """Remember what was acknowledged, to count it at the end."""
        self.told[run] = sent.steps
        self.refused += sent.refused
        for partition, index in sent.highest.items():
            self.highest[partition] = max(self.highest.get(partition, -1), index)

    def count_all(self, query: str) -> None:
        """Read back all that was acknowledged, and count."""
        counted = Counted()
        for run, steps in self.told.items():
            counted = counted.plus(count(query, run, steps))
        self.figures["counted"] = {**counted._asdict(), "refused": self.refused}


def good(figures: Mapping[str, Any]) -> bool:
    """Say whether all was read back, and nothing was lost, doubled or in conflict."""
    counted = dict(figures.get("counted", {}))
    counted.pop("refused", None)
    return bool(counted) and Counted(**counted).good
