"""What came of a run: counts, and every fault by name. Several processes' verdicts add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from loadtest.load.check import FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtest.load.check import Fault

NAMED_MAX: Final = 100
"""Most faults that are named; the others are counted. Whoever lost so many looks for one cause."""

DISTINCT_MAX: Final = 100_000
"""Most faults that are told apart, about 300 bytes each; beyond it one may be counted twice."""


@dataclass(slots=True)
class Verdict:
    """What came of a run.

    Attributes:
        acknowledged: scans that scanners were told are durable.
        read_back: distinct scans that were looked for at the end, in `items` trails.
        checked: trails that were compared while the load ran, by whoever read them.
        refused: scans that were refused: bad labels, which a fleet has.
        sent_again: scans that the server asked for again.
        unsettled: scans without an outcome at the end; nobody was told that they are durable.
        faults: how many of each kind.
        named: the first of them.
        unfinished: why not everything was read back; empty where it was.
    """

    acknowledged: int = 0
    read_back: int = 0
    items: int = 0
    checked: int = 0
    refused: int = 0
    sent_again: int = 0
    unsettled: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    unfinished: str = ""
    _distinct: set[Fault] = field(default_factory=set)

    @property
    def is_good(self) -> bool:
        """Something was acknowledged, all of it was read back, and no fault was found."""
        return bool(self.acknowledged) and not self.unfinished and not self.faults.total()

    def add(self, fault: Fault) -> bool:
        """Count a fault; False where it is known already."""
        if fault in self._distinct:
            return False
        if len(self._distinct) < DISTINCT_MAX:
            self._distinct.add(fault)
        self.faults[fault.kind] += 1
        if len(self.named) < NAMED_MAX:
            self.named.append(str(fault))
        return True

    def merge(self, other: Verdict) -> None:
        """Add another process's verdict."""
        for name in (
            *("acknowledged", "read_back", "items", "checked"),
            *("refused", "sent_again", "unsettled"),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.named = [*self.named, *other.named][:NAMED_MAX]
        self.unfinished = self.unfinished or other.unfinished

    def figures(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        figures = {name: value for name, value in asdict(self).items() if name != "_distinct"}
        return {**figures, "faults": {kind: self.faults[kind] for kind in FAULTS}}

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Verdict:
        """Read what `figures` gave."""
        return cls(**{**figures, "faults": +Counter(figures["faults"])})

    def lines(self) -> list[str]:
        """Say it to a person."""
        counts = ", ".join(f"{self.faults[kind]} {kind}" for kind in FAULTS)
        lines = [
            f"{self.acknowledged:,} scans acknowledged, {self.read_back:,} different ones read "
            f"back in {self.items:,} trails, {self.checked:,} trails checked under way",
            f"{self.refused:,} refused, {self.sent_again:,} sent again, {self.unsettled:,} "
            "without an outcome",
            counts,
            *self.named,
        ]
        if self.faults.total():
            lines.append("The ledger has not kept its promise.")
        elif not self.acknowledged:
            lines.append("Nothing was acknowledged, so nothing is shown.")
        elif self.is_good:
            lines.append("Nothing is lost, nothing is doubled.")
        return [*lines, self.unfinished] if self.unfinished else lines
