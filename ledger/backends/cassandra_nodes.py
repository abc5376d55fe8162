"""What only each node itself can tell: its life, its commit log, and how large a batch may be.

A virtual table answers for the node that was asked, so each is asked by itself.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.cassandra_errors import Failure, Outcome, read_error
from ledger.backends.cassandra_session import Bound
from ledger.backends.cassandra_wire import encode_list
from ledger.errors import Busy, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cassandra.pool import Host
    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_session import Session

logger = logging.getLogger(__name__)

SETTLE_AT_LEAST_S: Final = 5.0
"""Shortest time after which something counts as settled, whatever the nodes say: clocks, and work
that was on its way when a commit log was synced, need some too.
"""

BATCH_BYTES_USUAL: Final = 50 << 10
"""Largest batch of a node that does not tell, and that is made: Cassandra's own default. A larger
one keeps its coordinator busy for long.
"""

_LIFE: Final = "SELECT host_id, gossip_generation FROM system.local WHERE key = 'local'"
_SCHEMA: Final = "SELECT schema_version FROM system.local WHERE key = 'local'"
_SETTINGS: Final = "SELECT name, value FROM system_views.settings WHERE name IN ?"
_NAMES: Final = (
    b"commitlog_sync",
    b"commitlog_sync_period",
    b"commitlog_sync_group_window",
    b"batch_size_fail_threshold",
)
_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_UNITS_BYTES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class _Told(NamedTuple):
    """What a node said of itself."""

    sync_s: float
    batch_bytes: int


class Nodes:
    """All nodes of the data centre. Each is asked for its settings once in each of its lives.

    Attributes:
        settle_after_s: twice the longest period in which a node syncs its commit log, of those ever
            seen; for a node that cannot be asked, the cluster's `commitlog_sync_s` counts.
        batch_bytes: the largest batch that all nodes take, at most BATCH_BYTES_USUAL.
    """

    def __init__(self, session: Session, life: PreparedStatement) -> None:
        """Use `of`."""
        self._session = session
        self._life = life
        self._usual = _Told(session.cluster.commitlog_sync_s, BATCH_BYTES_USUAL)
        self._lives: dict[str, str] = {}
        """By node: the life in which it was asked for its settings."""
        self._told: set[_Told] = set()
        self.settle_after_s = SETTLE_AT_LEAST_S
        self.batch_bytes = BATCH_BYTES_USUAL

    @classmethod
    async def of(cls, session: Session) -> Nodes:
        """Ask all nodes for the first time. Raises Busy where one is slow."""
        # Not repeatable: there is one node to ask, and it would be asked again and again.
        nodes = cls(session, await session.prepare(_LIFE, repeatable=False))
        await nodes.lives()
        return nodes

    async def lives(self) -> Mapping[str, str]:
        """Name those that can be reached, and the generation that each began its life with.

        Raises Busy where one neither answers nor is known to be away.
        """
        nodes = self._session.nodes()
        found = await asyncio.gather(*(self._life_of(node) for node in nodes))
        told = self._told | ({self._usual} if len(self._lives) < len(nodes) else set())
        self.settle_after_s = max(SETTLE_AT_LEAST_S, *(2 * one.sync_s for one in told))
        self.batch_bytes = min(BATCH_BYTES_USUAL, *(one.batch_bytes for one in told))
        return dict(one for one in found if one)

    async def agree(self) -> bool:
        """Look whether all of them answer, and know the same tables."""
        schema = await self._session.prepare(_SCHEMA, repeatable=False)
        asked = (
            self._session.read(schema, (), key=None, host=node) for node in self._session.nodes()
        )
        try:
            return len({str(rows) for rows in await asyncio.gather(*asked)}) == 1
        except Busy:
            return False

    async def _life_of(self, node: Host) -> tuple[str, str] | None:
        try:
            rows = await self._session.try_(Bound(self._life, (), None), host=node)
        except Failure as failure:
            if failure.outcome is Outcome.NOTHING and not failure.full:
                return None
            raise read_error(failure) from failure.error
        name, life = map(str, rows[0])
        if self._lives.get(name) != life:
            self._told.add(await self._ask(node))
            self._lives[name] = life
        return name, life

    async def _ask(self, node: Host) -> _Told:
        try:
            settings = await self._session.prepare(_SETTINGS, repeatable=False)
            names = encode_list(_NAMES)
            rows = await self._session.read(settings, (names,), key=None, host=node)
            values: dict[str, str] = dict(rows)
            return _Told(_sync_s(values), _bytes(values["batch_size_fail_threshold"]))
        except (Refused, LookupError, ValueError) as error:
            # We have no right to, or it is another version.
            logger.warning(
                "a node of Cassandra does not tell its settings",
                extra={
                    "node": str(node.endpoint),
                    "commitlog_sync_s": self._usual.sync_s,
                    "error": str(error),
                },
            )
            return self._usual


def _sync_s(values: Mapping[str, str]) -> float:
    """Tell how long a node may hold what it has acknowledged before it is synced."""
    match values["commitlog_sync"]:
        case "periodic":
            return _measure(values["commitlog_sync_period"], _UNITS_S)
        case "group":
            return _measure(values["commitlog_sync_group_window"], _UNITS_S)
        case "batch":
            return 0.0
        case other:
            raise ValueError(other)


def _bytes(text: str) -> int:
    return int(_measure(text, _UNITS_BYTES))


def _measure(text: str, units: Mapping[str, float]) -> float:
    """Read a number and its unit, as Cassandra writes them."""
    if not (found := re.fullmatch(r"(\d+)\s*(\S+)", text)) or found[2] not in units:
        raise ValueError(text)
    return int(found[1]) * units[found[2]]
