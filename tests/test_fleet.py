"""The seeded traffic: that it is what it says, since loss and doubles are counted by it."""

import itertools
from collections import Counter, defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.numbers import filing_key, passes_gs1, passes_s10
from ledger.v1 import scan_event_pb2 as pb
from loadtest.fleet import Fleet
from loadtest.journeys import SPAN_NS
from loadtest.network import Facility, Role, distance_km, facilities, facilities_of

# Two days before clocks change in Europe, nine before North America.
START_NS = int(datetime(2025, 10, 24, tzinfo=UTC).timestamp()) * 10**9
SCANNERS = 40
ROUNDS = 2

T = pb.ScanEventType
BY_ID = {f.id: f for f in facilities()}


def make_fleet(seed: int = 7, scanners: int = SCANNERS, start_time_ns: int = START_NS) -> Fleet:
    """A fleet of which only the named matters."""
    return Fleet(seed, scanners, start_time_ns=start_time_ns)


def scanned(fleet: Fleet, rounds: int = ROUNDS) -> dict[int, list[pb.ScanEvent]]:
    """What every scanner scans in the first rounds."""
    return {
        n: list(itertools.islice(fleet.scanner(n), rounds * fleet.round_length(n)))
        for n in range(fleet.scanners)
    }


def time_ns(event: pb.ScanEvent) -> int:
    """The scan time as one number."""
    return event.scan_time.ToNanoseconds()


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """A fleet of usual size, with clocks changing while its items travel."""
    return make_fleet()


@pytest.fixture(scope="module")
def events(fleet: Fleet) -> dict[int, list[pb.ScanEvent]]:
    """All that it scans in the first rounds."""
    return scanned(fleet)


class TestNetwork:
    def test_is_large_enough(self) -> None:
        """At least 40 facilities in several countries, each with an id of its own."""
        assert len(facilities()) >= 40
        assert len(BY_ID) == len(facilities())
        assert len({f.country for f in facilities()}) >= 8

    @pytest.mark.parametrize("country", sorted({f.country for f in facilities()}))
    def test_every_country_is_complete(self, country: str) -> None:
        """A journey can begin, pass and end in every country."""
        assert all(facilities_of(role, country) for role in Role)

    @pytest.mark.parametrize("facility", facilities(), ids=lambda f: f.id)
    def test_facility_is_plausible(self, facility: Facility) -> None:
        """Its id begins with its country, its zone exists, and its noon is about the sun's noon."""
        noon = datetime(2026, 1, 15, 12, tzinfo=ZoneInfo(facility.zone))
        offset = noon.utcoffset()
        assert offset is not None
        sun_hours = facility.longitude / 15

        assert facility.id.startswith(facility.country)
        assert -90 < facility.latitude < 90
        assert abs(offset.total_seconds() / 3600 - sun_hours) < 2.6
        assert filing_key(facility.id).decode() == facility.id  # No blanks, no lower case.

    def test_distances(self) -> None:
        """Known distances come out to 1 %: Frankfurt to New York, Sydney to Auckland."""
        assert distance_km(BY_ID["DEFRAA"], BY_ID["USJFKA"]) == pytest.approx(6_200, rel=0.01)
        assert distance_km(BY_ID["AUSYDA"], BY_ID["NZAKLA"]) == pytest.approx(2_160, rel=0.01)


