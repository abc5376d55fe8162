"""A partner's format: what it says, and each fault by its key before anything is sent."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ledger.app.exits import FAILED, CommandFailed
from ledger.app.partner_format import IDENTITY, PartnerFormat, load_format
from ledger.errors import Refused
from tests.shells import typed

GOOD = """
kind = "json"
records = "shipments.events"
source = "acme"
code_system = "acme"
[columns]
tracking_number = "$.shipments.no"
source_code = "code"
scan_time = ["date", "time"]
facility = "depot"
"attribute.round" = "tour"
[always]
carrier = "ACME"
[time]
form = "%d.%m.%Y %H:%M"
otherwise = "Europe/Berlin"
"""


def load(folder: Path, text: str) -> PartnerFormat:
    """Read a format."""
    path = folder / "acme.toml"
    path.write_text(text)
    return load_format(path)


def test_a_format_says_how_a_list_is_written(tmp_path: Path) -> None:
    """Fields with their columns, what is the same in each event, and the rules for times."""
    found = load(tmp_path, GOOD)

    assert (found.kind, found.records, found.source) == ("json", ("shipments", "events"), "acme")
    assert found.columns["scan_time"] == ("date", "time")
    assert found.names == ("$.shipments.no", "code", "date", "time", "depot", "tour")
    assert found.always == {
        "carrier": "ACME",
        "code_system": "acme",
        "capture_method": "PARTNER_MESSAGE",
        "type": "UNMAPPED",
    }
    assert found.time == ("%d.%m.%Y %H:%M", None, ZoneInfo("Europe/Berlin"))
    assert set(found.identity) == {"tracking_number", "scan_time", "source_code", "facility"}
    assert set(found.identity) < set(IDENTITY)


def test_ids_of_the_partners_go_before(tmp_path: Path) -> None:
    """Where a column is its id, nothing else makes an event another one, unless it is said so."""
    text = GOOD.replace("[columns]", '[columns]\nsource_event_id = "id"')
    said = text.replace("[columns]", 'identity = ["tracking_number", "scan_time"]\n[columns]', 1)

    assert load(tmp_path, text).identity == ()
    assert load(tmp_path, said).identity == ("tracking_number", "scan_time")


def test_a_list_may_name_canonical_events(tmp_path: Path) -> None:
    """With a column for the type no code is needed; UTC is a zone."""
    found = load(
        tmp_path,
        'kind = "csv"\n[columns]\ntracking_number = "n"\nscan_time = "t"\ntype = "what"\n'
        '[always]\ncapture_method = "SYSTEM_NOTICE"\n[time]\nzone = "UTC"\n',
    )

    assert found.always == {"capture_method": "SYSTEM_NOTICE"}
    assert found.time.zone is UTC


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('kind = "json"', 'kind = "xml"', "kind"),
        ('kind = "json"', "kind = 1", "kind"),
        ('kind = "json"', "", "kind"),
        ('kind = "json"', 'kind = "csv"', "records"),
        ('kind = "json"', 'kind = "json"\nkinds = "x"', "kinds"),
        ('code_system = "acme"', "", "code_system"),
        ('tracking_number = "$.shipments.no"', "", "columns.tracking_number"),
        ('source_code = "code"', "", "columns.source_code"),
        ('scan_time = ["date", "time"]', "", "columns.scan_time"),
        ('scan_time = ["date", "time"]', "scan_time = []", "columns.scan_time"),
        ('scan_time = ["date", "time"]', "scan_time = [1]", "columns.scan_time"),
        ('facility = "depot"', 'facilities = "depot"', "columns.facilities"),
        ('facility = "depot"', 'utc_offset_minutes = "o"', "columns.utc_offset_minutes"),
        ('facility = "depot"', 'event_id = "o"', "columns.event_id"),
        ('carrier = "ACME"', 'facility = "X"', "always.facility"),
        ('carrier = "ACME"', 'type = "ARRIVES"', "always.type"),
        ('carrier = "ACME"', 'source = "acme"', "always.source"),
        ('carrier = "ACME"', "carrier = 1", "always.carrier"),
        ("[columns]", 'identity = ["facility"]\n[columns]', "identity"),
        ("[columns]", 'identity = ["tracking_number", "device"]\n[columns]', "identity"),
        ("%d.%m.%Y %H:%M", "%d.%m. %H:%M", "time.form"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %I:%M", "time.form"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M %Z", "time.form"),
        ("%d.%m.%Y %H:%M", "%Q", "time.form"),
        ("Europe/Berlin", "Europe/Atlantis", "time.otherwise"),
        ("otherwise =", "zone = 1\notherwise =", "time.zone"),
        ("otherwise =", "zones = 1\notherwise =", "time.zones"),
        ("[time]", "[time", ""),
    ],
)
def test_a_fault_is_said_by_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    """One line with the file, the key and what is wrong."""
    assert old in GOOD
    with pytest.raises(CommandFailed, match=r"acme\.toml cannot be used: ") as caught:
        load(tmp_path, GOOD.replace(old, new))

    assert f"`{key}`" in str(caught.value) or not key


def test_a_column_that_a_list_does_not_have_is_said(tmp_path: Path) -> None:
    """A renamed column is noticed before its field is missing in every event."""
    with pytest.raises(Refused, match="nearest one is `") as caught:
        load(tmp_path, GOOD).check_header(["$.shipments.no", "code", "date", "when", "depot"])

    assert caught.value.field == "time"


@pytest.mark.parametrize(
    ("name", "remark"),
    [("xml", "--format is xml"), ("none.toml", "No such file"), ("bad.toml", "`kind`")],
)
def test_a_format_that_cannot_be_is_said_before_a_ledger_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, remark: str
) -> None:
    """In one line, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text('kind = "xml"\n')

    said = typed("send", "list.csv", "--format", name, "--server", "127.0.0.1:1")

    assert said.code == FAILED
    assert remark in said.remark
    assert said.remark.count("\n") == 1
