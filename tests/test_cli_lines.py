"""Lines of files: what is read of each, what is wrong with a bad one, and the id of a line."""

import hashlib
import io

import pytest

from ledger.app.lines import DEPTH_MAX, LINE_CHARS_MAX, Line, line_event_id, open_csv, read_ndjson
from ledger.errors import Refused


def csv_lines(text: str) -> list[Line]:
    """Read a CSV."""
    return list(open_csv(io.StringIO(text, newline=""))[-1])


def ndjson_lines(text: str) -> list[Line]:
    """Read NDJSON."""
    return list(read_ndjson(io.StringIO(text, newline="\n")))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_comes_in_its_usual_forms(delimiter: str, newline: str) -> None:
    """Comma, semicolon or tab, with or without a byte order mark, quotes where they are needed."""
    rows = ["\ufefftracking_number, type ,place", 'RR1,SORTED,"A ""B"""', "", "RR2,,C"]
    text = newline.join(row.replace(",", delimiter) for row in rows)

    first, second = csv_lines(text)
    assert first == Line(
        2,
        {"tracking_number": "RR1", "type": "SORTED", "place": 'A "B"'},
        ["RR1", "SORTED", 'A "B"'],
    )
    assert second == Line(4, {"tracking_number": "RR2", "place": "C"}, ["RR2", "", "C"])


def test_a_bad_line_of_csv_harms_no_other() -> None:
    """Too few cells, too many, broken quotes, no UTF-8: each is said, with its line."""
    text = 'a,b\n1\n1,2,3\n"x"y,2\n\udcff,2\n1,2\n'

    lines = csv_lines(text)

    assert [line.number for line in lines] == [2, 3, 4, 5, 6]
    assert [bool(line.problem) for line in lines] == [True, True, True, True, False]
    assert [line.original for line in lines[:3]] == [["1"], ["1,2,3"], ['"x"y,2']]
    assert lines[3].problem == "it is not UTF-8"
    assert lines[-1].values == {"a": "1", "b": "2"}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at", [0, 1_500, 2_999])
@pytest.mark.parametrize("bad", ['"1,2', '1,"2', '1",2', '1,2"', '"1,""2'])
def test_a_stray_quote_takes_its_own_line_alone(bad: str, at: int, newline: str) -> None:
    """In the first line, a middle one and the last one: all others are read, and it stays as is."""
    rows = [f'{n},"x, ""{n}"""' for n in range(3_000)]
    rows[at] = bad

    lines = csv_lines(newline.join(["a,b", *rows]))

    assert [line.number for line in lines] == list(range(2, 3_002))
    assert [n for n, line in enumerate(lines) if line.problem] == [at]
    assert "double quotes" in lines[at].problem
    assert lines[at].original == [bad]
    for n, line in enumerate(lines):
        assert n == at or line.values == {"a": str(n), "b": f'x, "{n}"'}


def test_a_line_break_in_a_cell_is_said_and_neither_half_is_a_line() -> None:
    """Also the second half is refused, though it may have as many cells as the header."""
    first, second, good = csv_lines('a,b\n1,"x\ny",2\n3,4\n')

    assert "line break" in first.problem
    assert "line break" in second.problem
    assert (first.original, second.original) == (['1,"x'], ['y",2'])
    assert (good.number, good.values) == (4, {"a": "3", "b": "4"})


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "chars", [n * LINE_CHARS_MAX + more for n in (1, 2) for more in range(-1, 4)]
)
def test_a_line_of_csv_has_a_longest_length(chars: int, newline: str) -> None:
    """As long as it may be it is read; longer, it is refused and not kept whole. Both ends count
    as one, wherever a reading is cut.
    """
    lines = csv_lines(newline.join(["a,b", "x" * (chars - 2) + ",2", "3,4", ""]))

    assert [line.number for line in lines] == [2, 3]
    assert bool(lines[0].problem) == (chars > LINE_CHARS_MAX)
    assert len(lines[0].original[0]) <= LINE_CHARS_MAX + 1
    assert lines[1].values == {"a": "3", "b": "4"}


