"""Kafka's own producer, before and after ingest: on a topic like ours, with records like ours."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final, Self

from loadtest.bench import java_producer
from loadtest.bench.kafka_topics import make_topic, read_topic, record_lengths, remove_topic
from loadtest.bench.stats import around

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from loadtest.bench.engines import Engines
    from loadtest.bench.section import Section

TOPIC: Final = "bench-producer"

FIRST_RECORDS: Final = 1_500_000
"""Records of the first run, which warms the broker and shows how many a second it may take."""

QUICK_RECORDS: Final = 500_000
"""The same in a short run, which has no other."""

TRY_SHARE: Final = 0.6
"""A try of other settings takes this share of the time of a run that counts."""

LONGER: Final = 3
"""A run that was over before it was warm is made again with so many times as many records."""


class JavaProducer:
    """The reference, with a topic that is there as long as it is."""

    def __init__(self, section: Section, found: Engines, topic: str) -> None:
        self._section = section
        self._found = found
        self._topic = topic
        self._payloads = section.data / "payloads.txt"
        self._settings: Mapping[str, str] = java_producer.CANDIDATES[0]
        self._records = FIRST_RECORDS if section.scale.tuned else QUICK_RECORDS
        self._figures: dict[str, Any] = {"runs": [], "tried": []}

    def __enter__(self) -> Self:
        """Make the topic."""
        like = read_topic(self._found.bootstrap, self._topic)
        make_topic(self._found.bootstrap, TOPIC, like)
        lengths = record_lengths(self._found.bootstrap, self._topic, like.partitions)
        java_producer.write_payloads(self._payloads, lengths)
        self._figures["record_bytes"] = statistics.fmean(lengths)
        self._figures["topic"] = like._asdict()
        self._section.figures["java_producer"] = self._figures
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        remove_topic(self._found.bootstrap, TOPIC)

    def before(self) -> None:
        """Run it until the broker is warm and its best settings are known; then the first run."""
        scale = self._section.scale
        self._section.say("Kafka's own producer, first run: cold")
        cold = self._run()
        self._figures["cold_per_s"] = cold.records_per_s
        if scale.tuned:
            self._records = int(cold.records_per_s * scale.java_s * TRY_SHARE)
            for candidate in java_producer.CANDIDATES:
                self._settings = candidate
                words = " ".join(f"{name}={value}" for name, value in candidate.items())
                self._section.say(f"Kafka's own producer is tried with {words}")
                reached = self._run().records_per_s
                self._figures["tried"].append({"settings": dict(candidate), "per_s": reached})
            best = max(self._figures["tried"], key=lambda one: float(one["per_s"]))
            self._settings = best["settings"]
            self._records = int(best["per_s"] * scale.java_s)
        self._figures["settings"] = {**java_producer.FIXED, **self._settings}
        self._measured("before")

    def after(self) -> None:
        """The second run that counts."""
        if self._section.scale.tuned:
            self._measured("after")
        self._figures["records_per_s"] = around(self._figures["runs"])

    def _measured(self, when: str) -> None:
        self._section.say(f"Kafka's own producer, {when}: {self._records:,} records")
        before = self._found.cpu_s()
        self._figures["runs"].append(self._run().records_per_s)
        used = self._found.cpu_s()["kafka"] - before["kafka"]
        self._figures["cpu_us"] = {"kafka": used / self._records * 1e6}

    def _run(self) -> java_producer.Run:
        run = self._once()
        while self._section.scale.tuned and not run.warm_s:
            self._records *= LONGER
            run = self._once()
        return run

    def _once(self) -> java_producer.Run:
        return java_producer.produce(
            self._found.java,
            str(self._found.document["kafka"]["class_path"]),
            self._found.bootstrap,
            TOPIC,
            self._payloads,
            records=self._records,
            settings=self._settings,
        )
