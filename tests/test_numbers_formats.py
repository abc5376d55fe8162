"""Every format of tracking numbers: published numbers, and numbers built by the rules."""

import string
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.numbers import Check, explain
from ledger.numbers.check_rules import RULES
from ledger.numbers.formats import LENGTH_MAX, Format, formats
from tests.scale import scaled

FORMATS = formats().all
CHECKED = [one for one in FORMATS if one.check]
RIGHT = [(one, number) for one in FORMATS for number in one.right]
WRONG = [(one, number) for one in FORMATS for number in one.wrong]
SHARED = {("fedex-sscc", "gs1-sscc"), ("purolator-12", "fedex-12")}
"""Formats whose numbers may have another's check digit right too: both are told."""


def name_of(value: object) -> str:
    return value.id if isinstance(value, Format) else str(value)


@pytest.mark.parametrize(("known", "number"), RIGHT, ids=name_of)
def test_a_published_number_is_recognised(known: Format, number: str) -> None:
    """Its format comes first, or just behind one whose check digit is right as well."""
    found = explain(number).candidates
    [mine] = [one for one in found if one.format is known]

    assert mine.check is (Check.RIGHT if known.check else Check.NONE)
    assert not mine.doubts
    assert found[0] is mine or (known.id, found[0].format.id) in SHARED


@pytest.mark.parametrize(("known", "number"), WRONG, ids=name_of)
def test_a_published_mistake_is_told_with_its_format(known: Format, number: str) -> None:
    """A wrong check digit is evidence: the number keeps its format, and is not valid."""
    explained = explain(number)

    assert Check.WRONG in [one.check for one in explained.candidates if one.format is known]
    assert all(one.check is not Check.RIGHT for one in explained.candidates)
    assert not explained.is_valid
    assert explained.key


@st.composite
def numbers(draw: st.DrawFn, known: Format) -> str:
    """A number of a format, with every check digit there is; right or wrong."""
    return draw(st.from_regex(known.pattern, fullmatch=True, alphabet=st.characters(codec="ascii")))


def with_right_check(known: Format, number: str) -> list[str]:
    """The same number with every check digit that is right: one, but for rules that have two."""
    match = known.pattern.fullmatch(number)
    assert match
    start, end = match.span("check")
    tried = (number[:start] + c + number[end:] for c in string.digits + string.ascii_uppercase)
    return [one for one in tried if known.pattern.fullmatch(one) and known.passes(one)]


@pytest.mark.parametrize("known", CHECKED, ids=name_of)
@settings(max_examples=scaled(40, soak=2_000), deadline=None)
@given(data=st.data())
def test_of_all_check_digits_one_is_right(known: Format, data: st.DataObject) -> None:
    """A number built by the rules passes with one check digit and fails with every other."""
    number = data.draw(numbers(known))
    [right] = with_right_check(known, number)

    assert [c.check for c in explain(right).candidates if c.format is known] == [Check.RIGHT]
    if number != right:
        found = explain(number).candidates
        assert [c.check for c in found if c.format is known] in ([Check.WRONG], [])
    assert explain(right).candidates[0].check is Check.RIGHT


@pytest.mark.parametrize("known", FORMATS, ids=name_of)
@settings(max_examples=scaled(20, soak=1_000), deadline=None)
@given(data=st.data())
def test_every_number_of_a_shape_is_found_by_its_length(known: Format, data: st.DataObject) -> None:
    """The index by length, which is worked out from the shapes, leaves no number out."""
    number = data.draw(numbers(known))
    if known.needs_letter and number.isdigit():
        number = number[0] + "A" + number[2:]
        if not known.pattern.fullmatch(number):
            return

    assert known in [one.format for one in explain(number).candidates]


@settings(max_examples=scaled(300, soak=15_000), deadline=None)
@given(text=st.text(max_size=140))
def test_any_text_has_an_answer(text: str) -> None:
    """Nothing makes it fail, and a right check digit never stands behind a wrong one."""
    found = explain(text).candidates

    assert [one for one in found if one.check is Check.WRONG] == list(found)[
        len([one for one in found if one.check is not Check.WRONG]) :
    ]


def test_the_data_is_sound() -> None:
    """Names are unique, rules are known and all used, each has a sample, none is too long."""
    ids = [one.id for one in FORMATS]

    assert len(set(ids)) == len(ids) >= 40
    assert {one.check for one in CHECKED} == set(RULES)
    assert all(one.right for one in FORMATS)
    assert max(length for length, _ in formats().by_length) <= LENGTH_MAX
    text = (files("ledger.numbers") / "data" / "formats.toml").read_text()
    assert {one.carrier.id for one in FORMATS} == set(formats().carriers)
    assert "://" not in text


def test_issuers_are_countries_with_a_post() -> None:
    """The common ones are there, with their own carrier where we know it; XX is none."""
    issuers = formats().issuers

    assert {"GB", "US", "LV", "SE", "AU", "MY", "HK", "MO", "CN", "DE", "CF", "CV"} <= set(issuers)
    assert len(issuers) >= 191
    assert not {"XX", "ZZ", "AQ", "AA"} & set(issuers)
    assert all(one.carrier in formats().carriers for one in issuers.values() if one.carrier)
