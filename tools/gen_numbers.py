"""Makes docs/numbers.md from the formats of `ledger.numbers` and tools/numbers.md.

`--check` writes nothing and says whether it is stale.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from ledger.numbers.check_rules import RULES
from ledger.numbers.formats import formats
from tools.protos import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.numbers.formats import Format

PAGE: Final = ROOT / "docs" / "numbers.md"
PROSE: Final = ROOT / "tools" / "numbers.md"
"""What a person wrote; `[[formats]]` and the like stand where the tables go."""


def main() -> int:
    """Writes in place, or reports that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it is stale")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE}: not what the formats say; run `make gen`")
        return 1
    return 0


def page() -> str:
    """The whole page."""
    text = PROSE.read_text(encoding="utf-8")
    made = {"formats": every_format(), "rules": rules(), "services": services(), "issuers": posts()}
    for name, lines in made.items():
        text = text.replace(f"[[{name}]]", "\n".join(lines))
    return text


def every_format() -> Iterator[str]:
    """A table of formats for each carrier."""
    by_carrier: dict[str, list[Format]] = {}
    for one in formats().all:
        by_carrier.setdefault(one.carrier.id, []).append(one)
    for carrier, known in sorted(by_carrier.items()):
        yield f"### {formats().carriers[carrier].name} (`{carrier}`)"
        yield ""
        yield "| format | what it is | shape | check digit | right | wrong |"
        yield "|---|---|---|---|---|---|"
        for one in known:
            shape = " ".join(one.shape).replace("|", "\\|")
            yield (
                f"| `{one.id}` | {one.title}{also(one)} | `{shape}` | {check_of(one)} "
                f"| {codes(one.right)} | {codes(one.wrong)} |"
            )
        yield ""


def also(one: Format) -> str:
    """What else is known of a format."""
    said = "; a ZIP code may stand in front" if one.routed else ""
    if one.needs_letter:
        said += "; at least one letter"
    if one.reuse_months:
        said += f"; may be given out again after {one.reuse_months} months"
    return said


def check_of(one: Format) -> str:
    """The rule of a format's check digit, and what it counts."""
    if not one.check:
        return "none"
    said = f"`{one.check}`"
    if one.over:
        said += f" over characters {one.over[0] + 1} to {one.over[1]}"
    return said + (f" with {one.front} in front" if one.front else "")


def rules() -> Iterator[str]:
    """A line for each rule: its name, and what its docstring says."""
    for name, rule in RULES.items():
        said = (rule.__doc__ or "").partition("\n\n")[0]
        yield f"| `{name}` | {' '.join(said.split())} |"


def services() -> Iterator[str]:
    """A table of codes for each format that has one."""
    seen: list[object] = []
    for one in formats().all:
        if not one.services or one.services in seen:
            continue
        seen.append(one.services)
        by_name: dict[str, list[str]] = {}
        for code, name in one.services.items():
            by_name.setdefault(name, []).append(code)
        yield f"### {formats().carriers[one.carrier.id].name}"
        yield ""
        yield "| service | codes |"
        yield "|---|---|"
        for name, listed in by_name.items():
            yield f"| {name} | {' '.join(f'`{code}`' for code in listed)} |"
        yield ""


def posts() -> Iterator[str]:
    """All of them in one paragraph."""
    known = formats().issuers.values()
    listed = ", ".join(f"`{post.code}` {post.country}" for post in known)
    yield f"{len(known)} country codes: {listed}."


def codes(numbers: tuple[str, ...]) -> str:
    """The first few of some numbers."""
    return " ".join(f"`{number}`" for number in numbers[:3])


if __name__ == "__main__":
    sys.exit(main())
