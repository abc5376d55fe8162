"""The texts: every language says everything, of the same things, and faults are found by line."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.app.exits import DONE, FAILED, REFUSED
from ledger.errors import Refused
from ledger.v1.scan_event_pb2 import DeliveryMode, EventAction, EventReason, ScanEventType
from ledger.vocabulary import Milestone
from query.journey import Doubt, Flag, LegKind, Weakness
from query.texts import BUILT_IN, built_in, check_language, load_languages
from query.texts.file import read_sheet
from query.texts.keys import LABELS, NEEDED, SENTENCES, WHOLE
from query.texts.languages import built_in_file, check_whole
from query.texts.template import parse
from tests.shells import typed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import EnumDescriptor

ROOT = Path(__file__).parent.parent
# Words that are the same in two languages, or are no words.
ALIKE = {("language", "name"), ("language", "window"), ("language", "moment")}


def names(enum: EnumDescriptor, prefix: str) -> Iterable[str]:
    """Give the names of an enum of the wire, but for the one of zero."""
    return [value.name.removeprefix(prefix) for value in enum.values[1:]]


class TestEveryLanguage:
    @pytest.mark.parametrize("tag", BUILT_IN)
    def test_is_whole(self, tag: str) -> None:
        """No text is missing, none is too long, unknown or empty, and placeholders are those of
        English.
        """
        assert check_whole(built_in_file(tag), tag) == []

    def test_has_words_for_the_whole_vocabulary(self) -> None:
        """Every event, reason, milestone, leg, flag and doubt has all its texts: who adds one has
        to write its words too.
        """
        kinds = {
            "event": names(ScanEventType.DESCRIPTOR, "SCAN_EVENT_TYPE_"),
            "reason": names(EventReason.DESCRIPTOR, "EVENT_REASON_"),
            "status": [one.name for one in Milestone],
            "leg": list(LegKind),
            "flag": list(Flag),
            "doubt": list(Doubt),
        }
        for language in built_in().all:
            for kind, of_kind in kinds.items():
                for name in of_kind:
                    for text in WHOLE:
                        assert language.say(f"{kind} {name}", text), (language.tag, kind, name)
            for name in names(EventAction.DESCRIPTOR, "EVENT_ACTION_"):
                assert language.say(f"action {name}", "next")
            for name in names(DeliveryMode.DESCRIPTOR, "DELIVERY_MODE_"):
                assert language.say(f"mode {name}", "meaning")
            for one in Weakness:
                assert language.say(f"weakness {one}", "meaning")

    @pytest.mark.parametrize("tag", BUILT_IN)
    def test_reads_well_whatever_is_known(self, tag: str) -> None:
        """With nothing known and with all known: no bracket is left, no double space, no space
        before a full stop, and a sentence ends like one.
        """
        for (section, name), template in built_in().choose(tag).templates.items():
            slots = NEEDED[section, name]
            always = dict.fromkeys(slots.always, "X")
            for values in (always, {**always, **dict.fromkeys(slots.perhaps, "Y")}):
                said = template.fill(values)
                assert not re.search(r"[\[\]{}]|  | [.,;:]|\.\.|^ | $", said), (section, name, said)
            if name in {"meaning", "next", "do"} and section not in {"label", "language"}:
                assert template.fill({})[-1] in ".?!", (section, name)

    @pytest.mark.parametrize("tag", BUILT_IN[1:])
    def test_is_not_left_in_english(self, tag: str) -> None:
        """No text is the same as in English, but for those that have no words."""
        english = built_in().choose("en").templates
        for key, template in built_in().choose(tag).templates.items():
            same = template.source == english[key].source
            assert not same or key[1] == "ask" or key in ALIKE, (key, template.source)

    def test_nothing_is_written_that_nobody_says(self) -> None:
        """Every sentence and label is named by some code."""
        files = [*(ROOT / "query").rglob("*.py"), *(ROOT / "ledger/app").rglob("*.py")]
        code = "\n".join(path.read_text() for path in files if path != ROOT / "query/texts/keys.py")
        for name in (*SENTENCES, *LABELS):
            assert f'"{name}"' in code, name


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "line", "message"),
        [
            ("[event GONE]\nheadline = Gone\n", 1, "no section `event GONE`"),
            ("[event HELDD]\nheadline = Held\n", 1, "Is `event HELD` meant?"),
            ("\n[event HELD]\nheadlin = Held\n", 3, "Is `headline` meant?"),
            ("[event HELD]\nheadline =\n", 2, "`headline` is empty"),
            (f"[event HELD]\nheadline = {'x' * 81}\n", 2, "has 81 characters, and may have 80"),
            ("[event HELD]\nheadline = Held[: {place}\n", 2, "has no partner"),
            ("[event HELD]\nheadline = Held: {place}\n", 2, "put it into square brackets"),
            ("[event HELD]\nheadline = Held[: {where}]\n", 2, "which is not known here; there is"),
            ("[event HELD]\nheadline = Held [here]\n", 2, "names no placeholder"),
            ("[event HELD]\nheadline = Held {Place}\n", 2, "A placeholder reads {name}"),
            ("[event HELD]\nheadline = Held\n", 2, "lacks {place}, which the English text has"),
            (
                "[event HELD]\nnext = Goes on[ at {time}].\n",
                2,
                "{time}, which the English",
            ),
            ("[event HELD]\nask = aunt\n", 2, "it is one of carrier, sender"),
            ("[event HELD]\nask = sender\n", 2, "and `carrier` in English"),
            ("[language]\nmonths = a, b\n", 2, "has 2 names; there are 12"),
            ("[event HELD]\ndo = a\ndo = b\n", 3, "`do` is said twice"),
            ("[event HELD]\ndo = a\n[event HELD]\n", 3, "is there twice"),
            ("[event HELD]\ndo = a\n\nmore words\n", 4, "neither a section"),
            ("do = a\n", 1, "before the first section"),
            ("[event HELD]\n [ab]\n", 2, "goes on with a text, and there is none above"),
            ("[event HELD]\ndo = a\n\n  b\n", 4, "there is none above"),
            ("[event HELD]\ndo = a\n  do = x[\n", 2, "has no partner"),
        ],
    )
    def test_is_told_with_its_line(self, text: str, line: int, message: str) -> None:
        """An editor finds the place, and reads what to do there."""
        faults = check_language(text.encode(), "de")

        assert [fault.line for fault in faults] == [line]
        assert message in faults[0].message

    def test_what_is_missing_is_named(self) -> None:
        """A text that is gone from its section is told there, a section that is gone at the end."""
        text = built_in_file("de").decode()
        line = text.splitlines().index("[event HELD]") + 1
        without = re.sub(r"(?m)^(\[event HELD\]\nheadline = .*\n)meaning = .*\n", r"\1", text)
        without = re.sub(r"(?m)^\[leg RETURN\]\n(.+\n)+", "", without)
        faults = check_whole(without.encode(), "de")

        last = len(without.splitlines())
        assert [tuple(fault) for fault in faults] == [
            (line, "[event HELD] has no `meaning`."),
            (last, "The section [leg RETURN] is missing."),
        ]

    def test_bytes_that_are_no_text_are_a_fault(self) -> None:
        """Latin-1, as an old editor saves it, is told with its line; so is a file far too long."""
        faults = check_language(b"[event HELD]\ndo = \xfcber\n", "de")
        assert [fault.line for fault in faults] == [2]
        assert "save it as UTF-8" in faults[0].message
        assert "may have 1,048,576" in check_language(b" " * (1 << 20 | 1), "de")[0].message

    @given(st.text(st.sampled_from("[]{}=#\n abe:"), max_size=60))
    def test_no_file_breaks_the_reader(self, text: str) -> None:
        """Whatever is in a file, it is read or its faults are told, in lines that are there."""
        for head in ("", "[event HELD]\n"):
            data = (head + text).encode()
            for fault in check_language(data, "de"):
                assert 1 <= fault.line <= max(1, len((head + text).splitlines()))

    @pytest.mark.parametrize("tag", BUILT_IN)
    def test_the_standard_library_reads_the_same(self, tag: str) -> None:
        """A file is what others know as INI: programs that look after texts can read it."""
        parser = ConfigParser(
            delimiters="=", comment_prefixes="#", interpolation=None, empty_lines_in_values=False
        )
        parser.optionxform = str  # type: ignore[assignment,method-assign] # As they are written.
        parser.read_string(built_in_file(tag).decode())
        theirs = {
            (section, name): " ".join(text.split())
            for section in parser.sections()
            for name, text in parser.items(section)
        }
        ours = read_sheet(built_in_file(tag))[0].templates
        assert {key: template.source for key, template in ours.items()} == theirs

    def test_a_text_may_go_over_several_lines(self) -> None:
        """What is indented goes on with the line above, also where it looks like a bracket."""
        text = "[event HELD]\nheadline = Er\n  wartet\n  [: {place}]\nmeaning = So.\n"
        sheet, faults = read_sheet(text.encode())
        assert not faults
        assert sheet.texts["event HELD", "headline"].template.source == "Er wartet [: {place}]"
        assert sheet.texts["event HELD", "meaning"].line == 5


class TestPlaceholders:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({}, "Left."),
            ({"place": "Köln"}, "Left Köln."),
            ({"place": "Köln", "next": ""}, "Left Köln."),
            ({"place": "Köln", "next": "Bonn", "time": "noon"}, "Left Köln for Bonn at noon."),
            ({"next": "Bonn"}, "Left."),
            ({"place": "{time}", "time": "noon"}, "Left {time}."),
        ],
    )
    def test_what_is_not_known_is_left_out(self, values: dict[str, str], said: str) -> None:
        """With the words around it; and what is filled in is never read as a placeholder."""
        assert parse("Left[ {place}][ for {next} at {time}].").fill(values) == said

    @pytest.mark.parametrize(
        ("tag", "one", "other"),
        [("en", "1 hour", "2 hours"), ("de", "1 Stunde", "2 Stunden"), ("es", "1 hora", "2 horas")],
    )
    def test_one_is_not_many(self, tag: str, one: str, other: str) -> None:
        """Each unit has its singular and its plural."""
        language = built_in().choose(tag)
        assert language.say("unit", "hour_one", count="1") == one
        assert language.say("unit", "hour_other", count="2") == other


class TestAnOperatorsOwnFolder:
    def test_says_only_what_it_says_otherwise(self, tmp_path: Path) -> None:
        """The operator's telephone number is put into one place, and all else stays ours."""
        (tmp_path / "de.ini").write_text("[ask carrier]\nask = Telefon: 0800 123.\n")
        languages = load_languages(tmp_path)

        assert languages.choose("de").say("ask carrier", "ask") == "Telefon: 0800 123."
        ours = built_in().choose("de").say("event HELD", "headline")
        assert languages.choose("de").say("event HELD", "headline") == ours

    def test_a_kind_of_a_language_stands_over_it(self, tmp_path: Path) -> None:
        """de-AT has what Austrians say otherwise; who asks for de-CH gets de."""
        (tmp_path / "de-AT.ini").write_text("[event RETURNED]\nmeaning = Retour.\n")
        languages = load_languages(tmp_path)

        assert languages.choose("de_at").say("event RETURNED", "meaning") == "Retour."
        assert languages.choose("de-CH").tag == "de"
        assert languages.choose("de-AT").months[2] == "März"

    def test_a_new_language_has_to_be_whole(self, tmp_path: Path) -> None:
        """Nobody is answered in two languages at once."""
        file = tmp_path / "fr.ini"
        file.write_text("[event HELD]\nmeaning = Il attend.\n")
        with pytest.raises(Refused, match=r"fr\.ini cannot be used: line 1: .*and \d+ more"):
            load_languages(tmp_path)

        file.write_text("# nothing yet\n")
        with pytest.raises(Refused, match="is missing"):
            load_languages(tmp_path)
        file.write_bytes(built_in_file("es"))  # Whole, whatever it is.
        assert load_languages(tmp_path).choose("fr-CA").tag == "fr"

    @pytest.mark.parametrize("wanted", ["", "fr", "xx-YY", "e", "english"])
    def test_english_is_said_where_nobody_wrote_it(self, wanted: str) -> None:
        """The answer is one, in a language that is named."""
        assert built_in().choose(wanted).tag == "en"

    def test_what_is_no_language_is_refused(self, tmp_path: Path) -> None:
        """A file with another name, and a folder that is not there."""
        with pytest.raises(Refused, match="cannot be read"):
            load_languages(tmp_path / "none")
        (tmp_path / "deutsch texte.ini").touch()
        with pytest.raises(Refused, match="language tag"):
            load_languages(tmp_path)


