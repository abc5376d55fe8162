"""Which keys have the same replicas: a bisect over the token ring, as the driver knows it.

Rows with the same replicas go in one batch, so that its coordinator has to pass none of them on. A
ring that has changed in between costs efficiency and nothing else: the coordinator passes them on.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, TypeVar

from cassandra.cmurmur3 import murmur3

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cassandra.metadata import Metadata

T = TypeVar("T")
Groups = dict[int, list[T]]
"""Things by their replicas; which number stands for which replicas has no meaning."""


class Ring:
    """The replicas of a keyspace."""

    def __init__(self, metadata: Metadata, keyspace: str) -> None:
        """`metadata` is what the driver knows of the cluster."""
        self._metadata = metadata
        self._keyspace = keyspace
        self._seen: object = None
        self._tokens: list[int] = []
        self._groups: list[int] = []
        self._is_parted = False

    def add(self, things: Sequence[T], key_of: Callable[[T], bytes], to: Groups[T]) -> None:
        """Add things to the groups of those whose keys have the same replicas, in their order."""
        self._refresh()
        if not self._is_parted:  # Every node has every row, or nothing is known.
            to.setdefault(0, []).extend(things)
            return
        tokens, group_of = self._tokens, self._groups
        for thing in things:
            # A token belongs to the first node at or behind it; behind the last comes the first.
            group = group_of[bisect_left(tokens, murmur3(key_of(thing)))]
            if group in to:
                to[group].append(thing)
            else:
                to[group] = [thing]

    def group_of(self, key: bytes) -> int:
        """Give the number of a key's replicas, as `add` knows it."""
        self._refresh()
        if not self._is_parted:
            return 0
        return self._groups[bisect_left(self._tokens, murmur3(key))]

    def _refresh(self) -> None:
        """Look again where nodes came, went or moved, or the keyspace was changed."""
        known = self._metadata.token_map
        if known is None:
            return
        if (replicas := known.tokens_to_hosts_by_ks.get(self._keyspace)) is None:
            known.rebuild_keyspace(self._keyspace, build_if_absent=True)
            replicas = known.tokens_to_hosts_by_ks.get(self._keyspace)
        if replicas is self._seen:
            return
        self._seen = replicas
        numbers: dict[frozenset[object], int] = {}
        ring = [token for token in known.ring if token in replicas] if replicas else []
        self._tokens = [token.value for token in ring]
        self._groups = [
            numbers.setdefault(frozenset(replicas[token]), len(numbers)) for token in ring
        ]
        self._groups += self._groups[:1]
        self._is_parted = len(numbers) > 1
