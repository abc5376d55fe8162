"""The settings: `table` says which there are, `groups` who uses them, `checks` what they may be,
`loading` reads them.
"""

from ledger.app.settings.checks import (
    DRAIN_S_MAX,
    GENERATION_MAX,
    PARTITIONS_MAX,
    cassandra_addresses,
    generations_of,
    invalid,
    is_loopback,
    split_address,
    strict_sources_of,
)
from ledger.app.settings.groups import GROUPS, Group, groups_of
from ledger.app.settings.loading import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    Loaded,
    load,
    type_of,
)
from ledger.app.settings.table import NAMES, Settings, default_data_folder, meaning

__all__ = [
    "CONFIG_VARIABLE",
    "DRAIN_S_MAX",
    "ENVIRONMENT_PREFIX",
    "GENERATION_MAX",
    "GROUPS",
    "NAMES",
    "PARTITIONS_MAX",
    "Group",
    "Loaded",
    "Settings",
    "cassandra_addresses",
    "default_data_folder",
    "generations_of",
    "groups_of",
    "invalid",
    "is_loopback",
    "load",
    "meaning",
    "split_address",
    "strict_sources_of",
    "type_of",
]