class TestFleet:
    def test_the_same_seed_gives_the_same_bytes(self, fleet: Fleet) -> None:
        """Two fleets of one seed send the same bytes, whatever else was asked of them before."""
        again = make_fleet()
        again.journey(3)
        for number in (SCANNERS - 1, 0):
            one = itertools.islice(fleet.scanner(number), 300)
            other = itertools.islice(again.scanner(number), 300)

            assert [e.SerializeToString() for e in one] == [e.SerializeToString() for e in other]

    @pytest.mark.parametrize(
        "other",
        [make_fleet(seed=8), make_fleet(scanners=41), make_fleet(start_time_ns=START_NS + 1)],
        ids=["seed", "scanners", "start"],
    )
    def test_another_fleet_shares_no_event_id(
        self, events: dict[int, list[pb.ScanEvent]], other: Fleet
    ) -> None:
        """Whatever differs between two fleets, no id of one names an event of the other."""
        ids = {e.event_id for scans in events.values() for e in scans}
        others = {e.event_id for scans in scanned(other, rounds=1).values() for e in scans}

        assert not ids & others

    def test_rounds_are_whole_journeys(
        self, fleet: Fleet, events: dict[int, list[pb.ScanEvent]]
    ) -> None:
        """The scanners together send every event of every item of their rounds, once."""
        sent = Counter(e.SerializeToString() for scans in events.values() for e in scans)
        expected = Counter(
            e.SerializeToString()
            for item in range(ROUNDS * fleet.lanes)
            for e in fleet.journey(item)
        )

        assert sent == expected
        assert set(sent.values()) == {1}

    def test_event_ids_are_unique(self, events: dict[int, list[pb.ScanEvent]]) -> None:
        """No event id comes twice, and each has 16 bytes."""
        ids = [e.event_id for scans in events.values() for e in scans]

        assert len(set(ids)) == len(ids)
        assert {len(i) for i in ids} == {16}

    def test_trails(self, fleet: Fleet, events: dict[int, list[pb.ScanEvent]]) -> None:
        """Filed by key, every item has 8 to 14 events, most from three scanners or more."""
        trails = defaultdict(list)
        scanners = defaultdict(set)
        for number, scans in events.items():
            for event in scans:
                key = filing_key(event.tracking_number).decode()
                trails[key].append(event)
                scanners[key].add(number)

        assert set(trails) == set(fleet.item_numbers(ROUNDS * fleet.lanes))
        assert len(trails) == ROUNDS * fleet.lanes
        assert {len(t) for t in trails.values()} <= set(range(8, 15))
        assert min(len(s) for s in scanners.values()) >= 2
        assert sum(len(s) >= 3 for s in scanners.values()) > 0.8 * len(trails)

    def test_work_is_shared_evenly(self, fleet: Fleet) -> None:
        """No scanner has more than one step more than another in a round."""
        lengths = {fleet.round_length(n) for n in range(fleet.scanners)}

        assert max(lengths) - min(lengths) <= 1

    def test_a_device_belongs_to_one_scanner(self, events: dict[int, list[pb.ScanEvent]]) -> None:
        """A device is a scanner in a facility, and most scanners stand in one facility or two."""
        owners = defaultdict(set)
        for number, scans in events.items():
            for event in scans:
                owners[event.device].add(number)
                assert event.device.startswith(f"{event.facility}-")

        assert all(len(numbers) == 1 for numbers in owners.values())

    @settings(max_examples=20)
    @given(st.integers(), st.integers(1, 500), st.integers(0, 4 * 10**18))
    def test_journeys_make_sense(self, seed: int, scanners: int, start_time_ns: int) -> None:
        """For any seed: accepted first, delivered last, times rising, all within the span."""
        fleet = make_fleet(seed, scanners, start_time_ns)
        for item in (0, fleet.lanes - 1, 12_345_678):
            journey = fleet.journey(item)
            times = [time_ns(e) for e in journey]

            assert journey[0].type == T.SCAN_EVENT_TYPE_ACCEPTED
            assert [e.type for e in journey].count(T.SCAN_EVENT_TYPE_DELIVERED) == 1
            assert journey[-1].type == T.SCAN_EVENT_TYPE_DELIVERED
            assert times == sorted(set(times))
            assert start_time_ns <= times[0] < times[-1] < start_time_ns + SPAN_NS

    @pytest.mark.parametrize("scanners", [0, -1])
    def test_an_empty_fleet_is_refused(self, scanners: int) -> None:
        """A fleet without scanners could never finish a round."""
        with pytest.raises(ValueError, match="at least one scanner"):
            make_fleet(scanners=scanners)

    @pytest.mark.parametrize("scanners", [1, 2, 63, 1000])
    def test_every_scanner_has_work(self, scanners: int) -> None:
        """Few scanners or many: each has something to scan, and together a round."""
        fleet = make_fleet(scanners=scanners)
        lengths = [fleet.round_length(n) for n in range(scanners)]

        assert min(lengths) > 0
        assert sum(lengths) == sum(len(fleet.journey(item)) for item in range(fleet.lanes))


