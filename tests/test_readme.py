"""What the documents tell a person to type exists: commands, their flags, and make's targets."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from ledger.app.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^ *```(console|bash|sh)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
ENDS = re.compile(r"[|&;<>]")  # What follows is the shell's business.


def typed(text: str) -> Iterator[str]:
    """Give the lines of a document that a person types: in a console block those behind `$`."""
    for kind, block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if kind != "console":
                yield line.strip()
            elif line.strip().startswith("$ "):
                yield line.strip().removeprefix("$ ")


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Give each use of a program: the document's name, and its words."""
    for path in DOCUMENTS:
        for line in typed(path.read_text(encoding="utf-8")):
            # A pipe may lead into the program.
            for part in line.split(" | "):
                if part.split()[:1] == [program]:
                    yield path.name, shlex.split(ENDS.split(part)[0], comments=True)[1:]


def check(words: list[str]) -> None:
    """Parse a command line without running it."""
    app.parse_args(words, print_error=False, exit_on_error=False)


def test_every_command_in_the_documents_parses() -> None:
    """Each `parcel-ledger …` that a document shows is one, with flags that it has."""
    found = list(commands("parcel-ledger"))
    for document, words in found:
        try:
            check(words)
        except CycloptsError as error:
            pytest.fail(f"{document}: parcel-ledger {shlex.join(words)}: {error}")
    assert found


def test_every_target_in_the_documents_exists() -> None:
    """Each `make …` that a document shows is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document, words in commands("make"):
        for word in words:
            assert "=" in word or word in targets, f"{document}: make {shlex.join(words)}"


def test_the_readme_names_the_two_commands() -> None:
    """Nothing else is needed to see it and to test it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "make demo" in readme
    assert "make test" in readme


def test_a_document_that_is_wrong_is_found() -> None:
    """The check itself can fail: on a wrong flag, and behind a pipe as well."""
    text = (
        "```console\n$ cat x | parcel-ledger trail RR1 \\\n  --jsn # as JSON\nparcel-ledger no\n```"
    )

    [line] = typed(text)
    *_, part = line.split(" | ")
    with pytest.raises(CycloptsError):
        check(shlex.split(part, comments=True)[1:])
    check(["trail", "RR1", "--json"])
