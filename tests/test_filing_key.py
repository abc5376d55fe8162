"""The filing key, form 1: its frozen vectors, and the rule written out as an oracle."""

import json
import unicodedata
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.numbers import (
    KEY_FORM,
    MAX_NUMBER_BYTES,
    UnfilableNumber,
    compose_impb,
    filing_key,
    gs1_check_digit,
    partition_of,
)

VECTORS: dict[str, Any] = json.loads(
    files("ledger.numbers").joinpath("filing_key_vectors.json").read_text(encoding="utf-8")
)

# What really arrives, and what form 1 must not trip over, in one alphabet.
TRICKY = st.text(
    st.one_of(
        st.sampled_from(
            "0123456789420912345ABCZabcz]C1d2Q3 \t\u00a0-\x1d\u0131\u017fßé\u0664\x07\x85"
        ),
        st.characters(),
    ),
    max_size=60,
)
ROUTED = st.builds(
    lambda head, start, body, wrong: "420" + head + start + _checked(start, body, wrong),
    st.text("0123456789", max_size=10),
    st.sampled_from(["90", "91", "92", "93", "94", "95", "96"]),
    st.text("0123456789", min_size=17, max_size=25),
    st.booleans(),
)


class TestVectors:
    @pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda v: v["why"])
    def test_key_is_frozen(self, vector: dict[str, Any]) -> None:
        """Every frozen number has the frozen key and lies in the frozen partition."""
        key = filing_key(vector["number"])

        assert key.decode() == vector["key"]
        assert partition_of(key, 32) == vector["partition_of_32"]

    @pytest.mark.parametrize("vector", VECTORS["refusals"], ids=lambda v: v["why"])
    def test_refusal_is_frozen(self, vector: dict[str, Any]) -> None:
        """Every frozen refusal is refused with its code and a sentence."""
        with pytest.raises(UnfilableNumber) as refused:
            filing_key(vector["number"])

        assert refused.value.code == vector["refused"]
        assert refused.value.reason == str(refused.value) != ""

    def test_there_are_enough(self) -> None:
        """The file belongs to the form in use and was not cut down."""
        assert VECTORS["form"] == KEY_FORM == 1
        assert len(VECTORS["keys"]) >= 99
        assert len(VECTORS["refusals"]) >= 25

    @pytest.mark.parametrize("number", ["\ud800", "RR\udfff473", "\ud83d\ude00"])
    def test_lone_surrogates_are_refused(self, number: str) -> None:
        """Surrogates are no text. They are not in the vectors, which every language must read."""
        with pytest.raises(UnfilableNumber) as refused:
            filing_key(number)

        assert refused.value.code == "NOT_UNICODE"


