"""Plays one seed, or many: `python -m tests.simulation --seed 1234`."""

# ruff: noqa: T201 - it prints for a person.

import argparse
import math
import sys
from pathlib import Path

from tests.simulation.bugs import BUGS
from tests.simulation.long_run import run_resumed
from tests.simulation.runner import run_one, run_sharded


def main() -> int:
    """Says what a seed, or many of them, found; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the seed to play")
    parser.add_argument("--first", type=int, default=1, help="the first of many seeds")
    parser.add_argument("--count", type=int, default=1_000, help="how many seeds")
    parser.add_argument("--bug", choices=sorted(BUGS), default="", help="with this bug planted")
    parser.add_argument("--note", type=Path, help="a file from which a long run goes on")
    parser.add_argument("--seconds", type=float, default=math.inf, help="how long it runs at most")
    asked = parser.parse_args()
    if asked.seed is None:
        seeds = range(asked.first, asked.first + asked.count)
        if asked.note:
            done = run_resumed(seeds, asked.note, asked.bug, seconds=asked.seconds)
            summary, last = done.summary, [done.line()]
        else:
            summary, last = run_sharded(seeds, asked.bug), []
        print("\n".join([*summary.lines(asked.bug), *last]))
        return 1 if summary.found else 0
    result = run_one(asked.seed, asked.bug)
    for fault, count in sorted(result.fell.items()):
        print(f"{count:>4}  {fault}")
    print(f"{result.scans} scans, {result.answers} answers compared, {result.steps} steps")
    print(f"schedule {result.signature:012x}")
    for broken in result.broken:
        print(f"broken: {broken}")
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