class TestEvents:
    def test_numbers_pass_their_check(self, fleet: Fleet) -> None:
        """Every number has a right check digit; both formats occur; none comes twice."""
        numbers = list(fleet.item_numbers(5 * fleet.lanes))
        passing = {n: (passes_s10(n), len(n) == 22 and passes_gs1(n)) for n in numbers}

        assert set(passing.values()) == {(True, False), (False, True)}
        assert len(passing) == len(numbers)

    def test_sorting_machines_read_the_whole_barcode(
        self, events: dict[int, list[pb.ScanEvent]]
    ) -> None:
        """An IMpb is sorted by the barcode with its routing prefix, which the filing key cuts."""
        routed = [e for s in events.values() for e in s if e.tracking_number.startswith("420")]

        assert routed
        for event in routed:
            bare = filing_key(event.tracking_number).decode()
            assert event.type == T.SCAN_EVENT_TYPE_SORTED
            assert event.tracking_number == event.tracking_number[:8] + bare
            assert filing_key(event.raw_barcode.decode()).decode() == bare
            assert not event.operator

    def test_offsets_are_those_of_the_zone(self, events: dict[int, list[pb.ScanEvent]]) -> None:
        """Each offset is what the zone of the facility says, also across a change of clocks."""
        offsets = defaultdict(set)
        for event in itertools.chain.from_iterable(events.values()):
            zone = BY_ID[event.facility].zone
            local = datetime.fromtimestamp(event.scan_time.seconds, ZoneInfo(zone)).utcoffset()
            assert local is not None
            assert event.utc_offset_minutes * 60 == local.total_seconds()
            offsets[zone].add(event.utc_offset_minutes)

        assert offsets["Europe/Berlin"] == {120, 60}
        assert offsets["Asia/Kolkata"] == {330}

    def test_positions(self, events: dict[int, list[pb.ScanEvent]]) -> None:
        """A scan is within 100 m of its facility; one at a door has three decimals and is near."""
        for event in itertools.chain.from_iterable(events.values()):
            home = BY_ID[event.facility]
            north = abs(event.position.latitude - home.latitude)
            east = abs(event.position.longitude - home.longitude)
            if event.type in (T.SCAN_EVENT_TYPE_DELIVERED, T.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED):
                assert max(north, east) <= 0.0206
                assert round(event.position.latitude, 3) == event.position.latitude
                assert round(event.position.longitude, 3) == event.position.longitude
            else:
                assert max(north, east) <= 0.000501

    def test_every_kind_of_step_occurs(self) -> None:
        """Both borders, customs and failed attempts are part of the traffic."""
        fleet = make_fleet(scanners=200)
        kinds = Counter(e.type for item in range(fleet.lanes) for e in fleet.journey(item))

        assert set(kinds) == {
            T.SCAN_EVENT_TYPE_ACCEPTED,
            T.SCAN_EVENT_TYPE_ARRIVED,
            T.SCAN_EVENT_TYPE_SORTED,
            T.SCAN_EVENT_TYPE_DEPARTED,
            T.SCAN_EVENT_TYPE_EXPORT_ARRIVED,
            T.SCAN_EVENT_TYPE_EXPORT_DEPARTED,
            T.SCAN_EVENT_TYPE_IMPORT_ARRIVED,
            T.SCAN_EVENT_TYPE_IMPORT_DEPARTED,
            T.SCAN_EVENT_TYPE_CUSTOMS_PRESENTED,
            T.SCAN_EVENT_TYPE_CUSTOMS_RELEASED,
            T.SCAN_EVENT_TYPE_OUT_FOR_DELIVERY,
            T.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED,
            T.SCAN_EVENT_TYPE_DELIVERED,
        }
        assert 0.05 < kinds[T.SCAN_EVENT_TYPE_DELIVERY_ATTEMPTED] / fleet.lanes < 0.2

    def test_announced_way(self, fleet: Fleet) -> None:
        """What departs says where to, and the next scan is there."""
        for item in range(fleet.lanes):
            for event, after in itertools.pairwise(fleet.journey(item)):
                if event.next_facility:
                    assert after.facility == event.next_facility
                else:
                    assert "DEPARTED" not in T.Name(event.type)

    def test_deliveries_are_by_day(self, fleet: Fleet) -> None:
        """Items are taken in and brought between 8 and 18 by the clock of the place."""
        for item in range(fleet.lanes):
            journey = fleet.journey(item)
            for event in (journey[0], journey[-1]):
                zone = ZoneInfo(BY_ID[event.facility].zone)
                assert 8 <= datetime.fromtimestamp(event.scan_time.seconds, zone).hour < 18

    def test_an_event_is_of_usual_size(self, events: dict[int, list[pb.ScanEvent]]) -> None:
        """About 140 bytes: figures measured with this traffic are about real events."""
        sizes = [e.ByteSize() for scans in events.values() for e in scans]

        assert 100 < sum(sizes) / len(sizes) < 200
        assert max(sizes) < 300
