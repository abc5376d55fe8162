"""Canonical events and the mappings that are built in: each code means what its source says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import event_type_name
from ledger.v1 import scan_event_pb2 as pb
from ledger.vocabulary import (
    BUILT_IN,
    Flag,
    Mapping,
    Meaning,
    built_in,
    load_mappings,
    sample,
)
from ledger.vocabulary.mapping import Way
from ledger.vocabulary.mappings import Mapped, Mappings
from tests.vocabulary_facts import ALONE_OUTWARDS, DECIDED, FACTS, TEXTS

if TYPE_CHECKING:
    from pathlib import Path

MAPPINGS = built_in()
BY_SYSTEM = {mapping.system: mapping for mapping in MAPPINGS.all}
KEYS = {
    mapping.system: {mapping.key(row.code) for row in mapping.rows if row.way is not Way.OUT}
    for mapping in MAPPINGS.all
}


def named(facts: dict[str, str]) -> dict[str, list[str]]:
    """Each code of the facts, with the events whose rows name it, in order."""
    rows: dict[str, list[str]] = {}
    for event, codes in facts.items():
        for code in codes.split():
            rows.setdefault(code, []).append(event)
    return rows


NAMED = {system: named(facts) for system, facts in FACTS.items()}


def scan_of(system: str, code: str, reason: str = "", **fields: str | int) -> pb.ScanEvent:
    """A scan that came with its source's own code."""
    scan = pb.ScanEvent(
        type=pb.SCAN_EVENT_TYPE_UNMAPPED,
        code_system=system,
        source_code=code,
        source_reason_code=reason,
    )
    for name, value in fields.items():
        setattr(scan, name, value)
    return scan


def meaning_of(scan: pb.ScanEvent) -> str:
    """The name of what a scan is mapped to; UNMAPPED where it is not."""
    found = MAPPINGS.inwards(scan)
    return event_type_name(found.row.meaning.type) if found else "UNMAPPED"


class TestFacts:
    @pytest.mark.parametrize("system", FACTS)
    def test_a_code_means_what_its_source_says(self, system: str) -> None:
        """The first row that names a code stands, unless the code's own words decide."""
        wanted = {
            code: DECIDED.get((system, code), events[0]) for code, events in NAMED[system].items()
        }
        found = {}
        for code in wanted:
            plain, _, reason = code.partition("/")
            found[code] = meaning_of(scan_of(system, plain, reason))

        assert found == wanted

    def test_only_rows_that_name_a_code_are_decided_for(self) -> None:
        """A decision chooses between the rows of the facts, and never against the only one."""
        for (system, code), event in DECIDED.items():
            assert event in NAMED[system][code][1:], (system, code)

    @pytest.mark.parametrize("system", FACTS)
    def test_every_row_of_a_code_can_be_meant(self, system: str) -> None:
        """Where a code is named for several events, something that comes with it chooses each."""
        mapping = BY_SYSTEM[system]
        chosen = {
            (mapping.key(row.code), event_type_name(row.meaning.type))
            for row in mapping.rows
            if mapping.inwards(sample(row, system)) is row
        }
        wanted = {
            (mapping.key(code.partition("/")[0]), event)
            for code, events in NAMED[system].items()
            for event in events
            if (system, code, event) not in ALONE_OUTWARDS
        }

        assert wanted - chosen == set()

    # Shippo is told in its substatuses, which say more than the statuses of the facts.
    @pytest.mark.parametrize("system", sorted(FACTS.keys() - {"shippo"}))
    def test_an_event_is_told_in_a_code_that_means_it(self, system: str) -> None:
        """Outwards an event has one of the codes that the source's table gives it. Vague states
        (INFO) may have none.
        """
        mapping = BY_SYSTEM[system]
        told = {
            event: {
                mapping.key(row.code)
                for row in mapping.rows
                if row.way is not Way.IN and event_type_name(row.meaning.type) == event
            }
            for event in FACTS[system]
        }
        untold = [
            event
            for event, codes in FACTS[system].items()
            if not told[event] & {mapping.key(code.partition("/")[0]) for code in codes.split()}
        ]

        assert untold in ([], ["INFO"])

    @pytest.mark.parametrize(("text", "event"), TEXTS.items())
    def test_what_usps_says_without_a_code_is_mapped_too(self, text: str, event: str) -> None:
        """Its texts stand as codes."""
        assert meaning_of(scan_of("usps", text)) == event

    def test_delivered_to_the_sender_is_no_delivery(self) -> None:
        """The same code, with the text that says whose door it was."""
        text = "Delivered, To Original Sender"

        assert meaning_of(scan_of("usps", "01", source_text=text)) == "RETURNED"
        assert meaning_of(scan_of("usps", "01", source_text="Delivered, PO Box")) == "DELIVERED"

    def test_what_is_lost_is_not_told_as_stolen(self) -> None:
        """GS1's vocabulary has a word for theft and none for a loss; what comes in as stolen is
        lost by theft, and goes out as that.
        """
        found = MAPPINGS.inwards(scan_of("cbv", "stolen"))
        lost = Meaning(pb.SCAN_EVENT_TYPE_LOST)

        assert found
        assert found.row.meaning == lost._replace(reason=pb.EVENT_REASON_THEFT)
        told = MAPPINGS.outwards("cbv", found.row.meaning)
        assert told
        assert told.row.code == "stolen"
        assert MAPPINGS.outwards("cbv", lost) is None

    def test_an_alert_reads_as_nothing_else(self) -> None:
        """Neither returned nor failed: only that somebody should look."""
        found = MAPPINGS.inwards(scan_of("usps-category", "Alert"))

        assert found
        assert found.row.meaning.type == pb.SCAN_EVENT_TYPE_INFO
        assert found.row.meaning.action_required

    @pytest.mark.parametrize("system", ["dhl", "karrio", "easypost", "shippo"])
    def test_unknown_does_not_mean_late(self, system: str) -> None:
        """A source that does not know says nothing of the item."""
        assert meaning_of(scan_of(system, "unknown")) == "INFO"


