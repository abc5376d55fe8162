"""`parcel-ledger mapping`: partners' own mappings of codes, tested before a process takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ledger.app.commands.options import AsJson, Config
from ledger.app.exits import DONE, REFUSED

mapping = App(
    name="mapping",
    help="Look after mappings: what sources' own codes mean.\n\n"
    "A mapping is a CSV file in the folder that the setting `mappings` names; docs/vocabulary.md "
    "says what stands in it. Codes are mapped when a trail is read, so a new mapping explains old "
    "scans. These commands ask no ledger.",
    help_format="plaintext",
)


@mapping.command
def check(file: Annotated[Path, Parameter(help="The file.")], /, *, as_json: AsJson = False) -> int:
    """Test a mapping file; say each fault with its line.

    Exit code: 0 it can be used, 1 it has faults, 2 it cannot be read.
    """
    from ledger.app.commands.checking import file_to_check
    from ledger.app.commands.operating import print_document
    from ledger.app.commands.screen import answers
    from ledger.app.render import printable
    from ledger.vocabulary import BUILT_IN, Mapping, check_mapping
    from ledger.vocabulary.file import FILE_BYTES_MAX

    found = check_mapping(file_to_check(file, FILE_BYTES_MAX))
    console = answers()
    if isinstance(found, Mapping):
        codes = len({found.key(row.code) for row in found.rows})
        if as_json:
            print_document(
                {"system": found.system, "version": found.version, "codes": codes, "faults": []}
            )
            return DONE
        over = " They go before those that are built in." if found.system in BUILT_IN else ""
        console.print(
            f"{file}: {found.system} {found.version} maps {codes:,} codes.{over}", soft_wrap=True
        )
        return DONE
    if as_json:
        print_document({"faults": [fault._asdict() for fault in found]})
        return REFUSED
    for fault in found:
        line = f"{file}:{fault.line}: {printable(fault.message)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return REFUSED


@mapping.command(name="list")
def list_(
    *,
    mappings: Annotated[
        Path | None,
        Parameter(help="The folder of partners' own. Else the setting `mappings`."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> int:
    """List the mappings that a process with these settings has, in the order they are asked."""
    from ledger.app.commands.operating import print_document
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import mappings_table
    from ledger.app.settings import load
    from ledger.vocabulary import load_mappings

    folder = load({"mappings": mappings}, config=config).settings.mappings
    known = load_mappings(folder).all
    if not as_json:
        answers().print(mappings_table(known))
        return DONE
    for one in known:
        print_document(
            {
                "system": one.system,
                "also": list(one.also),
                "version": one.version,
                "title": one.title,
                "codes": len({one.key(row.code) for row in one.rows}),
            }
        )
    return DONE
