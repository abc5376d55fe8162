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
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)\)")
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


def broken_tests(text: str, folder: Path) -> list[str]:
    """Links to tests of a document in a folder that lead nowhere: no such file, or, where the words
    are the name of a test, no such test in it.
    """
    broken = []
    for words, target in LINK.findall(text):
        path = (folder / target).resolve()
        if "tests" not in Path(target).parts:
            continue
        is_name = re.fullmatch(r"test_\w+", words)
        if not path.exists():
            broken.append(target)
        elif is_name and not re.search(rf"def {words}\(", path.read_text(encoding="utf-8")):
            broken.append(f"{target}: {words}")
    return broken


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_in_a_document_exists(path: Path) -> None:
    """What is promised, and what is said to have been injected, has its test under that name."""
    assert not broken_tests(path.read_text(encoding="utf-8"), path.parent)


@pytest.mark.parametrize(("name", "column"), [("README.md", 1), ("docs/faults.md", 1)])
def test_every_promise_and_every_fault_names_a_test(name: str, column: int) -> None:
    """No row of the tables of promises and of faults is without one."""
    text = (ROOT / name).read_text(encoding="utf-8")
    [table] = re.findall(
        r"^\| (?:promise|fault) \| (?:the test|tests).*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE
    )
    for row in table.splitlines():
        assert "tests/" in row.split(" | ")[column], row


def test_a_test_that_is_gone_is_found() -> None:
    """The check can fail: on a file, and on a name."""
    text = "[a](tests/test_no.py) [test_no_such](tests/test_readme.py) [b](tests/test_readme.py)"

    assert broken_tests(text, ROOT) == ["tests/test_no.py", "tests/test_readme.py: test_no_such"]


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


def test_the_files_for_other_languages_import_nothing_else() -> None:
    """Who makes code of the listed proto files alone has code that can be imported."""
    [words] = (words[1:] for _, words in commands("python") if words[1:2] == ["grpc_tools.protoc"])
    listed = {word for word in words if word.endswith(".proto")}

    texts = [(ROOT / "proto" / file).read_text(encoding="utf-8") for file in listed]
    needed = {name for text in texts for name in re.findall(r'import "(ledger/.+)";', text)}

    assert listed
    assert needed - listed == set()
