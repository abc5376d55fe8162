"""All mappings of a process: those that are built in, and a folder of partners' own before them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.errors import Refused
from ledger.vocabulary.file import FILE_BYTES_MAX, read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ledger.v1.scan_event_pb2 import ScanEvent
    from ledger.vocabulary.mapping import Mapping, Meaning, Row

BUILT_IN: Final = (
    *("upu-emsevt-3", "usps", "usps-category", "ups", "fedex", "dhl"),
    *("aftership", "easypost", "17track", "shippo", "shipengine", "karrio", "cbv"),
)
"""The code systems with a mapping of ours."""

FILES_MAX: Final = 1_000
"""Most files in a folder: more is the wrong folder."""


class Mapped(NamedTuple):
    """The row that explains a code, and the mapping that it stands in."""

    mapping: Mapping
    row: Row


class Mappings:
    """Finds the mapping of a code system, by any of its names in any case."""

    def __init__(self, mappings: Iterable[Mapping]) -> None:
        """Of one system's mappings the earlier ones are asked first."""
        self.all: Sequence[Mapping] = tuple(mappings)
        self._of: dict[str, list[Mapping]] = {}
        for mapping in self.all:
            for name in (mapping.system, *mapping.also):
                self._of.setdefault(name, []).append(mapping)
        self._silent = frozenset(
            (name, code) for name, asked in self._of.items() for code in asked[0].silent_codes
        )

    def knows(self, system: str) -> bool:
        """Whether there is any mapping of a code system."""
        return bool(self._find(system))

    def system_of(self, name: str) -> str:
        """Give the one name that answers have for a code system; empty where it has no mapping."""
        found = self._find(name)
        return found[0].system if found else ""

    def is_silent(self, event: ScanEvent) -> bool:
        """Whether it is known at a glance that the code of an event says nothing beside a type and
        needs nothing: as most do, written as they mostly are.
        """
        return (event.code_system, event.source_code) in self._silent

    def inwards(self, event: ScanEvent) -> Mapped | None:
        """Explain the code of an event; None where no mapping does."""
        for mapping in self._find(event.code_system):
            row = mapping.inwards(event)
            if row is not None:
                return Mapped(mapping, row)
        return None

    def outwards(self, system: str, meaning: Meaning) -> Mapped | None:
        """Say an event in the codes of a system; None where it has none."""
        for mapping in self._find(system):
            row = mapping.outwards(meaning)
            if row is not None:
                return Mapped(mapping, row)
        return None

    def _find(self, system: str) -> Sequence[Mapping]:
        found = self._of.get(system)
        return found if found is not None else self._of.get(system.strip().lower(), ())


@cache
def built_in() -> Mappings:
    """Give the mappings of ours. A fault in one of them is an error of this program."""
    folder = files("ledger.vocabulary") / "data"
    names = [f"{system}.csv" for system in BUILT_IN]
    return Mappings(read_mapping((folder / name).read_bytes(), name) for name in names)


def load_mappings(folder: Path | None) -> Mappings:
    """Give our mappings, and before them the partners' own of a folder: its files `*.csv`.

    Raises Refused, with file, line and reason, where one cannot be used or two are of one system.
    """
    if folder is None:
        return built_in()
    own: dict[str, tuple[str, Mapping]] = {}
    for path in _files_of(folder):
        mapping = _read(path)
        for name in (mapping.system, *mapping.also):
            if name in own:
                raise Refused(
                    f"Two mappings in {folder} are of the code system `{name}`: {path.name} and "
                    f"{own[name][0]}. Make them one file.",
                    reason="MAPPING_TWICE",
                    field=path.name,
                )
            own[name] = (path.name, mapping)
    return Mappings([*dict.fromkeys(mapping for _, mapping in own.values()), *built_in().all])


def _files_of(folder: Path) -> Sequence[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv")
    except OSError as error:
        raise _unreadable(folder, error) from error
    if len(paths) > FILES_MAX:
        raise Refused(
            f"The folder of mappings {folder} has {len(paths):,} files, and may have "
            f"{FILES_MAX:,}.",
            reason="TOO_MANY_MAPPINGS",
        )
    return paths


def _read(path: Path) -> Mapping:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    return read_mapping(data, str(path))


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"Mappings cannot be read from {path}: {error.strerror}.", reason="MAPPING_UNREADABLE"
    )
