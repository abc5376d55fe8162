"""`parcel-ledger number issue` and `ranges`, against a real ledger, which is killed meanwhile."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.numbers import explain
from tests.number_clients import Clients, judge, write_ranges
from tests.scale import scaled
from tests.shells import ledger_up, spawned, typed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(scaled(180, soak=1_800))]

KILLS = scaled(4, soak=40)


def test_numbers_are_issued(tmp_path: Path) -> None:
    """One number a line; the same request gives the same; a range that has too few says so."""
    request = "00112233445566778899aabbccddeeff"
    ranges = write_ranges(tmp_path, last=10)
    with ledger_up(tmp_path, "--number-ranges", str(ranges)) as ledger:
        at = ("--server", ledger.address)
        first = typed("number", "issue", "rr", "--mailer", "acme", "--count", 4, *at)
        again = [
            typed("number", "issue", "rr", "--mailer", "acme", "--request", request, "--json", *at)
            for _ in range(2)
        ]
        few = typed("number", "issue", "rr", "--mailer", "acme", "--count", 6, *at)
        wrong = typed("number", "issue", "rr", "--mailer", "acme", "--request", "xyz", *at)
        nowhere = typed("number", "issue", "nope", "--mailer", "acme", *at)
        shown = typed("number", "ranges", *at)
        listed = typed("number", "ranges", "--json", *at)

    assert first.code == DONE
    numbers = first.answer.split()
    assert numbers[0] == "RR000000014GB"
    assert [explain(number).is_valid for number in numbers] == [True] * 4
    assert again[0] == again[1]
    assert json.loads(again[0].answer)["numbers"] == ["RR000000059GB"]
    assert few.code == REFUSED
    assert "6 numbers are wanted, 5 are free, the next become free at" in few.remark
    assert wrong.code == FAILED
    assert "`--request` is `xyz`; it is the 32 hexadecimal digits" in wrong.remark
    assert nowhere.code == REFUSED
    assert "`parcel-ledger number ranges` lists those" in nowhere.remark
    assert shown.answer.splitlines()[1].split()[:6] == [
        *("rr", "RR000000014GB", "RR000000102GB", "10", "5", "5"),
    ]
    assert json.loads(listed.answer)["ranges"][0]["left"] == "5"


def test_without_ranges_and_with_bad_ones(tmp_path: Path) -> None:
    """Without the setting nothing is issued; with a file at fault the process does not start."""
    with ledger_up(tmp_path) as ledger:
        said = typed("number", "issue", "rr", "--mailer", "acme", "--server", ledger.address)
    (tmp_path / "bad.toml").write_text("[[range]]\n")
    started = spawned(
        *("up", "--data", tmp_path / "other", "--number-ranges", tmp_path / "bad.toml"),
        *("--listen", "127.0.0.1:0", "--metrics", ""),
    )

    assert said.code == REFUSED
    assert "`number_ranges` names no file. docs/numbers.md says" in said.remark
    assert started.code == FAILED
    assert "range 1: `format` is one of" in started.remark


def test_kills_repeat_no_number(tmp_path: Path) -> None:
    """The process is killed with -9 again and again while clients ask, who ask again: no number is
    in two blocks, and each request has one.
    """
    ranges = write_ranges(tmp_path)
    with ledger_up(tmp_path, "--number-ranges", str(ranges)) as ledger:
        clients = Clients([ledger.address])
        for _ in range(KILLS):
            time.sleep(0.7)
            ledger.kill()
            ledger.start()
        time.sleep(0.5)
        asked = clients.stop()

    judge(asked)
