"""What went into a container and came out of it: rows of their own, under a key that no trail has.

A record of such an event gives a second row, the same bytes under its container's key. It says that
something was put in or taken out, never that it is still there: that an item's own trail says.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = b"\xff"
"""Before a container's tracking key. No UTF-8 begins with it, so no trail ever has such a key, and
in RocksDB the contents of all containers lie together, behind all trails.
"""


def contents_key(container_key: bytes) -> bytes:
    """Give the key under which the contents of a container lie, in the order of a trail."""
    return PREFIX + container_key


def container_of(key: bytes) -> bytes | None:
    """Give the container whose contents lie under a key; None where it is the key of a trail."""
    return key[1:] if key.startswith(PREFIX) else None
