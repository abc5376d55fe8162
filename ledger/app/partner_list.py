"""A partner's list as scans: each row becomes the event that its format says. Pure.

The event's id is made from what the partner says of it, in the partner's own writing: a list that
is sent twice, or comes with older rows again, changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ledger.app.event_fields import SOURCE_NAME, make_event
from ledger.app.lines import Line, line_event_id
from ledger.app.partner_format import TIME, PartnerFormat
from ledger.app.partner_time import put_scan_time
from ledger.errors import Refused
from ledger.event import EVENT_ID_BYTES
from ledger.facilities import Directory
from ledger.v1.scan_event_pb2 import ScanEvent

JOINED_BY: Final = " "
"""What stands between the columns of one field: a date and a time, for example."""


class PartnerList:
    """Makes events of a partner's rows.

    Attributes:
        format: how they are written.
    """

    def __init__(self, partner_format: PartnerFormat, facilities: Directory) -> None:
        """`facilities` give local times their zones."""
        self.format = partner_format
        self._facilities = facilities

    def event_of(self, row: Mapping[str, str]) -> ScanEvent:
        """Make the event of a row. Raises Refused, with the field and its column."""
        texts = self._texts(row)
        try:
            return self._event(texts)
        except Refused as error:
            columns = ", ".join(self.format.columns.get(error.field, ()))
            at = f" (Column: {columns}.)" if columns else ""
            raise Refused(error.message + at, reason=error.reason, field=error.field) from None

    def source_of(self, row: Mapping[str, str]) -> str:
        """Say who saw the scan of a row; empty where the list does not."""
        return self._texts(row).get(SOURCE_NAME, self.format.source)

    def in_columns(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Give lines of JSON as lines of a table with the columns that are read."""
        for line in lines:
            if line.problem:
                yield line
            else:
                cells = [line.values.get(name, "") for name in self.format.names]
                yield line._replace(original=[" ".join(cell.splitlines()) for cell in cells])

    def _event(self, texts: Mapping[str, str]) -> ScanEvent:
        if TIME not in texts:
            raise Refused("The row has no time.", reason="REQUIRED", field=TIME)
        values = {name: text for name, text in texts.items() if name != TIME}
        event = make_event({**self.format.always, **values}, raw_is_text=True)
        put_scan_time(event, texts[TIME], self.format.time, self._facilities)
        event.event_id = self._event_id(event, texts)
        return event

    def _texts(self, row: Mapping[str, str]) -> Mapping[str, str]:
        """Give the texts of the fields that a row has."""
        texts = {}
        for name, columns in self.format.columns.items():
            parts = [row.get(column, "").strip() for column in columns]
            if any(parts):
                texts[name] = JOINED_BY.join(filter(None, parts))
        return texts

    def _event_id(self, event: ScanEvent, texts: Mapping[str, str]) -> bytes:
        if self.format.identity:
            return line_event_id({name: texts.get(name, "") for name in self.format.identity})
        if not event.source_event_id:
            raise Refused(
                "The row has no id of the partner's.", reason="REQUIRED", field="source_event_id"
            )
        parts = [event.code_system, event.source_event_id]
        if self.format.several_items:
            parts.append(event.tracking_number)
        return hashlib.sha256("\0".join(parts).encode()).digest()[:EVENT_ID_BYTES]
