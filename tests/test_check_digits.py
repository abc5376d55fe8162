"""Check digits against published numbers, and composed numbers against the check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.numbers import (
    compose_impb,
    compose_s10,
    compose_sscc,
    gs1_check_digit,
    passes_gs1,
    passes_s10,
    s10_check_digit,
)
from ledger.numbers.check_digits import GS1_MAX_DIGITS

DIGITS = st.text("0123456789", min_size=1, max_size=GS1_MAX_DIGITS - 1)

S10_RIGHT = [
    "RR473124829GB",
    "RB123456785US",
    "EE123456785US",
    "RK166520145LV",
    "EH036261918US",
    "LE704180823SE",
    "LH256986182AU",
    "UD656337373MY",
]
S10_WRONG = [
    "RB123456786US",
    "EA123456795US",
]
GS1_RIGHT = [
    "9400111206206406260787",
    "9405803699300124287899",
    "9434611206206406227577",
    "9261292700768711948021",
    "9361289878700317633795",
    "9505511069605048600624",
    "92748931507708513018050063",
    "92001903060085300042901077",
    "9101123456789000000013",
    "9171969010756003077385",
    "041441760228964",
    "340434292135100124",
    "106141412345678908",
    "012345000000000027",
    "7035114477138472",
    "4002847016405018",
]
GS1_WRONG = [
    "9434611206206407667131",
    "9200000000000000000000",
    "9101123456789000000014",
    "7035114477138471",
    "061414112345678900",
]


class TestS10:
    @pytest.mark.parametrize("number", S10_RIGHT)
    def test_published_numbers_pass(self, number: str) -> None:
        """Numbers that posts publish as examples pass."""
        assert passes_s10(number)

    @pytest.mark.parametrize("number", S10_WRONG)
    def test_published_mistakes_fail(self, number: str) -> None:
        """Published numbers with a wrong digit fail."""
        assert not passes_s10(number)

    @pytest.mark.parametrize(
        "number",
        ["", "RR473124829G", "rr473124829gb", "RR47312482XGB", "R1473124829GB", "RR473124829G1",
         "RR 73124829GB", "ЖR473124829GB", "RR47312482\u0669GB"],
    )  # fmt: skip
    def test_another_shape_fails(self, number: str) -> None:
        """What is not two letters, nine digits and two letters of ASCII fails without an error."""
        assert not passes_s10(number)

    def test_ten_and_eleven_have_digits_of_their_own(self) -> None:
        """A remainder that gives 10 is written 0, one that gives 11 is written 5."""
        # 8·7 = 56 = 5·11 + 1, so 11 - 1 = 10; nothing at all leaves 11 - 0 = 11.
        assert s10_check_digit("70000000") == 0
        assert s10_check_digit("00000000") == 5

    @pytest.mark.parametrize("serial", ["", "1234567", "123456789", "1234567x", "1234567\u0661"])
    def test_a_serial_has_eight_digits(self, serial: str) -> None:
        """Anything else is the caller's mistake."""
        with pytest.raises(ValueError, match="8 digits"):
            s10_check_digit(serial)

    @given(st.integers(0, 99_999_999), st.integers(0, 7), st.integers(1, 9))
    def test_every_single_misread_digit_is_caught(self, serial: int, at: int, off: int) -> None:
        """One wrong digit changes the check digit, but where 0 stands for 10, or 5 for 11."""
        right = f"{serial:08d}"
        wrong = right[:at] + str((int(right[at]) + off) % 10) + right[at + 1 :]
        digits = {s10_check_digit(right), s10_check_digit(wrong)}

        assert len(digits) == 2 or digits in ({0}, {5})


