"""`parcel-ledger send --format` against a real ledger: a row is an event or is refused, and a list
that comes again changes nothing.
"""

from __future__ import annotations

import csv
import json
import random
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.v1 import scan_event_pb2 as pb
from tests.scale import scaled
from tests.shells import Said, entries_of, ledger_up, spawned, typed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger.app.demo.processes import LedgerProcess

pytestmark = pytest.mark.slow

FORMAT = """
kind = "csv"
source = "post"
code_system = "upu-emsevt-3"
[columns]
tracking_number = "item"
source_code = "event"
scan_time = "time"
facility = "office"
source_text = "remark"
[time]
form = "%d.%m.%Y %H:%M"
"""
HEADER = "item;event;time;office;remark"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    """A ledger for all tests of this file; each has tracking numbers of its own."""
    with ledger_up(tmp_path_factory.mktemp("ledger")) as running:
        yield running


def send(ledger: LedgerProcess, path: Path, text: str = FORMAT, *flags: object) -> Said:
    """Send a list by a format."""
    written_as = path.with_name("format.toml")
    written_as.write_text(text)
    return typed("send", path, "--format", written_as, *flags, "--server", ledger.address)


def refusals(path: Path) -> list[tuple[str, str, str]]:
    """Give line, field and reason of each refused row."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [
            (row["refused_line"], row["refused_field"], row["refused_reason"])
            for row in csv.DictReader(file, delimiter=";", restkey="more")
        ]


def test_every_bad_row_is_told_and_the_others_are_kept(
    ledger: LedgerProcess, tmp_path: Path
) -> None:
    """Whatever is wrong, and whoever finds it: line, field and reason. Mended rows go in with the
    same format, and the whole list again changes nothing.
    """
    path = tmp_path / "post.csv"
    rows = [
        "AA000000001DE;EMC;01.07.2025 10:00;DEFRAA;good",
        "AA000000001DE;EMD;01.07.2025 25:00;DEFRAA;no such hour",
        "AA000000001DE;EMD;01.07.2025 11:00;NOWHERE;no such office",
        "AA000000001DE;EMD;01.07.2025 11:00",
        'AA000000001DE;EMD;01.07.2025 11:00;DEFRAA;a "stray quote',
        "---;EMD;01.07.2025 11:00;DEFRAA;no number",
        ";EMD;01.07.2025 11:00;DEFRAA;none at all",
        "AA000000001DE;;01.07.2025 11:00;DEFRAA;no code",
        f"AA000000001DE;EMD;01.07.2025 11:00;DEFRAA;{'x' * 513}",
        "AA000000001DE;EMD;01.07.2025 11:00;DEFRAA;not UTF-8 \udcff",
        "AA000000001DE;EMD;01.07.1925 11:00;DEFRAA;long ago",
        "AA000000001DE;EMI;02.07.2025 10:00;DEFRAA;good",
    ]
    path.write_bytes("\n".join([HEADER, *rows]).encode(errors="surrogateescape"))

    said = send(ledger, path)
    refused = tmp_path / "post.csv.refused.csv"
    told = sorted(refusals(refused), key=lambda one: int(one[0]))
    again = send(ledger, path)
    mended = tmp_path / "mended.csv"
    mended.write_text(
        "\n".join(line for line in refused.read_text(errors="replace").splitlines()[:3])
        .replace("25:00", "15:00")
        .replace("NOWHERE", "USJFKA")
    )
    at_last = send(ledger, mended)

    assert said.code == again.code == REFUSED
    assert "12 lines: 2 durable" in said.answer
    assert told == [
        *(("3", "scan_time", "MALFORMED"), ("4", "facility", "ZONE_UNKNOWN")),
        *(("5", "", "UNREADABLE"), ("6", "", "UNREADABLE")),
        *(("7", "tracking_number", "UNFILABLE_NUMBER"), ("8", "tracking_number", "REQUIRED")),
        *(("9", "source_code", "REQUIRED"), ("10", "source_text", "TOO_LONG")),
        *(("11", "", "UNREADABLE"), ("12", "scan_time", "OUT_OF_RANGE")),
    ]
    assert at_last.code == DONE
    entries = entries_of(ledger, "AA000000001DE", at_least=4)
    assert [entry.event.source_code for entry in entries] == ["EMC", "EMD", "EMD", "EMI"]
    assert [entry.marks.duplicate_count for entry in entries] == [1, 0, 0, 1]
    assert {entry.source_id for entry in entries} == {"post"}


def test_local_times_are_marked_in_the_record(ledger: LedgerProcess, tmp_path: Path) -> None:
    """Where the offset is from, and why a time is in doubt, stand in the event itself."""
    path = tmp_path / "post.csv"
    path.write_text(
        f"{HEADER}\n"
        "AA000000002DE;EMC;25.10.2025 10:00;DEFRAA;\n"
        "AA000000002DE;EDB;26.10.2025 02:30;DEFRAA;\n"
        "AA000000002DE;EMF;29.03.2026 02:30;DEFRAA;\n"
        "AA000000002DE;EMG;30.03.2026 09:00;ELSEWHERE;\n"
    )
    said = send(ledger, path, FORMAT + 'otherwise = "America/New_York"\n')
    events = [entry.event for entry in entries_of(ledger, "AA000000002DE", at_least=4)]

    assert said.code == DONE
    assert [event.utc_offset_source for event in events] == [
        *[pb.UTC_OFFSET_SOURCE_FACILITY] * 3,
        pb.UTC_OFFSET_SOURCE_INFERRED,
    ]
    assert [event.utc_offset_minutes for event in events] == [120, 120, 120, -240]
    assert [{one.name: one.value for one in event.attributes} for event in events] == [
        {},
        {"local_time": "26.10.2025 02:30", "local_time_doubt": "AMBIGUOUS"},
        {"local_time": "29.03.2026 02:30", "local_time_doubt": "SKIPPED"},
        {},
    ]
    assert {event.capture_method for event in events} == {pb.CAPTURE_METHOD_PARTNER_MESSAGE}


def test_tonights_list_has_last_nights_rows_again(ledger: LedgerProcess, tmp_path: Path) -> None:
    """In another order, with a further column: each event is once. One that is told otherwise now
    is a conflict, and both are shown.
    """
    row = "AA000000003DE;{};01.07.2025 1{}:00;DEFRAA;{}"
    first, second = tmp_path / "one.csv", tmp_path / "two.csv"
    first.write_text("\n".join([HEADER, row.format("EMC", 0, "x"), row.format("EMD", 1, "x")]))
    rows = [row.format("EMI", 2, "x"), row.format("EMD", 1, "y"), row.format("EMC", 0, "x")]
    second.write_text("\n".join([HEADER + ";new", *(f"{one};n" for one in rows)]))

    codes = (send(ledger, first).code, send(ledger, second).code)
    entries = entries_of(ledger, "AA000000003DE", at_least=4)

    assert codes == (DONE, DONE)
    assert [
        (e.event.source_code, e.event.source_text) for e in entries if not e.marks.conflict
    ] == [
        ("EMC", "x"),
        ("EMI", "x"),
    ]
    assert {e.event.source_text for e in entries if e.marks.conflict} == {"x", "y"}


def test_a_random_list_is_kept_but_for_its_bad_rows(ledger: LedgerProcess, tmp_path: Path) -> None:
    """Good and bad rows in any mix: what is durable and what is refused are together all, and the
    trails have exactly the good ones.
    """
    dice = random.Random(7)
    good: list[str] = []
    rows = []
    for n in range(scaled(400, soak=20_000)):
        number = f"AB{n % 40:09}DE"
        time = f"{1 + n % 28:02}.0{1 + n % 9}.2025 {n % 24:02}:{n % 60:02}"
        cells = [number, f"E{n}", time, dice.choice(["DEFRAA", "USJFKA", "INDELA"]), "r"]
        fault = dice.randrange(8)
        if fault == 0:
            cells[dice.randrange(3)] = ""
        elif fault == 1:
            cells[2] = "soon"
        elif fault == 2:
            cells[4] = '"'
        else:
            good.append(cells[1])
        rows.append(";".join(cells))
    path = tmp_path / "post.csv"
    path.write_text("\n".join([HEADER, *rows]))

    said = send(ledger, path)
    entries = entries_of(ledger, *(f"AB{n:09}DE" for n in range(40)), at_least=len(good))

    assert said.code == REFUSED
    assert f"{len(rows):,} lines: {len(good):,} durable" in said.answer
    assert f"{len(rows) - len(good):,} refused" in said.answer
    assert sorted(entry.event.source_code for entry in entries) == sorted(good)


def test_lines_of_json_come_through_a_pipe(ledger: LedgerProcess, tmp_path: Path) -> None:
    """With the source by flag; refused rows come back as CSV, in the columns that are read."""
    (tmp_path / "format.toml").write_text(
        FORMAT.replace('"csv"', '"ndjson"').replace('source = "post"', "")
    )
    row = {"item": "AA000000005DE", "event": "EMC", "time": "01.07.2025 10:00", "office": "DEFRAA"}
    text = f"{json.dumps(row)}\n{{nonsense\n{json.dumps(row | {'time': 'noon'})}\n"
    words = ("send", "-", "--format", "format.toml", "--server", ledger.address)

    nobody = spawned(*words, stdin=text, folder=tmp_path)
    said = spawned(*words, "--source", "p", stdin=text, folder=tmp_path)

    assert nobody.code == FAILED
    assert "--source" in nobody.remark
    assert said.code == REFUSED
    assert "3 lines: 1 durable" in said.answer
    header, broken, late = (tmp_path / "stdin.refused.csv").read_text().splitlines()
    assert header.endswith(",item,event,time,office,remark")
    assert broken.endswith(",{nonsense")
    assert late.endswith(",AA000000005DE,EMC,noon,DEFRAA,")
    [entry] = entries_of(ledger, "AA000000005DE", at_least=1)
    assert entry.source_id == "p"


@pytest.mark.parametrize(
    ("name", "text", "remark"),
    [
        ("post.csv", "item;event;time;office\n", "no column `remark`"),
        ("post.csv", "", "no CSV"),
        ("post.json", '{"list": []}', "no list `shipments`"),
        ("post.json", "[", "line 1, character 2"),
    ],
)
def test_a_list_that_is_written_otherwise_is_refused_whole(
    ledger: LedgerProcess, tmp_path: Path, name: str, text: str, remark: str
) -> None:
    """In one line, before anything of it is sent."""
    path = tmp_path / name
    path.write_text(text)
    as_json = FORMAT.replace('"csv"', '"json"\nrecords = "shipments"')
    said = send(ledger, path, as_json if name.endswith("json") else FORMAT)

    assert said.code == FAILED
    assert remark in said.remark
    assert said.remark.count("\n") == 1
