"""Where the operator's service is taken: on loopback alone, until the ledger knows who speaks.

Beside a role's other services where those are on loopback too; else on an address of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import grpc

from ledger.app.operator.service import OPERATOR_SERVICE, OperatorService
from ledger.app.operator.upkeep import Kept
from ledger.app.rpc import RpcServer
from ledger.app.settings import Settings, is_loopback, split_address
from ledger.completeness.audit import Audit
from ledger.errors import Refused
from ledger.quarantine.desk import Desk
from ledger.quarantine.keeper import Keeper
from ledger.scan_log import ScanLog
from ledger.trail_store import TrailStore
from ledger.vocabulary import Mappings

logger = logging.getLogger(__name__)

STOP_S: Final = 1.0
"""How long answers that are on their way get when the process ends."""


def keeper_of(settings: Settings, scans: ScanLog, quarantine: ScanLog, store: TrailStore) -> Keeper:
    """Make what keeps a writer's rows, and quarantines what cannot be kept."""
    return Keeper(scans, quarantine, store, now_ns=time.time_ns, most=settings.quarantine_most)


class SideLogs(NamedTuple):
    """The logs beside `scans`."""

    receipts: ScanLog
    refusals: ScanLog
    quarantine: ScanLog


def operator_of(
    kept: Kept, beside: SideLogs, mappings: Mappings, *, audits: bool = True
) -> OperatorService:
    """Make the operator's service of a process that knows all logs and the store; `audits` is
    whether it counts what is missing also where nobody asks.
    """
    desk = Desk(kept.scans, beside.quarantine, kept.store, now_ns=time.time_ns)
    audit = Audit(
        kept.scans,
        beside.receipts,
        beside.refusals,
        desk,
        kept.store,
        now_ns=time.time_ns,
        monotonic=time.monotonic,
    )
    return OperatorService(
        desk,
        kept,
        audit,
        beside.refusals,
        mappings=mappings,
        audits=audits,
        now_ns=time.time_ns,
        monotonic=time.monotonic,
    )


def is_beside(settings: Settings) -> bool:
    """Whether the operator's service is taken where a role takes the rest."""
    if settings.operator_listen:
        return False
    beside = is_loopback(split_address("listen", settings.listen)[0])
    if not beside:
        logger.info("the operator's service is off: `operator_listen` says where it may be")
    return beside


@asynccontextmanager
async def operator_at(
    listen: str, handlers: Sequence[grpc.GenericRpcHandler]
) -> AsyncIterator[str]:
    """Serve on an address of its own; give the address that it became. An empty one is off.

    Raises Refused where others can reach the address, or it is not free.
    """
    if not listen or not handlers:
        yield ""
        return
    host, _ = split_address("operator_listen", listen)
    if not is_loopback(host):  # The settings have refused it already; nobody may forget it here.
        raise Refused(
            f"The operator's service does not listen on {listen}, which others can reach.",
            reason="OPERATOR_NOT_ON_LOOPBACK",
        )
    server = RpcServer(handlers, service_names=[OPERATOR_SERVICE])
    port = await server.start(listen)
    try:
        yield f"{listen.rpartition(':')[0]}:{port}"
    finally:
        await server.stop(STOP_S)
