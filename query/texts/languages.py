"""The languages of a process: those that are built in, and a folder of the operator's own over
them.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from ledger.errors import Refused
from query.texts.checks import missing, unlike
from query.texts.file import FILE_BYTES_MAX, Fault, read_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from query.texts.file import Key
    from query.texts.template import Template

BUILT_IN: Final = ("en", "de", "es")
"""Languages with a file of ours, English first."""

ENGLISH: Final = "en"
"""What is said where a language is asked for that nobody wrote."""

SUFFIX: Final = ".ini"

FILES_MAX: Final = 200
"""Most files in a folder: there are fewer languages with a post of their own."""

TAG_BYTES_MAX: Final = 35
"""Most bytes of a language tag: RFC 5646 asks for as much."""

_TAG: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Language:
    """One language: says every text."""

    def __init__(self, tag: str, templates: Mapping[Key, Template]) -> None:
        """`templates` are all that are needed."""
        self.tag = tag
        self._templates = templates
        self.months: Sequence[str] = [
            month.strip() for month in self.say("language", "months").split(",")
        ]

    @property
    def name(self) -> str:
        """What its speakers call it."""
        return self.say("language", "name")

    @property
    def templates(self) -> Mapping[Key, Template]:
        """All texts."""
        return self._templates

    def say(self, section: str, name: str, **values: str) -> str:
        """Say a text, with what is known."""
        return self._templates[section, name].fill(values)

    def fill(self, section: str, name: str, values: Mapping[str, str]) -> str:
        """Say a text, with what is known in a mapping."""
        return self._templates[section, name].fill(values)


class Languages:
    """Finds the language that somebody asks for."""

    def __init__(self, languages: Mapping[str, Language]) -> None:
        """`languages` by their tags; English is among them."""
        self._by_tag = {tag.lower(): one for tag, one in languages.items()}

    @property
    def all(self) -> Sequence[Language]:
        """All languages, by their tags."""
        return [self._by_tag[tag] for tag in sorted(self._by_tag)]

    def choose(self, wanted: str) -> Language:
        """Give the language of a tag such as `de-AT`, else the one that it is a kind of, else
        English.
        """
        tag = wanted.strip().replace("_", "-").lower()
        while tag:
            if tag in self._by_tag:
                return self._by_tag[tag]
            tag = tag.rpartition("-")[0]
        return self._by_tag[ENGLISH]


def check_language(data: bytes, tag: str) -> Sequence[Fault]:
    """Give all that is wrong with the file of a language, by line. The file of one that is built
    in, or is a kind of one, has only what it says in other words; another one has to be whole.
    """
    return _check(data, tag, whole=not _base(tag))


def check_whole(data: bytes, tag: str) -> Sequence[Fault]:
    """Give all that is wrong with a file that has to be whole: one of ours."""
    return _check(data, tag, whole=True)


def _check(data: bytes, tag: str, *, whole: bool) -> Sequence[Fault]:
    sheet, faults = read_sheet(data)
    found = list(faults)
    if sheet.sections or not faults:  # Else it could not be read at all, and that is said.
        lines = {fault.line for fault in faults}
        if tag != ENGLISH:
            # A line with a fault of its own is mended first.
            found += (one for one in unlike(sheet, _built_in(ENGLISH)) if one.line not in lines)
        if whole:
            found += missing(sheet)
    return sorted(found)


@cache
def built_in() -> Languages:
    """Give the languages of ours."""
    return Languages({tag: Language(tag, _built_in(tag)) for tag in BUILT_IN})


def built_in_file(tag: str) -> bytes:
    """Give the file of a language of ours."""
    return (files("query.texts") / "data" / f"{tag}{SUFFIX}").read_bytes()


def load_languages(folder: Path | None) -> Languages:
    """Give our languages, and over them the operator's own of a folder: its files `de.ini`.

    Raises Refused, with file, line and reason, where one cannot be used.
    """
    languages = {tag: Language(tag, _built_in(tag)) for tag in BUILT_IN}
    if folder is not None:
        for path in own_files(folder):
            tag = path.stem
            languages[tag] = Language(tag, {**_base(tag), **_own(path)})
    return Languages(languages)


@cache
def _built_in(tag: str) -> Mapping[Key, Template]:
    """Read a file of ours. A fault in it is an error of this program."""
    sheet, faults = read_sheet(built_in_file(tag))
    assert not faults, faults[0]
    return sheet.templates


def _base(tag: str) -> Mapping[Key, Template]:
    """Give the texts of ours that a file stands over; none where it stands alone."""
    parent = tag.lower()
    while parent:
        if parent in BUILT_IN:
            return _built_in(parent)
        parent = parent.rpartition("-")[0]
    return {}


def _own(path: Path) -> Mapping[Key, Template]:
    if not is_tag(path.stem):
        raise Refused(
            f"{path} is no file of a language: its name is a language tag, such as de.ini or "
            f"pt-BR.ini.",
            reason="TEXTS_FAULTY",
            field=path.name,
        )
    try:
        with path.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    faults = check_language(data, path.stem)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Refused(
            f"The texts {path} cannot be used: line {faults[0].line}: {faults[0].message}{more} "
            f"`parcel-ledger texts check` shows all.",
            reason="TEXTS_FAULTY",
            field=path.name,
        )
    return read_sheet(data)[0].templates


def is_tag(text: str) -> bool:
    """Whether a text is a language tag."""
    return len(text.encode()) <= TAG_BYTES_MAX and bool(_TAG.fullmatch(text))


def own_files(folder: Path) -> Sequence[Path]:
    """Give the files of a folder of texts. Raises Refused where it cannot be read."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == SUFFIX)
    except OSError as error:
        raise _unreadable(folder, error) from error
    if len(paths) > FILES_MAX:
        raise Refused(
            f"The folder of texts {folder} has {len(paths):,} files, and may have {FILES_MAX:,}.",
            reason="TOO_MANY_TEXTS",
        )
    return paths


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"Texts cannot be read from {path}: {error.strerror}.", reason="TEXTS_UNREADABLE"
    )
