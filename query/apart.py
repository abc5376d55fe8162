"""What can be read, told apart from what cannot, where many keys are read together.

A store reads many keys at once, and fails at once, though the fault may be that of one key. Who
asks for one item is told so; who asks for a thousand wants the others, at a bounded price.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from ledger.errors import Busy, Uncertain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

T = TypeVar("T")

NotRead = Busy | Uncertain | TimeoutError
"""Why something could not be read now. Asking again may help."""

NOT_READ: Final = (Busy, Uncertain, TimeoutError)


class Patience(NamedTuple):
    """How much is done for what can be read, where something cannot."""

    timeout_s: float
    """Longest wait for one read, in seconds."""
    more_reads: int
    """Most reads beyond the first one. To find one key of n takes twice the logarithm of n."""


async def read_apart(
    read: Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, T]]],
    keys: Sequence[bytes],
    patience: Patience | None,
) -> tuple[Mapping[bytes, T], Mapping[bytes, NotRead]]:
    """Read keys together, and in halves where that fails. Gives what was read, and why what was not
    was not: when no more reads are left, that of keys that were read beside a bad one.

    Without patience it raises what `read` raises.
    """
    if patience is None:
        return await read(keys), {}
    found: dict[bytes, T] = {}
    failed: dict[bytes, NotRead] = {}
    more_reads = patience.more_reads
    groups = [keys]
    while groups:
        halves: list[Sequence[bytes]] = []
        trying = [tried(read(group), patience.timeout_s) for group in groups]
        results = await asyncio.gather(*trying)
        for group, result in zip(groups, results, strict=True):
            if not isinstance(result, NOT_READ):
                found |= result
            elif len(group) > 1 and more_reads >= 2:
                more_reads -= 2
                half = len(group) // 2
                halves += [group[:half], group[half:]]
            else:
                failed |= dict.fromkeys(group, result)
        groups = halves
    return found, failed


async def tried(reading: Awaitable[T], timeout_s: float) -> T | NotRead:
    """Wait for a read, and give what it gives, or why it gives nothing."""
    try:
        async with asyncio.timeout(timeout_s):
            return await reading
    except NOT_READ as error:
        return error
