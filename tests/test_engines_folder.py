"""The folder of engines: its ports, its state, its processes, and the settings that point at it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from ledger.app import ports
from ledger.app.engines import Cassandra, Kafka, process
from ledger.app.engines.cassandra import without
from ledger.app.engines.node import SHOWN_LINES, told
from ledger.app.engines.pointing import as_environment, as_toml
from ledger.app.engines.state import ClusterState, NodeState, StateFile
from ledger.app.exits import CommandFailed
from ledger.app.settings import load

WITHIN_S = 20


# --- ports ---


def test_free_ports_are_free_and_not_given_to_clients() -> None:
    """All differ, and the system gives none of them to a client."""
    found = ports.free_ports(20, ("127.0.0.1", "127.0.0.2"))
    lowest = int(ports.CLIENT_RANGE.read_text().split()[0])

    assert len(set(found)) == 20
    assert max(found) < lowest or lowest < ports.PORTS.start + ports.TRIES_MAX
    for port in found:
        socket.create_server(("127.0.0.2", port)).close()


def test_a_port_that_is_taken_is_not_given() -> None:
    """Also where it is taken on one of the hosts only."""
    taken, free = sorted(ports.free_ports(2))
    steps = iter([taken, taken, free])
    with socket.create_server(("127.0.0.2", taken)):
        found = ports.free_ports(
            1, ("127.0.0.1", "127.0.0.2"), below=lambda _: next(steps) - ports.PORTS.start
        )

    assert found == [free]


def test_no_free_port_is_said() -> None:
    """With how to see what has them."""
    (port,) = ports.free_ports(1)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(CommandFailed, match="ss -ltnp"),
    ):
        ports.free_ports(1, below=lambda _: port - ports.PORTS.start)


# --- the state file, and processes ---


def test_engines_of_a_folder_do_not_lose_each_others_state(tmp_path: Path) -> None:
    """Two objects of one folder write one file."""
    kafka = ClusterState("id", [NodeState(1, "127.0.0.1", {"client": 1}, 7, "life")])
    cassandra = ClusterState("", [NodeState(1, "127.0.0.1", {"client": 2})])
    one, other = StateFile(tmp_path), StateFile(tmp_path)
    one.write("kafka", kafka)
    other.write("cassandra", cassandra)

    assert StateFile(tmp_path).read("kafka") == kafka
    assert StateFile(tmp_path).read("cassandra") == cassandra


@pytest.mark.parametrize("text", ["{", '{"format": 2}', "[]"])
def test_a_state_that_is_not_ours_is_not_overwritten(tmp_path: Path, text: str) -> None:
    """A later version's, or a damaged one: a person has to look."""
    (tmp_path / "engines.json").write_text(text)

    with pytest.raises(CommandFailed, match=r"engines\.json cannot be read"):
        Kafka(tmp_path)

    assert (tmp_path / "engines.json").read_text() == text


def test_a_process_id_that_is_used_again_is_left_alone(tmp_path: Path) -> None:
    """The state names a process by its id and its life; this id has another life now."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        node = NodeState(1, "127.0.0.1", {"client": 1}, stranger.pid, "another boot/12345")
        StateFile(tmp_path).write("kafka", ClusterState("id", [node]))
        kafka = Kafka(tmp_path)
        kafka.nodes[0].pause()
        kafka.kill()
        kafka.stop()

        assert not kafka.runs()
        assert kafka.nodes[0].pid == 0
        assert stranger.poll() is None
        assert not process.is_stopped(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


def lines(log: Path, count: int) -> list[str]:
    """What a process says in its first lines."""
    until_s = time.monotonic() + WITHIN_S
    while len(found := log.read_text().splitlines()) < count:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    return found


def test_a_process_is_known_by_its_life(tmp_path: Path) -> None:
    """It is started in its folder, in a session of its own, and its last log is kept."""
    log = tmp_path / "node.log"
    process.spawn(["echo", "first"], folder=tmp_path, log=log)
    assert lines(log, 1) == ["first"]
    pid, life = process.spawn(["sh", "-c", "pwd; echo $$; exec sleep 60"], folder=tmp_path, log=log)

    assert lines(log, 2) == [str(tmp_path), str(pid)]
    assert process.lives(pid, life)
    assert not process.lives(pid, life + "0")
    assert os.getsid(pid) == pid
    assert process.send(pid, life, signal.SIGKILL)
    assert process.gone(pid, life, within_s=10)
    assert not process.send(pid, life, signal.SIGKILL)
    assert (tmp_path / "node.log.1").read_text() == "first\n"


def test_what_a_log_tells_is_its_first_error_and_its_end(tmp_path: Path) -> None:
    """An engine that fails goes on to say how it shuts down."""
    log = tmp_path / "node.log"
    said = [f"INFO {number}" for number in range(100)]
    log.write_text("\n".join(said))
    assert told(log).split() == " ".join(said[-SHOWN_LINES:]).split()

    said[50] = "ERROR it has no seeds"
    log.write_text("\n".join(said))
    lines = [line.strip() for line in told(log).splitlines()]
    assert lines == [*said[50 : 50 + SHOWN_LINES], "...", *said[-SHOWN_LINES:]]

    log.write_text("")
    assert told(log).strip() == "(nothing)"


# --- settings ---


def test_what_points_roles_at_engines_are_settings(tmp_path: Path) -> None:
    """The file and the environment lines mean the same to the ledger."""
    found: dict[str, str | int | bool] = {
        "kafka": "127.0.0.1:1,127.0.0.1:2",
        "single_broker": True,
        "kafka_replication": 1,
        "cassandra": "127.0.0.1:9",
        "cassandra_data_centre": "datacenter1",
        "cassandra_replication": 1,
    }
    (tmp_path / "ledger.toml").write_text(as_toml(found))
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    shell = f"{as_environment(found)}{sys.executable} -c '{program}'"
    said = subprocess.run(["/bin/sh", "-c", shell], check=True, capture_output=True)
    environ = {k: v for k, v in json.loads(said.stdout).items() if k.startswith("PARCEL_LEDGER_")}

    by_file = load(config=tmp_path / "ledger.toml", environ={}).settings
    by_environment = load(environ=environ).settings

    assert tomllib.loads(as_toml(found)) == found
    assert by_file == by_environment
    assert {name: getattr(by_file, name) for name in found} == found


def test_entries_of_a_yaml_text_are_left_out_whole() -> None:
    """With the lines that belong to them, and no others."""
    text = "a: 1\nseed:\n  - class: x\n    more:\n      - y\n# why\nab: 2\nlist:\n- 1\n- 2\nz: 3\n"

    assert without(text, {"seed": 1, "list": 1, "a": 1}) == "# why\nab: 2\nz: 3\n"


def test_a_folder_that_settings_cannot_have_is_refused(tmp_path: Path) -> None:
    """A class path is parted by colons, and Kafka's folders by commas."""
    with pytest.raises(CommandFailed, match="sign"):
        Kafka(tmp_path / "a,b")


def test_two_nodes_are_refused(tmp_path: Path) -> None:
    """With two, the loss of one stops the rest: three is the least."""
    with pytest.raises(CommandFailed, match="1 or 3 nodes"):
        Cassandra(tmp_path, nodes=2)
