"""One vocabulary: what happened, in canonical events, and how sources' own codes say it.

Events and mappings are data (`data/`); partners' own mappings are files like those. A code is
mapped when a trail is read: the record keeps what arrived, so a better mapping explains old scans.
"""

from ledger.vocabulary.canonical import CANONICAL, CanonicalEvent, Kind, Milestone, canonical
from ledger.vocabulary.file import Fault, check_mapping, read_mapping
from ledger.vocabulary.mapping import Flag, Mapping, Meaning, Row, sample
from ledger.vocabulary.mappings import BUILT_IN, Mappings, built_in, load_mappings

__all__ = [
    "BUILT_IN",
    "CANONICAL",
    "CanonicalEvent",
    "Fault",
    "Flag",
    "Kind",
    "Mapping",
    "Mappings",
    "Meaning",
    "Milestone",
    "Row",
    "built_in",
    "canonical",
    "check_mapping",
    "load_mappings",
    "read_mapping",
    "sample",
]
