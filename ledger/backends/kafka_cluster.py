"""How a Kafka cluster is reached, and what topics and consumer groups on it are called."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import Refused
from ledger.position import SCANS_LOG

if TYPE_CHECKING:
    from pathlib import Path

SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
"""How we can say who we are. Others need a library or a service of their own."""

REQUEST_S: Final = 10.0
"""Longest wait for one answer of a broker: what a cluster takes to replace one that hangs."""

RETRY_S: Final = 0.1
"""Wait before a request that failed is repeated: a leader change that goes well takes longer."""

METADATA_S: Final = 60.0
"""Oldest list of brokers and leaders that is used without an error having shown it to be old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaCluster:
    """Where the brokers are, who we are for them, and what is ours among their topics."""

    bootstrap: str
    """Brokers to begin with: `host:port`, more of them with commas between."""

    topic_prefix: str = "parcel-ledger-"
    """What the names of our topics and consumer groups begin with."""

    single_broker: bool = False
    """Whether one replica is accepted: an acknowledgement then means one broker's memory."""

    replication: int = 3
    """Replicas of topics that are made."""

    refusals_retention_days: int = 400
    """Days for which refused scans are kept."""

    tls_ca: Path | None = None
    """Certificates that the brokers' are checked by; with it they are spoken to over TLS."""

    tls_cert: Path | None = None
    """Our own certificate, where the brokers ask for one."""

    tls_key: Path | None = None
    """The key of our certificate, where it is not in the same file."""

    sasl: str = ""
    """One of SASL_MECHANISMS, or empty: we do not say who we are."""

    user: str = ""
    """Our name."""

    password: str = field(default="", repr=False)
    """Our password; never printed."""

    def __post_init__(self) -> None:
        """Raise Refused where the values do not go together."""
        if self.sasl and self.sasl not in SASL_MECHANISMS:
            raise _refused(f"`{self.sasl}` is not one of {', '.join(SASL_MECHANISMS)}.")
        if bool(self.sasl) != bool(self.user and self.password):
            raise _refused("A way to say who we are, a user and a password go together.")
        if (self.tls_cert or self.tls_key) and not self.tls_ca:
            raise _refused("A certificate of ours needs TLS, which needs the brokers' authority.")

    def topic(self, log: str, generation: int) -> str:
        """Name the topic of one generation of a log."""
        return f"{self.topic_prefix}{log}-g{generation}"

    def group(self, reader: str, log: str) -> str:
        """Name the consumer group in which readers of one name share a log's partitions. That of
        the log `scans` is named by the reader alone.
        """
        return f"{self.topic_prefix}{reader}" + ("" if log == SCANS_LOG else f"-{log}")

    def client_options(self) -> dict[str, Any]:
        """Give what every client of aiokafka is made with. Raises Refused for unusable files."""
        security = ("SASL_" if self.sasl else "") + ("SSL" if self.tls_ca else "PLAINTEXT")
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.topic_prefix.rstrip("-._") or "parcel-ledger",
            "security_protocol": security,
            "ssl_context": self._tls(),
            "sasl_mechanism": self.sasl or "PLAIN",
            "sasl_plain_username": self.user or None,
            "sasl_plain_password": self.password or None,
            "request_timeout_ms": int(REQUEST_S * 1_000),
            "retry_backoff_ms": int(RETRY_S * 1_000),
            "metadata_max_age_ms": int(METADATA_S * 1_000),
        }

    def _tls(self) -> ssl.SSLContext | None:
        if self.tls_ca is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as error:  # Errors of TLS are OSErrors.
            files = ", ".join(str(one) for one in (self.tls_ca, self.tls_cert, self.tls_key) if one)
            raise Refused(
                f"The files for TLS to Kafka cannot be used ({files}): {error}.",
                reason="TLS_FILES_UNUSABLE",
            ) from error
        return context


def _refused(why: str) -> Refused:
    return Refused(f"Kafka cannot be reached like this: {why}", reason="KAFKA_SETTINGS")
