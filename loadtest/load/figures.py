"""Figures for Locust: its own for each request, and beside them rows that count scans and look-ups.

A request carries many scans. Rows of the type TOTAL count these, each with the time of the request
that brought it; Locust's own sum, `Aggregated`, stays that of the requests.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from locust.stats import bucket_response_time

if TYPE_CHECKING:
    from locust.env import Environment

    from loadtest.load.check import Fault

TOTAL: Final = "TOTAL"

_log = logging.getLogger(__name__)


class Figures:
    """A run's report, shown by Locust: on the console, in its pages, in its CSV files."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def request(self, name: str, seconds: float, size: int, trouble: str = "") -> None:
        """Show that a request was answered, or what went wrong with it."""
        self._environment.events.request.fire(
            request_type="gRPC",
            name=name,
            response_time=seconds * 1_000,
            response_length=size,
            exception=trouble or None,
            context={},
        )

    def count(self, name: str, number: int, seconds: float | None) -> None:
        """Add to a row that counts scans or look-ups."""
        if not number:
            return
        entry = self._environment.stats.get(name, TOTAL)
        took_ms = None if seconds is None else seconds * 1_000
        entry.log(took_ms, 0)  # type: ignore[arg-type] # None is for what was not asked for.
        more = number - 1
        entry.num_requests += more
        entry.num_reqs_per_sec[int(time.time())] += more
        if took_ms is None:
            entry.num_none_requests += more
        else:
            entry.total_response_time += took_ms * more  # type: ignore[assignment]
            entry.response_times[bucket_response_time(took_ms)] += more

    def fault(self, fault: Fault) -> None:
        """Show a fault, among the failures and in the log."""
        _log.error("%s", fault)
        self._environment.events.request.fire(
            request_type="VERIFY",
            name=fault.kind,
            response_time=0,
            response_length=0,
            exception=str(fault),
            context={},
        )
