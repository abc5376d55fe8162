"""Makes docs/vocabulary.md from the canonical events and mappings of `ledger.vocabulary`.

`--check` writes nothing and says whether it is stale.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from ledger.v1.scan_event_pb2 import ScanEventType
from ledger.vocabulary import CANONICAL, built_in
from ledger.vocabulary.canonical import TYPE_PREFIX
from ledger.vocabulary.file import COLUMNS
from ledger.vocabulary.mapping import ENUMS, Flag, Way
from tools.protos import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import EnumDescriptor

    from ledger.vocabulary import Mapping, Row

PAGE: Final = ROOT / "docs" / "vocabulary.md"
PROSE: Final = ROOT / "tools" / "vocabulary.md"
"""What a person wrote; `[[events]]` and `[[systems]]` stand where the tables go."""

WAYS: Final = {Way.BOTH: "↔", Way.IN: "→", Way.OUT: "←"}
NEEDS: Final = {
    Flag.REASON_MISSING: "a reason",
    Flag.ACTION_MISSING: "an action",
    Flag.CLOCK_NOT_STOPPED: "a retention reason, or it stops no clock",
}


def main() -> int:
    """Writes in place, or reports that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is stale")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE.relative_to(ROOT)}: not what the mappings say; run `make gen`")
        return 1
    return 0


def page() -> str:
    """The whole page."""
    text = PROSE.read_text(encoding="utf-8")
    systems = "\n".join(line for mapping in built_in().all for line in system(mapping))
    words = {"events": "\n".join(events()), "systems": systems, "columns": ", ".join(COLUMNS)}
    for name, made in words.items():
        text = text.replace(f"[[{name}]]", made)
    return text


def events() -> Iterator[str]:
    """The table of the canonical events."""
    yield from head("event", "milestone", "flag", "made by a", "somebody had the item", "means")
    for one in CANONICAL.values():
        physical = "yes" if one.is_physical else "no"
        yield line(f"`{one.name}`", one.milestone, one.flag, one.kind, physical, one.means)


def system(mapping: Mapping) -> Iterator[str]:
    """The section of one code system."""
    also = (
        f"; also called {', '.join(f'`{name}`' for name in mapping.also)}" if mapping.also else ""
    )
    yield f"### `{mapping.system}`, version {mapping.version}"
    yield ""
    yield f"{mapping.title}{also}."
    if mapping.ignores_zeros:
        yield "Zeros before a code do not matter."
    yield ""
    yield from head("code", "with it", "", "event", "says also", "means")
    for row in mapping.rows:
        yield line(
            f"`{row.code}`",
            "; ".join(asked(row)),
            WAYS[row.way],
            f"`{name(ScanEventType.DESCRIPTOR, row.meaning.type, TYPE_PREFIX)}`",
            "; ".join(said(row)),
            row.means + "".join(f"; needs {NEEDS[flag]}" for flag in row.needs),
        )
    yield ""


def asked(row: Row) -> Iterator[str]:
    """What a row asks for beside its code."""
    if row.reason:
        yield f"reason code `{row.reason}`"
    if row.action:
        yield f"action code `{row.action}`"
    for condition, value in row.when:
        shown = name(ENUMS[condition], value) if isinstance(value, int) else value
        yield f"{condition} `{shown}`"


def said(row: Row) -> Iterator[str]:
    """What a row says beside its event."""
    meaning = row.meaning
    for field, enum in ENUMS.items():
        value = getattr(meaning, field, 0)
        if value:
            yield f"{field} `{name(enum, value)}`"
    if meaning.facility_role:
        yield f"facility_role `{meaning.facility_role}`"
    if meaning.action_required:
        yield "action required"


def name(enum: EnumDescriptor, number: int, prefix: str = "") -> str:
    """The name of a value without its prefix."""
    prefix = prefix or enum.values[0].name.removesuffix("UNSPECIFIED")
    return str(enum.values_by_number[number].name).removeprefix(prefix)


def head(*columns: str) -> Iterator[str]:
    """The first two lines of a table."""
    yield line(*columns)
    yield "|" + "---|" * len(columns)


def line(*cells: str) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
