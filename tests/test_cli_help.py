"""The command line without a ledger: help, wrong flags, errors as one line, settings."""

import json
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cyclopts
import pytest

from ledger.app import cli
from ledger.app.commands.options import with_settings
from ledger.app.exits import DIVERGED, DONE, FAILED
from ledger.app.settings import NAMES, Settings, groups_of
from ledger.errors import Diverged, Uncertain

COMMANDS = (
    "up",
    "ingest",
    "writer",
    "query",
    "gateway",
    "init",
    "send",
    "status",
    "contents",
    "agent",
    "trail",
    "explain",
    "watch",
    "progress",
    "completeness",
    "number",
    "facility",
    "demo",
    "engines",
    "quarantine",
    "jobs",
    "alias",
    "compare",
    "backup",
    "restore",
    "rebuild",
    "mapping",
    "refusals",
    "texts",
    "unmapped",
    "settings",
    "version",
)


def printed(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    """Run a command; give its exit code, its answer and its remarks."""
    code = cli.run(tokens)
    return code, *capsys.readouterr()


@pytest.mark.parametrize("tokens", [(), ("--help",), ("-h",)])
def test_help_lists_all_commands_in_groups(
    capsys: pytest.CaptureFixture[str], tokens: tuple[str, ...]
) -> None:
    """Run, send, ask, operate: in this order, each command with its sentence."""
    code, answer, _ = printed(capsys, *tokens)

    places = [answer.index(f"─ {group} ─") for group in ("run", "send", "ask", "operate", "flags")]
    assert code == DONE
    assert places == sorted(places)
    for command in COMMANDS:
        assert f"│ {command} " in answer


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_broken_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """No line of a paragraph ends where there was room for the next word."""
    monkeypatch.setenv("COLUMNS", "80")
    _, answer, _ = printed(capsys, command, "--help")

    said = answer.split("\n╭")[0].splitlines()
    for line, following in pairwise(line.strip() for line in said):
        if line and following:
            assert len(f"{line} {following.split()[0]}") > 79, line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """With its flags, and what they mean."""
    code, answer, _ = printed(capsys, command, "--help")

    assert code == DONE
    assert answer.startswith(f"Usage: parcel-ledger {command}")


def test_help_loads_nothing_heavy() -> None:
    """--help is quick, because gRPC and the engine are loaded when a command needs them."""
    heavy = ["grpc", "google.protobuf", "rocksdict", "prometheus_client", "asyncio"]
    program = f"import sys, ledger.app.cli; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert said.stdout.strip() == b"[]"


@pytest.mark.parametrize(
    "tokens",
    [("trial",), ("trail",), ("trail", "--sort", "x"), ("demo", "--seconds", "many"), ("send",)],
)
def test_a_wrong_command_line_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], tokens: tuple[str, ...]
) -> None:
    """And is said on standard error, with nothing on standard output."""
    code, answer, remark = printed(capsys, *tokens)

    assert code == FAILED
    assert not answer
    assert remark


