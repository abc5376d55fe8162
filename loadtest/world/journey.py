"""A journey as it is planned: what is to happen to an item, a bag or a trip, and when.

It is the truth by which everything else is judged. What scanners make of it is `world.sendings`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loadtest.world import wire
from loadtest.world.lanes import Lane
from loadtest.world.posts import Post
from loadtest.world.timetable import Closure, Trip

NO_LEG: Final = -1
"""A step that does not depend on whether the item lies in a bag."""

NO_INDEX: Final = -1
"""What bags and trips have instead of an item's number in the fleet."""

Step = tuple[int, Post, int]
"""When (milliseconds since 1970), what and where, and on which leg of the lane, or NO_LEG.

Named tuples take four times as long to make, and there are some for every scan.
"""


class HeldUp(NamedTuple):
    """A closure that an item waited for."""

    facility: str
    closure: Closure


@dataclass(slots=True)
class Journey:
    """What is to happen to an item, a bag or a trip.

    Attributes:
        number: what stands on its label.
        steps: what happens; times rise.
        ids: the ids of the events of its steps, one behind the other.
        day: the day on which it began.
        lane: the lane; None for a trip.
        index: the item's number in the fleet, or NO_INDEX.
        outcome: how it ends; empty for a bag or a trip.
        trips: by leg, for legs on which items may lie in bags.
        bags: by leg, the number of the bag; a leg is missing where the item travels for itself.
        held_up: the closures that it waited for.
        label: the number as it is encoded.
    """

    number: str
    steps: Sequence[Step]
    ids: bytes
    day: int
    lane: Lane | None = None
    index: int = NO_INDEX
    outcome: str = ""
    trips: Mapping[int, Trip] = field(default_factory=dict)
    bags: dict[int, str] = field(default_factory=dict)
    held_up: Sequence[HeldUp] = ()
    label: bytes = b""

    def __post_init__(self) -> None:
        """Encode the number once."""
        self.label = wire.tracking_number(self.number)

    @property
    def is_item(self) -> bool:
        """Whether it is an item, and no container."""
        return self.index != NO_INDEX

    def container(self, step: int) -> str:
        """Give the container that a step is about: a bag's truck, an item's bag; else nothing."""
        leg = self.steps[step][2]
        if leg == NO_LEG:
            return ""
        return self.bags.get(leg, "") if self.is_item else self.trips[leg].number

    def happens(self, step: int) -> bool:
        """Tell whether a step is one at all: no item is put into a bag that there is not."""
        _, post, leg = self.steps[step]
        return not post.bag_only or leg in self.bags

    def is_carried(self, step: int) -> bool:
        """Tell whether the item is not scanned at a step, since it lies in a bag that is."""
        _, post, leg = self.steps[step]
        return post.carried and leg in self.bags

    def is_scanned(self, step: int) -> bool:
        """Tell whether it is scanned itself at a step, when nothing goes wrong."""
        return self.happens(step) and not self.is_carried(step)
