"""The store made again, as a job; and its generations, as they are said on the wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ledger.app.operator.jobs import Progress, Work
from ledger.app.operator.upkeep import Kept, comparison_message, refused_of
from ledger.errors import NotPossibleNow
from ledger.generations import Standing
from ledger.quarantine.desk import Desk
from ledger.rebuilding import Rebuilding
from ledger.v1.rebuild_pb2 import Rebuild, StoreGeneration, StoreGenerationState

REBUILD: Final = "rebuild"
"""Kind of the job that makes the store again."""


class Rebuilds:
    """What the operator's service does with generations."""

    def __init__(self, kept: Kept, desk: Desk, *, monotonic: Callable[[], float]) -> None:
        """`desk` is the quarantine's; `monotonic` gives seconds."""
        self._generations = kept.generations
        self._rebuilding = Rebuilding(
            kept.scans,
            kept.store,
            kept.generations,
            refused=refused_of(desk),
            monotonic=monotonic,
        )

    def work(self) -> Work:
        """Give the work of a job."""

        async def rebuild(progress: Progress) -> None:
            built = await self._rebuilding.rebuild(progress)
            comparison = built.comparison
            if not comparison.is_same:
                progress.result.comparison.CopyFrom(comparison_message(comparison))
                raise NotPossibleNow(
                    f"Generation {built.generation} of the store differs from the log, so "
                    f"generation {built.before} goes on serving. `parcel-ledger rebuild drop "
                    f"{built.generation}` removes it; then begin again.",
                    reason="REBUILD_DIFFERS",
                )
            result = Rebuild(
                store_generation=built.generation,
                previous_store_generation=built.before,
                records=built.records,
                compared_rows=comparison.rows,
            )
            progress.result.rebuild.CopyFrom(result)
            progress.message(f"generation {built.generation} serves")

        return rebuild

    async def all(self) -> Sequence[StoreGeneration]:
        """List the generations."""
        return generation_messages(await self._generations.standing())

    async def drop(self, generation: int) -> Sequence[StoreGeneration]:
        """Remove one; list those that are left. Raises NotPossibleNow."""
        await self._rebuilding.drop(generation)
        return await self.all()


def generation_messages(standing: Standing) -> Sequence[StoreGeneration]:
    """Say which generations there are, by number."""
    states = dict.fromkeys(standing.kept, StoreGenerationState.STORE_GENERATION_STATE_KEPT)
    states[standing.serving] = StoreGenerationState.STORE_GENERATION_STATE_SERVING
    if standing.building:
        states[standing.building] = StoreGenerationState.STORE_GENERATION_STATE_BUILDING
    return [
        StoreGeneration(store_generation=number, state=state)
        for number, state in sorted(states.items())
    ]
