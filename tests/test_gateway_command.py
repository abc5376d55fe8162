"""`parcel-ledger gateway` as an operator meets it: what it says and shows, and how it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DIVERGED, DONE, FAILED
from tests.roles import RoleProcess, point, scan_file
from tests.shells import entries_of, free_address, ledger_up, typed

if TYPE_CHECKING:
    from pathlib import Path


def a_gateway(folder: Path, ledger: str, **settings: str | int) -> RoleProcess:
    """One with its data below a folder."""
    config = point(folder / "settings", ledger=ledger, data=str(folder / "data"), **settings)
    return RoleProcess("gateway", config)


@pytest.mark.slow
def test_from_a_file_to_the_trail(tmp_path: Path) -> None:
    """`send` is told SPOOLED, the ledger has the scans soon, metrics show it, SIGTERM ends it."""
    (tmp_path / "ledger").mkdir()
    path, numbers = scan_file(tmp_path, 120, items=10)
    with ledger_up(tmp_path / "ledger") as ledger, a_gateway(tmp_path, ledger.address) as gateway:
        gateway.wait_ready()
        sent = typed("send", path, "--source", "belt", "--server", gateway.address)
        found = entries_of(ledger, *numbers, at_least=120)
        gateway.wait(lambda: gateway.metric("ledger_spool_forwarded_scans_total") == 120, "metrics")
        unsettled = gateway.metric("ledger_spool_unsettled_scans")
        connected = gateway.metric("ledger_spool_ledger_connected")
        code = gateway.end(signal.SIGTERM)

    assert sent.code == code == DONE
    assert "120 durable (on the gateway's disk, not yet in the ledger)" in sent.answer
    assert len(found) == 120
    assert (unsettled, connected) == (0.0, 1.0)
    assert gateway.logged()[-1]["message"] == "ended"


@pytest.mark.slow
def test_it_is_ready_while_its_ledger_is_away(tmp_path: Path) -> None:
    """It takes scans and files, shows what waits, ends as told, and has all of it at the next
    start.
    """
    path, _ = scan_file(tmp_path, 50)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "scans.csv").write_text(scan_file(tmp_path, 30)[0].read_text())
    watched = {"watch_folder": str(inbox), "watch_source": "belt-2"}
    away = free_address()
    with a_gateway(tmp_path, away, **watched) as gateway:
        gateway.wait_ready()
        sent = typed("send", path, "--source", "belt", "--server", gateway.address)
        gateway.wait(lambda: gateway.metric("ledger_spool_unsettled_scans") == 80, "80 scans")
        connected = gateway.metric("ledger_spool_ledger_connected")
        code = gateway.end()
    with a_gateway(tmp_path, away) as gateway:
        gateway.wait_ready()
        gateway.wait(lambda: gateway.metric("ledger_spool_unsettled_scans") == 80, "80 scans")

    assert sent.code == code == DONE
    assert connected == 0.0
    assert [one.name for one in inbox.iterdir()] == ["scans.csv.taken"]


@pytest.mark.slow
def test_a_damaged_spool_is_not_served(tmp_path: Path) -> None:
    """Exit code 3, and the file by its name."""
    path, _ = scan_file(tmp_path, 2_000)
    with a_gateway(tmp_path, free_address()) as gateway:
        gateway.wait_ready()
        typed("send", path, "--source", "belt", "--server", gateway.address)
        gateway.end()
    [segment] = (tmp_path / "data" / "gateway").glob("*.scans")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with a_gateway(tmp_path, free_address()) as gateway:
        code = gateway.code()

    assert code == DIVERGED
    assert segment.name in gateway.last_words()


def test_it_has_to_know_its_ledger(tmp_path: Path) -> None:
    """Without --ledger it does not start, and says so in a line; so with a folder that is none."""
    free = ("--listen", "127.0.0.1:0", "--metrics", "", "--data", tmp_path)
    without = typed("gateway", *free)
    folder = typed("gateway", *free, "--ledger", "a:1", "--watch-folder", tmp_path / "none")

    assert (without.code, folder.code) == (FAILED, FAILED)
    assert "--ledger" in without.remark
    assert "watch_folder" in folder.remark


def test_nothing_refused_is_said(tmp_path: Path) -> None:
    """But not of a folder in which there was never a gateway: it is a wrong one."""
    (tmp_path / "one" / "gateway").mkdir(parents=True)
    said = typed("gateway", "refusals", "--data", tmp_path / "one")
    wrong = typed("gateway", "refusals", "--data", tmp_path / "two")

    assert said.code == DONE
    assert "Nothing" in said.answer
    assert (wrong.code, wrong.answer) == (FAILED, "")
    assert "no gateway's spool" in wrong.remark