def test_an_endless_line_is_refused_at_the_end_of_the_file() -> None:
    """With an open quote in it, too."""
    [line] = csv_lines('a,b\n"' + "x" * 7 * LINE_CHARS_MAX)

    assert "longer than" in line.problem


@pytest.mark.parametrize(
    "text",
    [
        *("", "a,a\n", "a,,b\n", "\udcff,b\n", "\n", '"a,b\n1,2\n', 'a,"b\n', 'a",b\n'),
        "a," + "b" * LINE_CHARS_MAX + "\n",
    ],
)
def test_a_csv_without_a_header_is_refused(text: str) -> None:
    """Without names nothing can be read."""
    with pytest.raises(Refused, match="no CSV of scans"):
        csv_lines(text)


def test_a_file_of_refused_lines_can_be_sent_again() -> None:
    """The columns that say why are passed over, also for the id that is made from a line."""
    [line] = csv_lines("refused_line,refused_reason,tracking_number\n7,MALFORMED,RR1\n")

    assert line.values == {"tracking_number": "RR1"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_line_that_was_refused_twice_loses_its_old_reasons(delimiter: str) -> None:
    """What stood in the first file is the original, whatever its old reasons have in them."""
    bad = 'RR1,"A'.replace(",", delimiter)
    rows = [
        "refused_line,refused_reason,tracking_number,place".replace(",", delimiter),
        f'7{delimiter}"why, ""and; \tmore"""{delimiter}{bad}',
        f"7{delimiter}no more",
    ]

    known, short = csv_lines("\n".join(rows))

    assert known.original == [bad]
    assert short.original == [rows[2]]


def test_ndjson_is_flattened_and_numbers_stay_text() -> None:
    """Inner names are joined by dots; 1.50 stays 1.50; null and empty text are no values."""
    text = '{"a": {"b": 1.50, "c": [{"d": true}, {"d": false}]}, "e": null, "f": "", "g": 1e3}'

    [line] = ndjson_lines(f"\n{text}\n")

    values = {"a.b": "1.50", "a.c.0.d": "true", "a.c.1.d": "false", "g": "1e3"}
    assert line == Line(2, values, [text])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]", "no JSON object"),
        ("{", "no JSON: "),
        ('{"a": "\udcff"}', "not UTF-8"),
        ('{"a": "\\ud800"}', "not UTF-8"),
        ('{"a": ' * (DEPTH_MAX + 2) + "1" + "}" * (DEPTH_MAX + 2), "nested deeper"),
        ('{"a": ' + "[" * 20_000 + "]" * 20_000 + "}", "nested deeper"),
        ('"' + "x" * LINE_CHARS_MAX * 3 + '"', "longer than"),
    ],
)
def test_a_bad_line_of_ndjson_harms_no_other(text: str, problem: str) -> None:
    """Whatever stands in a line, the next one is read."""
    bad, good = ndjson_lines(f'{text}\n{{"a": "1"}}\n')

    assert problem in bad.problem
    assert (good.number, good.values) == (2, {"a": "1"})


def test_the_id_of_a_line_follows_its_written_rule() -> None:
    """SHA-256 over the rule's name and, by sorted name, NUL, name, =, value: 16 bytes of it."""
    written = b"parcel-ledger/line/1\0a=1\0b=2"

    assert line_event_id({"b": "2", "a": "1"}) == hashlib.sha256(written).digest()[:16]


def test_the_id_of_a_line_hangs_on_what_it_says_alone() -> None:
    """Columns in another order or without a value change no id; another value does."""
    [one] = csv_lines("tracking_number,facility\nRR1,A\n")
    [same] = csv_lines("facility;operator;tracking_number\nA;;RR1\n")
    [other] = csv_lines("tracking_number,facility\nRR1,B\n")

    assert line_event_id(one.values) == line_event_id(same.values) != line_event_id(other.values)
