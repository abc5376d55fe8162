"""`parcel-ledger up` as an operator meets it: what it says, what it refuses, how it ends."""

import json
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import grpc
import pytest

from ledger.app.demo.processes import LedgerProcess
from ledger.app.exits import DIVERGED, DONE, FAILED
from ledger.app.ports import free_port
from ledger.app.settings import Settings
from ledger.app.wiring.runner import warn_of_insecurity
from ledger.backends.rocksdb_folder import open_folder
from ledger.errors import LedgerError
from tests.ingest_server import record_batch
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.shells import COMMAND, environment, ledger_up, spawned, typed

WITHIN_S = 20

pytestmark = pytest.mark.slow


class Up:
    """`up`, with its standard output at hand."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(*COMMAND, "up", "--data", str(folder / "data")),
                    *("--listen", f"127.0.0.1:{self.port}"),
                    *("--metrics", f"127.0.0.1:{self.metrics_port}", *flags),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**environment(), "PYTHONUNBUFFERED": "1"},
                text=True,
            )

    def said(self) -> str:
        """Give what it says when it is up."""
        assert self.process.stdout is not None
        return "".join(self.process.stdout.readline() for _ in range(6))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; give the exit code."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(WITHIN_S)


async def test_refusals_and_receipts_are_kept(tmp_path: Path) -> None:
    """Beside the scans, in logs of their own, also when it is told to end at once."""
    up = Up(tmp_path, "--partitions", "4")
    up.said()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{up.port}") as channel:
        response = await record_batch(channel, a_batch([an_encoded_event(1), b"no event"]))
    code = up.end()
    async with open_folder(tmp_path / "data", partitions=4, on_fatal=_unexpected) as folder:
        counts = [
            sum([(await log.bounds(place)).next for place in range(4)])
            for log in (folder.log, folder.refusals, folder.receipts)
        ]

    assert code == DONE
    assert len(response.result.refusals) == 1
    assert counts == [1, 1, 1]


def _unexpected(error: LedgerError) -> None:
    raise error


def test_up_says_where_it_is(tmp_path: Path) -> None:
    """Address, metrics (its memory and CPU too), data, partitions, and what an acknowledgement
    means; then it serves.
    """
    up = Up(tmp_path, "--partitions", "4")
    said = up.said()
    with urllib.request.urlopen(f"http://127.0.0.1:{up.metrics_port}/metrics") as page:
        metrics = page.read().decode()
    with urllib.request.urlopen(f"http://127.0.0.1:{up.metrics_port}/ready") as page:
        ready = json.load(page)
    progress = typed("progress", "--server", f"127.0.0.1:{up.port}")
    code = up.end()

    assert f"127.0.0.1:{up.port}\n" in said
    assert f"http://127.0.0.1:{up.metrics_port}/metrics" in said
    assert str(tmp_path / "data") in said
    assert "0 scans in 4 partitions" in said
    assert "SYNCED (synced to disk)" in said
    assert "ledger_ingest_durable_scans_total 0.0" in metrics
    assert ready == {"ready": True, "role": "up", "why_not": {}}
    [memory] = re.findall(r"^process_resident_memory_bytes (\S+)$", metrics, re.MULTILINE)
    assert float(memory) > 10e6
    assert "\nprocess_cpu_seconds_total " in metrics
    assert progress.code == DONE
    assert "Nothing has been recorded so far." in progress.answer
    assert code == DONE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_ends_as_told(tmp_path: Path, number: signal.Signals) -> None:
    """Both ways of asking end it with 0, and its log says so, as JSON where that is asked for."""
    up = Up(tmp_path, "--log-format", "json")
    up.said()
    code = up.end(number)

    lines = [json.loads(line) for line in up.log.read_text().splitlines()]
    assert code == DONE
    messages = [line["message"] for line in lines]
    assert "draining" in messages
    assert messages[-1] == "ended"


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    """The second one says so in one line, and the first one goes on."""
    with ledger_up(tmp_path) as ledger:
        second = typed(
            "up", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--metrics", ""
        )
        alive = typed("progress", "--server", ledger.address)

    assert second.code == FAILED
    assert not second.answer
    assert str(tmp_path / "data") in second.remark
    assert "Traceback" not in second.remark
    assert alive.code == DONE


@pytest.mark.parametrize("flag", ["--listen", "--metrics"])
def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path, flag: str) -> None:
    """Which address it is, and which flag chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        flags = {"--listen": "127.0.0.1:0", "--metrics": "", flag: address}
        words = [word for pair in flags.items() for word in pair]
        said = spawned("up", "--data", tmp_path / "data", *words)

    assert said.code == FAILED
    assert not said.answer
    assert address in said.remark
    assert flag in said.remark
    assert "Traceback" not in said.remark


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    """They are fixed when the folder is made."""
    with ledger_up(tmp_path):
        pass
    said = spawned("up", "--data", tmp_path / "data", "--partitions", "5", "--metrics", "")

    assert said.code == FAILED
    assert "partitions" in said.remark
    assert "Traceback" not in said.remark


