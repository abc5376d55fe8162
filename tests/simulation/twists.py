"""What no log may do, at the end of some seeds: it is cut, or grows another history. Then every
writer must stop by itself, and no trail may change. A record that belongs elsewhere is no such
thing: it goes into quarantine, and everything goes on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ledger.codec import RecordMaker
from ledger.errors import Diverged
from ledger.numbers import KEY_FORM, filing_key, partition_of
from tests.simulation.devices import BASE_NS, NUMBERS
from tests.simulation.faults import FATES

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.programs import Role
    from tests.simulation.world import World

TWISTS: Final = (
    "log cut",
    "log cut and grown again",
    "log cut while writers are away",
    "log holds a foreign record",
)

SHARE: Final = 0.2
"""Part of the seeds that end with a twist: they take a third longer."""

UNFIT_FAULTS: Final = [(what, fate) for what in ("log.append", "store.put") for fate in FATES[what]]
"""What goes wrong while a record goes into quarantine and its stub into its trail."""

STORE_AWAY_SHARE: Final = 0.3
"""Part of those times in which the store is away too."""

STOP_MOST_S: Final = 16.0
"""Within so long every writer has stopped: it looks at its marks every 10 s."""


class Twist:
    """The twist of one seed."""

    def __init__(self, kind: str, world: World) -> None:
        self._kind = kind
        self._world = world
        self._stopped: dict[str, str] = {}
        """Writers that stopped, and why."""

    async def play(self) -> None:
        """Twist the log, and wait until the writers have stopped."""
        world = self._world
        number = max(
            range(len(world.log.partitions)), key=lambda n: world.log.partitions[n].durable
        )
        values = world.log.partitions[number].values
        end = len(values)
        cut_at = end - world.random.randint(1, min(end, 5))
        world.faults.fell[self._kind] += 1
        if self._kind.endswith("foreign record"):
            await self._quarantines(number)
            return
        world.history.freeze()
        away = self._kind.endswith("away")
        if away:
            for role in self._writers():
                world.kill(role, silent=False)
        world.log.cut(number, cut_at)
        if away or self._kind.endswith("again"):
            while len(values) < end:
                self._append(number, foreign=False)
        await self._wait()

    async def _quarantines(self, number: int) -> None:
        """A record of another program is in the wrong partition: it goes into quarantine, whole,
        and everything else goes on.
        """
        world = self._world
        index = len(world.log.partitions[number].values)
        world.history.unfit[number, index] = None
        what, fate = world.random.choice(UNFIT_FAULTS)
        world.faults.arm(what, fate)
        if world.random.random() < STORE_AWAY_SHARE:
            world.store.requests.away_until_s = world.loop.time() + 1.0
        self._append(number, foreign=True)
        end_s = world.loop.time() + STOP_MOST_S
        while not world.is_settled():
            if world.loop.time() > end_s:
                world.history.breaks("a bad record never blocks a good one", "nothing settles")
                return
            await asyncio.sleep(0.2)
        world.beside_history.check_quarantine((number, index))

    def failed(self, role: Role, error: BaseException) -> bool:
        """Whether a program was right to end with an error."""
        if isinstance(error, Diverged) and role in self._writers():
            self._stopped[role.name] = error.reason
            return True
        return False

    async def _wait(self) -> None:
        world = self._world
        writers = self._writers()
        end_s = world.loop.time() + STOP_MOST_S
        while len(self._stopped) < len(writers):
            if world.loop.time() > end_s:
                world.history.breaks(
                    "a log that is not what it was stops the writers",
                    f"{self._kind}, stopped {self._stopped}",
                )
                return
            await asyncio.sleep(0.2)

    def _writers(self) -> list[Role]:
        return [role for role in self._world.roles if role.name.startswith("writer")]

    def _append(self, number: int, *, foreign: bool) -> None:
        """Write a record that no server made; a foreign one has a key of another partition."""
        world = self._world
        random: Random = world.random
        partitions = len(world.log.partitions)
        key = next(
            key
            for key in map(filing_key, random.sample(NUMBERS, len(NUMBERS)))
            if (partition_of(key, partitions) != number) is foreign
        )
        maker = RecordMaker(
            source_id="another program",
            spool_id=b"",
            key_form=KEY_FORM,
            send_time_ns=BASE_NS,
            record_time_ns=BASE_NS,
            principal="nobody",
        )
        event_id = random.randbytes(16)
        value = maker.one(b"\n\x10" + event_id, key, BASE_NS, event_id, 0, b"")
        world.log.grow(number, value)
