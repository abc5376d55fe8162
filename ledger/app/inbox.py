"""The folder that a gateway watches: each file of scans in it is spooled, and renamed to `.taken`.

A crash before the renaming has the file taken again: the event ids are the lines' own or made of
them, so its scans are copies. Refused lines go into a file beside it, as `send` writes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from ingest.admission import admit, check_batch
from ingest.batcher import AppendLog
from ledger.app.exits import CommandFailed
from ledger.app.scan_file import KINDS, Refusal, RefusedFile, open_scan_file
from ledger.app.sending import Item
from ledger.app.shipment import Shipment
from ledger.errors import Busy, Refused, Uncertain
from ledger.v1.ingest_service_pb2 import RefusalReason
from ledger.v1.raw_pb2 import RawBatch, RawScan

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""How often the folder is looked at."""

QUIET_S: Final = 2.0
"""Seconds that a file has to be as it is: whoever writes it in its place, and does not rename it
into that, writes more often.
"""

UNCERTAIN_RETRY_S: Final = 1.0
"""Seconds before scans that the spool may have are spooled again."""

TAKEN: Final = ".taken"
"""What is put behind the name of a file whose scans are spooled."""

REFUSED: Final = ".refused"
"""What is put behind it for its refused lines. It is no name of a file of scans: mended, it gets
one.
"""


class _Seen(NamedTuple):
    """How a file is, or was when it could not be read."""

    size: int
    time_ns: int


class Inbox:
    """One folder. `run` does the work."""

    def __init__(
        self, folder: Path, log: AppendLog, *, source: str, now_ns: Callable[[], int]
    ) -> None:
        """`log` is the spool's; `source` is whose scans are in files without a column for it."""
        self._folder = folder
        self._log = log
        self._source = source
        self._now_ns = now_ns
        self._unreadable: dict[Path, _Seen] = {}

    async def run(self) -> None:
        """Take files until cancelled."""
        while True:
            for path, seen in await asyncio.to_thread(self._waiting):
                await self._take(path, seen)
            await asyncio.sleep(LOOK_EVERY_S)

    def _waiting(self) -> Sequence[tuple[Path, _Seen]]:
        """Give the files that are to be taken, oldest first."""
        found: list[tuple[Path, _Seen]] = []
        try:
            for path in self._folder.iterdir():
                if path.suffix.lower() not in KINDS or path.name.startswith("."):
                    continue
                state = path.stat()
                seen = _Seen(state.st_size, state.st_mtime_ns)
                is_quiet = self._now_ns() - state.st_mtime_ns >= QUIET_S * 1e9
                if is_quiet and self._unreadable.get(path) != seen:
                    found.append((path, seen))
        except OSError as error:
            logger.warning(
                "the watched folder cannot be read",
                extra={"path": str(self._folder), "error": str(error)},
            )
        return sorted(found, key=lambda one: one[1].time_ns)

    async def _take(self, path: Path, seen: _Seen) -> None:
        """Spool the scans of a file, and rename it then."""
        loop = asyncio.get_running_loop()
        try:
            lines, refused = await asyncio.to_thread(self._spool, path, loop)
            # If we crash here all of it is spooled once more, as copies.
            taken = await asyncio.to_thread(_rename, path)
        except (CommandFailed, Refused, OSError) as error:
            self._unreadable[path] = seen
            logger.warning(
                "a file cannot be taken; it is looked at again when it changes",
                extra={"path": str(path), "error": str(error)},
            )
            return
        self._unreadable.pop(path, None)
        logger.info(
            "a file is taken", extra={"path": str(taken), "lines": lines, "refused": refused}
        )

    def _spool(self, path: Path, loop: asyncio.AbstractEventLoop) -> tuple[int, int]:
        """Read a file, in a thread; return how many lines it has, and how many were refused."""
        with open_scan_file(str(path), None) as scan_file:
            if not scan_file.names_sources and not self._source:
                raise Refused(
                    "Nobody says who saw the scans: there is no column `source`, and the setting "
                    "`watch_source` is empty.",
                    reason="REQUIRED",
                    field="source",
                )
            refused = RefusedFile(path.with_name(path.name + REFUSED), scan_file)
            try:
                shipment = Shipment(
                    scan_file, _Spooling(self, loop, refused), refused, self._source
                )
                for line in scan_file.lines:
                    shipment.take(line)
                shipment.flush()
            finally:
                refused.close()
        if refused.count:
            _sync(refused.path)
        return shipment.lines, refused.count

    async def spool(self, source: str, items: Sequence[Item]) -> Sequence[Refusal]:
        """Spool the good scans of a batch, however long that takes; return why others are not."""
        now_ns = self._now_ns()
        send_time = Timestamp()
        send_time.FromNanoseconds(now_ns)
        scans = [RawScan(event=item.event.SerializeToString()) for item in items]
        batch = RawBatch(source_id=source, scans=scans, send_time=send_time)
        try:
            check_batch(batch, batch.ByteSize())
        except Refused as error:
            return [Refusal(item.line, error.field, error.reason, error.message) for item in items]
        admitted = admit(batch, partitions=1, now_ns=now_ns, principal="")
        for partition, group in admitted.groups.items():
            await self._append(partition, group.keys, group.records)
        return [
            Refusal(
                items[refusal.index].line,
                refusal.field.removeprefix("event."),
                RefusalReason.Name(refusal.reason).removeprefix("REFUSAL_REASON_"),
                refusal.message,
            )
            for refusal in admitted.refusals
        ]

    async def _append(
        self, partition: int, keys: Sequence[bytes], records: Sequence[bytes]
    ) -> None:
        """Append until it is done: the file is not dropped, and neither is the spool's bound."""
        while True:
            try:
                await self._log.append(partition, keys, records)
            except Busy as error:
                await asyncio.sleep(error.retry_after_s)
            except Uncertain:
                await asyncio.sleep(UNCERTAIN_RETRY_S)
            else:
                return


class _Spooling:
    """Takes batches in the thread that reads, and spools them in the event loop."""

    def __init__(self, inbox: Inbox, loop: asyncio.AbstractEventLoop, refused: RefusedFile) -> None:
        self._inbox = inbox
        self._loop = loop
        self._refused = refused

    def send(self, source: str, items: Sequence[Item]) -> None:
        spooling = self._inbox.spool(source, items)
        for refusal in asyncio.run_coroutine_threadsafe(spooling, self._loop).result():
            self._refused.add(refusal)


def _rename(path: Path) -> Path:
    """Put `.taken` behind a name, and a number before that where there was such a file already."""
    taken, number = path.with_name(path.name + TAKEN), 0
    while taken.exists():
        number += 1
        taken = path.with_name(f"{path.name}.{number}{TAKEN}")
    path.rename(taken)
    _sync(path.parent)
    return taken


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