class TestNames:
    @pytest.mark.parametrize("system", ["upu-emsevt-3", "UPU-EMSEVT", "EMSEVT", " upu "])
    def test_a_system_goes_by_several_names(self, system: str) -> None:
        """In any case, and by the names that its file lists."""
        assert meaning_of(scan_of(system, "emi ")) == "DELIVERED"

    def test_zeros_before_a_number_may_not_matter(self) -> None:
        """UPS writes 011 and 11; for USPS 01 and 1 are two codes."""
        assert meaning_of(scan_of("ups", "011")) == "DELIVERED"
        assert meaning_of(scan_of("usps", "1")) == "UNMAPPED"


class TestRules:
    def lacks(self, code: str, **fields: str | int) -> list[Flag]:
        """What a UPU event lacks."""
        scan = scan_of("upu-emsevt-3", code)
        for name, value in fields.items():
            setattr(scan, name, value)
        found = MAPPINGS.inwards(scan)
        assert found
        return found.row.flags(scan)

    def test_a_failed_delivery_needs_reason_and_action(self) -> None:
        """EMH says why and what is done next; in the post's codes or in ours."""
        reason, action = Flag.REASON_MISSING, Flag.ACTION_MISSING

        assert self.lacks("EMH") == [reason, action]
        assert self.lacks("EMH", source_reason_code="12") == [action]
        assert self.lacks("EMH", source_reason_code="12", source_action_code="B") == []
        assert self.lacks("EMH", action=pb.EVENT_ACTION_RETRY_DELIVERY) == [reason]

    def test_customs_without_a_reason_stop_no_clock(self) -> None:
        """EME without a retention reason is marked; EXB and EDB need none."""
        assert self.lacks("EME") == [Flag.CLOCK_NOT_STOPPED]
        assert self.lacks("EME", source_reason_code="31") == []
        assert self.lacks("EXB") == self.lacks("EDB") == []


