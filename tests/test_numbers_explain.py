"""What a number could be: ranked, with evidence; and every trap that trackers fell into."""

import pytest
from biip import ParseError
from biip.gs1_messages import GS1Message

from ledger.numbers import (
    Check,
    Context,
    Explanation,
    did_you_mean,
    explain,
    filing_key,
    gs1_check_digit,
)

GS = "\x1d"
NO_CONTEXT = Context()
S10_OF_TWO_SLIPS = "RR473124829GB"


def first(text: str, context: Context = NO_CONTEXT) -> tuple[str, str]:
    """The likeliest carrier, and what the check digit says."""
    best = explain(text, context).candidates[0]
    return best.carrier, best.check.name


class TestEvidence:
    def test_of_an_impb(self) -> None:
        """Destination, mailer, serial and service code stand beside the carrier."""
        [one] = explain("420787459400111206206406260787").candidates

        assert (one.carrier, one.check, one.zip) == ("usps", Check.RIGHT, "78745")
        assert one.parts == {
            "service": "001", "mailer_id": "112062", "serial": "0640626078", "check": "7",
        }  # fmt: skip
        assert one.number == "9400111206206406260787"

    def test_of_an_s10_number(self) -> None:
        """Service and issuer in words; the carrier is the issuer's where we know it."""
        [one] = explain("ee 123 456 785 us").candidates
        [other] = explain("LE704180823SE").candidates

        assert (one.carrier, one.service) == ("usps", "EMS")
        assert one.issuer
        assert one.issuer.country == "United States"
        assert (other.carrier, other.service) == ("upu", "tracked letter")

    def test_of_a_1z(self) -> None:
        """The shipper's account and the service by name."""
        [one] = explain("1ZXX3150YW44070023").candidates

        assert (one.carrier, one.parts["shipper"]) == ("ups", "XX3150")
        assert one.service.startswith("SurePost")

    def test_of_a_dpd_number(self) -> None:
        """Its product in words where it is known, else by its number alone."""
        known = explain("008182709980000020033350276C").candidates[0]
        unknown = explain("008182709980000020045327276N").candidates[0]

        assert (known.service, known.parts["country"]) == ("by 8:30", "276")
        assert (unknown.service, unknown.parts["service"]) == ("", "327")

    def test_nine_digits_of_mailer_begin_with_nine(self) -> None:
        """A mailer id says its own length, also behind 94."""
        body = "94001" + "912345678" + "1234567"
        nine = explain(body + str(gs1_check_digit(body))).candidates[0]
        body = "92001" + "812345678" + "1234567"
        odd = explain(body + str(gs1_check_digit(body)))

        assert nine.parts["mailer_id"] == "912345678"
        assert odd.candidates[0].check is Check.RIGHT
        assert odd.candidates[0].doubts
        assert not odd.is_valid

    def test_what_cannot_be_filed_has_a_reason_and_no_candidate(self) -> None:
        """It is said, not raised."""
        for text in ("", " - ", "RR\n1", "9" * 200, "\ud800"):
            explained = explain(text)

            assert explained.refused
            assert not explained.candidates
            assert not explained.key

    def test_element_strings_are_taken_apart(self) -> None:
        """An SSCC in brackets or behind a symbology is one; other parts are told as they are."""
        sscc = ("(00)106141412345678908", "]C100106141412345678908", "00106141412345678908")
        goods = explain(f"]C1010703206980498810AB{GS}15210526")

        for text in sscc:
            assert first(text) == ("gs1", "RIGHT")
        [impb] = explain("(420)77316(92)61290283641500004181").candidates
        assert (impb.carrier, impb.check, impb.zip) == ("usps", Check.RIGHT, "77316")
        [bare] = explain(f"]C19261290283641500004181{GS}15210526").candidates
        assert (bare.carrier, bare.check, bare.zip) == ("usps", Check.RIGHT, "")
        assert not goods.candidates
        assert [(one.identifier, one.value) for one in goods.elements] == [
            ("01", "07032069804988"), ("10", "AB"), ("15", "210526"),
        ]  # fmt: skip


