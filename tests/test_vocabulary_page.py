"""docs/vocabulary.md is what the data says, and its example is a mapping."""

from ledger.vocabulary import BUILT_IN, CANONICAL, Mapping, check_mapping
from tools.gen_vocabulary import PAGE, page


def test_the_page_is_up_to_date() -> None:
    """Whoever changes a mapping makes the page anew, with `make gen`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_event_and_every_system_is_on_it() -> None:
    """None is forgotten, and no place is left open."""
    text = PAGE.read_text(encoding="utf-8")

    assert all(f"| `{event.name}` |" in text for event in CANONICAL.values())
    assert all(f"### `{system}`, version" in text for system in BUILT_IN)
    assert "[[" not in text


def test_its_example_can_be_used() -> None:
    """What a partner copies has no fault."""
    example = PAGE.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]

    assert isinstance(check_mapping(example.encode()), Mapping)
