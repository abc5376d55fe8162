"""The audit names exactly what never arrived, whatever was lost on the way that tells of it."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.completeness.findings import Beside, Where, findings_of, silent
from ledger.completeness.history import DAY_NS
from ledger.completeness.sources import Recorded, SourceKey, Sources
from ledger.v1.ingest_service_pb2 import SequenceRange
from ledger.v1.receipt_pb2 import RECEIPT_KIND_BATCH, RECEIPT_KIND_WORD, Receipt
from ledger.v1.refused_scan_pb2 import RefusedScan
from ledger.v1.scan_event_pb2 import ScanEvent
from tests.completeness_world import MINUTE_NS, START_NS, World, found, numbers
from tests.scale import scaled

SOURCE = SourceKey("gate-1", bytes(16))
SEQUENCES = st.integers(1, 30)
SOURCES = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mint"), SOURCES, st.integers(1, 8)),
        st.tuples(
            st.just("send"),
            SOURCES,
            st.tuples(SEQUENCES, st.integers(0, 9)),
            st.sets(SEQUENCES, max_size=3),
            st.booleans(),
            st.booleans(),
        ),
        st.tuples(st.just("speak"), SOURCES),
        st.tuples(st.just("new spool"), SOURCES),
        st.tuples(st.just("merge"), st.integers(2, 5)),
        st.tuples(st.just("again"), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.integers(1, 2_000)),
    ),
    max_size=40,
)


def lived(steps: list[tuple]) -> World:  # type: ignore[type-arg] # Of many shapes.
    """A world in which all of this happened."""
    world = World()
    for step in steps:
        match step:
            case ("mint", source, count):
                world.spool(source).minted += count
            case ("send", source, (first, more), bad, receipt, result):
                world.send(
                    world.spool(source), (first, first + more), bad, receipt=receipt, result=result
                )
            case ("speak", source):
                world.speak(world.spool(source))
            case ("new spool", source):
                world.new_spool(source)
            case ("merge", count):
                world.merge(count)
            case ("again", count):  # A receipt may have been written where nobody knew it.
                world.receipts += world.receipts[-count:]
            case ("wait", minutes):
                world.now_ns += minutes * MINUTE_NS
    return world


@settings(max_examples=scaled(400, soak=20_000), deadline=None)
@given(STEPS)
def test_with_the_records_it_names_exactly_what_never_arrived(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    """Of all that a source was heard to have minted: what is neither recorded nor refused, with
    receipts lost, merged or doubled, results lost, spools lost; and exactly what was refused.
    """
    world = lived(steps)
    for spool in world.spools:
        world.speak(spool)  # So that all which was minted is known.
    findings = found(*world.audited(with_records=True))

    arrived = {(one.key, n) for one in world.spools for n in one.recorded | one.refused}
    minted = {(one.key, n) for one in world.spools for n in range(1, one.minted + 1)}
    assert numbers(findings, Where.NEVER_ARRIVED) == minted - arrived
    assert not numbers(findings, Where.UNCONFIRMED, Where.WITHOUT_RECORD)
    assert numbers(findings, Where.REFUSED) == {
        (one.key, n) for one in world.spools for n in one.refused
    }


@settings(max_examples=scaled(400, soak=20_000), deadline=None)
@given(STEPS)
def test_a_receipt_that_is_missing_makes_nothing_lost(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    """Without the records nothing is said to have never arrived. What did not is unconfirmed, and
    what is unconfirmed besides has lost its receipt, and its source has not said more.
    """
    world = lived(steps)
    sources, beside = world.audited(with_records=False)
    findings = found(sources, beside)

    assert not numbers(findings, Where.NEVER_ARRIVED)
    unconfirmed = numbers(findings, Where.UNCONFIRMED)
    told = {
        (SourceKey(one.source_id, one.spool_id), n)
        for one in world.receipts
        for part in (*one.durable, *one.refused)
        for n in range(part.first, part.last + 1)
    }
    assert not unconfirmed & told
    heard = {key: source.heard.through for key, source in sources.all()}
    arrived = {(one.key, n) for one in world.spools for n in one.recorded | one.refused}
    known = {(key, n) for key, through in heard.items() for n in range(1, through + 1)}
    assert unconfirmed >= known - arrived


@settings(max_examples=scaled(400, soak=20_000), deadline=None)
@given(STEPS, st.randoms(use_true_random=False))
def test_what_was_acknowledged_and_is_in_no_record_shows(
    steps: list[tuple],  # type: ignore[type-arg]
    random: Random,
) -> None:
    """A log that has lost records: exactly those of which a receipt says that they were recorded
    are without record, whatever else became of the others.
    """
    world = lived(steps)
    world.records = [one for one in world.records if random.random() < 0.7]
    findings = found(*world.audited(with_records=True))

    promised = {
        (SourceKey(one.source_id, one.spool_id), n)
        for one in world.receipts
        for part in one.durable
        for n in range(part.first, part.last + 1)
    }
    there = {(one.key, one.sequence) for one in world.records}
    assert numbers(findings, Where.WITHOUT_RECORD) == promised - there


def receipt(*durable: tuple[int, int], minted: int = 0, **fields: object) -> Receipt:
    """A receipt of the one source."""
    one = Receipt(
        kind=RECEIPT_KIND_BATCH,
        source_id=SOURCE.source_id,
        spool_id=SOURCE.spool_id,
        minted_through=minted,
        durable=[SequenceRange(first=first, last=last) for first, last in durable],
        time_ns=START_NS,
    )
    one.MergeFrom(Receipt(**fields))  # type: ignore[arg-type] # Any field.
    return one


def test_a_gap_has_the_facility_of_the_scan_before_it() -> None:
    """The nearest recorded one before it; where there is none, the one behind it."""
    sources = Sources()
    sources.take_receipt(receipt((11, 40), facility="DEFRAA"))
    sources.take_receipt(receipt((51, 90), facility="FRCYMA", minted=100))
    findings = found(sources, Beside({}, {}, {}))

    assert [(one.first, one.last, one.facility) for one in findings] == [
        (1, 10, "DEFRAA"),
        (41, 50, "DEFRAA"),
        (91, 100, "FRCYMA"),
    ]


def refused_at(number: int, facility: str, *, field: str = "event.tracking_number") -> RefusedScan:
    """A refused scan of the one source."""
    return RefusedScan(
        source_id=SOURCE.source_id,
        spool_id=SOURCE.spool_id,
        sequence=number,
        record_time_ns=START_NS,
        field=field,
        event=ScanEvent(facility=facility).SerializeToString(),
    )


def test_a_refused_scan_says_itself_where_it_was() -> None:
    """Also within a batch, whose receipt knows the place of its last scan alone; but not where it
    is refused for that, cannot be read, or says what no facility is called.
    """
    sources = Sources()
    sources.take_receipt(receipt((1, 4), facility="DEFRAA"))
    for refused in (
        refused_at(5, "FRCYMA"),
        refused_at(6, "NOWHERE", field="event.facility"),
        refused_at(8, "X" * 65),
        refused_at(9, "A\nB"),
        RefusedScan(
            source_id=SOURCE.source_id, spool_id=SOURCE.spool_id, sequence=10, event=b"\x07"
        ),
    ):
        sources.take_refusal(refused)
    source = sources.get(SOURCE)
    assert source is not None

    assert [source.places.nearest(n) for n in (4, 5, 6, 8, 9, 10)] == ["DEFRAA", *["FRCYMA"] * 5]


def test_a_gap_over_midnight_is_two() -> None:
    """Each sequence belongs to the UTC day of the first word that covers it."""
    sources = Sources()
    for day in range(3):
        word = receipt(minted=10 * (day + 1), time_ns=START_NS + day * DAY_NS)
        word.kind = RECEIPT_KIND_WORD
        sources.take_receipt(word)
    findings = found(sources, Beside({}, {}, {}))

    first = START_NS // DAY_NS
    assert [(one.first, one.last, one.day - first) for one in findings] == [
        (1, 10, 0),
        (11, 20, 1),
        (21, 30, 2),
    ]


def test_each_sequence_is_in_one_place() -> None:
    """Quarantine before the way to the trails, and both before what receipts say."""
    sources = Sources()
    sources.take_receipt(receipt((1, 10), minted=12))
    for number in (4, 5, 6, 11):
        sources.take_record(Recorded(SOURCE, number, START_NS, ""))
    beside = Beside(
        unread={SOURCE: {4: START_NS, 5: START_NS + 7, 6: START_NS, 11: START_NS}},
        quarantined={SOURCE: {5: START_NS + 9}},
        dropped={SOURCE: {6: START_NS, 9: START_NS}},
    )
    source = sources.get(SOURCE)
    assert source is not None
    findings = sorted(findings_of(SOURCE, source, beside), key=lambda one: one.first)

    assert [(one.first, one.last, one.where) for one in findings] == [
        (4, 4, Where.NOT_YET_READABLE),
        (5, 5, Where.QUARANTINED),
        (6, 6, Where.NOT_YET_READABLE),
        (9, 9, Where.DROPPED),
        (11, 11, Where.NOT_YET_READABLE),
        (12, 12, Where.UNCONFIRMED),
    ]
    assert findings[1].since_ns == START_NS + 9


def test_what_is_young_is_on_its_way() -> None:
    """For a minute; then it is missing. What was refused has its outcome, and never is."""
    sources = Sources()
    sources.take_receipt(receipt(minted=5, refused=[SequenceRange(first=2, last=2)]))
    findings = found(sources, Beside({}, {}, {}))

    def missing(now_ns: int) -> list[int]:
        return [one.first for one in findings if one.is_missing(now_ns)]

    assert missing(START_NS + MINUTE_NS) == []
    assert sorted(missing(START_NS + MINUTE_NS + 1)) == [1, 3]


def test_a_source_that_fell_silent_shows_once() -> None:
    """By its latest spool, whatever it left behind in older ones."""
    sources = Sources()
    old, new = bytes(16), bytes([1] * 16)
    sources.take_receipt(receipt((1, 5), minted=5, spool_id=old))
    sources.take_receipt(receipt((1, 3), minted=3, spool_id=new, time_ns=START_NS + MINUTE_NS))
    sources.take_receipt(receipt((1, 3), source_id="gate-2", time_ns=START_NS + 9 * MINUTE_NS))
    listed = sources.all()

    [one] = silent(listed, now_ns=START_NS + 12 * MINUTE_NS, after_ns=10 * MINUTE_NS)
    assert (one.source.source_id, one.source.spool_id) == ("gate-1", new)
    assert one.since_ns == START_NS + MINUTE_NS
    assert not list(silent(listed, now_ns=START_NS + 11 * MINUTE_NS, after_ns=10 * MINUTE_NS))


def test_what_there_is_no_room_for_is_never_called_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source with too many gaps: the lowest are forgotten, and stay unconfirmed; a source too
    many is counted.
    """
    monkeypatch.setattr("ledger.completeness.sources.RANGES_MAX", 3)
    monkeypatch.setattr("ledger.completeness.sources.SOURCES_MAX", 1)
    sources = Sources()
    sources.take_receipt(receipt(*((n, n) for n in range(2, 12, 2)), minted=11))
    sources.take_receipt(receipt((1, 1), source_id="gate-2"))
    findings = found(sources, Beside({}, {}, {}, looked_through_ns=START_NS + MINUTE_NS))

    assert numbers(findings, Where.UNCONFIRMED) == {(SOURCE, n) for n in range(1, 6)}
    assert numbers(findings, Where.NEVER_ARRIVED) == {(SOURCE, n) for n in (7, 9, 11)}
    assert sources.beyond == {"gate-2"}


def test_all_sources_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it a set that grows keeps few ranges, the highest; what was known of others stays, and
    nothing is called missing that was only forgotten.
    """
    monkeypatch.setattr("ledger.completeness.sources.RANGES_ALL_MAX", 6)
    monkeypatch.setattr("ledger.completeness.sources.RANGES_FEW", 2)
    sources, other = Sources(), SourceKey("gate-2", SOURCE.spool_id)
    sources.take_receipt(receipt(*((n, n) for n in range(2, 12, 2)), minted=10))
    sources.take_receipt(receipt(*((n, n) for n in range(2, 12, 2)), minted=10, source_id="gate-2"))
    findings = found(sources, Beside({}, {}, {}, looked_through_ns=START_NS + MINUTE_NS))

    assert numbers(findings, Where.NEVER_ARRIVED) == {
        *((SOURCE, n) for n in (1, 3, 5, 7, 9)),
        (other, 9),
    }
    assert numbers(findings, Where.UNCONFIRMED) == {(other, n) for n in range(1, 8)}
    assert [source.forgot_through for _, source in sources.all()] == [0, 7]
