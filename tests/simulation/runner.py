"""Many seeds: what they found, how often each fault fell, and how to play one again."""

from __future__ import annotations

import gc
from collections import Counter
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.bugs import planted
from tests.simulation.plan import ALL_FAULTS
from tests.simulation.world import Result, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from multiprocessing.pool import Pool

SCANS_LEAST = 200
FAULTS_LEAST = 10
"""What one seed has at least."""

COLLECT_EVERY = 5
"""Seeds after which memory is cleaned up: in between it would make seeds slower, and so does what
is left of many seeds, which no longer fits into the processor's caches.
"""

SHARDS = 2
"""Processes that share the seeds."""

PORTION_SEEDS = 5
"""Seeds of one piece: at the end nobody waits long for who plays the last one."""

PORTIONS_MOST = 1_000
"""Portions after which a process is replaced by a new one."""

FOUND_ENOUGH = 20
"""Broken promises after which a run ends early."""


class Found(NamedTuple):
    """A seed that broke a promise."""

    seed: int
    promise: str


OTHER_DICE = 1 << 40
"""Added to a seed that turned out too easy; far beyond the seeds that anybody plays."""


class Summary(NamedTuple):
    """What came of many seeds."""

    seeds: int
    found: list[Found]
    fell: Counter[str]
    scans: int
    answers: int

    def never_fell(self) -> list[str]:
        """Name the faults that never fell: a run that is large enough has none."""
        return [fault for fault in ALL_FAULTS if not self.fell[fault]]

    def lines(self, bug: str = "") -> Iterator[str]:
        """Say it to a person."""
        yield f"{self.seeds:,} seeds, {self.scans:,} scans, {self.answers:,} answers compared"
        for fault in sorted(ALL_FAULTS):
            yield f"{self.fell[fault]:>9,}  {fault}"
        for fault in self.never_fell():
            yield f"never fell: {fault}"
        for seed, promise in self.found[:20]:
            yield f"seed {seed}: {promise[:1_000]}"
            yield f"  again: {again(seed, bug)}"


def again(seed: int, bug: str = "") -> str:
    """Give the command that plays a seed again."""
    with_bug = f" --bug '{bug}'" if bug else ""
    return f"python -m tests.simulation --seed {seed}{with_bug}"


def run_one(seed: int, bug: str = "") -> Result:
    """Run one seed, with a planted bug where one is named. Too easy a seed breaks a rule too."""
    with planted(bug):
        try:
            result = simulate(seed)
            # One in some thousands has too few faults: it is played with other dice.
            if not result.broken and sum(result.fell.values()) < FAULTS_LEAST:
                result = simulate(seed + OTHER_DICE)._replace(seed=seed)
        except Exception as error:  # Then, too, it has to be played again.
            return Result(seed, [f"the simulation itself goes on: {error!r}"], {}, 0, 0, 0, 0)
    if not result.broken and result.scans < SCANS_LEAST:
        result.broken.append(f"a seed is long enough: {result.scans} scans")
    if not result.broken and sum(result.fell.values()) < FAULTS_LEAST:
        result.broken.append(f"a seed is hard enough: {sum(result.fell.values())} faults")
    return result


def run_many(seeds: Iterable[int], bug: str = "", stop_at: int = FOUND_ENOUGH) -> Summary:
    """Run seeds one after the other, until so many have broken a promise."""
    found: list[Found] = []
    fell = Counter[str]()
    count = scans = answers = 0
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for seed in seeds:
            result = run_one(seed, bug)
            count += 1
            fell.update(result.fell)
            scans += result.scans
            answers += result.answers
            found += [Found(seed, result.broken[0])] if result.broken else []
            if len(found) >= stop_at:
                break
            if count % COLLECT_EVERY == 0:
                gc.collect()
    finally:
        gc.collect()
        if was_enabled:
            gc.enable()
    return Summary(count, found, fell, scans, answers)


def run_sharded(seeds: range, bug: str = "") -> Summary:
    """Run seeds in several processes at once."""
    with workers() as pool:
        return run_part(pool, seeds, bug, stop_at=FOUND_ENOUGH)


def workers() -> Pool:
    """Start the processes that share seeds."""
    context = get_context("spawn")
    return context.Pool(SHARDS, initializer=_begin, maxtasksperchild=PORTIONS_MOST)


def run_part(pool: Pool, seeds: range, bug: str = "", *, stop_at: int = 0) -> Summary:
    """Run seeds in these processes; who is done with a portion takes the next one."""
    portions = [
        seeds[begin : begin + PORTION_SEEDS] for begin in range(0, len(seeds), PORTION_SEEDS)
    ]
    parts: list[Summary] = []
    found = 0
    for part in pool.imap(partial(run_many, bug=bug), portions):
        parts.append(part)
        found += len(part.found)
        if found >= (stop_at or len(seeds)):
            break
    return together(parts)


def _begin() -> None:
    """What is there from the start is not looked at each time that memory is cleaned up."""
    gc.collect()
    gc.freeze()


def together(parts: Sequence[Summary]) -> Summary:
    """Make one summary of several."""
    fell = Counter[str]()
    for part in parts:
        fell.update(part.fell)
    return Summary(
        sum(part.seeds for part in parts),
        sorted(found for part in parts for found in part.found),
        fell,
        sum(part.scans for part in parts),
        sum(part.answers for part in parts),
    )
