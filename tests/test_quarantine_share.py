"""The share limit alone: what of the last records counts, and when it stops."""

import pytest

from ledger.errors import Diverged
from ledger.quarantine.share import WINDOW_RECORDS, Share


def test_the_limit_itself_is_let_through() -> None:
    """One more than the limit is one too many."""
    share = Share(3)
    share.count(100, 3)

    with pytest.raises(Diverged, match="4 of the last 101"):
        share.count(1, 1)


def test_old_records_do_not_count() -> None:
    """What lies further back than the window is forgotten, however much it was."""
    share = Share(3)
    for _ in range(5):
        share.count(WINDOW_RECORDS // 4, 0)
        share.count(10, 3)
        share.count(WINDOW_RECORDS, 0)


def test_good_records_go_on_below_a_limit_that_was_lowered() -> None:
    """Whoever lowers the limit after he raised it has a writer that runs."""
    share = Share(3)
    share.begin(1_000, 500)
    share.count(100, 0)

    with pytest.raises(Diverged):
        share.count(1, 1)


def test_a_row_that_the_store_refused_counts_once() -> None:
    """It is read as good, and is unfit all the same."""
    share = Share(1)
    share.count(10, 0)
    share.count(0, 1)

    with pytest.raises(Diverged):
        share.count(0, 1)


def test_a_limit_of_all_is_none() -> None:
    """Whoever lets through as many as there are has no limit."""
    share = Share(WINDOW_RECORDS)
    for _ in range(20):
        share.count(4_000, 4_000)
