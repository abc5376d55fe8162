"""Facilities: where they are, what they are called, which local time they have, and when they open.

One CSV file has all that is known (`data/facilities.csv`, or an operator's own). It is looked up
when an answer is made: scans keep the code alone.
"""

from ledger.facilities.directory import Directory, Found, Origin, Place, distance_m
from ledger.facilities.facility import Facility, Role
from ledger.facilities.file import Fault, built_in, check_facilities, load_facilities
from ledger.facilities.hours import Hours, parse_hours
from ledger.facilities.local_time import Doubt, Resolved, resolve, zone_of
from ledger.facilities.opening import Opening, State, opening_at

__all__ = [
    "Directory",
    "Doubt",
    "Facility",
    "Fault",
    "Found",
    "Hours",
    "Opening",
    "Origin",
    "Place",
    "Resolved",
    "Role",
    "State",
    "built_in",
    "check_facilities",
    "distance_m",
    "load_facilities",
    "opening_at",
    "parse_hours",
    "resolve",
    "zone_of",
]