class TestRule:
    @given(st.one_of(TRICKY, ROUTED))
    @example("\x1d")
    @example("a" * 129)
    def test_agrees_with_the_plain_reading(self, number: str) -> None:
        """The quick implementation says the same as the rule written out character by character."""
        assert _key_or_code(number) == _plain_key_or_code(number)

    @given(st.one_of(TRICKY, ROUTED))
    def test_the_key_of_a_key_is_itself(self, number: str) -> None:
        """It holds but for keys that begin like an AIM identifier, which loses its second one."""
        key = _key_or_code(number)
        if isinstance(key, bytes) and not _begins_with_aim(key.decode()):
            assert filing_key(key.decode()) == key

    def test_the_exception_to_that(self) -> None:
        """A number behind two AIM identifiers has a key whose own key is another."""
        assert filing_key("]C1]C1AB") == b"]C1AB"
        assert filing_key("]C1AB") == b"AB"

    @given(TRICKY, st.sampled_from([" ", "\t", "\u00a0", "-", "\x1d"]), st.integers(0, 60))
    def test_what_is_dropped_makes_no_difference(self, number: str, drop: str, at: int) -> None:
        """A dropped character behind the place of an AIM identifier never changes the key."""
        key = _key_or_code(number)
        at = min(len(number), max(at, len(number) - len(number.lstrip(" ")) + 3))
        spread = number[:at] + drop + number[at:]
        if isinstance(key, bytes) and len(spread.encode()) <= MAX_NUMBER_BYTES:
            assert filing_key(spread) == key

    @given(st.text("0123456789", min_size=5, max_size=5), st.integers(0, 9_999_999_999))
    def test_routed_and_bare_meet(self, postal_code: str, serial: int) -> None:
        """A sorting machine's full barcode and the bare number are filed together."""
        number = compose_impb("94", "001", "123456", serial)

        assert filing_key(f"]C1420{postal_code}{number}") == filing_key(number) == number.encode()
        assert filing_key(f"420{postal_code}1234{number}") == number.encode()

    @given(st.text())
    def test_a_key_is_short_and_clean(self, number: str) -> None:
        """A key is 1 to 128 bytes of UTF-8 without controls, blanks, hyphens and a-z."""
        key = _key_or_code(number)
        if isinstance(key, bytes):
            assert 1 <= len(key) <= MAX_NUMBER_BYTES
            assert not any(unicodedata.category(c) == "Cc" for c in key.decode())
            assert not set(key.decode()) & set(" \u00a0-abcdefghijklmnopqrstuvwxyz")


class TestPartition:
    def test_is_the_standard_crc(self) -> None:
        """The published check value of CRC-32, so that other languages find the same partition."""
        assert partition_of(b"123456789", 2**32) == 0xCBF43926

    @given(st.binary(min_size=1, max_size=128), st.integers(1, 4096))
    def test_is_in_range(self, key: bytes, partitions: int) -> None:
        """Every key has a partition, whatever their number."""
        assert 0 <= partition_of(key, partitions) < partitions

    def test_spreads_numbers_in_a_row(self) -> None:
        """Serials in a row do not pile up: no partition of 32 has over 1.3 times its share."""
        counts = [0] * 32
        for serial in range(32_000):
            counts[partition_of(filing_key(compose_impb("94", "001", "123456", serial)), 32)] += 1

        assert max(counts) < 1300


def _key_or_code(number: str) -> bytes | str:
    try:
        return filing_key(number)
    except UnfilableNumber as refused:
        return refused.code


def _plain_key_or_code(number: str) -> bytes | str:
    """Form 1 as a person would check it by hand."""
    if any(0xD800 <= ord(c) <= 0xDFFF for c in number):
        return "NOT_UNICODE"
    if len(number.encode()) > 128:
        return "TOO_LONG"
    if any(unicodedata.category(c) == "Cc" and c not in "\t\x1d" for c in number):
        return "CONTROL_CHARACTER"
    while number.startswith(" "):
        number = number[1:]
    if _begins_with_aim(number):
        number = number[3:]
    key = ""
    for c in number:
        if c in " \t\u00a0-\x1d":
            continue
        key += chr(ord(c) - 32) if "a" <= c <= "z" else c
    if not key:
        return "EMPTY_KEY"
    if key.startswith("420") and all(c in "0123456789" for c in key):
        for cut in (12, 8):
            rest = key[cut:]
            starts = rest[:2] in ("91", "92", "93", "94", "95")
            if len(rest) in (22, 26) and starts and rest[-1] == _plain_gs1(rest[:-1]):
                return rest.encode()
    return key.encode()


def _begins_with_aim(number: str) -> bool:
    if len(number) < 3 or not number[:3].isascii():
        return False
    return number[0] == "]" and number[1].isalpha() and number[2].isalnum()


def _plain_gs1(body: str) -> str:
    weighed = 0
    for place, digit in enumerate(reversed(body)):
        weighed += int(digit) * (3 if place % 2 == 0 else 1)
    return str((10 - weighed % 10) % 10)


def _checked(start: str, body: str, wrong: bool) -> str:
    digit = gs1_check_digit(start + body)
    return f"{body}{(digit + wrong) % 10}"
