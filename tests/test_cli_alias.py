"""`parcel-ledger alias` against a real ledger: two numbers become one item, on the screen too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, REFUSED
from tests.shells import entries_of, ledger_up, typed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

ONE, TWO = "RR473124829GB", "9400111206206406260787"


def test_two_numbers_become_one_item(tmp_path: Path) -> None:
    """Either shows the scans of both, and under which number each was scanned; a bad request is
    refused, and the same again says that it was said before.
    """
    scans = tmp_path / "scans.csv"
    scans.write_text(
        "tracking_number,type,scan_time,facility,event_id\n"
        f"{ONE},SORTED,2026-03-01T09:00:00Z,GB-1,{1:032x}\n"
        f"{TWO},DELIVERED,2026-03-02T09:00:00Z,US-1,{2:032x}\n"
    )
    with ledger_up(tmp_path) as ledger:
        where = ("--server", ledger.address)
        assert typed("send", scans, "--source", "gate-1", *where).code == DONE
        alone = typed("trail", ONE, *where)
        first = typed("alias", "rr 4731 2482 9gb", TWO, "--why", "relabelled in New York", *where)
        for number in (ONE, TWO):
            assert len(entries_of(ledger, number, at_least=2)) == 2
        again = typed("alias", TWO, ONE, "--why", "the same", "--json", *where)
        shown = [typed("trail", number, *where).answer.splitlines() for number in (ONE, TWO)]
        document = json.loads(typed("trail", TWO, "--json", *where).answer)
        same = typed("alias", ONE, ONE.lower(), "--why", "x", *where)

    assert "filed under" not in alone.answer
    assert (first.code, first.answer) == (DONE, f"one item: {ONE}, {TWO}\n")
    assert json.loads(again.answer)["tracking_keys"] == [TWO, ONE]
    assert json.loads(again.answer)["positions"] == []
    assert shown[0][0] == f"{ONE}, {TWO}  2 events, by scan time"
    assert shown[1][0] == f"{TWO}, {ONE}  2 events, by scan time"
    for lines in shown:
        column = lines[2].index("filed under")
        assert [line[column:].split()[0] for line in lines[3:5]] == [ONE, TWO]
    assert document["tracking_keys"] == [TWO, ONE]
    assert document["more_keys"] is False
    assert same.code == REFUSED
    assert "one item already" in same.remark
