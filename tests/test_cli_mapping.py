"""`parcel-ledger mapping`, `unmapped`, and what `trail` shows of sources' own codes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.vocabulary import BUILT_IN
from tests.shells import Said, ledger_up, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.app.demo.processes import LedgerProcess

GOOD = "# code-system: acme\n# version: 3\ncode,event,with\nK1,DELIVERED,delivery_mode=LOCKER\n"
BAD = "# code-system: acme\ncode,event\nK1,GONE\n,LOST\n"
NUMBER = "RR473124829GB"


class TestMapping:
    def test_a_good_file_is_said_to_be_one(self, tmp_path: Path) -> None:
        """With its system, its version, and how much it maps."""
        file = tmp_path / "acme.csv"
        file.write_text(GOOD)

        said = typed("mapping", "check", file)

        assert said == Said(DONE, f"{file}: acme 3 maps 1 codes.\n", "")
        assert json.loads(typed("mapping", "check", file, "--json").answer)["codes"] == 1

    def test_every_fault_is_one_line(self, tmp_path: Path) -> None:
        """File, line and reason, as an editor jumps to; the exit code says that it is refused."""
        file = tmp_path / "acme.csv"
        file.write_text(BAD)

        said = typed("mapping", "check", file)

        assert said.code == REFUSED
        assert [line.split(": ")[0] for line in said.answer.splitlines()] == [
            *(f"{file}:1", f"{file}:3", f"{file}:4"),
        ]
        assert "`event` is `GONE`" in said.answer
        assert len(json.loads(typed("mapping", "check", file, "--json").answer)["faults"]) == 3

    def test_a_file_that_goes_before_ours_is_said_to(self, tmp_path: Path) -> None:
        """Nobody replaces a mapping unawares."""
        file = tmp_path / "usps.csv"
        file.write_text(GOOD.replace("acme", "usps"))

        assert "go before those that are built in" in typed("mapping", "check", file).answer

    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        """With exit code 2: nothing was tested."""
        said = typed("mapping", "check", tmp_path / "none.csv")

        assert said.code == FAILED
        assert "No such file" in said.remark

    def test_the_list_has_partners_own_first(self, tmp_path: Path) -> None:
        """In the order in which they are asked, with their versions."""
        (tmp_path / "acme.csv").write_text(GOOD)

        table = typed("mapping", "list", "--mappings", tmp_path).answer.splitlines()
        said = typed("mapping", "list", "--mappings", tmp_path, "--json").answer

        systems = [json.loads(line)["system"] for line in said.splitlines()]
        assert systems == ["acme", *BUILT_IN]
        assert [line.split()[0] for line in table[1:]] == systems

    def test_a_process_does_not_start_with_a_bad_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The one line names file, line and reason; no folder is made."""
        (tmp_path / "acme.csv").write_text(BAD)
        monkeypatch.setenv("PARCEL_LEDGER_MAPPINGS", str(tmp_path))

        said = typed("up", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--metrics", "")

        assert said.code == FAILED
        assert "acme.csv cannot be used: line 1: " in said.remark
        assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_codes_are_explained_and_the_rest_is_listed(tmp_path: Path) -> None:
    """A partner's scans with his own codes: the trail explains what a mapping has, `unmapped` says
    what none has, and after a restart with a file for it the same scans are explained.
    """
    own = tmp_path / "own"
    own.mkdir()
    file = own / "acme.csv"
    file.write_text(GOOD)
    with ledger_up(tmp_path, "--mappings", str(own)) as ledger:
        send(ledger, tmp_path)
        before = typed("trail", NUMBER, "--server", ledger.address).answer
        listed = typed("unmapped", "--server", ledger.address)
        found = json.loads(typed("unmapped", "--json", "--server", ledger.address).answer)
        ledger.end()
        file.write_text(GOOD.replace(": 3", ": 4") + "K9,LOST\n")
        ledger.start()
        after = typed("trail", NUMBER, "--server", ledger.address).answer
        nothing = typed("unmapped", "--server", ledger.address).answer

    assert "delivered (locker)" in before
    assert "mapped from acme K1 by acme 3" in before
    assert "business closed" in before
    assert "no mapping" in before
    assert "clock not stopped" in before
    assert listed.code == DONE
    assert "acme    K9" in listed.answer
    assert "Looked through 4 of 4 records" in listed.answer
    assert [(code["source_code"], code["count"]) for code in found["codes"]] == [("K9", "1")]
    assert found["codes"][0]["source_texts"] == ["gone fishing"]
    assert "mapped from acme K9 by acme 4" in after
    assert "no mapping" not in after
    assert nothing.startswith("Every code is explained.")


def send(ledger: LedgerProcess, folder: Path) -> None:
    """Send four scans with codes, and wait until they can be read."""
    (folder / "scans.csv").write_text(
        "tracking_number,type,scan_time,code_system,source_code,source_text\n"
        + f"{NUMBER},UNMAPPED,2026-03-01T09:00:00+01:00,upu-emsevt-3,EME,held\n"
        + f"{NUMBER},UNMAPPED,2026-03-01T10:00:00+01:00,usps,51,closed\n"
        + f"{NUMBER},UNMAPPED,2026-03-01T11:00:00+01:00,acme,K1,\n"
        + f"{NUMBER},UNMAPPED,2026-03-01T12:00:00+01:00,acme,K9,gone fishing\n"
    )
    said = typed("send", folder / "scans.csv", "--source", "acme", "--server", ledger.address)
    assert said.code == DONE, said
    wait(lambda: ledger.records() >= 4)


def wait(until: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until_s = time.monotonic() + 20
    while not until():
        assert time.monotonic() < until_s
        time.sleep(0.05)
