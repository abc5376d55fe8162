"""A shift of scanners: all of a fleet in one process, each on a connection of its own.

`python -m loadtest.shift LIST --server HOST:PORT` scans until told otherwise. It obeys the words
`pause`, `resume` and `stop` on standard input, prints its counts as a line of JSON several times a
second, and writes every acknowledgement into LIST. Its scanners outlive the server's crashes.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from ingest.scanner import Outcome, Scanner, ScannerSettings
from ledger.v1.scan_event_pb2 import ScanEvent
from loadtest.acknowledged import Acknowledged, AcknowledgedFile, Place
from loadtest.fleet import Fleet, Oddities
from loadtest.journeys import DAY_NS

SUBMIT_SCANS = 50  # What a scanner at a busy belt collects in a quarter of a minute.
AGAIN_WITHIN_S = 1.0  # In a building of its own network, a second attempt costs nobody anything.
TELL_EVERY_S = 0.2
STARTS_AGO_NS = 2 * 365 * DAY_NS  # Scanners that are never told to stop may get to the future.


@dataclass(slots=True)
class Counts:
    """What the scanners know of themselves.

    Attributes:
        acknowledged: scans that are durable.
        refused: scans that were refused; a fleet without bad labels has none.
        in_flight: scans that have been handed over and have no outcome yet.
        sent_again: scans that were sent more than once.
        streams: streams that were opened, the first of each scanner included.
        paused: nothing new is scanned.
    """

    acknowledged: int = 0
    refused: int = 0
    in_flight: int = 0
    sent_again: int = 0
    streams: int = 0
    paused: bool = False


class Shift:
    """The scanners of one process."""

    def __init__(self, fleet: Fleet, server: str, acknowledged: AcknowledgedFile) -> None:
        self._fleet = fleet
        self._server = server
        self._list = acknowledged
        self._works = asyncio.Event()
        self._works.set()
        self._ends = False
        self._refused = self._acknowledged = self._handed_over = 0
        self._scanners: list[Scanner] = []

    async def run(self) -> None:
        """Let all scan until `stop`, and until everything has its outcome."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._fleet.scanners):
                tasks.create_task(self._scan(number))

    def pause(self) -> None:
        """Scan nothing new."""
        self._works.clear()

    def resume(self) -> None:
        """Go on."""
        self._works.set()

    def stop(self) -> None:
        """Scan nothing new, for good."""
        self._ends = True
        self._works.set()

    def counts(self) -> Counts:
        """Give the sums over all scanners."""
        return Counts(
            acknowledged=self._acknowledged,
            refused=self._refused,
            in_flight=self._handed_over - self._acknowledged - self._refused,
            sent_again=sum(scanner.counts.sent_again for scanner in self._scanners),
            streams=sum(scanner.counts.streams for scanner in self._scanners),
            paused=not self._works.is_set(),
        )

    async def _scan(self, number: int) -> None:
        source_id = self._fleet.source_id(number)
        events = self._fleet.scanner(number)
        async with Scanner(
            self._server,
            source_id=source_id,
            client="parcel-ledger-shift",
            version=version("parcel-ledger"),
            settings=ScannerSettings(backoff_max_s=AGAIN_WITHIN_S),
        ) as scanner:
            self._scanners.append(scanner)
            while True:
                await self._works.wait()
                if self._ends:
                    return
                handful = list(itertools.islice(events, SUBMIT_SCANS))
                self._handed_over += len(handful)
                outcome = await (await scanner.submit(handful))
                self._note(source_id, handful, outcome)

    def _note(self, source_id: str, handful: Sequence[ScanEvent], outcome: Outcome) -> None:
        refused = {refusal.index for refusal in outcome.refusals}
        places: list[Place] = [(at.generation, at.partition, at.index) for at in outcome.positions]
        self._list.add(
            Acknowledged(event.tracking_number, source_id, event.event_id, places if first else ())
            for first, event in zip(
                itertools.chain([True], itertools.repeat(False)),
                (event for index, event in enumerate(handful) if index not in refused),
                strict=False,
            )
        )
        self._refused += len(refused)
        self._acknowledged += len(handful) - len(refused)


async def obey(shift: Shift) -> None:
    """Do what standard input says; its end is `stop`."""
    words = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while word := (await words.readline()).decode().strip():
        {"pause": shift.pause, "resume": shift.resume, "stop": shift.stop}[word]()
    shift.stop()


async def tell(shift: Shift) -> None:
    """Print the counts again and again."""
    while True:
        print(json.dumps(asdict(shift.counts())), flush=True)  # noqa: T201 - its way to speak.
        await asyncio.sleep(TELL_EVERY_S)


async def work(arguments: argparse.Namespace) -> Counts:
    """Run one shift."""
    # Virtual time begins on a full day, long enough ago to end in the past; bad labels would only
    # be refused.
    start_ns = (time.time_ns() - STARTS_AGO_NS) // DAY_NS * DAY_NS
    fleet = Fleet(
        arguments.seed,
        arguments.scanners,
        start_time_ns=start_ns,
        oddities=replace(Oddities(), bad_label=0.0),
    )
    acknowledged = AcknowledgedFile(arguments.list)
    shift = Shift(fleet, arguments.server, acknowledged)
    helpers = [asyncio.create_task(obey(shift)), asyncio.create_task(tell(shift))]
    try:
        await shift.run()
    finally:
        acknowledged.close()
        for helper in helpers:
            helper.cancel()
    return shift.counts()


def main() -> int:
    """Run one shift, and print its last counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, help="where acknowledgements are written")
    parser.add_argument("--server", default="127.0.0.1:50731")
    parser.add_argument("--scanners", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    counts = asyncio.run(work(parser.parse_args()))
    print(json.dumps(asdict(counts)), flush=True)  # noqa: T201 - its way to speak.
    return 0


if __name__ == "__main__":
    sys.exit(main())