class TestGs1:
    @pytest.mark.parametrize("number", GS1_RIGHT)
    def test_published_numbers_pass(self, number: str) -> None:
        """Published IMpb, SSCC, FedEx and Canada Post numbers pass."""
        assert passes_gs1(number)

    @pytest.mark.parametrize("number", GS1_WRONG)
    def test_published_mistakes_fail(self, number: str) -> None:
        """Published numbers with a wrong digit fail."""
        assert not passes_gs1(number)

    @pytest.mark.parametrize(
        "number", ["", "0", "12a", "1\u0662", "-12", "0" * (GS1_MAX_DIGITS + 1)]
    )
    def test_another_shape_fails(self, number: str) -> None:
        """What is not a body and a digit behind it, of a length that can be one, fails."""
        assert not passes_gs1(number)

    @pytest.mark.parametrize("body", ["", "x", "1\u0662", "9" * GS1_MAX_DIGITS])
    def test_a_body_is_digits(self, body: str) -> None:
        """There is no check digit for anything else."""
        with pytest.raises(ValueError, match="digits"):
            gs1_check_digit(body)

    @given(DIGITS)
    def test_agrees_with_the_loop(self, body: str) -> None:
        """The arithmetic on words says what weights 3, 1, 3 from the right say, at every length."""
        weighed = sum(int(d) * (1 if n % 2 else 3) for n, d in enumerate(reversed(body)))

        assert gs1_check_digit(body) == (10 - weighed % 10) % 10

    def test_nines_do_not_overflow(self) -> None:
        """The largest sums there can be still fit: all nines, at the greatest length."""
        body = "9" * (GS1_MAX_DIGITS - 1)

        assert gs1_check_digit(body) == -(28 * 9 * 3 + 27 * 9) % 10
        assert passes_gs1(f"{body}{gs1_check_digit(body)}")

    @given(DIGITS, st.integers(1, 9))
    def test_only_one_digit_passes(self, body: str, off: int) -> None:
        """Behind one body exactly one of the ten digits passes."""
        digit = gs1_check_digit(body)

        assert passes_gs1(f"{body}{digit}")
        assert not passes_gs1(f"{body}{(digit + off) % 10}")


class TestCompose:
    def test_published_numbers_come_out(self) -> None:
        """Their parts give published numbers back, digit for digit."""
        assert compose_s10("RR", 47312482, "GB") == "RR473124829GB"
        assert compose_impb("94", "001", "112062", 640626078) == "9400111206206406260787"
        assert compose_impb("92", "612", "927007687", 1194802) == "9261292700768711948021"
        assert compose_impb("93", "612", "898787", 31763379) == "9361289878700317633795"
        assert compose_sscc(3, "4043429", 213510012) == "340434292135100124"

    @given(st.integers(0, 99_999_999))
    def test_s10_passes(self, serial: int) -> None:
        """Every serial gives a number of 13 characters that passes."""
        assert passes_s10(compose_s10("CP", serial, "DE"))

    @given(st.sampled_from(["92", "94"]), st.integers(0, 9_999_999))
    def test_impb_passes(self, identifier: str, serial: int) -> None:
        """Every serial gives 22 digits that pass."""
        number = compose_impb(identifier, "055", "901234567", serial)

        assert len(number) == 22
        assert passes_gs1(number)

    @given(st.integers(0, 9), st.text("0123456789", min_size=4, max_size=12), st.integers(0, 9999))
    def test_sscc_passes(self, extension: int, prefix: str, serial: int) -> None:
        """Every prefix gives 18 digits that pass."""
        number = compose_sscc(extension, prefix, serial)

        assert len(number) == 18
        assert passes_gs1(number)

    @pytest.mark.parametrize(
        ("service", "serial", "country"),
        [("R", 1, "GB"), ("R1", 1, "GB"), ("RR", 1, "gb"), ("RR", 1, "ÄÖ"), ("RR", -1, "GB"),
         ("RR", 100_000_000, "GB")],
    )  # fmt: skip
    def test_wrong_parts_of_s10(self, service: str, serial: int, country: str) -> None:
        """Parts that do not fit S10 are refused, not bent."""
        with pytest.raises(ValueError, match="S10"):
            compose_s10(service, serial, country)

    @pytest.mark.parametrize(
        ("identifier", "service_type", "mailer_id", "serial"),
        [
            ("91", "001", "123456", 1),
            ("94", "01", "123456", 1),
            ("94", "0x1", "123456", 1),
            ("94", "001", "", 1),
            ("94", "001", "923456", 1),
            ("94", "001", "123456789", 1),
            ("92", "001", "123456", 1),
            ("93", "001", "923456789", 1),
            ("94", "001", "123456", 10_000_000_000),
            ("92", "001", "923456789", 10_000_000),
        ],
    )
    def test_wrong_parts_of_impb(
        self, identifier: str, service_type: str, mailer_id: str, serial: int
    ) -> None:
        """Parts that do not fit an IMpb are refused, not bent."""
        with pytest.raises(ValueError, match=r"IMpb|service type|mailer id"):
            compose_impb(identifier, service_type, mailer_id, serial)

    @pytest.mark.parametrize(
        ("extension", "prefix", "serial"),
        [(10, "4043429", 1), (0, "123", 1), (0, "1234567890123", 1), (0, "12E4", 1),
         (0, "4043429", 1_000_000_000)],
    )  # fmt: skip
    def test_wrong_parts_of_sscc(self, extension: int, prefix: str, serial: int) -> None:
        """Parts that do not fit an SSCC are refused, not bent."""
        with pytest.raises(ValueError, match=r"digit|prefix|serial"):
            compose_sscc(extension, prefix, serial)
