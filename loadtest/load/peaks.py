"""The load shapes as Locust wants them."""

from __future__ import annotations

import time
from typing import Final

from locust import LoadTestShape

from loadtest.load.shapes import HOLIDAY, MORNING, Shape, users_at

USERS: Final = 50
"""At the peak, unless --users says otherwise."""

DURATION_S: Final = 120.0
"""How long it takes, unless --run-time says otherwise."""

SPAWN_WITHIN_S: Final = 1.0
"""Users come and go this quickly when the number changes: Locust asks once a second."""


class Peak(LoadTestShape):
    """A shape in compressed time: --users at the peak, all of it within --run-time."""

    abstract = True
    use_common_options = True
    shape: Shape

    def tick(self) -> tuple[int, float] | None:
        """Give the number of users now, and how many may come or go in a second."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        users = options.num_users or USERS
        elapsed_s = time.perf_counter() - self.start_time
        duration_s = options.run_time or DURATION_S
        now = users_at(self.shape, elapsed_s, users=users, duration_s=duration_s)
        return None if now is None else (now, max(1.0, users / SPAWN_WITHIN_S))


class MorningPeak(Peak):
    """A facility's morning."""

    shape = MORNING


class HolidayPeak(Peak):
    """The days before the holiday."""

    shape = HOLIDAY


PEAKS: Final[dict[str, type[Peak]]] = {"morning": MorningPeak, "holiday": HolidayPeak}
