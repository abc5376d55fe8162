"""Keys are grouped by the nodes that have them, as the driver would find them one by one."""

import os
from collections import defaultdict
from uuid import UUID

import pytest
from cassandra.connection import DefaultEndPoint
from cassandra.metadata import KeyspaceMetadata, Metadata
from cassandra.policies import SimpleConvictionPolicy
from cassandra.pool import Host

from ledger.backends.cassandra_ring import Groups, Ring

KEYS = [os.urandom(1 + n % 40) for n in range(2_000)]


def metadata_of(nodes: int, replication: int, *, tokens: int = 4) -> Metadata:
    """What the driver knows of a cluster of so many nodes."""
    metadata = Metadata()
    ring = {}
    for number in range(nodes):
        host = Host(
            DefaultEndPoint(f"10.0.0.{number}"), SimpleConvictionPolicy, host_id=UUID(int=number)
        )
        host.set_location_info("dc", "rack")
        metadata.add_or_return_host(host)
        step = (1 << 64) // (nodes * tokens)
        ring[host] = [str(-(1 << 63) + (number + t * nodes) * step) for t in range(tokens)]
    options = {"dc": str(replication)}
    metadata.keyspaces["k"] = KeyspaceMetadata("k", True, "NetworkTopologyStrategy", options)
    metadata.rebuild_token_map("org.apache.cassandra.dht.Murmur3Partitioner", ring)
    return metadata


def grouped(ring: Ring) -> set[frozenset[bytes]]:
    """The groups of KEYS."""
    groups: Groups[bytes] = {}
    for start in range(0, len(KEYS), 300):
        ring.add(KEYS[start : start + 300], bytes, groups)
    return {frozenset(group) for group in groups.values()}


def by_the_driver(metadata: Metadata) -> set[frozenset[bytes]]:
    """KEYS by what the driver says of each."""
    groups = defaultdict(set)
    for key in KEYS:
        groups[frozenset(metadata.get_replicas("k", key))].add(key)
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize(
    ("nodes", "replication"), [(1, 1), (3, 3), (3, 1), (4, 3), (6, 3), (12, 3)]
)
def test_groups_are_those_of_the_driver(nodes: int, replication: int) -> None:
    """For clusters of many shapes the keys of a group have exactly the same replicas."""
    metadata = metadata_of(nodes, replication)

    found = grouped(Ring(metadata, "k"))

    assert found == by_the_driver(metadata)
    assert (len(found) == 1) == (nodes == replication)


def test_a_ring_that_changes_is_seen() -> None:
    """When nodes join, the next groups are those of the new ring."""
    metadata = metadata_of(3, 3)
    ring = Ring(metadata, "k")
    assert len(grouped(ring)) == 1

    metadata.token_map = metadata_of(6, 3).token_map

    assert grouped(ring) == by_the_driver(metadata)


def test_a_ring_that_is_not_known_makes_one_group() -> None:
    """Before the driver knows nodes or keyspace, everything goes together."""
    empty, other = Metadata(), metadata_of(6, 3)
    del other.keyspaces["k"]

    for metadata in (empty, other):
        assert len(grouped(Ring(metadata, "k"))) == 1
