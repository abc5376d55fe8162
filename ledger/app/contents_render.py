"""What lies in a container, as a person reads it. Pure: messages in, a table and a line out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from ledger.app.place_render import Known, local_time, place_of
from ledger.app.render import printable
from ledger.v1.item_service_pb2 import ContainedItem, ListContentsResponse
from ledger.v1.trail_service_pb2 import LookupStatus


def contents_title(number: str, whole: ListContentsResponse) -> str:
    """Say how much lies in it, and when."""
    shown = printable(", ".join(whole.tracking_keys) or number)
    when = datetime.fromtimestamp(whole.answer_time.seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if whole.status == LookupStatus.LOOKUP_STATUS_NOT_YET_SEEN:
        return f"Nothing has been recorded for {shown}."
    if not whole.items:
        return f"{shown}  nothing lies in it at {when}, as far as anybody scanned."
    if len(whole.items) == 1:
        return f"{shown}  1 item lies in it at {when}.\n"
    return f"{shown}  {len(whole.items):,} items lie in it at {when}, by when they were put in.\n"


def contents_table(items: Iterable[ContainedItem], known: Known) -> Table:
    """Give items as a table, each with when and where it was put in, and by which device."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("item", "put in, local time"):
        table.add_column(name, no_wrap=True)
    for name in ("where", "device", "source"):
        table.add_column(name, overflow="fold")
    for one in items:
        event = one.put_in.event
        cells = (
            one.tracking_key,
            local_time(event, known),
            place_of(event, known),
            event.device,
            one.put_in.source_id,
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
