"""The seeded traffic as scanners send it: the same for ever, endless, and what the wire takes."""

import hashlib
import itertools
import os
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.message import DecodeError

from ingest.admission import read_exactly
from ingest.forms import Violation
from ledger.numbers import filing_key, passes_gs1, passes_s10
from ledger.v1 import scan_event_pb2 as pb
from loadtest.fleet import NO_ODDITIES, Fates, Fleet, Kind, Oddities, Upload
from loadtest.network import facilities
from loadtest.world.calendar import DAY_MS
from loadtest.world.sendings import UNDECODABLE

# Two days before clocks change in Europe, nine before North America.
START_NS = int(datetime(2025, 10, 24, tzinfo=UTC).timestamp()) * 10**9
SCANNERS = 20
GOLDEN_UPLOADS = 4_000
# Of version 1. Whoever changes it changes the version: figures of old runs could not be repeated.
GOLDEN = "c22b65a69ab5f5ce197ee94863905fbf9f88e5e46e0078e73c0a7eb681c16849"

MANY_BAD = Oddities(0.05, 0.05, 0.05, 0.05, 0.1, 0.2, 0.1, 0.1)
DAY_NS = DAY_MS * 1_000_000
BY_ID = {f.id: f for f in facilities()}


def make_fleet(
    seed: int = 7,
    scanners: int = SCANNERS,
    start_time_ns: int = START_NS,
    journeys_per_day: int | None = None,
    oddities: Oddities | None = None,
) -> Fleet:
    """A fleet of which only the named matters."""
    return Fleet(
        seed,
        scanners,
        start_time_ns=start_time_ns,
        journeys_per_day=journeys_per_day,
        oddities=oddities,
    )


def first_days(uploads: Iterable[Upload], days: int) -> Iterator[Upload]:
    """What is sent in the first so many days."""
    end_ns = START_NS + days * DAY_NS
    return itertools.takewhile(lambda one: one.send_time_ns < end_ns, uploads)


