"""The file of number ranges: what it may say, and how each fault is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Refused
from ledger.issuing import load_ranges
from ledger.issuing.spaces import s10_space, space_named
from ledger.numbers import compose_impb, compose_sscc, passes_s10
from tests.number_blocks import ranges_of

S10 = 'format = "s10"\nservice = "RR"\nissuer = "GB"\n'
IMPB = 'format = "impb"\nidentifier = "94"\nservice = "001"\nmailer_id = "112062"\n'
SSCC = 'format = "sscc"\nextension = "3"\ncompany_prefix = "4043"\n'


def entry(name: str, text: str) -> str:
    """One table of the file."""
    return f'[[range]]\nid = "{name}"\n{text}'


def test_a_range_is_the_whole_space_by_default() -> None:
    """All serials, 24 months, anybody."""
    s10, impb, sscc = ranges_of(entry("a", S10) + entry("b", IMPB) + entry("c", SSCC))

    assert (s10.space, s10.first, s10.last) == ("s10/RR/GB", 0, 10**8 - 1)
    assert (impb.space, impb.size) == ("impb/94001112062", 10**10)
    assert (sscc.space, sscc.size) == ("sscc/34043", 10**12)
    assert {one.reuse_months for one in (s10, impb, sscc)} == {24}
    assert not s10.mailers


def test_a_part_of_a_space() -> None:
    """Two mailers may share a service of a post."""
    one, two = ranges_of(
        entry("a", S10 + 'first = 10\nlast = 19\nmailers = ["x"]\nreuse_months = 12\n')
        + entry("b", S10 + "first = 20\nlast = 29\n")
    )

    assert (one.first, one.last, one.mailers, one.reuse_months) == (10, 19, frozenset({"x"}), 12)
    assert two.size == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1 to 1000 tables"),
        ("range = 3", "1 to 1000 tables"),
        ("other = 3\n" + entry("a", S10), "nothing else"),
        ("[[range]", "ranges.toml cannot be used"),
        (entry("a", 'format = "ups"'), "`format` is one of s10, impb, sscc"),
        (entry("a", S10 + 'mailer_id = "1"'), "`mailer_id` is not known here"),
        (entry("A b", S10), "`id` is a name"),
        (entry("a", 'format = "s10"\nservice = "RR"\n'), "`issuer` is a text"),
        (entry("a", S10.replace("GB", "gb")), "upper case"),
        (entry("a", S10.replace("GB", "XX")), "are not valid"),
        (entry("a", S10.replace("RR", "JR")), "are not valid"),
        (entry("a", S10 + "first = -1"), "`first` is a number from 0"),
        (entry("a", S10 + "last = 100_000_000"), "`last` is a number from 0 to 99999999"),
        (entry("a", S10 + "first = 5\nlast = 4"), "`last` is a number from 5"),
        (entry("a", S10 + "first = true"), "`first` is a number"),
        (entry("a", S10 + "reuse_months = 11"), "`reuse_months` is a number from 12"),
        (entry("a", S10 + 'mailers = "x"'), "`mailers` is a list"),
        (entry("a", S10 + 'mailers = [""]'), "`mailers` is a list"),
        (entry("a", IMPB.replace("112062", "912345")), "nine digits beginning with 9"),
        (entry("a", IMPB.replace('"94"', '"95"')), "begins with 92, 93, 94"),
        (entry("a", SSCC.replace('"3"', '"33"')), "`extension` is one digit"),
        (entry("a", SSCC.replace("4043", "404")), "4 to 12 digits"),
        (entry("a", S10) + entry("a", IMPB), "range a: another range has the same `id`"),
        (entry("a", S10 + "last = 9\n") + entry("b", S10 + "first = 9"), "shares numbers with"),
        (
            entry("a", SSCC) + entry("b", SSCC.replace("4043", "40434")),
            "range b: it shares numbers with the range a",
        ),
    ],
)
def test_a_fault_is_named(text: str, said: str) -> None:
    """A file with a fault is refused whole, and the fault and its range are named."""
    with pytest.raises(Refused) as error:
        ranges_of(text)

    assert error.value.reason == "NUMBER_RANGES_UNUSABLE"
    assert said in error.value.message


def test_files(tmp_path: Path) -> None:
    """None is none; a file is read; one that is not there, or is no text, is refused."""
    file = tmp_path / "ranges.toml"
    assert not load_ranges(None)
    file.write_text(entry("a", S10))
    assert [one.id for one in load_ranges(file)] == ["a"]
    file.write_bytes(b"\xff")
    for path in (file, tmp_path / "none.toml"):
        with pytest.raises(Refused, match="cannot be used"):
            load_ranges(path)
    file.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(Refused, match="more than"):
        load_ranges(file)


@given(serial=st.integers(0, 10**7 - 1), prefix=st.from_regex(r"\A[0-9]{4,10}\Z"))
def test_numbers_are_as_they_are_composed(serial: int, prefix: str) -> None:
    """A space gives the same numbers as composing them part by part, and is found by its name."""
    [sscc] = ranges_of(entry("a", SSCC.replace("4043", prefix)))
    [impb] = ranges_of(entry("a", IMPB))
    serial %= sscc.size

    assert space_named(sscc.space).number(sscc.first + serial) == compose_sscc(3, prefix, serial)
    assert space_named(impb.space).number(serial) == compose_impb("94", "001", "112062", serial)
    assert passes_s10(space_named(s10_space("RR", "GB").name).number(serial))
