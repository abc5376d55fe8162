"""How often things happen: in the lives of items, and to those who scan them.

All are shares from 0 to 1 of what stands beside them. The figures are an operator's good year, so
that most items travel as they should and every trouble comes again and again.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fates:
    """What becomes of items.

    Attributes:
        announced: items that their sender announced before they were posted.
        cancelled: announced items that are never posted.
        partner: announced items that a partner fetches from the sender.
        lost: items that are lost on the way.
        missent: items that are sorted to a wrong facility once.
        damaged: items that are damaged.
        export_checked: items abroad that are presented to customs on the way out.
        customs_held: items presented on the way in that are held.
        seized: held items that are never given back.
        requested_hold: items that the recipient lets wait at the delivery unit.
        straight_to_pickup: items that are never brought to a door.
        redirected: items that go to another delivery unit of the country.
        refused: items that the recipient refuses, or whose address is none.
        attempted: tours on which nobody takes the item.
        to_pickup: failed first attempts after which the item waits at a post office.
        unclaimed: items at a post office that nobody fetches.
    """

    announced: float = 0.55
    cancelled: float = 0.006
    partner: float = 0.12
    lost: float = 0.003
    missent: float = 0.01
    damaged: float = 0.002
    export_checked: float = 0.3
    customs_held: float = 0.07
    seized: float = 0.02
    requested_hold: float = 0.008
    straight_to_pickup: float = 0.04
    redirected: float = 0.015
    refused: float = 0.012
    attempted: float = 0.11
    to_pickup: float = 0.45
    unclaimed: float = 0.07


@dataclass(frozen=True, slots=True)
class Oddities:
    """What scanners do other than they should. A scan has at most one of the first five.

    Attributes:
        missed: scans that were never made, though the item was there.
        premature: arrivals, tours and deliveries that were scanned before they happened.
        copied: scans that are sent twice, with one event id.
        doubled: scans that are made twice, with two event ids.
        bad_label: scans whose label was read wrongly: a wrong check digit, letters of another
            character set, an upload that broke off, two labels read as one.
        offline: days on which a fixed device is cut off for some hours; handhelds four times that.
        wrong_clock: devices whose clock is wrong by minutes or an hour, not by seconds.
        reused: S10 numbers that an earlier item had more than a year ago.
    """

    missed: float = 0.015
    premature: float = 0.006
    copied: float = 0.01
    doubled: float = 0.006
    bad_label: float = 0.002
    offline: float = 0.02
    wrong_clock: float = 0.008
    reused: float = 0.01


NO_ODDITIES = Oddities(0, 0, 0, 0, 0, 0, 0, 0)
"""Scanners as they are described in brochures; their clocks are off by seconds all the same."""