class TestBothWays:
    @pytest.mark.parametrize("system", BUILT_IN)
    def test_every_pair_comes_back(self, system: str) -> None:
        """What a code means is told in that code; what an event is told in means that event."""
        mapping = BY_SYSTEM[system]
        pairs = [row for row in mapping.rows if row.way is Way.BOTH]

        assert pairs
        assert [mapping.outwards(row.meaning) for row in pairs] == pairs
        assert [mapping.inwards(sample(row, system)) for row in pairs] == pairs

    @pytest.mark.parametrize("mapping", MAPPINGS.all, ids=lambda mapping: mapping.system)
    def test_a_code_maps_to_one_event_whatever_comes_with_it(self, mapping: Mapping) -> None:
        """Each code has a last row without conditions, so none ever ends as nothing."""
        last = {mapping.key(row.code): row for row in mapping.rows if row.way is not Way.OUT}

        assert [row.code for row in last.values() if row.is_conditional] == []

    def test_what_an_event_does_not_say_is_not_told(self) -> None:
        """A delivery whose mode is not known is not told as one into a locker."""
        told = MAPPINGS.outwards("usps", Meaning(pb.SCAN_EVENT_TYPE_DELIVERED))
        locker = Meaning(pb.SCAN_EVENT_TYPE_DELIVERED, delivery_mode=pb.DELIVERY_MODE_LOCKER)

        assert told
        assert told.row.when == ()
        assert MAPPINGS.outwards("usps", locker) != told
        assert MAPPINGS.outwards("fedex", Meaning(pb.SCAN_EVENT_TYPE_SEIZED)) is None
        assert MAPPINGS.outwards("acme", locker) is None

    def test_a_mode_without_a_code_is_told_as_what_it_is_part_of(self) -> None:
        """A source without codes for modes is told of the delivery."""
        porch = Meaning(pb.SCAN_EVENT_TYPE_DELIVERED, delivery_mode=pb.DELIVERY_MODE_PORCH)

        told = MAPPINGS.outwards("fedex", porch)

        assert told
        assert told.row.code == "DL"


class TestNeverAGuess:
    @given(
        system=st.sampled_from([*BUILT_IN, "acme", ""]),
        code=st.one_of(st.text(max_size=20), st.sampled_from(["ZZ", "EMZ", "999", "InTransit_9"])),
        reason=st.text(max_size=8),
        text=st.text(max_size=30),
        action=st.sampled_from([0, *pb.EventAction.values()[1:]]),
    )
    def test_an_unknown_code_ends_as_unmapped(
        self, system: str, code: str, reason: str, text: str, action: int
    ) -> None:
        """Whatever comes with it; and a known one ends as exactly one event."""
        scan = scan_of(system, code, reason, source_text=text, action=action)
        mapping = BY_SYSTEM.get(system)
        known = mapping is not None and mapping.key(code) in KEYS[system]

        assert (MAPPINGS.inwards(scan) is not None) == known

    @pytest.mark.parametrize("system", BUILT_IN)
    def test_every_code_is_written_as_a_scan_can_have_it(self, system: str) -> None:
        """At most 64 bytes, and with words that say what it means."""
        for row in BY_SYSTEM[system].rows:
            assert len(row.code.encode()) <= 64
            assert re.search(r"\w", row.means), row


class TestFolder:
    def test_a_partners_own_mapping_goes_first(self, tmp_path: Path) -> None:
        """What it does not have is still explained by ours; the answer names which it was."""
        (tmp_path / "usps-ours.csv").write_text(
            "# code-system: usps\n# version: 7b\ncode,event\n01,HELD\nQ9,LOST\n"
        )
        mappings = load_mappings(tmp_path)

        found = {code: mappings.inwards(scan_of("usps", code)) for code in ("01", "Q9", "02", "Q8")}

        assert named_of(found["01"]) == ("HELD", "7b")
        assert named_of(found["Q9"]) == ("LOST", "7b")
        assert named_of(found["02"]) == ("DELIVERY_ATTEMPTED", BY_SYSTEM["usps"].version)
        assert found["Q8"] is None

    def test_without_a_folder_ours_are_there(self) -> None:
        """And an empty folder changes nothing."""
        assert load_mappings(None) is MAPPINGS
        assert MAPPINGS.knows("upu")
        assert not Mappings([]).knows("upu")


def named_of(found: Mapped | None) -> tuple[str, str]:
    """The event and the version of what was found."""
    assert found
    return event_type_name(found.row.meaning.type), found.mapping.version
