"""Reads a Dockerfile: instructions with their lines joined, comments left out."""

import re
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction."""

    name: str
    rest: str


def parsed(text: str) -> list[Instruction]:
    """The instructions in order. Comments between the lines of one are left out, as Docker does."""
    kept = "\n".join(line for line in text.splitlines() if not re.match(r"\s*#", line))
    joined = re.sub(r"\\\n\s*", "", kept)
    found = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        found.append(Instruction(name.upper(), re.sub(r"\s+", " ", rest).strip()))
    return found
