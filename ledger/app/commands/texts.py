"""`parcel-ledger texts`: what people are told, tested before a process says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from ledger.app.commands.options import AsJson, Config
from ledger.app.exits import DONE, REFUSED, CommandFailed

if TYPE_CHECKING:
    from query.texts import Fault

texts = App(
    name="texts",
    help="Look after the texts: what people are told about an item, in each language.\n\n"
    "A language is one file of plain text; docs/explanations.md says what stands in it. A folder "
    "that the setting `texts` names has an operator's own words, or further languages. These "
    "commands ask no ledger.",
    help_format="plaintext",
)


@texts.command
def check(
    *paths: Annotated[
        Path, Parameter(name="PATH", help="Files such as de.ini, or folders of them.")
    ],
    as_json: AsJson = False,
) -> int:
    """Test the files of languages; say each fault with file and line. Without a path, test those
    that are built in.

    Exit code: 0 they can be used, 1 they have faults, 2 one cannot be read.
    """
    from ledger.app.commands.operating import print_document
    from ledger.app.commands.screen import answers
    from ledger.app.render import printable

    console = answers()
    code = DONE
    for name, faults in _checked(paths):
        if faults:
            code = REFUSED
        if as_json:
            print_document({"file": name, "faults": [fault._asdict() for fault in faults]})
            continue
        for fault in faults:
            line = f"{name}:{fault.line}: {printable(fault.message)}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not faults:
            console.print(f"{name}: good.", markup=False, highlight=False, soft_wrap=True)
    return code


def _checked(paths: Sequence[Path]) -> Iterator[tuple[str, Sequence[Fault]]]:
    """Test files one after the other."""
    from ledger.app.commands.checking import file_to_check
    from query.texts.file import FILE_BYTES_MAX
    from query.texts.languages import (
        BUILT_IN,
        SUFFIX,
        built_in_file,
        check_language,
        check_whole,
        is_tag,
        own_files,
    )

    if not paths:
        for tag in BUILT_IN:
            yield f"{tag}{SUFFIX}", check_whole(built_in_file(tag), tag)
    for path in paths:
        for file in own_files(path) if path.is_dir() else [path]:
            if file.suffix.lower() != SUFFIX or not is_tag(file.stem):
                raise CommandFailed(
                    f"{file} is no file of a language: its name is a language tag, such as de.ini "
                    f"or pt-BR.ini."
                )
            yield str(file), check_language(file_to_check(file, FILE_BYTES_MAX), file.stem)


@texts.command(name="list")
def list_(
    *,
    texts: Annotated[
        Path | None,
        Parameter(help="The folder of the operator's own. Else the setting `texts`."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> int:
    """List the languages that a process with these settings speaks."""
    from ledger.app.commands.operating import print_document
    from ledger.app.commands.screen import answers
    from ledger.app.settings import load
    from query.texts import load_languages

    folder = load({"texts": texts}, config=config).settings.texts
    for one in load_languages(folder).all:
        if as_json:
            print_document({"language": one.tag, "name": one.name, "texts": len(one.templates)})
        else:
            answers().print(f"{one.tag:<6} {one.name}", markup=False, highlight=False)
    return DONE


@texts.command
def show(language: Annotated[str, Parameter(help="Such as de.")], /) -> int:
    """Print the file of a language that is built in: what a new one begins with.

    Exit code: 0 printed, 2 there is no such language.
    """
    import sys

    from query.texts.languages import BUILT_IN, built_in_file

    if language not in BUILT_IN:
        raise CommandFailed(
            f"No language `{language}` is built in; there are {', '.join(BUILT_IN)}."
        )
    sys.stdout.write(built_in_file(language).decode())
    return DONE
