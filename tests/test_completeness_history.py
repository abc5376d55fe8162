"""When a source was heard of and where it was: as a naive list would say, with bounds."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.completeness.history import DAY_NS, GRAIN_NS, PLACES_MAX, STEPS_MAX, Heard, Places

SAID = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3 * DAY_NS)), max_size=30)


@given(SAID)
def test_only_the_first_time_counts(said: list[tuple[int, int]]) -> None:
    """Each sequence was first heard of when it was first covered, to ten seconds and to the day."""
    heard, first_ns, latest_ns = Heard(), dict[int, int](), 0
    for through, time_ns in said:
        if through > heard.through:
            latest_ns = max(latest_ns, time_ns)
        heard.say(through, time_ns)
        for number in range(1, through + 1):
            first_ns.setdefault(number, latest_ns)

    for number, time_ns in first_ns.items():
        assert 0 <= time_ns - heard.first_ns(number) < GRAIN_NS
        assert time_ns // DAY_NS == heard.first_ns(number) // DAY_NS
    days = [
        (number, begun // DAY_NS)
        for first, last, begun in heard.by_day(1, 60)
        for number in range(first, last + 1)
    ]
    assert days == [(number, time_ns // DAY_NS) for number, time_ns in sorted(first_ns.items())]


def test_the_steps_of_years_have_a_bound() -> None:
    """Days stay right as long as there is room, and the oldest run together after."""
    heard, days = Heard(), 2_000
    for day in range(days):
        for hour in range(3):
            heard.say(3 * day + hour + 1, day * DAY_NS + hour * DAY_NS // 24)

    assert len(heard._times) <= STEPS_MAX
    for day in range(days - STEPS_MAX // 2, days):
        assert heard.first_ns(3 * day + 2) // DAY_NS == day
    assert heard.first_ns(1) // DAY_NS == 0
    assert heard.through == 3 * days


@given(st.dictionaries(st.integers(1, 40), st.sampled_from("ABC")))
def test_the_nearest_place_is_the_last_one_before(known: dict[int, str]) -> None:
    """Else the first one behind."""
    places = Places()
    for sequence, code in sorted(known.items()):
        places.note(sequence, code)

    for sequence in range(1, 41):
        before = [code for number, code in sorted(known.items()) if number <= sequence]
        behind = [code for number, code in sorted(known.items()) if number > sequence]
        assert places.nearest(sequence) == (before[-1:] or behind[:1] or [""])[0]


def test_a_device_that_goes_to_and_fro_has_a_bound() -> None:
    """The oldest places go."""
    places = Places()
    for number in range(1, 5 * PLACES_MAX):
        places.note(number, "AB"[number % 2])

    assert len(places._codes) <= PLACES_MAX
    assert places.nearest(5 * PLACES_MAX) == "AB"[(5 * PLACES_MAX - 1) % 2]
