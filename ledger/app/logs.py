"""Log lines of the process: one formatter, plain or JSON, with the fields that `extra` brings.

A message is constant and its values are fields, so that a program can count lines of one kind.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

DRIVERS: Final = ("aiokafka", "cassandra")
"""Loggers of the engines' drivers: what they tell of usual days is for who looks for a fault."""

SAME_EVERY_S: Final = 10.0
"""How often a driver may say the same: it tries ten times a second to reach what is away."""

SAME_MAX: Final = 1_000
"""Most messages of drivers that are remembered for that; they have a few dozen."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest came by `extra`."""


class Formatter(logging.Formatter):
    """One line a record: JSON, or `time LEVEL logger: message key=value`."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {
            name: value for name, value in vars(record).items() if name not in _OWN
        }
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            line = {"time": time, "level": record.levelname, "logger": record.name}
            line |= {"message": record.getMessage(), **fields}
            if trace:
                line["exception"] = trace
            return json.dumps(line, default=str)
        words = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        text = f"{time} {record.levelname} {record.name}: {record.getMessage()}{words}"
        return f"{text}\n{trace}" if trace else text


class Seldom(logging.Filter):
    """Lets a driver say the same thing now and then, and notes how often it said it meanwhile."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        super().__init__()
        self._monotonic = monotonic
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be written."""
        if record.name.partition(".")[0] not in DRIVERS:
            return True
        key, now_s = (record.name, str(record.msg)), self._monotonic()
        at_s, withheld = self._said.get(key, (now_s - SAME_EVERY_S, 0))
        if now_s - at_s < SAME_EVERY_S:
            self._said[key] = (at_s, withheld + 1)
            return False
        if len(self._said) >= SAME_MAX:
            self._said.clear()
        self._said[key] = (now_s, 0)
        if withheld:
            record.said_before = withheld
        return True


def is_alarm(record: logging.LogRecord) -> bool:
    """Say whether a record means anything.

    Where two event loops of a process use gRPC, also one after the other, gRPC wakes both for one
    answer; the one that finds it taken says BlockingIOError, and nothing is amiss (issue 25364 of
    grpc).
    """
    error = record.exc_info[1] if record.exc_info else None
    is_grpc = record.name == "asyncio" and "PollerCompletionQueue" in record.getMessage()
    return not (is_grpc and isinstance(error, BlockingIOError))


def set_up_logs(*, level: str, as_json: bool) -> None:
    """Send the logs of this process to standard error, those of its libraries among them.

    Call it before gRPC is imported: its own lines are in a form of their own.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE" if as_json else "ERROR")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(as_json=as_json))
    handler.addFilter(is_alarm)
    if level != "debug":
        handler.addFilter(Seldom())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    drivers = logging.NOTSET if level == "debug" else max(logging.WARNING, logging.root.level)
    for name in DRIVERS:
        logging.getLogger(name).setLevel(drivers)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=\n') else text
