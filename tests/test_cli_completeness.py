"""`parcel-ledger completeness` as an operator meets it, against a ledger that runs."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.app.client import open_channel
from ledger.app.demo.processes import LedgerProcess
from ledger.app.exits import DONE, FAILED, INCOMPLETE, REFUSED
from ledger.v1.operator_service_pb2 import (
    CompletenessFinding,
    ListCompletenessFindingsRequest,
)
from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
from tests.gates import SPOOL, send, speak
from tests.shells import Said, ledger_up, typed

pytestmark = pytest.mark.slow

WITHIN_S = 20.0


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    """A ledger with three scanners: one with gaps and refused scans, one that minted and sent
    nothing, and one of which all arrived.
    """
    with ledger_up(tmp_path_factory.mktemp("completeness")) as ledger:
        bad = frozenset({60, 61})
        send(ledger.address, "gate-17", range(1, 41), minted=100)
        send(ledger.address, "gate-17", range(51, 91), minted=100, bad=bad, facility="FRCYMA")
        send(ledger.address, "gate-19", range(1, 6), minted=5)
        speak(ledger.address, "gate-18", minted=7)
        wait_for(ledger, {"gate-17": 22, "gate-18": 7})
        yield ledger


def asked(ledger: LedgerProcess, *words: object) -> Said:
    """Ask without patience: whatever is not in a trail now is missing."""
    return typed("completeness", "--server", ledger.address, "--grace-s", "0", *words)


def document(ledger: LedgerProcess, *words: object) -> dict[str, Any]:
    """The same for a program."""
    answer: dict[str, Any] = json.loads(asked(ledger, "--json", *words).answer)
    return answer


def wait_for(ledger: LedgerProcess, scans: dict[str, int]) -> None:
    """Wait until receipts are written and trails have caught up: a second, on a busy machine."""
    until_s = time.monotonic() + WITHIN_S
    while True:
        found = dict[str, int]()
        for one in document(ledger)["findings"]:
            found[one["source"]] = found.get(one["source"], 0) + one["scans"]
        if found == scans:
            return
        assert time.monotonic() < until_s, found
        time.sleep(0.1)


def ranges(answer: dict[str, Any]) -> list[tuple[str, int, int, str, str]]:
    """The findings in short."""
    return [
        (one["source"], one["first"], one["last"], one["state"], one["facility"])
        for one in answer["findings"]
    ]


def test_it_names_what_never_arrived(ledger: LedgerProcess) -> None:
    """Gaps by source, with the facility of the scan before them; what was minted and never sent;
    what was refused; and a code for monitors.
    """
    said = asked(ledger, "--records", "--json")
    answer = json.loads(said.answer)

    assert ranges(answer) == [
        ("gate-17", 41, 50, "never_arrived", "DEFRAA"),
        ("gate-17", 60, 61, "refused", "FRCYMA"),
        ("gate-17", 91, 100, "never_arrived", "FRCYMA"),
        ("gate-18", 1, 7, "never_arrived", ""),
    ]
    assert said.code == INCOMPLETE
    assert answer["sums"] == {
        "never_arrived": {"scans": 27, "missing": 27},
        "refused": {"scans": 2, "missing": 0},
    }
    assert answer["minted"] == 112


def test_a_person_reads_a_table(ledger: LedgerProcess) -> None:
    """The verdict and the sums first, then what is where."""
    said = asked(ledger, "--records")

    first, _, head, *rows = said.answer.splitlines()
    assert first.startswith("Not complete: 112 scans minted, in 3 spools; 27 never arrived; 2 ref")
    assert head.split() == [
        *("source", "spool", "sequences", "scans", "where", "facility", "day", "for")
    ]
    assert rows[0].split()[:9] == [
        *("gate-17", "00010203", "41", "to", "50", "10", "never", "arrived", "DEFRAA")
    ]
    assert said.code == INCOMPLETE


def test_what_is_young_is_on_its_way(ledger: LedgerProcess) -> None:
    """With the usual minute nothing of it is missing yet: shown, and no reason to ring."""
    said = typed("completeness", "--server", ledger.address, "--grace-s", "3600")

    assert said.code == DONE
    assert said.answer.startswith("Complete: ")
    assert "27 never arrived (27 of them too young to be missing); 2 refused." in said.answer


def test_by_source_facility_and_day(ledger: LedgerProcess) -> None:
    """Each alone and together; a source of which all arrived is complete."""
    today = datetime.now(UTC).date().isoformat()
    whole = asked(ledger, "--source", "gate-19")
    place = document(ledger, "--facility", "FRCYMA", "--day", today)
    other = document(ledger, "--day", "2020-02-29")

    assert whole.code == DONE
    assert [(first, last) for _, first, last, _, _ in ranges(place)] == [(60, 61), (91, 100)]
    assert (other["complete"], other["findings"]) == (True, [])


def test_a_scanner_that_fell_silent_shows(ledger: LedgerProcess) -> None:
    """Also one of which all arrived; it is no reason to ring, since nothing is known to miss."""
    time.sleep(1.1)
    answer = document(ledger, "--source", "gate-19", "--silent-after-s", "1")

    [one] = answer["findings"]
    assert (one["state"], one["scans"], one["missing"]) == ("silent", 0, False)
    assert answer["complete"]


def test_the_document_keeps_its_form(ledger: LedgerProcess) -> None:
    """Programs hang on names and types."""
    answer = document(ledger, "--records")
    [one, *_] = answer["findings"]

    assert {name: type(value).__name__ for name, value in answer.items()} == {
        "complete": "bool",
        "found_at": "str",
        "looked_through_until": "str",
        "spools": "int",
        "minted": "int",
        "not_looked_at": "dict",
        "sums": "dict",
        "findings": "list",
    }
    assert {name: type(value).__name__ for name, value in one.items()} == {
        "source": "str",
        "spool": "str",
        "first": "int",
        "last": "int",
        "scans": "int",
        "state": "str",
        "missing": "bool",
        "facility": "str",
        "day": "str",
        "since": "str",
    }
    assert answer["not_looked_at"] == {"records": 0, "sources": 0, "forgotten_spools": 0}
    assert datetime.fromisoformat(one["since"]).tzinfo is UTC


def test_pages_fit_together(ledger: LedgerProcess) -> None:
    """One by one they give the same; the sums are those of all pages."""
    with open_channel(ledger.address) as channel:
        stub = OperatorServiceStub(channel)
        whole = stub.ListCompletenessFindings(ListCompletenessFindingsRequest(), timeout=10)
        request, found = ListCompletenessFindingsRequest(page_size=1), list[CompletenessFinding]()
        while True:
            page = stub.ListCompletenessFindings(request, timeout=10)
            found += page.findings
            assert page.sums == whole.sums
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token

    keys = [(one.source_id, one.first_sequence) for one in found]
    assert keys == [(one.source_id, one.first_sequence) for one in whole.findings]
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"day": "27.11.2026"}, "day"),
        ({"day": "2026-02-30"}, "day"),
        ({"page_token": "nonsense"}, "page_token"),
        ({"silent_after": {"nanos": 5}}, "silent_after"),
        ({"grace": {"seconds": -1}}, "grace"),
    ],
)
def test_a_wrong_question_is_refused(
    ledger: LedgerProcess, changes: dict[str, Any], field: str
) -> None:
    """INVALID_ARGUMENT, with the field named."""
    request = ListCompletenessFindingsRequest(**changes)
    with open_channel(ledger.address) as channel, pytest.raises(grpc.RpcError) as raised:
        OperatorServiceStub(channel).ListCompletenessFindings(request, timeout=10)

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (raised.value.details() or "")


def test_an_operator_settles_what_will_never_come(tmp_path: Path) -> None:
    """By the source's only spool, or one that is named; it is shown with who and why, in the table
    too, makes no alarm, and outlives the process. What says nothing is told so.
    """
    with ledger_up(tmp_path) as ledger:
        send(ledger.address, "gate-20", range(3, 6), minted=9)
        wait_for(ledger, {"gate-20": 6})
        words = ("completeness", "settle", "--server", ledger.address, "gate-20")
        whole = typed(*words, "1-9", "--why", "run over", "--by", "ada")
        again = typed(*words, "1-9", "--why", "run over", "--spool", SPOOL.hex())
        wrong = typed(*words, "one", "--why", "run over")
        nobody = typed(*words[:-1], "gate-99", "1", "--why", "run over")
        ledger.end()
        ledger.start()
        table = asked(ledger)
        answer = document(ledger)

    assert (whole.code, whole.answer) == (DONE, "6 scans are settled.\n")
    assert [said.code for said in (again, wrong, nobody)] == [REFUSED, FAILED, FAILED]
    assert "have an outcome, or are settled" in again.remark
    assert "It reads 41-50, or 7." in wrong.remark
    assert "Nothing was ever heard of a source `gate-99`" in nobody.remark
    assert table.code == DONE
    assert "\ngate-20 1 to 2: settled by ada at 20" in table.answer
    assert table.answer.endswith("Z: run over\n")
    assert [(one["first"], one["last"], one["state"]) for one in answer["findings"]] == [
        (1, 2, "settled"),
        (6, 9, "settled"),
    ]
    assert answer["findings"][0]["settled"].keys() == {"by", "why", "at"}


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """What is known is made of the logs anew; where nobody is there, the code says so."""
    with ledger_up(tmp_path) as ledger:
        send(ledger.address, "gate-20", range(3, 6), minted=9)
        wait_for(ledger, {"gate-20": 6})
        before = ranges(document(ledger, "--records"))
        ledger.end()
        gone = asked(ledger)
        ledger.start()
        after = ranges(document(ledger, "--records"))

    assert before == after
    assert [one[1:3] for one in after] == [(1, 2), (6, 9)]
    assert gone.code == FAILED
