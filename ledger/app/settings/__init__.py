"""The settings: `table` says which there are, `checks` what they may be, `loading` reads them."""

from ledger.app.settings.checks import is_loopback, split_address
from ledger.app.settings.loading import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, Loaded, load
from ledger.app.settings.table import (
    DRAIN_S_MAX,
    NAMES,
    PARTITIONS_MAX,
    Settings,
    default_data_folder,
    meaning,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DRAIN_S_MAX",
    "ENVIRONMENT_PREFIX",
    "NAMES",
    "PARTITIONS_MAX",
    "Loaded",
    "Settings",
    "default_data_folder",
    "is_loopback",
    "load",
    "meaning",
    "split_address",
]
