"""Mappings as files: every fault is told with its line and its reason, and no bad file is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Refused
from ledger.v1 import scan_event_pb2 as pb
from ledger.vocabulary import Mapping, Meaning, check_mapping, load_mappings, read_mapping
from ledger.vocabulary.file import COLUMNS, FILE_BYTES_MAX
from ledger.vocabulary.mapping import Way
from ledger.vocabulary.mappings import FILES_MAX

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "# code-system: acme\n# version: 1\n"
TABLE = HEAD + "code,reason,when,event,with,way,needs\n"


def faults_of(text: str | bytes) -> list[tuple[int, str]]:
    """The faults of a file; none where it can be used."""
    found = check_mapping(text.encode() if isinstance(text, str) else text)
    return [] if isinstance(found, Mapping) else [(fault.line, fault.message) for fault in found]


def mapping_of(text: str) -> Mapping:
    """The mapping of a good file."""
    return read_mapping(text.encode(), "acme.csv")


def test_a_small_file_is_a_mapping() -> None:
    """Two lines and a table with two columns are enough."""
    mapping = mapping_of(HEAD + "code,event\nK1,DELIVERED\n")

    assert (mapping.system, mapping.version) == ("acme", "1")
    assert [(row.code, row.meaning, row.way) for row in mapping.rows] == [
        ("K1", Meaning(pb.SCAN_EVENT_TYPE_DELIVERED), Way.BOTH)
    ]


def test_what_a_spreadsheet_makes_of_a_file_is_read() -> None:
    """A byte order mark, CRLF, commas behind the first lines, empty rows, quotes and asides."""
    text = (
        '\ufeff# code-system: acme,,\r\n"# title: Acme, all of it",,\r\n# version: 2,,\r\n,,\r\n'
        'Code,Event,Means\r\n# not yet: K9,,\r\n"K, 1",DELIVERED,"two\r\nlines"\r\n,,\r\n'
        "K2,LOST,\r\n"
    )
    mapping = mapping_of(text)

    assert (mapping.version, mapping.title) == ("2", "Acme, all of it")
    assert [(row.code, row.line) for row in mapping.rows] == [("K, 1", 7), ("K2", 10)]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "`# code-system: …` is missing"),
        ("# version: 1\ncode,event\nK1,LOST\n", 1, "`# code-system: …` is missing"),
        ("# code-system: acme\ncode,event\nK1,LOST\n", 1, "`# version: …` is missing"),
        (HEAD + "# version: 2\ncode,event\nK1,LOST\n", 3, "`version` is said twice"),
        ("# code-system: AC ME\n# version: 1\ncode,event\nK1,LOST\n", 1, "small letters"),
        (HEAD + f"# also: b, {'c' * 65}\ncode,event\nK1,LOST\n", 3, "more than 64 bytes"),
        (HEAD + "# leading-zeros: kept\ncode,event\nK1,LOST\n", 3, "it is `ignored`"),
        ("# code-system: acme\n# version: a b\ncode,event\nK1,LOST\n", 2, "at most 32"),
        (HEAD, 2, "There is no row"),
        (HEAD + "code,event\n", 3, "There is no row"),
        (HEAD + "code,means\nK1,x\n", 3, "The column `event` is missing"),
        (HEAD + "code,event,code\nK1,LOST,x\n", 3, "The column `code` is there twice"),
        (HEAD + "code,evnt\nK1,LOST\n", 3, "There is no column `evnt`"),
        (TABLE + ",,,LOST,,,\n", 4, "`code` is empty"),
        (TABLE + f"{'K' * 65},,,LOST,,,\n", 4, "`code` has more than 64 bytes"),
        (TABLE + "K1,,,LOST,,,,x\n", 4, "There are 8 values for 7 columns"),
        (
            TABLE + "K1,,,ARRIVE,,,\n",
            4,
            "`event` is `ARRIVE`, no canonical event; the nearest one is ARRIVED",
        ),
        (TABLE + "K1,,,UNMAPPED,,,\n", 4, "`event` is `UNMAPPED`"),
        (TABLE + "K1,,,UNSPECIFIED,,,\n", 4, "`event` is `UNSPECIFIED`"),
        (TABLE + "K1,,,LOST,,sideways,\n", 4, "it is one of both, in, out"),
        (TABLE + "K1,,,LOST,,,luck\n", 4, "it is one of reason, action, retention-reason"),
        (TABLE + "K1,,,HELD,reason,,\n", 4, "it reads name=value"),
        (TABLE + "K1,,,HELD,reason=RAIN,,\n", 4, "`reason` is `RAIN`"),
        (TABLE + "K1,,,HELD,reason=UNSPECIFIED,,\n", 4, "`reason` is `UNSPECIFIED`"),
        (TABLE + "K1,,,HELD,containment=IN,,\n", 4, "`with` has `containment=IN`"),
        (TABLE + "K1,,,HELD,facility_role=depot,,\n", 4, "`with` has `facility_role=depot`"),
        (TABLE + "K1,,weather=bad,HELD,,,\n", 4, "`when` names `weather`"),
        (TABLE + "K1,,,LOST,,,\nK1,,,HELD,,,\n", 5, "would map to two events"),
        (TABLE + "K1,,,LOST,,,\nk1 ,5,,HELD,,,\n", 5, "line 4 takes"),
        (TABLE + "K1,5,,LOST,,,\nK1,5,,HELD,,,\nK1,,,INFO,,,\n", 5, "line 4 takes"),
        (
            TABLE + "K1,,text=box,LOST,,,\nK1,,text=po box,HELD,,,\nK1,,,INFO,,,\n",
            5,
            "line 4 takes",
        ),
        (TABLE + "K1,5,,LOST,,,\n", 4, "maps to nothing where no condition holds"),
        (TABLE + "K1,,,LOST,,out,\n", 4, "maps to nothing when it comes in"),
        (TABLE + "K1,,,LOST,,,\nK2,,,LOST,,,\n", 5, "has a code in line 4"),
        (HEAD + '"code,event\nK1,LOST\n', 3, "This is no CSV"),
        (b"# code-system: acme\n# version: \xff\n", 2, "not UTF-8"),
        (b"x" * (FILE_BYTES_MAX + 1), 1, "and may have 1,048,576"),
    ],
)
def test_a_fault_names_its_line_and_its_reason(text: str | bytes, line: int, reason: str) -> None:
    """Whatever is wrong with a file, a person finds it there."""
    assert [at for at, message in faults_of(text) if reason in message] == [line]


def test_all_faults_are_told_at_once() -> None:
    """In the order of the lines, so that a file is mended in one go."""
    text = TABLE + "K1,,,GONE,,,\nK2,,,LOST,,,\n,,,LOST,,,\n"

    assert [line for line, _ in faults_of(text)] == [4, 6]


def test_zeros_make_one_code_of_two() -> None:
    """A file that says that they do not matter cannot map 06 and 6 to two events."""
    text = HEAD + "# leading-zeros: ignored\ncode,event\n06,LOST\n6,HELD\n"

    assert [line for line, _ in faults_of(text)] == [6]
    assert not faults_of(text.replace("# leading-zeros: ignored", "# one aside"))


def test_a_condition_chooses_a_row() -> None:
    """Reason, action, text, attributes and fields of the event; the first row that holds stands."""
    mapping = mapping_of(
        TABLE
        + "K1,5,,LOST,,,\n"
        + "K1,,containment=IN,CONTAINERED,,,\n"
        + "K1,,attribute.kind=X; text=held,HELD,,,\n"
        + "K1,,customs_direction=EXPORT,EXPORT_ARRIVED,,,\n"
        + "K1,,,INFO,,,\n"
    )
    scan = pb.ScanEvent(source_code="K1", source_text="Held there")
    seen = []
    for change in (
        lambda: None,
        lambda: setattr(scan, "customs_direction", pb.CUSTOMS_DIRECTION_EXPORT),
        lambda: scan.attributes.add(name="kind", value="X"),
        lambda: setattr(scan.containment, "direction", pb.CONTAINMENT_DIRECTION_IN),
        lambda: setattr(scan, "source_reason_code", "5"),
    ):
        change()
        row = mapping.inwards(scan)
        assert row
        seen.append(row.line)

    assert seen == [8, 7, 6, 5, 4]


class TestFolder:
    def test_a_faulty_file_is_refused_by_name_and_line(self, tmp_path: Path) -> None:
        """A process does not start with it: half a mapping would be worse than none."""
        (tmp_path / "acme.csv").write_text(TABLE + "K1,,,GONE,,,\nK2,,,GONE,,,\n")

        with pytest.raises(Refused, match=r"acme\.csv cannot be used: line 4: .*and 1 more"):
            load_mappings(tmp_path)

    def test_two_files_of_one_system_are_refused(self, tmp_path: Path) -> None:
        """Which of them stands would be a guess; names that they also have count."""
        (tmp_path / "a.csv").write_text(TABLE + "K1,,,LOST,,,\n")
        (tmp_path / "b.csv").write_text(
            (TABLE + "K1,,,HELD,,,\n").replace("acme\n", "bcme\n# also: acme\n")
        )

        with pytest.raises(Refused, match=r"`acme`: b\.csv and a\.csv"):
            load_mappings(tmp_path)

    def test_other_files_are_passed_over(self, tmp_path: Path) -> None:
        """Notes and copies that an editor leaves do no harm."""
        (tmp_path / "README").write_text("ours")
        (tmp_path / "acme.csv~").write_text("old")
        (tmp_path / "acme.CSV").write_text(TABLE + "K1,,,LOST,,,\n")

        assert load_mappings(tmp_path).knows("ACME")

    def test_a_folder_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        """A typing error does not read as: no mappings."""
        with pytest.raises(Refused, match="cannot be read from"):
            load_mappings(tmp_path / "none")

    def test_a_wrong_folder_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """More files than any ledger has partners are not read."""
        assert FILES_MAX >= 100
        monkeypatch.setattr("ledger.vocabulary.mappings.FILES_MAX", 1)
        for name in "ab":
            (tmp_path / f"{name}.csv").write_text("")

        with pytest.raises(Refused, match="has 2 files"):
            load_mappings(tmp_path)


CELLS = st.one_of(
    st.sampled_from(
        ["", "K1", "K2", "LOST", "HELD", "reason=REFUSED", "text=x", "in", "out", "reason", "5"]
    ),
    st.text(max_size=10),
)


@given(
    columns=st.lists(st.sampled_from(COLUMNS), max_size=9),
    rows=st.lists(st.lists(CELLS, max_size=9), max_size=6),
)
def test_no_file_is_both_good_and_ambiguous(columns: list[str], rows: list[list[str]]) -> None:
    """Whatever stands in a file: it has faults, each with a line in it; or every pair of it comes
    back as it went.
    """
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    text = HEAD + "\n".join(lines)
    found = check_mapping(text.encode("utf-8", "surrogatepass"))

    if not isinstance(found, Mapping):
        assert found
        assert all(1 <= fault.line <= len(text.splitlines()) + 1 for fault in found)
        return
    for row in found.rows:
        assert row.way is Way.IN or found.outwards(row.meaning) is row


def test_a_system_may_have_been_sent_by_any_name(tmp_path: Path) -> None:
    """Records never change, so a name that no file would choose can be explained too."""
    text = HEAD + "# also: Acme & Söhne; GmbH, ACME_2\ncode,event\nK1,LOST\n"
    (tmp_path / "acme.csv").write_text(text, "utf-8")
    mappings = load_mappings(tmp_path)

    assert all(map(mappings.knows, ["acme & söhne; gmbh", "ACME & SÖHNE; GMBH ", "acme_2"]))


def test_a_code_may_begin_with_a_hash() -> None:
    """Only a hash and a blank make an aside of a row: no code is left out in silence."""
    mapping = mapping_of(HEAD + "code,event\n#1,LOST\n# 2,HELD\n")

    assert [row.code for row in mapping.rows] == ["#1"]
