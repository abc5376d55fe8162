"""The truth about the fleet: it agrees with what scanners send, and is written as described."""

import io
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.app.event_fields import make_event
from ledger.app.lines import read_ndjson
from ledger.errors import Refused
from loadtest.export import SCANS_FILE, TRUTH_FILE, Exported, export
from loadtest.fleet import Fleet, Kind, Oddities, Upload
from loadtest.fleet_command import main
from loadtest.truth import FORMAT, TruthWriter, promise_ms, read_truth, record
from loadtest.world.encoding import upload
from loadtest.world.sendings import REFUSED, UNDECODABLE

START_NS = int(datetime(2025, 10, 24, tzinfo=UTC).timestamp()) * 10**9
MANY_BAD = Oddities(0.05, 0.05, 0.05, 0.05, 0.1, 0.2, 0.1, 0.1)
JOURNEYS = 300

Line = dict[str, Any]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """A fleet in whose scanners much is odd."""
    return Fleet(7, 20, start_time_ns=START_NS, oddities=MANY_BAD)


@pytest.fixture(scope="module")
def exported(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """Its first journeys in files."""
    folder = tmp_path_factory.mktemp("fleet")
    return folder, export(fleet, JOURNEYS, folder)


@pytest.fixture(scope="module")
def truth(exported: tuple[Path, Exported]) -> list[Line]:
    """The lines of the truth."""
    with (exported[0] / TRUTH_FILE).open(encoding="utf-8") as lines:
        return list(read_truth(lines))


def events_of(lines: list[Line]) -> list[Line]:
    """All events that a truth knows."""
    return [
        event
        for line in lines
        for step in line.get("steps", [])
        for event in step.get("events", [])
    ]


def test_the_truth_says_what_it_is(truth: list[Line], fleet: Fleet) -> None:
    """The first line has the format, and everything with which the fleet can be made again."""
    first = truth[0]

    assert first["format"] == FORMAT
    again = Fleet(
        first["seed"],
        first["scanners"],
        start_time_ns=first["start_time_ns"],
        journeys_per_day=first["journeys_per_day"],
        oddities=Oddities(**first["oddities"]),
    )
    assert record(again, again.plan(5)) == record(fleet, fleet.plan(5))
    with pytest.raises(ValueError, match="no parcel-ledger-truth"):
        list(read_truth(['{"format": "parcel-ledger-truth/0"}']))


@pytest.mark.slow
def test_the_truth_is_what_scanners_send(truth: list[Line], fleet: Fleet) -> None:
    """Every event of the truth is sent as it says, and every event of these items is in it."""
    known = {(event["id"], event["kind"]): event for event in events_of(truth)}
    items = {line["number"] for line in truth if line["kind"] == "item"}
    last = max(event["sent"] for event in known.values())
    found: dict[tuple[str, str], Upload] = {}
    for one in fleet.stream():
        if datetime.fromtimestamp(one.send_time_ns / 1e9, UTC).isoformat() > last:
            break
        found[one.event_id.hex(), one.kind.name] = one
    assert known.keys() <= found.keys()
    for key, event in known.items():
        one = found[key]
        assert event["source"] == fleet.source_id(one.scanner)
        sent = datetime.fromisoformat(event["sent"])
        assert one.send_time_ns == round(sent.timestamp() * 1_000) * 1_000_000
        assert event.get("refused", False) == one.will_be_refused
    mine = {key for key, one in found.items() if one.tracking_number in items}
    assert mine <= known.keys()


def test_each_step_tells_who_saw_it(truth: list[Line]) -> None:
    """Scanners and systems send events; what a bag hides and what is missed has none."""
    seen: Counter[str] = Counter()
    for line in truth:
        for step in line.get("steps", []):
            seen[step["seen_by"]] += 1
            kinds = [event["kind"] for event in step.get("events", [])]
            assert bool(kinds) == (step["seen_by"] in {"SCANNER", "SYSTEM"})
            times = [event["scan_time"] for event in step.get("events", [])]
            if kinds == ["PREMATURE"] and step["type"] == "DELIVERED":
                assert times[0] < step["time"]
    assert set(seen) == {"SCANNER", "SYSTEM", "CONTAINER", "NOBODY"}


def test_containers_are_in_the_truth(truth: list[Line]) -> None:
    """Every bag that an item was put into is there, and so is the trip that carried it."""
    bags = {line["number"]: line for line in truth if line["kind"] == "bag"}
    trips = {line["number"] for line in truth if line["kind"] == "trip"}
    used = {
        step["container"]
        for line in truth
        if line["kind"] == "item"
        for step in line["steps"]
        if "container" in step
    }
    carried = {step["container"] for bag in bags.values() for step in bag["steps"][:2]}

    assert used
    assert used == bags.keys()
    assert carried == trips


def test_states_follow_each_other(truth: list[Line]) -> None:
    """An item begins before or at its acceptance, and its last state is its outcome."""
    for line in truth:
        if line["kind"] != "item":
            continue
        states = [step["state"] for step in line["steps"] if "state" in step]
        assert states[0] in {"PRE_SHIPMENT", "ACCEPTED"}
        assert line["outcome"] == "LOST" or states[-1] == line["outcome"]
        if "promised" in line:
            assert line["promised"] > line["steps"][0]["time"]


def test_a_promise_is_kept_mostly(fleet: Fleet) -> None:
    """Most items come by the day that was promised, and some do not: lateness can be found."""
    late = 0
    plans = [fleet.plan(item) for item in range(2_000)]
    delivered = [plan for plan in plans if plan.outcome == "DELIVERED"]
    for plan in delivered:
        late += plan.steps[-1][0] > promise_ms(plan)
    assert 0.02 * len(delivered) < late < 0.4 * len(delivered)


def test_scans_can_be_sent_as_a_file(exported: tuple[Path, Exported], fleet: Fleet) -> None:
    """The command that sends files makes of each line the event that the scanner sent, to the
    byte; what cannot be decoded is a line that cannot be read.
    """
    folder, counts = exported
    known = {
        (one.event_id, one.tracking_number): one
        for item in range(counts.items)
        for one in map(upload, fleet.sendings_of(fleet.plan(item)))
    }
    of_items = 0
    read: Counter[bool] = Counter()
    with (folder / SCANS_FILE).open(encoding="utf-8", errors="surrogateescape") as stream:
        for line in read_ndjson(stream):
            read[bool(line.problem)] += 1
            if not line.problem:
                event = make_event(line.values, raw_is_text=False)
                sent = known.get((event.event_id, event.tracking_number))
                if sent:
                    of_items += 1
                    assert event.SerializeToString() == sent.event
                    assert line.values["source"] == fleet.source_id(sent.scanner)
    assert read.total() == counts.scans
    assert of_items > 0.8 * counts.scans  # The others are those of bags and trips.
    assert 0 < read[True] < counts.refused
    assert counts.items >= JOURNEYS


def test_a_line_that_is_cut_off_is_refused() -> None:
    """The two kinds of undecodable events are those that no reader of lines takes."""
    assert UNDECODABLE < REFUSED
    with pytest.raises(Refused):
        make_event({"tracking_number": "X", "scan_time": "never"}, raw_is_text=False)


def test_the_truth_can_be_written_elsewhere(fleet: Fleet) -> None:
    """A writer takes any file and any plans."""
    file = io.StringIO()
    writer = TruthWriter(file, fleet)
    writer.add(fleet.plan(0))
    for facility, closure in fleet.closures(90):
        writer.add_closure(facility, closure)
    head, item, *closures = [json.loads(line) for line in file.getvalue().splitlines()]

    assert (head["kind"], item["kind"]) == ("header", "item")
    assert {line["kind"] for line in closures} == {"closure"}
    assert item["number"] == fleet.item_number(0)


@pytest.mark.slow
def test_the_command_describes_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows the network and the shares, and writes files that are the same each time."""
    main(["--describe"])
    said = capsys.readouterr().out
    assert "The network" in said
    assert "TWO_LABELS" in said
    for name in ("one", "two"):
        main(["--seed", "4", "--journeys", "50", "--out", str(tmp_path / name)])
    assert "parcel-ledger send" in capsys.readouterr().out
    for file in (TRUTH_FILE, SCANS_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    main(["--journeys", "50", "--no-bad-labels", "--out", str(tmp_path / "three")])
    with (tmp_path / "three" / TRUTH_FILE).open() as lines:
        kinds = {event["kind"] for event in events_of(list(read_truth(lines)))}
    assert not kinds & {kind.name for kind in REFUSED | {Kind.CHECK_DIGIT}}
