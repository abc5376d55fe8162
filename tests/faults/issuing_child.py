"""A process that issues blocks from a folder until it kills itself at a durable step.

Each block is one line on standard output, written before anything else happens: the request's
number and the numbers it was given. Started with folder, first request, step, and how often the
step is passed before.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from ledger.backends.rocksdb_folder import open_folder
from ledger.errors import LedgerError
from ledger.issuing import Issuer
from ledger.issuing.issuer import numbers_of
from tests.folders import PARTITIONS
from tests.number_blocks import NOW_NS, small_range, wanted

RANGE = small_range(1_000)
COUNT = 3


def request_id(number: int) -> bytes:
    """The id of a request, the same in every process."""
    return number.to_bytes(16, "big")


async def main(folder: Path, first: int, die_at: str, die_after: int) -> None:
    """Issue one block after the other."""
    passed = 0

    def on_step(name: str) -> None:
        nonlocal passed
        if name == die_at:
            if passed == die_after:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1

    async with open_folder(
        folder, partitions=PARTITIONS, on_fatal=_fail, on_step=on_step
    ) as ledger:
        issuer = Issuer(ledger.numbers, [RANGE], now_ns=lambda: NOW_NS)
        for number in range(first, first + 20):
            block = await issuer.issue(wanted(COUNT, request_id=request_id(number)))
            os.write(1, f"{number} {' '.join(await numbers_of(block))}\n".encode())


def _fail(error: LedgerError) -> None:
    raise error


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
