"""What a tracking number could be: all that fits, the likeliest first, each with its evidence.

A check digit is weak, since one number in ten has it by chance. So the answer is a ranking and
never one carrier, and what the caller knows (own mailers, partner, lane) only breaks ties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from ledger.numbers.check_digits import is_digits
from ledger.numbers.elements import Element, elements_of
from ledger.numbers.filing_key import UnfilableNumber, bare_number, filing_key
from ledger.numbers.formats import LENGTH_MAX, Format, Issuer, formats

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTING: Final = "420"
"""Application identifier of a postal code in front of an IMpb."""

_CUTS: Final = {30: (8,), 34: (12, 8), 38: (12,)}
_IMPB_STARTS: Final = frozenset({"91", "92", "93", "94", "95"})


class Check(IntEnum):
    """What the check digit says."""

    RIGHT = 0
    NONE = 1
    WRONG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the caller knows beside the number.

    Attributes:
        mailer_ids: the caller's own mailer ids and company prefixes.
        partner: the id of the carrier from whom the item came, or to whom it goes.
        lane: the countries between which the item travels, as two letters each.
    """

    mailer_ids: frozenset[str] = frozenset()
    partner: str = ""
    lane: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One format that the number fits.

    Attributes:
        format: the format.
        carrier: the carrier's id; of an S10 number that of its issuer, where it is known.
        number: the number without the routing in front of it.
        check: what the check digit says.
        parts: what stands in it (serial, mailer_id, …), in the order of the number.
        service: what the service code means, empty where nobody has said.
        issuer: the post that gave the number out, for S10.
        zip: the postal code that stood in front, five or nine digits.
        doubts: what is odd about it although it fits.
        known_by: what of the context speaks for it.
    """

    format: Format
    carrier: str
    number: str
    check: Check
    parts: dict[str, str]
    service: str = ""
    issuer: Issuer | None = None
    zip: str = ""
    doubts: tuple[str, ...] = ()
    known_by: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Nothing speaks against it: the check digit is not wrong, and nothing is odd."""
        return self.check is not Check.WRONG and not self.doubts


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that a number could be.

    Attributes:
        text: what was asked.
        number: what is left of it when blanks, hyphens and the like are dropped.
        key: the filing key; empty where it can have none.
        refused: why it can have none.
        candidates: what fits, the likeliest first; empty where no format does.
        elements: what the GS1 element strings in it say, where it is made of them.
    """

    text: str
    number: str
    key: str
    refused: str = ""
    candidates: tuple[Candidate, ...] = ()
    elements: tuple[Element, ...] = field(default=())

    @property
    def is_valid(self) -> bool:
        """Whether the likeliest candidate has nothing that speaks against it."""
        return bool(self.candidates) and self.candidates[0].is_valid


NO_CONTEXT: Final = Context()

# From best to worst: the check digit, and whether something is odd all the same.
_STANDINGS: Final = {
    (Check.RIGHT, False): 0,
    (Check.NONE, False): 1,
    (Check.RIGHT, True): 2,
    (Check.NONE, True): 3,
    (Check.WRONG, False): 4,
    (Check.WRONG, True): 5,
}


def explain(text: str, context: Context = NO_CONTEXT) -> Explanation:
    """Give all that a text could be. Never raises: what cannot be filed has no candidate."""
    try:
        key = filing_key(text).decode()
        number = bare_number(text)
    except UnfilableNumber as refused:
        return Explanation(text=text, number="", key="", refused=refused.reason)
    found = candidates(number, context)
    elements: tuple[Element, ...] = ()
    if not found or found[0].check is Check.WRONG:
        # An IMpb is cut by our own rule first: without its FNC1 a GS1 parser splits it wrongly.
        elements = elements_of(text)
        found = [one for unit in _units(elements) for one in candidates(unit, context)] or found
    return Explanation(
        text=text, number=number, key=key, candidates=tuple(found), elements=elements
    )


def _units(elements: tuple[Element, ...]) -> Iterator[str]:
    """What can be a number among element strings: an SSCC, or an IMpb and its routing."""
    routing = ""
    for one in elements:
        if one.identifier == ROUTING:
            routing = ROUTING + one.value
        elif one.identifier == "00":
            yield f"00{one.value}"
        elif one.identifier in _IMPB_STARTS:
            yield f"{routing}{one.identifier}{one.value}"


def is_country_code(text: str) -> bool:
    """Whether a text can be a country of a lane: two letters, whichever."""
    return len(text) == 2 and text.isascii() and text.isalpha()


def candidates(number: str, context: Context = NO_CONTEXT) -> list[Candidate]:
    """Give what a number without blanks could be, the likeliest first."""
    if len(number) > LENGTH_MAX:
        return []
    found = list(_fitting(number, context))
    if len(found) > 1:
        found.sort(key=_rank)
    return found


def _rank(one: Candidate) -> tuple[int, int, float]:
    """The check digit decides, then the context, then which format is the less likely by chance."""
    return _STANDINGS[one.check, bool(one.doubts)], -len(one.known_by), -one.format.likelihood


def _fitting(number: str, context: Context) -> Iterator[Candidate]:
    digits = is_digits(number)
    for one in formats().by_length.get((len(number), digits), ()):
        candidate = _candidate(one, number, "", context)
        if candidate:
            yield candidate
    if digits and number.startswith(ROUTING):
        yield from _routed(number, context)


def _routed(number: str, context: Context) -> Iterator[Candidate]:
    """An IMpb behind 420 and a postal code: of two cuts the one whose check digit is right.

    The check digit never counts the routing.
    """
    wrong: list[Candidate] = []
    for cut in _CUTS.get(len(number), ()):
        rest = number[cut:]
        if rest[:2] not in _IMPB_STARTS:
            continue
        here = [
            candidate
            for one in formats().by_length.get((len(rest), True), ())
            if one.routed and (candidate := _candidate(one, rest, number[3:cut], context))
        ]
        right = [candidate for candidate in here if candidate.check is Check.RIGHT]
        if right:
            yield from right
            return
        wrong += here
    yield from wrong


def _candidate(one: Format, number: str, zip_code: str, context: Context) -> Candidate | None:
    match = one.pattern.fullmatch(number)
    if match is None:
        return None
    passed = one.passes(number)
    parts = {name: text for name, text in match.groupdict().items() if text is not None}
    doubts = [
        f"{name} {parts[name]} is unusual here"
        for name, expected in one.expect.items()
        if not expected.fullmatch(parts[name])
    ]
    service = one.services.get(parts.get("service", ""), "") if one.services else ""
    carrier, issuer = one.carrier.id, None
    if "issuer" in parts:
        issuer = formats().issuers.get(parts["issuer"])
        if issuer is None:
            doubts.append(f"no post issues numbers with {parts['issuer']}")
        elif issuer.carrier:
            carrier = issuer.carrier
        if service == "reserved":
            doubts.append(f"service {parts['service']} is reserved")
    known_by = () if context is NO_CONTEXT else tuple(_known_by(carrier, parts, issuer, context))
    return Candidate(
        format=one,
        carrier=carrier,
        number=number,
        check=Check.NONE if passed is None else Check.RIGHT if passed else Check.WRONG,
        parts=parts,
        service=service,
        issuer=issuer,
        zip=zip_code or parts.get("zip", ""),
        doubts=tuple(doubts),
        known_by=known_by,
    )


def _known_by(
    carrier: str, parts: dict[str, str], issuer: Issuer | None, context: Context
) -> Iterator[str]:
    """What of the context speaks for a candidate."""
    mailer = parts.get("mailer_id") or parts.get("shipper")
    if mailer in context.mailer_ids:
        yield f"mailer {mailer} is ours"
    elif carrier == "gs1" and parts["serial"].startswith(tuple(context.mailer_ids)):
        yield "the company prefix is ours"
    if carrier == context.partner:
        yield f"partner {carrier}"
    home = (issuer.code,) if issuer else formats().carriers[carrier].countries
    shared = [country for country in context.lane if country in home]
    if shared:
        yield f"lane {shared[0]}"
