"""The port in which issuing is kept: where each space of numbers stands, and which block each
request was given.

Both are decided, never just written: of any number of issuers at once exactly one moves a space on
from where it stood, and a request is given exactly one block.
"""

from __future__ import annotations

from typing import Protocol


class NumberBlocks(Protocol):
    """Safe from many tasks and processes at once. A move that was told stands after a crash and a
    power cut of everything; it may take seconds until it is told. What was given stands as long as
    the store has a replica that was not cut off within its sync period: if it was forgotten, the
    request is given another block, and the numbers of the first are nobody else's.

    Raises Busy (nothing happened), Uncertain (it may have happened), Diverged and Refused as a
    trail store does. After Uncertain, `give` and the two that read may be repeated. `move` may not
    be taken for done: read the space again and move it from there, so that numbers are lost at
    most.
    """

    async def space(self, name: str) -> bytes | None:
        """Return where a space stands, or None where nothing was ever taken of it. What is under
        way at this moment is over then: it counts, or can no longer come to count.
        """

    async def move(self, name: str, before: bytes | None, after: bytes) -> bool:
        """Let the space stand at `after` where it stands at `before`; say whether this call did it.

        False also where somebody else moved it to the same bytes: then they have the numbers.
        """

    async def given(self, request_id: bytes) -> bytes | None:
        """Return the block that a request was given; None: none yet, and none that is under way at
        this moment comes to count afterwards.
        """

    async def give(self, request_id: bytes, block: bytes) -> bytes:
        """Give a request this block where it has none; return the one that it has. Repeating it is
        safe, also with another block: the first one stands for good.
        """
