"""docs/numbers.md is what the data says."""

from pathlib import Path

import pytest

from ledger.numbers.check_rules import RULES
from ledger.numbers.formats import formats
from tools import gen_numbers


def test_the_page_is_up_to_date() -> None:
    """Whoever changes a format makes the page anew, with `make gen`."""
    assert gen_numbers.PAGE.read_text(encoding="utf-8") == gen_numbers.page()


def test_every_format_and_every_rule_is_on_it() -> None:
    """None is forgotten, and no place is left open."""
    text = gen_numbers.PAGE.read_text(encoding="utf-8")

    assert all(f"| `{one.id}` |" in text for one in formats().all)
    assert all(f"| `{name}` |" in text for name in RULES)
    places = ("formats", "rules", "services", "issuers")
    assert not any(f"[[{place}]]" in text for place in places)


def test_a_stale_page_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make lint` fails until it is made; making it is enough."""
    monkeypatch.setattr(gen_numbers, "PAGE", tmp_path / "numbers.md")
    monkeypatch.setattr("sys.argv", ["gen_numbers.py", "--check"])
    missing = gen_numbers.main()
    monkeypatch.setattr("sys.argv", ["gen_numbers.py"])
    gen_numbers.main()
    monkeypatch.setattr("sys.argv", ["gen_numbers.py", "--check"])

    assert (missing, gen_numbers.main()) == (1, 0)
    assert "run `make gen`" in capsys.readouterr().out