@pytest.mark.parametrize(
    "tokens",
    [
        ("status", "RR1"),
        ("trail", "RR1"),
        ("watch", "RR1"),
        ("progress",),
        ("compare",),
        ("send", "scans.csv"),
    ],
)
def test_without_a_ledger_one_line_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tokens: tuple[str, ...],
) -> None:
    """Nobody answers: exit code 2, one line, no stack trace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ledger.app.client.CONNECT_S", 0.05)
    (tmp_path / "scans.csv").write_text("source,tracking_number,type,scan_time\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    code, answer, remark = printed(capsys, *tokens, "--server", address)

    assert code == FAILED
    assert not answer
    assert remark.count("\n") == 1
    assert f"No ledger answers at {address}" in remark
    assert "`parcel-ledger up`" in remark


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Diverged("The log differs.", reason="R"), DIVERGED),
        (Uncertain("The disk is full.", reason="R"), FAILED),
        (KeyError("The log differs."), FAILED),
    ],
)
def test_an_error_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
) -> None:
    """Whatever goes wrong; 3 is for stored data that a person has to look at."""

    def fail(config: object) -> None:
        raise error

    monkeypatch.setattr("ledger.app.settings.load", fail)
    found, answer, remark = printed(capsys, "settings")

    assert found == code
    assert not answer
    assert remark.startswith("parcel-ledger: ")
    assert remark.count("\n") == 1


def test_whoever_has_read_enough_is_not_shouted_at() -> None:
    """`| head` ends a command quietly."""
    command = f"{sys.executable} -m ledger.app.cli settings --json | head -n 1"
    said = subprocess.run(["/bin/bash", "-c", command], check=True, capture_output=True)

    assert said.stdout == b"{\n"
    assert not said.stderr


def test_settings_are_listed_with_where_they_came_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a table and as JSON."""
    path = tmp_path / "ledger.toml"
    path.write_text("drain_s = 3")
    monkeypatch.setenv("PARCEL_LEDGER_PARTITIONS", "8")
    code, table, _ = printed(capsys, "settings", "--config", str(path))
    _, text, _ = printed(capsys, "settings", "--config", str(path), "--json")

    found = json.loads(text)
    assert code == DONE
    assert list(found) == list(NAMES)
    assert (found["drain_s"]["value"], found["drain_s"]["from"]) == (3.0, "file")
    assert (found["partitions"]["value"], found["partitions"]["from"]) == (8, "environment")
    assert found["listen"]["from"] == "default"
    for name in NAMES:
        assert name in table
    assert str(path) in table


def test_settings_of_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Only those that it uses; a word that is no such command is answered with those that are."""
    _, text, _ = printed(capsys, "settings", "query", "--json")
    code, _, remark = printed(capsys, "settings", "version")

    assert {"listen", "share_port", "cassandra"} <= json.loads(text).keys()
    assert not {"server", "kafka", "data"} & json.loads(text).keys()
    assert code == FAILED
    assert "ingest" in remark


@pytest.mark.parametrize("command", ["up", "ingest", "writer", "query", "gateway", "init"])
def test_a_command_has_a_flag_for_every_setting_it_uses(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """And none for a setting that it does not use."""
    _, answer, _ = printed(capsys, command, "--help")

    used = {name for group in groups_of(command) for name in group.names}
    for name in NAMES:
        assert (f" --{name.replace('_', '-')} " in answer) == (name in used), name


def test_a_flag_for_each_kind_of_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path, a number, text, yes and no: each arrives as the setting's type; none hides others."""
    seen = []

    def up(settings: Settings) -> int:
        seen.append(settings)
        return DONE

    app = cyclopts.App()
    app.command(with_settings(up))
    monkeypatch.setenv("PARCEL_LEDGER_LOG_LEVEL", "debug")
    app(
        ["up", "--data", "/x", "--partitions", "7", "--metrics", "", "--insecure"],
        result_action="return_value",
    )
    [settings] = seen

    assert settings == Settings(
        data=Path("/x"), partitions=7, metrics="", insecure=True, log_level="debug"
    )


def test_a_wrong_setting_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the nearest name that there is."""
    monkeypatch.setenv("PARCEL_LEDGER_PARTITION", "8")
    code, _, remark = printed(capsys, "settings")

    assert code == FAILED
    assert "PARCEL_LEDGER_PARTITIONS" in remark
    assert remark.count("\n") == 1


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it stands on."""
    code, answer, _ = printed(capsys, "version")
    _, short, _ = printed(capsys, "--version")

    assert code == DONE
    assert answer.startswith(f"parcel-ledger {short.strip()}\n")
    assert "rocksdict" in answer


def test_built_in_facilities_are_said_to_be_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is sent to an office by hours that nobody asked for."""
    _, answer, _ = printed(capsys, "facility", "--help")

    assert "built in has examples" in " ".join(answer.split())
