"""Clients of issuing processes that come and go: they ask until they are answered."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc

from ledger.app.client import open_channel
from ledger.v1.number_service_pb2 import IssueNumberBlockRequest
from ledger.v1.number_service_pb2_grpc import NumberServiceStub

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WITHIN_S = 60.0
ANSWER_S = 10.0


class Asked(NamedTuple):
    """A request, and what each answer to it gave."""

    request: IssueNumberBlockRequest
    answers: list[list[str]]


def write_ranges(folder: Path, *, last: int = 99_999) -> Path:
    """A file with one range, `rr`."""
    file = folder / "ranges.toml"
    file.write_text(
        '[[range]]\nid = "rr"\nformat = "s10"\nservice = "RR"\nissuer = "GB"\n'
        f"first = 1\nlast = {last}\n"
    )
    return file


def ask(address: str, request: IssueNumberBlockRequest) -> list[str]:
    """Ask one process until it answers; it may be killed and started meanwhile."""
    until_s = time.monotonic() + WITHIN_S
    while True:
        try:
            with open_channel(address) as channel:
                block = NumberServiceStub(channel).IssueNumberBlock(request, timeout=ANSWER_S)
                return list(block.numbers)
        except grpc.RpcError:
            assert time.monotonic() < until_s, "no answer"
            time.sleep(0.05)


class Clients:
    """Several clients in threads, each with request after request, and each of those at two
    processes one after the other, as a client does that tries another one.
    """

    def __init__(self, addresses: Sequence[str], clients: int = 4) -> None:
        self.asked: list[Asked] = []
        self.errors: list[BaseException] = []
        self._addresses = addresses
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Asked]:
        """End them; give what they asked."""
        self._ends.set()
        for thread in self._threads:
            thread.join(2 * WITHIN_S)
        assert not self.errors, self.errors
        return self.asked

    def _run(self, place: int) -> None:
        count = len(self._addresses)
        try:
            while not self._ends.is_set():
                request = IssueNumberBlockRequest(
                    request_id=os.urandom(16), range_id="rr", mailer=f"m{place}", count=1 + place
                )
                one = Asked(request, [])
                for step in range(2):
                    address = self._addresses[(place + step) % count]
                    one.answers.append(ask(address, request))
                self.asked.append(one)
                time.sleep(0.02)
        except BaseException as error:  # Told by `stop`.
            self.errors.append(error)


def judge(asked: Sequence[Asked]) -> None:
    """See that each request has one block, and no number is in two."""
    assert asked
    for request, answers in asked:
        assert answers[0] == answers[1]
        assert len(answers[0]) == request.count
    numbers = [number for one in asked for number in one.answers[0]]
    assert len(numbers) == len(set(numbers))
