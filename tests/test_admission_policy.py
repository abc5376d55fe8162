"""Numbers with a wrong check digit: recorded and flagged, or refused where a policy says so."""

import asyncio
from pathlib import Path

import pytest

from ingest.admission import Admitted, admit, check_batch
from ingest.policy import AdmissionPolicy
from ledger.app.settings import Settings, strict_sources_of
from ledger.errors import Refused
from ledger.numbers import filing_key, is_check_digit_wrong, may_be_wrong, partition_of
from ledger.numbers.explaining import Check, explain
from ledger.numbers.formats import formats
from ledger.v1.ingest_service_pb2 import REFUSAL_REASON_CHECK_DIGIT, REFUSAL_REASON_MALFORMED
from ledger.v1.refused_scan_pb2 import RefusedScan
from ledger.v1.scan_event_pb2 import CORRECTION_KIND_DID_NOT_OCCUR, SCAN_EVENT_TYPE_CORRECTION
from ledger.v1.trail_service_pb2 import NumberFlag
from tests.asking import asked
from tests.ingest_server import PARTITIONS, durable, faulty_log, record_batch, serving, values_of
from tests.ingest_traffic import NOW_NS, SOURCE, a_batch, an_encoded_event
from tests.trails import scan

RIGHT = "RR473124829GB"
WRONG = "RR473124820GB"
ROUTED_RIGHT = "420787459400111206206406260787"
ROUTED_WRONG = "420787459400111206206406260788"
OF_NO_FORMAT = "WITH THE CARRIER'S OWN NUMBER"
SHAPE_ONLY = "TBA010000000000"


def judged(*events: bytes, strict: bool = True) -> Admitted:
    """What admission says of a batch of these events."""
    batch = a_batch(events)
    check_batch(batch, batch.ByteSize())
    return admit(
        batch, partitions=1, now_ns=NOW_NS, principal="anonymous", refuses_check_digits=strict
    )


def numbered(number: int, text: str) -> bytes:
    return an_encoded_event(number, tracking_number=text)


class TestPolicy:
    @pytest.mark.parametrize(
        ("patterns", "source", "is_strict"),
        [
            ([], "gate-17", False),
            (["gate-17"], "gate-17", True),
            (["gate-17"], "gate-170", False),
            (["gate-*"], "gate-17", True),
            (["gate-*"], "a gate-17", False),
            (["*"], "anyone\u2028else", True),
            (["shop", "*-partner"], "a.partner", False),
            (["shop", "*-partner"], "a-partner", True),
            (["a*b*c"], "aXbYc", True),
            (["g.te"], "gate", False),
        ],
    )
    def test_a_star_is_any_text_and_nothing_else_is_special(
        self, patterns: list[str], source: str, is_strict: bool
    ) -> None:
        """A whole id has to fit; a dot is a dot."""
        assert AdmissionPolicy(patterns).refuses_check_digits(source) is is_strict

    def test_the_setting_is_a_list_with_commas(self) -> None:
        """Blanks around an id are none of it; nothing is strict by default."""
        assert strict_sources_of(Settings()) == []
        assert strict_sources_of(Settings(strict_sources=" partner-*, shop ")) == [
            "partner-*",
            "shop",
        ]

    @pytest.mark.parametrize("text", ["a,", ",", "a,,b", ",".join(["a"] * 257)])
    def test_an_empty_id_in_the_setting_is_refused(self, text: str) -> None:
        """A comma too many would be a pattern that fits nobody."""
        with pytest.raises(Refused) as caught:
            Settings(strict_sources=text)

        assert caught.value.field == "strict_sources"


