"""How a partner writes its event list: a TOML file says which column is which field of an event.

Codes stay the partner's own: a mapping explains them when a trail is read. What is wrong with a
format is said by its key, before anything is sent.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final, Literal

from ledger.app.event_fields import SOURCE_NAME, check_name, make_event
from ledger.app.exits import CommandFailed
from ledger.app.partner_time import TimeRule, has_hour
from ledger.errors import Refused
from ledger.facilities import zone_of

Kind = Literal["csv", "ndjson", "json"]

TIME: Final = "scan_time"

IDENTITY: Final = (
    *("tracking_number", TIME, "type", "source_code", "source_reason_code"),
    *("source_action_code", "facility"),
)
"""What makes an event another one, where the partner gives no ids and the format says nothing:
texts beside it may be worded anew in the next list.
"""

_KEYS: Final[Mapping[str, type]] = {
    "kind": str,
    "records": str,
    "source": str,
    "code_system": str,
    "identity": list,
    "several_items": bool,
    "columns": dict,
    "always": dict,
    "time": dict,
}
_KINDS: Final[Sequence[Kind]] = ("csv", "ndjson", "json")
_TIME_KEYS: Final = ("form", "zone", "otherwise")
_BY_TIME: Final = ("utc_offset_minutes", "utc_offset_source", "date_only", "event_id")
"""Fields that the rules for times and ids fill, and no column."""

_SAMPLE: Final = datetime(2026, 11, 25, 13, 42, 57, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerFormat:
    """How a list is written.

    Attributes:
        kind: what kind of file it is, where its name does not say CSV.
        records: the way to the list in a JSON document; empty where the document is the list.
        source: who saw the scans; empty where the command says it.
        columns: fields of an event, each with the columns that are joined to its text.
        always: fields of an event that are the same in each.
        identity: the fields by which an event is known; empty: by its `source_event_id`.
        several_items: whether one id of the partner's may concern several items.
        time: how times are read.
    """

    kind: Kind
    records: Sequence[str]
    source: str
    columns: Mapping[str, Sequence[str]]
    always: Mapping[str, str]
    identity: Sequence[str]
    several_items: bool
    time: TimeRule = field(default_factory=TimeRule)

    @property
    def names(self) -> Sequence[str]:
        """All columns that are read, each once."""
        return tuple(dict.fromkeys(name for names in self.columns.values() for name in names))

    def check_header(self, header: Sequence[str]) -> None:
        """Raise Refused where a CSV has not the columns that the format reads."""
        for name in self.names:
            if name not in header:
                near = difflib.get_close_matches(name, header, n=1, cutoff=0)[0]
                raise Refused(
                    f"The header has no column `{name}`, which the format reads; the nearest one "
                    f"is `{near}`.",
                    reason="REQUIRED",
                    field=name,
                )


def load_format(path: Path) -> PartnerFormat:
    """Read a format. Raises CommandFailed with the file, the key and what is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return _format(table)
    except OSError as error:
        raise CommandFailed(f"The format {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandFailed(f"The format {path} cannot be used: {error}.") from None
    except Refused as error:
        at = f"`{error.field}`: " if error.field else ""
        raise CommandFailed(f"The format {path} cannot be used: {at}{error.message}") from None


def _format(table: Mapping[str, Any]) -> PartnerFormat:
    _check_names("", table, _KEYS)
    for key, wanted in _KEYS.items():
        if key in table and not isinstance(table[key], wanted):
            raise _faulty(key, f"It is {table[key]!r}; {_WRITTEN[wanted]} is wanted.")
    kind = _kind(table)
    always = {
        name: _text(f"always.{name}", value) for name, value in table.get("always", {}).items()
    }
    columns = {
        name: _columns(f"columns.{name}", value) for name, value in table.get("columns", {}).items()
    }
    if "code_system" in table:
        always.setdefault("code_system", table["code_system"])
    always.setdefault("capture_method", "PARTNER_MESSAGE")
    if "type" not in columns:
        always.setdefault("type", "UNMAPPED")
    _check_fields(columns, always)
    several_items = table.get("several_items", False)
    return PartnerFormat(
        kind=kind,
        records=tuple(filter(None, table.get("records", "").split("."))),
        source=table.get("source", ""),
        columns=columns,
        always={name: value for name, value in always.items() if name not in columns},
        identity=_identity(table, columns),
        several_items=several_items,
        time=_time(table.get("time", {})),
    )


def _kind(table: Mapping[str, Any]) -> Kind:
    kind = table.get("kind", "")
    if kind not in _KINDS:
        raise _faulty("kind", f"It is `{kind}`; it is one of {', '.join(_KINDS)}.")
    if "records" in table and kind != "json":
        raise _faulty("records", "Only a JSON document has a way to its list.")
    found: Kind = kind
    return found


def _check_fields(columns: Mapping[str, Sequence[str]], always: Mapping[str, str]) -> None:
    """Check that every name is a field of an event, and that what an event needs is there."""
    for table, names in (("columns", columns), ("always", always)):
        for name in names:
            if name in _BY_TIME:
                raise _faulty(f"{table}.{name}", "The rules for times and ids fill this field.")
            try:
                check_name(name)
            except Refused as error:
                raise _faulty(f"{table}.{name}", error.message) from None
    try:
        make_event(always, raw_is_text=True)
    except Refused as error:
        raise _faulty(f"always.{error.field}", error.message) from None
    if SOURCE_NAME in always:
        raise _faulty("always.source", "It is no field of an event: `source` stands above.")
    needed = ["tracking_number", TIME]
    if always.get("type", "").upper().endswith("UNMAPPED"):
        needed.append("source_code")
        if "code_system" not in (columns.keys() | always.keys()):
            raise _faulty("code_system", "The source's codes need the name of their system.")
    for name in needed:
        if name not in columns:
            raise _faulty(f"columns.{name}", "Each event needs it, so a column has to have it.")
    for name in columns.keys() & always.keys() - {"code_system", "capture_method", "type"}:
        raise _faulty(f"always.{name}", "A column has it too.")


def _identity(table: Mapping[str, Any], columns: Mapping[str, object]) -> Sequence[str]:
    names = table.get("identity")
    if names is None:
        by_id = "source_event_id" in columns
        return () if by_id else tuple(name for name in IDENTITY if name in columns)
    for name in names:
        if name not in columns:
            raise _faulty("identity", f"`{name}` is no field that a column has.")
    if "tracking_number" not in names or TIME not in names:
        raise _faulty("identity", f"`tracking_number` and `{TIME}` belong to it.")
    return tuple(names)


def _time(table: Mapping[str, Any]) -> TimeRule:
    _check_names("time.", table, _TIME_KEYS)
    form = _text("time.form", table.get("form", ""))
    if form:
        _check_form(form)
    zone = _text("time.zone", table.get("zone", "facility"))
    otherwise = table.get("otherwise")
    return TimeRule(
        form,
        None if zone == "facility" else _zone("time.zone", zone),
        None if otherwise is None else _zone("time.otherwise", otherwise),
    )


def _check_form(form: str) -> None:
    """Check that a form says which date and which hour: a sample comes back as it went."""
    try:
        read = datetime.strptime(_SAMPLE.strftime(form), form)
    except ValueError as error:
        raise _faulty("time.form", f"`{form}` cannot be read: {error}.") from None
    if read.date() != _SAMPLE.date():
        raise _faulty("time.form", f"`{form}` does not say year, month and day.")
    if has_hour(form) and read.hour != _SAMPLE.hour:
        raise _faulty("time.form", f"`{form}` does not say which half of the day (%p).")
    if "%Z" in form:
        raise _faulty("time.form", "Names of zones (%Z) are not read; %z is an offset.")


def _zone(key: str, value: object) -> tzinfo:
    name = _text(key, value)
    if name.upper() == "UTC":
        return UTC
    try:
        return zone_of(name)
    except ValueError:
        raise _faulty(key, f"`{name}` is no time zone, such as Europe/Berlin or UTC.") from None


def _columns(key: str, value: object) -> Sequence[str]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise _faulty(key, "It is the name of a column, or a list of names that are joined.")
    return tuple(names)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise _faulty(key, f"It is {value!r}; text is wanted.")
    return value


def _check_names(prefix: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)[0]
            raise _faulty(prefix + key, f"There is no such key; the nearest one is `{near}`.")


def _faulty(key: str, message: str) -> Refused:
    return Refused(message, reason="FORMAT_FAULTY", field=key)


_WRITTEN: Final = {str: "text", list: "a list of names", bool: "true or false", dict: "a table"}
