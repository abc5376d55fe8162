"""The numbers of the fleet's items and containers, all with right check digits.

Items bear S10 numbers, or IMpb inside the United States. Bags are logistic units with an SSCC, or
abroad receptacles with the 29 characters of the world's posts. Trips are named by their timetable.
"""

from datetime import date

from ledger.numbers import compose_impb, compose_s10, compose_sscc
from loadtest.world.calendar import year_digit
from loadtest.world.lanes import Lane

SERIALS = 100_000_000
"""S10 has eight digits for the serial, so later items would repeat the numbers of the first."""

MAILER_ID = "789012"
COMPANY_PREFIX = "9521"
"""GS1 keeps the prefix 952 for examples: no firm has it."""

BAGS_OF_COHORT = 4_096
"""More bags than the items of a lane and a day can fill."""

ROUTING = "420"
"""Application identifier of the postal code that stands before an IMpb on the label."""

_SSCC_SERIALS = 10**12
_RECEPTACLES = 8  # of a lane and a day, until the weight tells them apart
_EPOCH = date(1970, 1, 1).toordinal()


def item_number(lane: Lane, serial: int) -> str:
    """Give the number of an item of a lane, as it is filed."""
    if lane.is_impb:
        return compose_impb(lane.service[:2], lane.service[2:], MAILER_ID, serial)
    return compose_s10(lane.service, serial, lane.origin.facility.country)


def bag_number(cohort: int, bag: int) -> str:
    """Give the SSCC of a bag inside a country. `cohort` counts days and lanes."""
    return compose_sscc(1, COMPANY_PREFIX, (cohort * BAGS_OF_COHORT + bag) % _SSCC_SERIALS)


def receptacle_id(start: str, end: str, day: int, *, lane: int, bag: int, subclass: str) -> str:
    """Give the id of a receptacle from one office of exchange to another (UPU standard S9).

    Two codes of offices, category (by air), subclass, digit of the year, dispatch, receptacle,
    whether it is the last, whether registered items are in it, and its weight.
    """
    day_of_year = date.fromordinal(_EPOCH + day).timetuple().tm_yday
    rest, among = divmod(bag, _RECEPTACLES)
    more, receptacle = divmod((lane * _RECEPTACLES + among) % 27_000, 1_000)
    dispatch = day_of_year * 27 + more  # At most 9,908: four digits.
    weight = 20 + (lane * 7 + rest) % 280
    return f"{start}{end}A{subclass}{year_digit(day)}{dispatch:04d}{receptacle:03d}00{weight:04d}"


def wrong_check_digit(number: str) -> str:
    """Misread one digit, so that the check digit is wrong."""
    at = 9  # A digit of the serial, in S10 and in IMpb.
    digit = (int(number[at]) + 1) % 10
    return f"{number[:at]}{digit}{number[at + 1 :]}"
