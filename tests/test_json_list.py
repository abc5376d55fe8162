"""Lists in JSON documents: every record once, with its line and with what stands around it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.app.json_list import read_json_list
from ledger.errors import Refused

if TYPE_CHECKING:
    from ledger.app.lines import Line


def read(text: str, way: str = "") -> list[Line]:
    """Read a document."""
    return list(read_json_list(io.StringIO(text), way.split(".") if way else []))


def test_records_have_their_lines_and_what_is_around() -> None:
    """Also what stands behind the list, and in objects beside it; lists beside it are left out."""
    text = """{"day": 7,
 "shipments": [
  {"no": "A",
   "events": [
    {"code": 1, "at": {"x": true}},
    {"code": 2.50, "none": null}],
   "to": {"city": "Köln"}, "notes": ["x"]},
  {"no": "B", "events": []},
  {"no": "C"},
  {"no": "D", "events": [{"code": 4}]}
 ], "by": "acme"}"""

    lines = read(text, "shipments.events")

    assert [line.number for line in lines] == [5, 6, 10]
    assert lines[0].values == {
        "$.day": "7",
        "$.by": "acme",
        "$.shipments.no": "A",
        "$.shipments.to.city": "Köln",
        "code": "1",
        "at.x": "true",
    }
    assert lines[1].values["code"] == "2.50"
    assert "none" not in lines[1].values
    assert lines[2].values["$.shipments.no"] == "D"


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ('[{"a": "1"}, {"a": "2"}]', ""),
        ('{"x": {"y": [{"a": "1"}, {"a": "2"}]}}', "x.y"),
        ('{"x": [{"a": "1"}], "x": [{"a": "2"}]}', "x"),
        ('[[{"a": "1"}], [{"a": "2"}]]', "-"),
        ('\ufeff [ {"a": "1"} , {"a": "2"} ] \n', ""),
    ],
)
def test_a_list_may_lie_anywhere(text: str, way: str) -> None:
    """The document itself, or in objects in objects; with any spaces. Lists of lists are none."""
    if way == "-":
        assert [line.problem for line in read(text)] == ["it is no JSON object"] * 2
    else:
        assert [line.values["a"] for line in read(text, way)] == ["1", "2"]


def test_a_record_that_is_none_harms_no_other() -> None:
    """It is given out with its problem; so is one with text that is not UTF-8, or nested too
    deep.
    """
    deep = '{"a":' * 12 + "1" + "}" * 12
    lines = read(f'[{{"a": "1"}},\n5,\n{{"a": "\udcff"}},\n{deep},\n{{"a": "2"}}]')

    assert [line.problem for line in lines] == [
        "",
        "it is no JSON object",
        "it is not UTF-8",
        "it is nested deeper than 8",
        "",
    ]
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    assert lines[1].original == ["5"]


@pytest.mark.parametrize(
    ("text", "way", "words"),
    [
        ("", "", "no JSON: line 1"),
        ('[{"a": 1},\n {"a" 2}]', "", "no JSON: line 2, character 7"),
        ("[] []", "", "line 1: something stands behind its end"),
        ("{}", "", "has no list `\\$`"),
        ('{"shipment": []}', "shipments", "has no list `shipments`"),
        ('{"shipments": null}', "shipments", "has no list"),
        ('[{"no": "A"}]', "events", "has no list `events`"),
        ('{"shipments": [{"no": "A"}]}', "shipments.events", "has no list `shipments.events`"),
        ("[" * 100_000, "", "nested too deep|no JSON"),
    ],
)
def test_a_document_without_the_list_is_refused(text: str, way: str, words: str) -> None:
    """As a whole, before its first record: a wrong way is no empty list."""
    with pytest.raises(Refused, match=words):
        read_json_list(io.StringIO(text), way.split(".") if way else [])


def test_what_cannot_be_read_around_a_record_is_its_problem() -> None:
    """Its own records are refused, and those beside it are read."""
    text = '{"sets": [{"no": "\udcff", "list": [{"a": 1}]}, {"no": "B", "list": [{"a": 2}]}]}'

    first, second = read(text, "sets.list")

    assert first.problem == "around it, $.sets.no: it is not UTF-8"
    assert second.values == {"$.sets.no": "B", "a": "2"}


def test_an_empty_list_has_no_records() -> None:
    """A night without events is no fault, nor one without shipments."""
    assert read('{"shipments": []}', "shipments") == []
    assert read('{"shipments": []}', "shipments.events") == []
    assert read("[]", "events") == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)


@given(st.lists(RECORDS, min_size=1, max_size=3), VALUES, st.sampled_from([None, 0, 2]))
def test_every_record_is_read_once_in_its_order(
    lists: list[list[dict[str, Any]]], beside: object, indent: int | None
) -> None:
    """Whatever stands in it and around it: as many as there are, each on the line it begins on."""
    marked = [
        [{**record, "#": f"{i}-{j}"} for j, record in enumerate(one)] for i, one in enumerate(lists)
    ]
    document = {"before": beside, "sets": [{"list": one, "after": beside} for one in marked]}
    text = json.dumps(document, indent=indent)

    lines = read(text, "sets.list")

    assert [line.values.get("#") for line in lines if not line.problem] == [
        record["#"] for one in marked for record in one
    ]
    for line in lines:
        marks = [part for part in text.splitlines()[line.number - 1 :] if '"#"' in part]
        assert f'"#": "{line.values["#"]}"' in marks[0]
