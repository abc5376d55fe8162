"""Which Cassandra cluster, as what user, and how sure: everything that a deployment may choose."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ledger.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

CONSISTENCIES: Final = ("LOCAL_QUORUM", "QUORUM")
"""With these a read shows what was put before it, whichever nodes answer."""

_KEYSPACE: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
"""What CQL takes without quotes, and in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CassandraCluster:
    """Where the store is. What no cluster could be is refused when this is made."""

    contact_points: tuple[str, ...]
    """Hosts of some nodes; the others are found through them."""
    port: int = 9042
    """The same for all nodes."""
    keyspace: str = "parcel_ledger"
    data_centre: str = ""
    """Empty: that of the contact points, where the cluster has only one."""
    consistency: str = "LOCAL_QUORUM"
    """One of CONSISTENCIES, for rows, marks, and reads of both."""
    replication: int = 3
    """How many nodes of the data centre keep each row; a keyspace with fewer is refused."""
    single_node_ok: bool = False
    """True: a keyspace that one node alone keeps is no fault."""
    tls_ca: Path | None = None
    """Certificates, as PEM, one of which signed those of the nodes. None: no TLS."""
    tls_cert: Path | None = None
    """Our own certificate, where the nodes ask for one."""
    tls_key: Path | None = None
    """Its key."""
    user: str = ""
    """Empty: without a user."""
    password: str = field(default="", repr=False)
    commitlog_sync_s: float = 10.0
    """Taken for the commit-log sync period of a node that does not tell it, in seconds."""

    def __post_init__(self) -> None:
        if not self.contact_points:
            raise _refused("contact_points", "names no node")
        if not _KEYSPACE.fullmatch(self.keyspace):
            raise _refused(
                "keyspace",
                f"is `{self.keyspace}`; it has up to 48 small letters, digits and underscores, and "
                f"begins with a letter",
            )
        if self.consistency not in CONSISTENCIES:
            raise _refused(
                "consistency", f"is `{self.consistency}`, not one of {', '.join(CONSISTENCIES)}"
            )
        if self.replication < 1:
            raise _refused("replication", f"is {self.replication}, less than 1")
        if bool(self.tls_cert) != bool(self.tls_key) or (self.tls_cert and not self.tls_ca):
            raise _refused("tls_cert", "needs its key, and the authority of the nodes beside it")

    def tls(self) -> ssl.SSLContext | None:
        """Read the certificates. None without TLS.

        The name that a node is reached by is checked against its certificate.
        """
        if self.tls_ca is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise _refused("tls_ca", f"or what is beside it cannot be read: {error}") from error
        return context


def _refused(name: str, what: str) -> Refused:
    return Refused(
        f"`cassandra_{name}` {what}.", reason="BAD_CASSANDRA_SETTING", field=f"cassandra_{name}"
    )
