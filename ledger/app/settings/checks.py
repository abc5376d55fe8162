"""What a setting may be, and how a bad value is said."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ledger.errors import Refused

if TYPE_CHECKING:
    from ledger.app.settings.table import Settings

PARTITIONS_MAX: Final = 1_024
"""Most partitions: what the embedded engine takes, stated here since settings know no engine."""

GENERATION_MAX: Final = 127
"""Highest generation: what a position has room for, stated here since --help loads no core."""

DRAIN_S_MAX: Final = 3_600.0
"""Longest drain in seconds: an operator who waits longer has another problem."""

QUARANTINE_MOST_MAX: Final = 10_000
"""Most unfit records of the last 10,000: all of them, for whoever wants no limit."""

LAG_RECORDS_MIN: Final = 100
"""Fewest unread records that hold senders back: with less there is always a lag."""

LAG_RECORDS_MAX: Final = 1 << 40
"""Most of them, as many as a partition may have: for whoever wants no limit."""

REPLICATION_MAX: Final = 9
"""Most replicas: more is a typing error."""

REFUSALS_DAYS_MAX: Final = 36_500
"""Longest time in days for which refused scans are kept: a century."""

COMMITLOG_SYNC_S_MAX: Final = 600.0
"""Longest sync period of a commit log in seconds: settled marks are twice as old."""

SPOOL_BYTES_MIN: Final = 16 << 20
"""Smallest spool: sixteen times what is written at once."""

SPOOL_BYTES_MAX: Final = 1 << 40
"""Largest spool: more is a typing error."""

SPOOL_AGE_S_MAX: Final = 3_650 * 86_400.0
"""Longest age in seconds that is not reported: ten years."""

STRICT_SOURCES_MAX: Final = 256
"""Most patterns of strict sources: each batch is held against all of them."""

_LEVELS: Final = ("debug", "info", "warning", "error")
_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "log_level": _LEVELS,
    "log_format": ("plain", "json"),
    "kafka_sasl": ("", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    "cassandra_consistency": ("LOCAL_QUORUM", "QUORUM"),
}
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "partitions": (1, PARTITIONS_MAX),
    "log_generation": (1, GENERATION_MAX),
    "store_generation": (1, GENERATION_MAX),
    "drain_s": (0, DRAIN_S_MAX),
    "lag_records_max": (LAG_RECORDS_MIN, LAG_RECORDS_MAX),
    "quarantine_most": (0, QUARANTINE_MOST_MAX),
    "spool_bytes_max": (SPOOL_BYTES_MIN, SPOOL_BYTES_MAX),
    "spool_age_max_s": (1, SPOOL_AGE_S_MAX),
    "kafka_replication": (1, REPLICATION_MAX),
    "kafka_refusals_days": (1, REFUSALS_DAYS_MAX),
    "cassandra_replication": (1, REPLICATION_MAX),
    "cassandra_commitlog_sync_s": (0, COMMITLOG_SYNC_S_MAX),
}
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    # Kafka takes 249 characters; the name of the log and its generation come behind.
    "kafka_topic_prefix": (
        re.compile(r"[A-Za-z0-9._-]{0,200}"),
        "at most 200 letters, digits and . _ -",
    ),
    "cassandra_keyspace": (
        re.compile(r"[a-z][a-z0-9_]{0,47}"),
        "at most 48 small letters, digits and _, with a letter first",
    ),
}


def check(settings: Settings) -> None:
    """Check every value. Raises Refused."""
    split_address("server", settings.server)
    if settings.ledger:
        split_address("ledger", settings.ledger)
    _check_listening(settings)
    for name, allowed in _CHOICES.items():
        value = getattr(settings, name)
        if value not in allowed:
            words = ", ".join(each or "empty" for each in allowed)
            raise invalid(name, f"`{name}` is `{value}`; it is one of {words}.")
    for name, (least, most) in _RANGES.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            unit = " seconds" if name.endswith("_s") else ""
            raise invalid(name, f"`{name}` is {value}; it goes from {least:,} to {most:,g}{unit}.")
    for name, (form, words) in _FORMS.items():
        value = getattr(settings, name)
        if not form.fullmatch(value):
            raise invalid(name, f"`{name}` is `{value}`; it has {words}.")
    generations_of(settings)
    strict_sources_of(settings)
    _check_engine(settings, "kafka", split_addresses("kafka", settings.kafka))
    _check_engine(settings, "cassandra", cassandra_addresses(settings))
    if settings.kafka_replication == 1 and not settings.single_broker:
        raise invalid(
            "kafka_replication",
            "`kafka_replication` is 1: one broken machine would lose acknowledged scans. Make it "
            "3, or accept that with `single_broker = true`.",
        )
    if bool(settings.kafka_sasl) != bool(settings.kafka_user):
        missing = "kafka_user" if settings.kafka_sasl else "kafka_sasl"
        raise invalid(missing, f"`kafka_sasl` and `kafka_user` go together; `{missing}` is empty.")


def split_address(name: str, address: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 host stands in brackets. Raises Refused."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise invalid(
            name, f"`{name}` is `{address}`; it reads host:port, for example 127.0.0.1:50731."
        )
    return host, int(port)


def split_addresses(name: str, addresses: str) -> list[tuple[str, int]]:
    """Split `host:port,host:port`; nothing gives nothing. Raises Refused."""
    if not addresses.strip():
        return []
    return [split_address(name, address.strip()) for address in addresses.split(",")]


def cassandra_addresses(settings: Settings) -> list[tuple[str, int]]:
    """Give the nodes to begin with. Raises Refused where their ports differ."""
    found = split_addresses("cassandra", settings.cassandra)
    if len({port for _, port in found}) > 1:
        raise invalid(
            "cassandra",
            f"`cassandra` is `{settings.cassandra}`; all nodes of a cluster have the same port.",
        )
    return found


def generations_of(settings: Settings) -> Mapping[int, int]:
    """Give the partitions of every generation of the log that is shown. Raises Refused."""
    found = {}
    text = settings.earlier_generations
    for pair in filter(None, map(str.strip, text.split(","))):
        match = re.fullmatch(r"(\d{1,3}) ?: ?(\d{1,4})", pair, re.ASCII)
        generation, partitions = map(int, match.groups()) if match else (0, 0)
        fits = 1 <= generation < settings.log_generation and 1 <= partitions <= PARTITIONS_MAX
        if not fits or generation in found:
            raise invalid(
                "earlier_generations",
                f"`earlier_generations` is `{text}`; it lists generations below "
                f"`log_generation` ({settings.log_generation}), each once and with its "
                f"partitions, for example `1:32, 2:64`.",
            )
        found[generation] = partitions
    return {**found, settings.log_generation: settings.partitions}


def strict_sources_of(settings: Settings) -> Sequence[str]:
    """Give the patterns of sources whose wrong check digits are refused. Raises Refused."""
    text = settings.strict_sources
    found = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(found) or len(found) > STRICT_SOURCES_MAX:
        raise invalid(
            "strict_sources",
            f"`strict_sources` is `{text[:200]}`; it has up to {STRICT_SOURCES_MAX} source ids "
            f"with commas between, none empty, for example `partner-*, shop`.",
        )
    return found


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def invalid(name: str, message: str) -> Refused:
    """Make the error for a setting that cannot be what it is."""
    return Refused(message, reason="SETTING_INVALID", field=name, metadata={"setting": name})


def _check_listening(settings: Settings) -> None:
    for name in ("listen", "metrics"):
        address = getattr(settings, name)
        if name == "metrics" and not address:
            continue
        host, _ = split_address(name, address)
        if not settings.insecure and not is_loopback(host):
            raise invalid(
                name,
                f"`{name}` is {address}, which others can reach, and there is no encryption "
                f"and no check of who speaks. Listen on 127.0.0.1, or say `insecure = true` "
                f"where the network is yours alone.",
            )
    address = settings.operator_listen
    if address and not is_loopback(split_address("operator_listen", address)[0]):
        raise invalid(
            "operator_listen",
            f"`operator_listen` is {address}, which others can reach. Whoever reaches it changes "
            f"what trails show, and the ledger does not know yet who speaks: it listens on this "
            f"machine alone, such as 127.0.0.1:50736, also with `insecure = true`.",
        )


def _check_engine(settings: Settings, engine: str, addresses: list[tuple[str, int]]) -> None:
    """Check how an engine is spoken to: TLS, and who we are."""

    def value(name: str) -> object:
        return getattr(settings, f"{engine}_{name}")

    for one, other in (("tls_cert", "tls_key"), ("user", "password_file")):
        for name, needs in ((one, other), (other, one)):
            if value(name) and not value(needs):
                raise invalid(
                    f"{engine}_{needs}",
                    f"`{engine}_{name}` is of no use without `{engine}_{needs}`.",
                )
    if value("tls_cert") and not value("tls_ca"):
        raise invalid(
            f"{engine}_tls_ca",
            f"`{engine}_tls_cert` is of no use without `{engine}_tls_ca`, which turns on TLS.",
        )
    others = not all(is_loopback(host) for host, _ in addresses)
    if value("user") and others and not value("tls_ca") and not settings.insecure:
        raise invalid(
            f"{engine}_tls_ca",
            f"`{engine}_user` has a password, which would cross the network readable by others. "
            f"Name the certificates with `{engine}_tls_ca`, or say `insecure = true` where the "
            f"network is yours alone.",
        )
