"""The load shapes as numbers, and what `make load` asks of Locust."""

import pytest

from loadtest.load.__main__ import arguments_of
from loadtest.load.shapes import HOLIDAY, MORNING, SHAPES, Shape, users_at


def users(shape: Shape, hour: float, *, peak: int = 200, duration_s: float = 60.0) -> int:
    """How many there are at an hour of the shape's own time."""
    now = users_at(shape, hour / shape.hours * duration_s, users=peak, duration_s=duration_s)
    assert now is not None
    return now


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_shape_reaches_its_peak_and_no_more(shape: Shape) -> None:
    """Whatever the peak and the time: never more users than were asked for, and never none."""
    hours = [shape.hours * step / 1_000 for step in range(1_000)]

    assert max(users(shape, hour) for hour in hours) == 200
    assert min(users(shape, hour) for hour in hours) >= 20
    assert {users(shape, hour, peak=1) for hour in hours} == {1}
    assert [users(shape, hour, duration_s=7_200) for hour in hours] == [
        users(shape, hour) for hour in hours
    ]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_shape_ends_when_its_time_is_over(shape: Shape) -> None:
    """Not before, and for good."""
    assert users_at(shape, 59.9, users=10, duration_s=60) is not None
    assert users_at(shape, 60.0, users=10, duration_s=60) is None
    assert users_at(shape, 99.0, users=10, duration_s=60) is None


def test_the_morning_rises_before_the_tours_leave_and_falls_after() -> None:
    """At 2 o'clock a tenth, from half past 6 to 8 everything, at 10 a third."""
    assert users(MORNING, 0) == 20
    assert users(MORNING, 2.5) == 60
    assert users(MORNING, 4.5) == users(MORNING, 5.9) == 200
    assert users(MORNING, 8) == 60


def test_each_day_before_the_holiday_is_heavier_than_the_last() -> None:
    """So are the nights; only the last day reaches the peak."""
    days = [[users(HOLIDAY, day * 24 + hour) for hour in range(24)] for day in range(3)]

    assert [max(day) for day in days] == [90, 140, 200]
    assert [day[0] for day in days] == [20, 40, 100]


def test_what_is_typed_is_what_locust_is_asked() -> None:
    """`make load USERS=50 TIME=60s SHAPE=morning`, headless; with WEB its page, on this machine."""
    said = " ".join(arguments_of({"SHAPE": "morning", "QUERY": "h:1"}, ["--seed", "3"], port=7))
    assert said == (
        "--users 50 --spawn-rate 25 --run-time 60s --shape morning --query h:1 "
        "--headless --only-summary --seed 3"
    )

    said = " ".join(arguments_of({"WEB": "1", "USERS": "1", "PROCESSES": "2"}, [], port=7))
    assert "--web-host 127.0.0.1 --web-port 8089" in said
    assert "--processes 2 --master-bind-host 127.0.0.1 --master-bind-port 7" in said
    assert "--headless" not in said
