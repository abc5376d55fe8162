"""Kafka's own Java benchmark, `ProducerPerformance`: what a broker takes from its best client.

It sends records as long as ours to a topic with the settings and partitions of ours. What counts
is what it reaches after the first of the five-second windows that it prints: until then its Java
is compiling.
"""

from __future__ import annotations

import random
import re
import string
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TOOL: Final = "org.apache.kafka.tools.ProducerPerformance"

FIXED: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    "compression.type": "none",
    "buffer.memory": str(128 << 20),
}
"""What it has in common with our producer, and a buffer that never is what it waits for."""

CANDIDATES: Final[Sequence[Mapping[str, str]]] = (
    {"batch.size": str(256 << 10), "linger.ms": "10"},
    {"batch.size": str(64 << 10), "linger.ms": "5"},
    {"batch.size": str(512 << 10), "linger.ms": "20"},
)
"""Settings that are tried, the usual best one first."""

PAYLOADS: Final = 5_000
"""Different records in its file, from which it draws at random."""

WARM_S_MIN: Final = 1.0
"""Seconds after the first window below which a rate says nothing."""

WITHIN_S: Final = 300.0
"""Seconds in which a run ends, or has a fault."""

_WINDOW = re.compile(r"^(\d+) records sent, ([\d.]+) records/sec \(([\d.]+) MB/sec\)")


class Run(NamedTuple):
    """What one run reached.

    Attributes:
        records_per_s: warm, or of the whole run where it was over before.
        warm_s: seconds for which it was warm.
    """

    records_per_s: float
    warm_s: float


def write_payloads(path: Path, lengths: Sequence[int]) -> None:
    """Write records of these lengths, a line each. They are not compressed: what is in them is
    of no account, but that it is text without the line's end.
    """
    choose = random.Random(11)
    letters = string.ascii_letters + string.digits
    with path.open("w", encoding="ascii") as file:
        for _ in range(PAYLOADS):
            file.write("".join(choose.choices(letters, k=choose.choice(lengths))) + "\n")


def produce(
    java: str,
    class_path: str,
    bootstrap: str,
    topic: str,
    payloads: Path,
    *,
    records: int,
    settings: Mapping[str, str],
) -> Run:
    """Run it. Raises RuntimeError with its last words where it fails."""
    properties = {"bootstrap.servers": bootstrap, **FIXED, **settings}
    command = [java, "-Xms512m", "-Xmx512m", "-cp", class_path, TOOL]
    command += ["--topic", topic, "--num-records", str(records), "--throughput", "-1"]
    command += ["--payload-file", str(payloads)]
    command += ["--producer-props", *(f"{name}={value}" for name, value in properties.items())]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode or "Exception" in done.stdout:
        said = (done.stdout + done.stderr).strip()[-1_000:]
        raise RuntimeError(f"Kafka's producer failed: {said}")
    return parsed(done.stdout)


def parsed(output: str) -> Run:
    """Read what it printed: a line for each window, and a last line for the whole run."""
    found = [_WINDOW.match(line) for line in output.splitlines()]
    lines = [match for match in found if match]
    if not lines:
        raise RuntimeError(f"Kafka's producer printed no figures: {output.strip()[-500:]}")
    # Records over their rate are the seconds that they took.
    sent = [(int(match[1]), int(match[1]) / float(match[2])) for match in lines]
    (records, seconds), first = sent[-1], sent[0]
    warm_s = seconds - first[1]
    if len(sent) == 1 or warm_s < WARM_S_MIN:
        return Run(records / seconds, 0.0)
    return Run((records - first[0]) / warm_s, warm_s)
