"""What engines need before they start: Java 17, and jars that Maven fetched into the cache."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ledger.app import cli
from ledger.app.engines import Kafka, java
from ledger.app.engines.jars import fetch, jars_of, version_of
from ledger.app.exits import FAILED, CommandFailed

ROOT = Path(__file__).resolve().parent.parent
INSTALL = "apt-get install openjdk-17-jdk-headless maven"


def script(path: Path, text: str) -> Path:
    """A program for /bin/sh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def java_of_version(path: Path, version: str) -> Path:
    """A program that says it is a Java."""
    return script(path, f"echo 'openjdk version \"{version}\" 2025-01-01' >&2")


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing is installed; what is put into this folder is on PATH."""
    monkeypatch.setattr(java, "SYSTEM_JAVAS", tmp_path / "jvm")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


@pytest.mark.usefixtures("no_java")
def test_without_java_one_line_says_what_to_type(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And nothing was begun."""
    folder = tmp_path / "engines"

    assert cli.run(["engines", "start", "--folder", str(folder)]) == FAILED

    answer, remark = capsys.readouterr()
    assert not answer
    assert "Java 17" in remark
    assert INSTALL in remark
    assert remark.count("\n") == 1
    assert not (folder / "engines.json").exists()


def test_another_java_is_not_taken(no_java: Path) -> None:
    """It is named, so that nobody wonders why the one there is does not do."""
    java_of_version(no_java / "java", "21.0.2")

    with pytest.raises(CommandFailed, match=r"bin/java is Java 21.*JAVA_HOME"):
        java.find_java()


def test_java_17_is_found_beside_others(no_java: Path, tmp_path: Path) -> None:
    """JAVA_HOME is asked first, then PATH, then what the system has."""
    java_of_version(no_java / "java", "1.8.0_402")
    beside = java_of_version(tmp_path / "jvm" / "seventeen" / "bin" / "java", "17")
    home = java_of_version(tmp_path / "home" / "bin" / "java", "17.0.9")

    assert java.find_java() == beside
    assert java.find_java({"JAVA_HOME": str(tmp_path / "home")}) == home


def test_without_maven_the_jars_are_not_fetched(no_java: Path, tmp_path: Path) -> None:
    """And the line says what to type."""
    java_of_version(no_java / "java", "17.0.9")

    with pytest.raises(CommandFailed, match=INSTALL):
        Kafka(tmp_path / "engines").start()


@pytest.mark.parametrize("missing", ["java", "mvn"])
def test_the_set_up_says_what_to_type(missing: str, tmp_path: Path) -> None:
    """Where nothing may be installed, `make test` stops with the command."""
    for name in ("bash", "id", "grep", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    java_of_version(tmp_path / "java", "17" if missing == "mvn" else "21")
    if missing == "java":
        script(tmp_path / "mvn", "exit 0")
    text = (ROOT / "tools" / "prepare.sh").read_text().replace("/usr/lib/jvm", str(tmp_path))
    prepare = tmp_path / "prepare.sh"
    prepare.write_text(text)

    done = subprocess.run(
        ["/bin/bash", prepare, "java"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
    )

    package = {"java": "openjdk-17-jdk-headless", "mvn": "maven"}[missing]
    assert done.returncode == 1
    assert done.stderr.endswith(f"    sudo apt-get install {package}\n")


# --- jars ---

MAVEN = 'for a; do case "$a" in -DoutputDirectory=*) to="${a#*=}";; esac; done'
COUNTS = f'echo x >> "$0.calls"; {MAVEN}; mkdir "$to"; sleep 0.1; echo jar > "$to/kafka.jar"'


def maven(folder: Path, text: str) -> dict[str, str]:
    """An environment whose Maven is this script."""
    script(folder / "bin" / "mvn", text)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    """And by one, also when several ask at the same time."""
    environ = maven(tmp_path, COUNTS)
    asking = [
        threading.Thread(
            target=fetch, args=["kafka"], kwargs={"cache": tmp_path, "environ": environ}
        )
        for _ in range(4)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()

    folder = fetch("kafka", cache=tmp_path, environ={"PATH": ""})

    assert folder == tmp_path / f"kafka-{version_of('kafka')}"
    assert [path.name for path in folder.iterdir()] == ["kafka.jar"]
    assert (tmp_path / "bin" / "mvn.calls").read_text() == "x\n"


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The message has what Maven said, and the next fetch begins anew."""
    environ = maven(tmp_path, f"{MAVEN}; mkdir $to; echo half > $to/a.jar; echo No route; exit 1")

    with pytest.raises(CommandFailed, match=r"(?s)could not fetch the jars of kafka.*No route"):
        fetch("kafka", cache=tmp_path, environ=environ)

    assert not jars_of("kafka", tmp_path).exists()
    assert fetch("kafka", cache=tmp_path, environ=maven(tmp_path, COUNTS)).is_dir()


def test_a_fetch_that_was_killed_harms_nothing(tmp_path: Path) -> None:
    """What it left is neither taken for the jars nor kept."""
    environ = maven(
        tmp_path, f'{MAVEN}; mkdir "$to"; echo half > "$to/a.jar"; echo > "$0.at"; sleep 60'
    )
    program = "import sys; from pathlib import Path; from ledger.app.engines.jars import fetch; "
    program += "fetch('kafka', cache=Path(sys.argv[1]))"
    fetching = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environ,
        cwd=ROOT,
        start_new_session=True,
    )
    while not (tmp_path / "bin" / "mvn.at").exists():
        time.sleep(0.02)
    os.killpg(fetching.pid, signal.SIGKILL)
    fetching.wait()

    folder = fetch("kafka", cache=tmp_path, environ=maven(tmp_path, COUNTS))

    assert [path.name for path in folder.iterdir()] == ["kafka.jar"]
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "lock", folder.name}
