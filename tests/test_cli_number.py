"""`parcel-ledger number explain`, as a person reads it and as a program does."""

import json

import pytest

from ledger.app import cli
from ledger.app.exits import DONE, FAILED, REFUSED


def said(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    """Run `number explain`; give its exit code, its answer and its remarks."""
    code = cli.run(("number", "explain", *tokens))
    return code, *capsys.readouterr()


def test_a_person_reads_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Carrier, check digit, service, destination and mailer, one line for each candidate."""
    code, answer, _ = said(capsys, "420787459400111206206406260787", "rr 473 124 829 gb")
    words = " ".join(answer.split())

    assert code == DONE
    assert "filed under 9400111206206406260787" in words
    assert "1 USPS right USPS IMpb, application identifier 94" in words
    assert "to ZIP 78745, mailer id 112062, serial 0640626078" in words
    assert "RR registered letter" in words
    assert "issuer GB United Kingdom" in words
    assert "perhaps meant" not in words


def test_a_wrong_number_keeps_its_carrier_and_gets_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is an answer, not a failure."""
    code, answer, _ = said(capsys, "RR471324829GB")

    assert code == DONE
    assert "wrong" in answer
    assert "perhaps meant:" in answer
    assert "RR473124829GB" in answer
    assert "characters 5 and 6 are swapped" in answer


def test_a_program_reads_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """With every field, whatever is known."""
    code, answer, _ = said(capsys, "287809468872", "nothing like it", "--json")
    two, none = map(json.loads, answer.splitlines())

    assert code == DONE
    assert two.keys() == none.keys()
    assert two["valid"]
    assert [one["carrier"] for one in two["candidates"]] == ["fedex", "purolator"]
    assert two["candidates"][0]["check_digit"] == "right"
    assert none["candidates"] == []
    assert not none["valid"]


def test_what_is_known_breaks_ties(capsys: pytest.CaptureFixture[str]) -> None:
    """The partner, a lane, a mailer: each is said where it counted."""
    _, by_partner, _ = said(capsys, "287809468872", "--partner", "purolator", "--json")
    _, by_lane, _ = said(capsys, "000123450000000027", "--lane", "us-de", "--json")
    _, by_mailer, _ = said(
        capsys, "9400111206206406260787", "--mailer", "1", "--mailer", "112062", "--json"
    )

    assert json.loads(by_partner)["candidates"][0]["known_by"] == ["partner purolator"]
    assert json.loads(by_lane)["candidates"][0]["known_by"] == ["lane US"]
    assert json.loads(by_mailer)["candidates"][0]["known_by"] == ["mailer 112062 is ours"]


def test_no_number_and_no_carrier(capsys: pytest.CaptureFixture[str]) -> None:
    """A text that nothing can be filed under is refused; a carrier nobody knows is a wrong flag."""
    refused, answer, _ = said(capsys, " - ")
    unknown, nothing, remark = said(capsys, "RR473124829GB", "--partner", "upss")
    missing, _, _ = said(capsys)

    assert refused == REFUSED
    assert "can be no number" in answer
    assert unknown == missing == FAILED
    assert not nothing
    assert "there are amazon" in remark


@pytest.mark.parametrize("lane", ["US", "us-de", "US-CA-MX"])
def test_a_lane_is_countries(capsys: pytest.CaptureFixture[str], lane: str) -> None:
    """Two letters each."""
    assert said(capsys, "RR473124829GB", "--lane", lane)[0] == 0


@pytest.mark.parametrize("lane", ["USA-DE", "US-", "US DE", "4Z-DE"])
def test_a_lane_of_anything_else_is_refused(capsys: pytest.CaptureFixture[str], lane: str) -> None:
    """It would decide nothing, and nobody would see that it was mistyped."""
    code, answer, remark = said(capsys, "RR473124829GB", "--lane", lane)

    assert code == FAILED
    assert not answer
    assert f"`--lane` is `{lane}`; it is countries by two letters each" in remark


def test_a_terminal_obeys_nothing_in_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    """What was scanned comes from anywhere; element strings are told part by part."""
    _, answer, _ = said(capsys, "]C1010703206980498810\x1dAB", "[bold]x\x1b[31m")
    _, goods, _ = said(capsys, "(01)07032069804988(10)AB")

    assert "\x1b" not in answer
    assert "[bold]x" in answer
    assert "(10) BATCH/LOT: AB" in goods