class TestCommand:
    def test_ours_are_good(self) -> None:
        """Without a path the command tests what is built in."""
        said = typed("texts", "check")
        assert said.code == DONE
        assert said.answer.splitlines() == [f"{tag}.ini: good." for tag in BUILT_IN]

    def test_every_fault_is_one_line(self, tmp_path: Path) -> None:
        """File, line and reason, as an editor jumps to; also of a folder, and as JSON."""
        file = tmp_path / "de.ini"
        file.write_text("[event HELD]\nheadline = Wartet\nask = aunt\n")
        said = typed("texts", "check", tmp_path)

        assert said.code == REFUSED
        places = [line.split(": ")[0] for line in said.answer.splitlines()]
        assert places == [f"{file}:2", f"{file}:3"]
        document = json.loads(typed("texts", "check", file, "--json").answer)
        assert [fault["line"] for fault in document["faults"]] == [2, 3]

    def test_files_that_are_none_are_said(self, tmp_path: Path) -> None:
        """With exit code 2: nothing was tested."""
        assert typed("texts", "check", tmp_path / "de.ini").code == FAILED
        assert "language tag" in typed("texts", "check", tmp_path / "texts.txt").remark

    def test_a_new_language_begins_with_one_of_ours(self, tmp_path: Path) -> None:
        """`show` prints a file that is whole; `list` names it as soon as it is in the folder."""
        file = tmp_path / "pt-BR.ini"
        file.write_text(typed("texts", "show", "es").answer)
        assert typed("texts", "check", file).code == DONE

        said = typed("texts", "list", "--texts", tmp_path, "--json").answer
        assert [json.loads(line)["language"] for line in said.splitlines()] == [
            *("de", "en", "es", "pt-BR"),
        ]
        assert typed("texts", "show", "fr").code == FAILED