class TestTraps:
    def test_1_routing_is_cut_where_the_rest_passes(self) -> None:
        """34 digits are ZIP9 and 22, or ZIP5 and 26: the cut whose rest passes is kept."""
        nine, five = "420123456789" + "9261290113185417468510", "420" + "94043"
        long = explain(five + "92748931507708513018050063").candidates
        short = explain(nine).candidates

        assert [(one.zip, one.check) for one in long] == [("94043", Check.RIGHT)]
        assert [(one.zip, one.check) for one in short] == [("123456789", Check.RIGHT)]
        assert explain("4201028200009261290113185417468510").candidates[0].zip == "102820000"
        wrong = explain("4201028200009261290113185417468511")
        assert [one.check for one in wrong.candidates] == [Check.WRONG]

    def test_2_a_usps_number_is_not_given_to_fedex(self) -> None:
        """The number that was shown as FedEx SmartPost."""
        found = explain("420773169261290283641500004181").candidates

        assert {one.carrier for one in found} == {"usps"}

    def test_2_two_that_fit_are_both_told(self) -> None:
        """One number in ten passes by chance; the partner says whose it is, not we."""
        found = explain("287809468872")

        assert {one.carrier for one in found.candidates} == {"fedex", "purolator"}
        assert first("287809468872") == ("fedex", "RIGHT")
        assert first("287809468872", Context(partner="purolator")) == ("purolator", "RIGHT")

    def test_2_the_context_never_beats_the_check_digit(self) -> None:
        """A partner's number with a wrong digit stays behind another's with the right one."""
        assert first("320606146993") == ("purolator", "RIGHT")
        assert first("320606146993", Context(partner="fedex")) == ("purolator", "RIGHT")

    def test_2_own_mailers_and_lanes_break_ties(self) -> None:
        """The same number, two contexts, two orders."""
        sscc = "000123450000000027"
        ours = explain(sscc, Context(lane=("US", "CA"))).candidates
        prefix = explain(
            "106141412345678908", Context(mailer_ids=frozenset({"0614141"}))
        ).candidates

        assert ours[0].carrier == "fedex"
        assert ours[0].known_by == ("lane US",)
        assert explain(sscc).candidates[0].carrier == "gs1"
        assert prefix[0].known_by == ("the company prefix is ours",)

    @pytest.mark.parametrize(
        "number",
        ["1Z12345E0205271688", "1Z12345E0305271640", "1Z12345E1305277940", "1Z12345E6205277936",
         "1Z12345E1505270452", "EA123456795US"],
    )  # fmt: skip
    def test_3_carriers_own_samples_fail_and_keep_their_carrier(self, number: str) -> None:
        """Validity is a flag: a wrong number has a key and a carrier all the same."""
        explained = explain(number)

        assert not explained.is_valid
        assert explained.key == filing_key(number).decode()
        assert first(number) in {("ups", "WRONG"), ("usps", "WRONG")}

    def test_4_a_number_may_be_given_out_again(self) -> None:
        """S10 says after how long; no format promises one item for ever."""
        assert explain(S10_OF_TWO_SLIPS).candidates[0].format.reuse_months == 12

    @pytest.mark.parametrize("fnc1", ["", GS])
    def test_5_an_impb_is_cut_before_gs1_rules_see_it(self, fnc1: str) -> None:
        """A GS1 parser wants the separator that many scanners drop; we need none."""
        text = f"]C142022153{fnc1}9101026837331000039521"
        [one] = explain(text).candidates

        assert (one.carrier, one.check, one.zip) == ("usps", Check.RIGHT, "22153")
        if not fnc1:
            with pytest.raises(ParseError):
                GS1Message.parse(text.removeprefix("]C1"))

    def test_6_the_weights_of_s10_are_8_6_4_2_3_5_9_7(self) -> None:
        """With the mirror's weights 3, 4, 5, … these would be wrong."""
        for number in ("EH036261918US", "UD656337373MY", "LH256986182AU"):
            assert explain(number).is_valid

    @pytest.mark.parametrize(
        ("letters", "service"),
        [("CP", "parcel"), ("EE", "EMS"), ("HZ", "e-commerce parcel"), ("LZ", "tracked letter"),
         ("MA", "M-bag"), ("QA", "business reply (IBRS)"), ("RR", "registered letter"),
         ("UA", "letter, not tracked"), ("VV", "insured letter"), ("AV", "domestic"),
         ("BA", "domestic"), ("GA", "domestic"), ("GD", "domestic"), ("PB", "domestic"),
         ("ZA", "domestic"), ("NA", "domestic"), ("DA", "domestic"), ("AA", ""), ("GB", "")],
    )  # fmt: skip
    def test_7_the_first_letters_say_the_service(self, letters: str, service: str) -> None:
        """And what nobody has assigned has none."""
        assert explain(f"{letters}473124829GB").candidates[0].service == service

    @pytest.mark.parametrize("number", ["RB123456785XX", "JA123456785US", "KA123456785US"])
    def test_7_the_issuer_must_exist_and_j_and_k_are_reserved(self, number: str) -> None:
        """The check digit is right, and still something is odd: both are told."""
        explained = explain(number)

        assert explained.candidates[0].check is Check.RIGHT
        assert explained.candidates[0].doubts
        assert not explained.is_valid

    @pytest.mark.parametrize("number", ["TBB000000000000", "2Z5R89390357567127", "XJD0099999998"])
    def test_what_has_no_shape_of_a_carrier_is_not_given_to_it(self, number: str) -> None:
        """Near is not enough where there is no check digit."""
        assert {one.carrier for one in explain(number).candidates} <= {"purolator"}


