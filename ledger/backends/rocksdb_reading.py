"""Errors of reading: rocksdict raises plain exceptions, and an iterator that fails just ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger.errors import Diverged, LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rocksdict import RdictIter


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what RocksDB says while it reads into Diverged."""
    try:
        yield
    except LedgerError:
        raise
    except Exception as error:
        raise Diverged(
            f"{what} cannot be read: {error}. Restore the whole folder from a backup.",
            reason="DATABASE_DAMAGED",
        ) from error


def check_end(found: RdictIter, what: str) -> None:
    """Raise Diverged where an iterator ended at something that it could not read, and not at the
    end.
    """
    with reading(what):
        found.status()