def test_nobody_else_is_let_in_by_accident(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another address than this machine's is refused, and with `insecure` warned of each time."""
    flags = ("--listen", "0.0.0.0:50731", "--metrics", "")
    refused = spawned("up", "--data", tmp_path / "data", *flags)
    warn_of_insecurity(Settings(insecure=True))
    quiet = list(caplog.records)
    warn_of_insecurity(Settings(listen="0.0.0.0:50731", insecure=True))

    assert refused.code == FAILED
    assert "insecure = true" in refused.remark
    assert not (tmp_path / "data").exists()
    assert not quiet
    assert "others can reach this ledger" in caplog.text


def test_a_log_that_was_altered_is_not_served(tmp_path: Path) -> None:
    """Exit code 3 and one line: a person has to look."""
    ledger = LedgerProcess(tmp_path / "data", tmp_path / "ledger.log")
    ledger.start()
    scans = tmp_path / "scans.csv"
    scans.write_text("tracking_number,type,scan_time\nRR473124829GB,SORTED,2026-03-01T12:00:00Z\n")
    sent = typed("send", scans, "--source", "s", "--server", ledger.address)
    ledger.kill()
    [written_ahead] = (tmp_path / "data").rglob("*.log")
    found = bytearray(written_ahead.read_bytes())
    found[found.index(b"RR473124829GB")] ^= 1
    written_ahead.write_bytes(found)
    said = spawned("up", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--metrics", "")

    assert sent.code == DONE
    assert said.code == DIVERGED
    assert not said.answer
    assert "Traceback" not in said.remark


def test_a_full_disk_ends_it_with_what_was_acknowledged_intact(tmp_path: Path) -> None:
    """A write that fails ends the process, in words; a new start has every acknowledged scan."""
    ledger = LedgerProcess(tmp_path / "data", tmp_path / "ledger.log")
    port = ledger.address.rpartition(":")[2]
    # No file may grow beyond 512 KiB.
    words = f"{' '.join(COMMAND)} up --data {tmp_path / 'data'} --listen 127.0.0.1:{port}"
    limited = subprocess.Popen(
        ["/bin/bash", "-c", f"ulimit -f 512; exec {words} --metrics ''"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert limited.stdout is not None
    limited.stdout.readline()
    scans = tmp_path / "scans.csv"
    with scans.open("w") as file:
        file.write("tracking_number,type,scan_time,source_event_id\n")
        for n in range(20_000):
            file.write(f"RR473124829GB,SORTED,2026-03-01T12:00:00Z,{n}\n")
    sent = typed("send", scans, "--source", "s", "--give-up-s", "1", "--server", ledger.address)
    _, said = limited.communicate(timeout=WITHIN_S)
    durable = int(sent.answer.split(" durable")[0].split(": ")[1].replace(",", ""))
    until_s = time.monotonic() + WITHIN_S
    try:
        ledger.start()
        while (kept := ledger.records()) < durable and time.monotonic() < until_s:
            time.sleep(0.05)
    finally:
        ledger.end()

    assert sent.code == FAILED
    assert limited.returncode == DIVERGED
    assert said.splitlines()[-1].startswith("parcel-ledger: ")
    assert "Traceback" not in said
    assert 0 < durable <= kept
