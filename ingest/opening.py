"""The rules of `open` and of what sources say of themselves. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.admission import check_source
from ingest.limits import FIELD_BYTES_EXACT, FIELD_BYTES_MAX, FIELD_COUNT_MAX
from ledger.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.v1.ingest_service_pb2 import Open, SourceProgress


def check_open(message: Open) -> None:
    """Raise Refused for a first message that breaks a rule."""
    for name in ("client", "version"):
        size, most = len(getattr(message, name).encode()), FIELD_BYTES_MAX[f"Open.{name}"]
        if not 1 <= size <= most:
            raise Refused(
                f"open.{name} has {size} bytes; 1 to {most} are taken.",
                reason="OPEN_MALFORMED",
                field=f"open.{name}",
            )
    check_sources(message.sources, "open.sources")


def check_sources(sources: Sequence[SourceProgress], field: str) -> None:
    """Raise Refused for a list of sources that breaks a rule."""
    most = FIELD_COUNT_MAX["Open.sources"]
    if len(sources) > most:
        raise Refused(
            f"{field} has {len(sources)} elements; at most {most} are taken.",
            reason="TOO_MANY_SOURCES",
            field=field,
        )
    wanted = FIELD_BYTES_EXACT["SourceProgress.spool_id"]
    for index, source in enumerate(sources):
        check_source(source.source_id, f"{field}[{index}].source_id")
        if len(source.spool_id) != wanted:
            raise Refused(
                f"{field}[{index}].spool_id has {len(source.spool_id)} bytes; it must have "
                f"{wanted}.",
                reason="SPOOL_ID_LENGTH",
                field=f"{field}[{index}].spool_id",
            )
