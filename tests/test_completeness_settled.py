"""An operator's word about scans that nobody waits for: kept, shown, and never in the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.backends.rocksdb_folder import Folder
from ledger.completeness.findings import MISSING, Beside, Where, parts_of
from ledger.completeness.sources import Settlement, Sources
from ledger.errors import NotPossibleNow, Uncertain
from ledger.v1.receipt_pb2 import RECEIPT_KIND_SETTLED, Receipt
from tests.completeness_world import START_NS, found
from tests.faulty_log import UNCERTAIN, FaultyLog
from tests.test_completeness import receipt
from tests.test_completeness_audit import SOURCE, audit_of, places, tell
from tests.writing import ledger

__all__ = ["ledger"]  # A fixture, taken by its name.

RANGES = st.tuples(st.integers(1, 30), st.integers(0, 9)).map(lambda one: (one[0], sum(one)))


@given(RANGES, st.lists(RANGES, max_size=5))
def test_the_first_word_about_a_sequence_counts(
    part: tuple[int, int], said: list[tuple[int, int]]
) -> None:
    """Parts are the whole, in order, each with the first word that covers it."""
    words = [Settlement(*one, f"by {n}", "", n) for n, one in enumerate(said)]
    parts = list(parts_of(part, words))

    assert [n for first, last, _ in parts for n in range(first, last + 1)] == list(
        range(part[0], part[1] + 1)
    )
    for first, last, word in parts:
        for number in range(first, last + 1):
            covering = [one for one in words if one.first <= number <= one.last]
            assert word == next(iter(covering), None)


async def test_what_is_settled_is_shown_as_that(ledger: Folder) -> None:
    """With who and why, and as no reason to ring; another process reads the same in the log."""
    await tell(ledger, (1, 4), (8, 9), minted=12)
    count = await audit_of(ledger).settle(SOURCE, 3, 11, by="ada", why="run over")
    report = await audit_of(ledger).report(after_s=60)

    assert count == 3 + 2
    assert places(report) == [
        (5, 7, Where.SETTLED),
        (10, 11, Where.SETTLED),
        (12, 12, Where.UNCONFIRMED),
    ]
    settled = [one for one in report.findings if one.where is Where.SETTLED]
    assert {(one.word.by, one.word.why) for one in settled if one.word} == {("ada", "run over")}
    assert Where.SETTLED not in MISSING
    assert report.counts[Where.SETTLED] == 5


async def test_what_comes_all_the_same_goes_before(ledger: Folder) -> None:
    """A device that was found again sends what it has; nobody has to take a word back."""
    await tell(ledger, minted=5)
    audit = audit_of(ledger)
    await audit.settle(SOURCE, 1, 5, by="ada", why="lost")
    await tell(ledger, (2, 3), minted=5)

    assert places(await audit.report(after_s=60)) == [
        (1, 1, Where.SETTLED),
        (4, 5, Where.SETTLED),
    ]


async def test_a_receipt_without_a_record_can_be_settled(ledger: Folder) -> None:
    """Else what cannot be had again would ring for good."""
    await tell(ledger, (1, 5), minted=5)
    audit = audit_of(ledger)
    await audit.look_through(lambda _, __: None)
    await audit.settle(SOURCE, 2, 5, by="ada", why="a disk")

    assert places(await audit.report(after_s=60)) == [
        (1, 1, Where.WITHOUT_RECORD),
        (2, 5, Where.SETTLED),
    ]


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [(1, 4, "NOTHING_TO_SETTLE"), (5, 7, "SEQUENCES_NOT_MINTED")],
)
async def test_a_word_that_says_nothing_is_refused(
    ledger: Folder, first: int, last: int, reason: str
) -> None:
    """What has its outcome is not settled, nor what a source may mint some day. Nothing is kept."""
    await tell(ledger, (1, 4), minted=6)
    audit = audit_of(ledger)
    with pytest.raises(NotPossibleNow) as raised:
        await audit.settle(SOURCE, first, last, by="ada", why="no reason")

    assert raised.value.reason == reason
    assert places(await audit.report(after_s=60)) == [(5, 6, Where.UNCONFIRMED)]


async def test_a_source_that_nobody_knows_is_refused(ledger: Folder) -> None:
    """It may be a typing error."""
    with pytest.raises(NotPossibleNow) as raised:
        await audit_of(ledger).settle(SOURCE, 1, 2, by="ada", why="who")
    assert raised.value.reason == "NO_SUCH_SPOOL"


async def test_a_word_has_its_bounds(ledger: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many about one source, said once each; one more is refused."""
    monkeypatch.setattr("ledger.completeness.sources.SETTLED_MAX", 2)
    await tell(ledger, minted=9)
    audit = audit_of(ledger)
    for number in (1, 2):
        await audit.settle(SOURCE, number, number, by="ada", why="lost")
    with pytest.raises(NotPossibleNow) as raised:
        await audit.settle(SOURCE, 3, 9, by="ada", why="lost")
    assert raised.value.reason == "SETTLED_TOO_OFTEN"


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_log_that_does_not_answer_keeps_one_word_or_none(
    ledger: Folder, is_kept: bool
) -> None:
    """Whoever says it again is told so where it was kept, and is heard where it was not."""
    await tell(ledger, minted=3)
    faulty = FaultyLog(ledger.receipts)
    audit = audit_of(ledger, receipts=faulty)
    errors = [UNCERTAIN]
    fault = "fails_written" if is_kept else "fails_unwritten"
    setattr(faulty, fault, lambda _: errors.pop() if errors else None)
    with pytest.raises(Uncertain):
        await audit.settle(SOURCE, 1, 3, by="ada", why="lost")

    if is_kept:
        with pytest.raises(NotPossibleNow):
            await audit.settle(SOURCE, 1, 3, by="ada", why="lost")
    else:
        assert await audit.settle(SOURCE, 1, 3, by="ada", why="lost") == 3
    assert places(await audit.report(after_s=60)) == [(1, 3, Where.SETTLED)]


def test_a_word_is_no_sign_of_life() -> None:
    """A silent source stays silent, whatever is said about it."""
    sources = Sources()
    sources.take_receipt(receipt((1, 2), minted=4))
    word = Receipt(kind=RECEIPT_KIND_SETTLED, source_id="gate-1", spool_id=bytes(16), by="ada")
    word.settled.add(first=3, last=4)
    word.time_ns = 2 * START_NS
    for _ in range(2):
        sources.take_receipt(word)
    [(_, source)] = sources.all()

    assert source.last_heard_ns == START_NS
    assert (len(source.settled), sources.settled) == (1, 1)
    assert [one.where for one in found(sources, Beside({}, {}, {}))] == [Where.SETTLED]