class TestDidYouMean:
    @pytest.mark.parametrize(
        "number", [S10_OF_TWO_SLIPS, "9400111206206406260787", "1Z879E930346834440", "3318810025"]
    )
    def test_one_wrong_digit_anywhere(self, number: str) -> None:
        """What was meant is among what is offered, wherever the slip was."""
        for at, digit in enumerate(number):
            if not digit.isdigit():
                continue
            slip = number[:at] + str((int(digit) + 1) % 10) + number[at + 1 :]
            if not explain(slip).is_valid:
                assert number in [one.number for one in did_you_mean(slip, most=1_000)], slip

    def test_two_swapped_come_first(self) -> None:
        """Of all that would be right, the likelier slip."""
        assert did_you_mean("RR471324829GB")[0].number == S10_OF_TWO_SLIPS

    def test_a_letter_that_looks_like_a_digit_comes_before_all(self) -> None:
        """An O among digits was a zero."""
        [best, *_] = did_you_mean("94O0111206206406260787")

        assert best.number == "9400111206206406260787"
        assert best.change == "character 3 is 0, not O"

    def test_also_where_a_loose_shape_takes_the_slip(self) -> None:
        """16 letters and digits can be Royal Mail's, and still the O may be a zero."""
        slip = "7O35114477138472"

        assert explain(slip).candidates[0].carrier == "royal-mail"
        assert [one.number for one in did_you_mean(slip)] == ["7035114477138472"]

    def test_a_right_number_and_hopeless_text_have_none(self) -> None:
        """Nothing is offered for what needs nothing, or what nothing helps."""
        for text in (S10_OF_TWO_SLIPS, "", "hello", "9" * 127, "\x00"):
            assert did_you_mean(text) == []

    def test_own_mailers_come_first(self) -> None:
        """What the caller knows sorts what is offered."""
        ours = Context(mailer_ids=frozenset({"112062"}))
        offered = did_you_mean("9400111206206406260788", ours, most=1_000)
        known = [bool(one.candidate.known_by) for one in offered]

        assert any(known)
        assert known == sorted(known, reverse=True)


def test_an_explanation_is_only_read() -> None:
    """It is shared between callers, so nobody can change it."""
    explained = explain(S10_OF_TWO_SLIPS)

    with pytest.raises(AttributeError):
        explained.text = ""  # type: ignore[misc]
    assert isinstance(explained, Explanation)