class TestAdmission:
    def test_by_default_a_wrong_check_digit_is_recorded(self) -> None:
        """The scan happened."""
        result = judged(numbered(1, WRONG), strict=False)

        assert result.refusals == []
        assert result.groups[0].keys == [WRONG.encode()]

    def test_a_strict_source_has_it_refused_alone(self) -> None:
        """Its neighbours are recorded, and each keeps its place and its record."""
        texts = [RIGHT, WRONG, ROUTED_WRONG, ROUTED_RIGHT, OF_NO_FORMAT, SHAPE_ONLY]
        events = [numbered(number, text) for number, text in enumerate(texts, 1)]
        result = judged(*events)
        lenient = judged(*events, strict=False)

        assert [(one.index, one.sequence) for one in result.refusals] == [(1, 2), (2, 3)]
        assert {one.reason for one in result.refusals} == {REFUSAL_REASON_CHECK_DIGIT}
        assert {one.field for one in result.refusals} == {"event.tracking_number"}
        assert result.groups[0].indexes == [0, 3, 4, 5]
        assert result.groups[0].records == [
            lenient.groups[0].records[place] for place in (0, 3, 4, 5)
        ]

    def test_where_all_is_right_a_strict_source_gets_the_same_records(self) -> None:
        """The policy changes no byte."""
        events = [numbered(1, RIGHT), numbered(2, ROUTED_RIGHT)]

        assert judged(*events) == judged(*events, strict=False)

    def test_a_correction_is_judged_by_the_number_that_it_corrects(self) -> None:
        """The field at fault is that one."""
        correction = {
            "tracking_number": WRONG,
            "source_id": SOURCE,
            "event_id": bytes(16),
            "kind": CORRECTION_KIND_DID_NOT_OCCUR,
        }
        event = an_encoded_event(
            3, type=SCAN_EVENT_TYPE_CORRECTION, tracking_number=RIGHT, correction=correction
        )
        [refusal] = judged(event).refusals

        assert judged(event, strict=False).refusals == []
        assert (refusal.field, refusal.reason) == (
            "event.correction.tracking_number",
            REFUSAL_REASON_CHECK_DIGIT,
        )

    def test_another_rule_goes_first(self) -> None:
        """A scan that nobody could record is told so, whatever its number."""
        [refusal] = judged(an_encoded_event(1, tracking_number=WRONG, event_id=bytes(15))).refusals

        assert refusal.reason == REFUSAL_REASON_MALFORMED


def test_the_quick_look_never_clears_what_is_wrong() -> None:
    """Over every published number, right and wrong, bare and with routing in front."""
    bare = [text for one in formats().all for text in (*one.right, *one.wrong)]
    texts = [*bare, *(f"42010282{text}" for text in bare), OF_NO_FORMAT, "", "4" * 128]
    told = {text: _explained_wrong(text) for text in texts if text}

    assert {text: is_check_digit_wrong(text) for text in told} == told
    assert sum(told.values()) > 10
    missed = [
        text for text, is_wrong in told.items() if is_wrong and not may_be_wrong(filing_key(text))
    ]
    assert missed == []


def _explained_wrong(text: str) -> bool:
    candidates = explain(text).candidates
    return bool(candidates) and all(one.check is Check.WRONG for one in candidates)


async def test_what_is_refused_is_kept(tmp_path: Path) -> None:
    """The scan lies whole among the refused ones before its sender is told; the good one is
    recorded; another source has the same number recorded.
    """
    policy = AdmissionPolicy([SOURCE])
    async with asyncio.timeout(30), faulty_log(tmp_path) as log, serving(log, policy=policy) as at:
        events = [numbered(1, WRONG), numbered(2, RIGHT)]
        strict = (await record_batch(at.channel, a_batch(events))).result
        other = (await record_batch(at.channel, a_batch(events, source_id="gate-18"))).result
        place = partition_of(SOURCE.encode(), PARTITIONS)
        [value] = await values_of(log.beside["refusals"], place)

    refused = RefusedScan.FromString(value)
    assert (durable(strict), [one.index for one in strict.refusals]) == ([(1, 1)], [0])
    assert (refused.source_id, refused.event) == (SOURCE, events[0])
    assert refused.reason == REFUSAL_REASON_CHECK_DIGIT
    assert (durable(other), len(other.refusals)) == ([(0, 1)], 0)


async def test_a_trail_flags_what_was_recorded(tmp_path: Path) -> None:
    """By the number as it was scanned; a right one has no flag."""
    async with asked(tmp_path) as door:
        await door.shelf.put(scan("wrong", number=WRONG), scan("right", number=RIGHT))
        [wrong] = (await door.list(tracking_number=WRONG)).entries
        [right] = (await door.list(tracking_number=RIGHT)).entries

    assert list(wrong.marks.number_flags) == [NumberFlag.NUMBER_FLAG_CHECK_DIGIT_WRONG]
    assert list(right.marks.number_flags) == []
