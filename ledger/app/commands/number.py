"""`parcel-ledger number`: what a tracking number could be, which asks no ledger, and new ones."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from ledger.app.commands.number_issuing import issue, ranges
from ledger.app.commands.options import AsJson
from ledger.app.exits import DONE, REFUSED, CommandFailed

number = App(
    name="number",
    help="Look at tracking numbers, and take new ones.\n\n"
    "A check digit is weak: one number in ten has it by chance. So all that a number could be is "
    "told, the likeliest first. docs/numbers.md lists the formats. Only `issue` and `ranges` "
    "ask a ledger.",
    help_format="plaintext",
)
number.command(issue)
number.command(ranges)


@number.command
def explain(
    *texts: Annotated[str, Parameter(name="TEXT", help="The number as scanned or typed.")],
    mailer: Annotated[
        tuple[str, ...],
        Parameter(
            help="A mailer id or company prefix of ours; again for more.",
            negative="",
            show_default=False,
        ),
    ] = (),
    partner: Annotated[
        str | None,
        Parameter(help="The carrier that the item came from: usps, dhl, ….", show_default=False),
    ] = None,
    lane: Annotated[
        str | None,
        Parameter(help="From where to where, as countries: US-DE.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say what numbers could be: carrier, service, what the check digit says, and what is in them.

    Where a number is not right, the numbers that were perhaps meant follow. --mailer, --partner
    and --lane decide only between candidates that are equally right.

    Exit code: 0 told, 1 a text can be no number, 2 a wrong flag.
    """
    import json

    from ledger.app.commands.screen import answers
    from ledger.app.number_render import document_of, explained
    from ledger.numbers import Context, did_you_mean, is_country_code
    from ledger.numbers import explain as explain_one
    from ledger.numbers.formats import formats

    if not texts:
        raise CommandFailed("Give one number or more.")
    if partner and partner not in formats().carriers:
        known = ", ".join(sorted(formats().carriers))
        raise CommandFailed(f"No carrier is called {partner}; there are {known}.")
    countries = tuple(lane.upper().split("-")) if lane else ()
    if not all(map(is_country_code, countries)):
        raise CommandFailed(f"`--lane` is `{lane}`; it is countries by two letters each: US-DE.")
    context = Context(mailer_ids=frozenset(mailer), partner=partner or "", lane=countries)
    console = answers()
    code = DONE
    for place, text in enumerate(texts):
        explanation = explain_one(text, context)
        meant = did_you_mean(text, context)
        if explanation.refused:
            code = REFUSED
        if as_json:
            print(json.dumps(document_of(explanation, meant)))  # noqa: T201 - the answer.
            continue
        if place:
            console.print()
        for part in explained(explanation, meant):
            console.print(part, soft_wrap=isinstance(part, str), markup=False)
    return code