def digest_of(uploads: Iterable[Upload]) -> str:
    """A digest of everything that is sent."""
    digest = hashlib.sha256()
    for one in uploads:
        digest.update(repr(tuple(one)).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """A fleet of usual size, with clocks changing while its items travel."""
    return make_fleet()


@pytest.fixture(scope="module")
def uploads(fleet: Fleet) -> list[Upload]:
    """All that it sends in the first days."""
    return list(first_days(fleet.stream(), 14))


@pytest.fixture(scope="module")
def odd_uploads() -> list[Upload]:
    """What a fleet sends in whose scanners much is odd."""
    return list(first_days(make_fleet(oddities=MANY_BAD).stream(), 7))


def decoded(uploads: Iterable[Upload]) -> list[pb.ScanEvent]:
    """The messages of all that can be decoded."""
    return [pb.ScanEvent.FromString(o.event) for o in uploads if o.kind not in UNDECODABLE]


def test_the_traffic_is_the_same_for_ever(fleet: Fleet) -> None:
    """The first uploads have the digest that they had when this version was made."""
    assert digest_of(itertools.islice(fleet.stream(), GOLDEN_UPLOADS)) == GOLDEN


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_no_order_of_python_is_in_it(hash_seed: str) -> None:
    """Another process with other hashes of strings sends the same."""
    program = (
        "import itertools; from tests.test_fleet import *;"
        "print(digest_of(itertools.islice(make_fleet().stream(), GOLDEN_UPLOADS)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == GOLDEN


def test_a_scanner_is_the_same_whoever_else_is_drained(uploads: list[Upload]) -> None:
    """Each alone and in any order sends what it sends among all, and all together send that."""
    by_scanner = defaultdict(list)
    for one in uploads:
        by_scanner[one.scanner].append(one)
    again = make_fleet()
    again.plan(77)
    for number in reversed(range(SCANNERS)):
        assert list(first_days(again.uploads(number), 14)) == by_scanner[number]


def test_messages_are_the_uploads(fleet: Fleet) -> None:
    """Who wants messages gets those that can be decoded, each its own."""
    known = list(itertools.islice(fleet.uploads(3), 2_000))
    told = list(itertools.islice(fleet.scanner(3), 1_900))

    assert told == decoded(known)[:1_900]


@pytest.mark.parametrize(
    "other",
    [
        make_fleet(seed=8),
        make_fleet(scanners=21),
        make_fleet(start_time_ns=START_NS + 1),
        make_fleet(journeys_per_day=129),
        make_fleet(oddities=NO_ODDITIES),
        Fleet(7, SCANNERS, start_time_ns=START_NS, fates=Fates(lost=0.1)),
    ],
    ids=["seed", "scanners", "start", "journeys", "oddities", "fates"],
)
def test_another_fleet_shares_no_event_id(uploads: list[Upload], other: Fleet) -> None:
    """Whatever differs between two fleets, no id of one names an event of the other."""
    ids = {one.event_id for one in uploads}
    others = {one.event_id for one in itertools.islice(other.stream(), 3_000)}

    assert not ids & others


def test_uploads_come_as_they_are_sent(uploads: list[Upload]) -> None:
    """In the order of virtual time, from its beginning on; no two are equal."""
    times = [one.send_time_ns for one in uploads]

    assert times == sorted(times)
    assert START_NS < times[0] < START_NS + 3 * DAY_NS
    assert len(set(uploads)) == len(uploads)


def test_ids_are_kept_over_copies_alone(odd_uploads: list[Upload]) -> None:
    """Two uploads with one id have the same bytes, and the later is a copy."""
    first: dict[bytes, Upload] = {}
    copies = 0
    for one in odd_uploads:
        before = first.setdefault(one.event_id, one)
        if before is not one:
            copies += 1
            assert one.kind is Kind.COPY
            assert (one.event, one.scanner) == (before.event, before.scanner)
    assert copies > 100


def test_the_door_takes_what_it_should(odd_uploads: list[Upload]) -> None:
    """The ledger's own rules refuse what the fleet says will be refused, and nothing else."""
    for one in odd_uploads:
        assert isinstance(read_exactly(one.event), Violation) == one.will_be_refused
    assert {one.kind for one in odd_uploads} == set(Kind)


def test_events_are_encoded_as_the_wire_has_them(odd_uploads: list[Upload]) -> None:
    """Encoding the message again gives the same bytes; what is broken is no message at all."""
    for one in odd_uploads:
        if one.kind in UNDECODABLE:
            with pytest.raises(DecodeError):
                pb.ScanEvent.FromString(one.event)
            assert not one.tracking_number
        else:
            event = pb.ScanEvent.FromString(one.event)
            assert event.SerializeToString() == one.event
            assert (event.tracking_number, event.event_id) == (one.tracking_number, one.event_id)


def test_an_event_is_of_usual_size(uploads: list[Upload]) -> None:
    """About 140 bytes: figures measured with this traffic are about real events."""
    sizes = [len(one.event) for one in uploads]

    assert 110 < sum(sizes) / len(sizes) < 170
    assert max(sizes) < 350


def test_numbers_pass_their_check(fleet: Fleet) -> None:
    """Every number has a right check digit; both formats occur; none comes twice."""
    numbers = list(fleet.item_numbers(20 * fleet.lanes))
    passing = {n: (passes_s10(n), len(n) == 22 and passes_gs1(n)) for n in numbers}

    assert set(passing.values()) == {(True, False), (False, True)}
    assert len(passing) == len(numbers)


def test_a_device_belongs_to_one_scanner(uploads: list[Upload]) -> None:
    """A device is in one facility, and most scanners stand in few facilities."""
    owners = defaultdict(set)
    places = defaultdict(set)
    for one, event in zip(
        (o for o in uploads if o.kind not in UNDECODABLE), decoded(uploads), strict=True
    ):
        owners[event.device].add(one.scanner)
        places[one.scanner].add(event.facility)
        assert event.device.startswith(f"{event.facility}-")

    assert all(len(numbers) == 1 for numbers in owners.values())
    assert sum(map(len, places.values())) < 2 * len(BY_ID)


@pytest.mark.parametrize("scanners", [1, 2, 63, 150])
def test_work_is_shared(scanners: int) -> None:
    """Few scanners or many: each has something to scan, and none much more than the others."""
    fleet = make_fleet(scanners=scanners, journeys_per_day=3 * scanners + 100)
    counts = Counter(one.scanner for one in first_days(fleet.stream(), 6))

    assert len(counts) == scanners
    assert max(counts.values()) < 3 * counts.total() / scanners


@pytest.mark.parametrize("scanners", [0, -1])
def test_an_empty_fleet_is_refused(scanners: int) -> None:
    """A fleet without scanners, or without items, would send nothing for ever."""
    with pytest.raises(ValueError, match="at least one scanner"):
        make_fleet(scanners=scanners)
    with pytest.raises(ValueError, match="at least one journey"):
        make_fleet(journeys_per_day=0)


def test_offsets_are_those_of_the_zone(uploads: list[Upload]) -> None:
    """Each offset is what the zone of the facility says, also across a change of clocks."""
    offsets = defaultdict(set)
    for event in decoded(uploads):
        zone = BY_ID[event.facility].zone
        local = datetime.fromtimestamp(event.scan_time.seconds, ZoneInfo(zone)).utcoffset()
        assert local is not None
        assert event.utc_offset_minutes * 60 == local.total_seconds()
        offsets[zone].add(event.utc_offset_minutes)

    assert offsets["Europe/Berlin"] == {120, 60}
    assert offsets["Europe/London"] == {60, 0}
    assert offsets["Asia/Kolkata"] == {330}


def test_positions(uploads: list[Upload]) -> None:
    """A scan is within 100 m of its facility; one at a door has three decimals and is near."""
    for event in decoded(uploads):
        home, at = BY_ID[event.facility], event.position
        if event.capture_method in {
            pb.CAPTURE_METHOD_SYSTEM_NOTICE,
            pb.CAPTURE_METHOD_PARTNER_MESSAGE,
        }:
            assert not event.HasField("position")
            continue
        away = max(abs(at.latitude - home.latitude), abs(at.longitude - home.longitude))
        if away > 0.000501:
            assert event.type in {
                pb.SCAN_EVENT_TYPE_DELIVERED,
                pb.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED,
            }
            assert away <= 0.0211
            assert round(at.latitude, 3) == at.latitude
            assert round(at.longitude, 3) == at.longitude


def test_sorting_machines_read_the_whole_barcode(uploads: list[Upload]) -> None:
    """An IMpb is sorted by the barcode with its routing prefix, which the filing key cuts."""
    routed = [e for e in decoded(uploads) if e.tracking_number.startswith("420")]

    assert routed
    for event in routed:
        bare = filing_key(event.tracking_number).decode()
        assert event.type == pb.SCAN_EVENT_TYPE_SORTED
        assert event.tracking_number == event.tracking_number[:8] + bare
        assert filing_key(event.raw_barcode.decode()).decode() == bare
        assert not event.operator


@pytest.mark.slow
def test_it_is_endless_in_bounded_memory() -> None:
    """A quarter of a year takes no more memory than a month does."""
    stream = make_fleet(scanners=3, journeys_per_day=12).stream()
    peaks = []
    tracemalloc.start()
    try:
        for until in (45, 80, 115):
            tracemalloc.reset_peak()
            sent = sum(1 for _ in first_days(stream, until))
            assert sent > 5_000
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()

    assert max(peaks[1:]) < 1.35 * peaks[0]
