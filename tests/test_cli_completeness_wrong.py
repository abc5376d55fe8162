"""What a monitor hears of `parcel-ledger completeness` when it asks in vain."""

from pathlib import Path

import pytest

from ledger.app.exits import FAILED
from tests.shells import ledger_up, typed


@pytest.mark.slow
def test_what_cannot_be_told_is_not_complete(tmp_path: Path) -> None:
    """Where the source is misspelt, or the day or a time is none, it hears so, by the exit code
    that the documents name for it, and gets no document that says that all is complete.
    """
    with ledger_up(tmp_path) as ledger:
        said = [
            typed("completeness", "--server", ledger.address, *words)
            for words in (
                ("--source", "gate-91"),
                ("--source", "gate-91", "--json"),
                ("--day", "yesterday"),
                ("--grace-s", "-1"),
                ("--silent-after-s", "0"),
            )
        ]

    assert [one.code for one in said] == [FAILED] * 5
    assert not any(one.answer for one in said)
    assert "Is the name right?" in said[0].remark
    assert "reads like 2026-11-27" in said[2].remark
