"""What a number could be, as people and programs read it. Pure: tables and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from ledger.app.render import printable
from ledger.numbers import Candidate, Check, Explanation, Suggestion
from ledger.numbers.formats import formats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHECK_WORDS: Final = {Check.RIGHT: "right", Check.WRONG: "wrong", Check.NONE: "none"}
"""What the check digit says; `none` where the format has none."""

_STYLES: Final = {Check.RIGHT: "green", Check.WRONG: "red", Check.NONE: "dim"}
_SAID_ELSEWHERE: Final = frozenset({"check", "zip", "service"})


def explained(explanation: Explanation, meant: Sequence[Suggestion]) -> Iterator[str | Table]:
    """Give what is known of one text, from top to bottom."""
    yield printable(explanation.text)
    if explanation.refused:
        yield f"  can be no number: {explanation.refused}"
        return
    if explanation.key != explanation.text:
        yield f"  filed under {printable(explanation.key)}"
    if explanation.candidates:
        yield candidates_table(explanation.candidates)
    else:
        yield "  no format known here fits"
    for one in explanation.elements:
        yield f"  ({one.identifier}) {one.title}: {printable(one.value)}"
    if meant:
        yield "  perhaps meant:"
        yield suggestions_table(meant)


def candidates_table(candidates: Sequence[Candidate]) -> Table:
    """Give the candidates, the likeliest first."""
    table = _table("", "carrier", "check digit", "format", "service", "what it says", "notes")
    for place, one in enumerate(candidates, 1):
        table.add_row(
            f"{place}",
            carrier_name(one.carrier),
            Text(CHECK_WORDS[one.check], style=_STYLES[one.check]),
            one.format.title.partition(":")[0],
            " ".join(filter(None, (one.parts.get("service", ""), one.service))),
            ", ".join(_said(one)),
            "; ".join((*one.doubts, *one.known_by)),
        )
    return table


def suggestions_table(meant: Sequence[Suggestion]) -> Table:
    """Give the numbers that were perhaps meant, the likeliest slips first."""
    table = _table("", "number", "slip", "carrier")
    for one in meant:
        table.add_row("", one.number, one.change, carrier_name(one.candidate.carrier))
    return table


def carrier_name(carrier: str) -> str:
    """Give a carrier's name."""
    return formats().carriers[carrier].name


def document_of(explanation: Explanation, meant: Sequence[Suggestion]) -> dict[str, Any]:
    """Give one explanation for a program; every field is always there."""
    return {
        "text": explanation.text,
        "key": explanation.key,
        "refused": explanation.refused,
        "valid": explanation.is_valid,
        "candidates": [_document_of_one(one) for one in explanation.candidates],
        "elements": [one._asdict() for one in explanation.elements],
        "did_you_mean": [
            {
                "number": one.number,
                "change": one.change,
                "carrier": one.candidate.carrier,
                "format": one.candidate.format.id,
            }
            for one in meant
        ],
    }


def _document_of_one(one: Candidate) -> dict[str, Any]:
    issuer = one.issuer
    return {
        "carrier": one.carrier,
        "format": one.format.id,
        "number": one.number,
        "check_digit": CHECK_WORDS[one.check],
        "valid": one.is_valid,
        "service": one.service,
        "issuer": {"code": issuer.code, "country": issuer.country} if issuer else None,
        "destination_zip": one.zip,
        "parts": one.parts,
        "doubts": list(one.doubts),
        "known_by": list(one.known_by),
    }


def _said(one: Candidate) -> Iterator[str]:
    """What stands in the number, part by part."""
    if one.zip:
        yield f"to ZIP {one.zip}"
    for name, value in one.parts.items():
        if name == "issuer" and one.issuer:
            yield f"issuer {value} {one.issuer.country}"
        elif name not in _SAID_ELSEWHERE:
            yield f"{name.replace('_', ' ')} {value}"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    return table
