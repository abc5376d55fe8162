"""Every setting of every command: one frozen dataclass, whose docstrings are what is shown."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from ledger.app.settings.checks import check


def default_data_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder of a person's own data, by the XDG rule."""
    base = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "parcel-ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. Checked when made: raises Refused."""

    server: str = "127.0.0.1:50731"
    """Where the commands that ask or send find the ledger: host and port."""

    listen: str = "127.0.0.1:50731"
    """Where a process takes gRPC: host and port; port 0 takes a free one."""

    share_port: bool = False
    """Lets several processes of a role listen on one port of this machine, which spreads the
    connections over them. Each begins to listen when it can serve.
    """

    strict_sources: str = ""
    """Sources whose scans are refused where the number's check digit is wrong: source ids with
    commas between, `*` for any text, such as `partner-*, shop`. They are kept among the refused
    ones. From all others they are recorded, and trails flag them.
    """

    lag_records_max: int = 5_000_000
    """Records that no trail shows yet, beyond which no more scans are taken until there are fewer:
    the senders keep them. Raise it where the log has room and writers will be away for long.
    """

    operator_listen: str = ""
    """Where `up` and `writer` take the operator's gRPC (the quarantine, jobs): host and port, on
    loopback, whatever `insecure` says. Empty: `up` takes it where it takes the rest, unless others
    can reach that; `writer` takes none.
    """

    quarantine_most: int = 100
    """How many of the last 10,000 records a writer may put into quarantine, because they cannot be
    kept for their own fault; with more it stops, and a person has to look. 0 to 10,000.
    """

    number_ranges: Path | None = None
    """File of the ranges that tracking numbers may be issued from, as docs/numbers.md describes it;
    without it none are issued. Read when a process starts.
    """

    mappings: Path | None = None
    """Folder of partners' own mappings of codes, files `*.csv` as `parcel-ledger mapping check`
    tests them; they go before those that are built in. Read when a process starts.
    """

    facilities: Path | None = None
    """CSV file of the facilities, as `parcel-ledger facility check` tests it, in place of the one
    that is built in: names and places beside trails, the nearest offices, and the local times of
    partners' lists. Read when a process starts.
    """

    texts: Path | None = None
    """Folder of the operator's own words for what people are told, files `de.ini` as
    `parcel-ledger texts check` tests them; they go before those that are built in. Read when a
    process starts.
    """

    metrics: str = "127.0.0.1:50732"
    """Where a process shows Prometheus metrics (/metrics) and its health (/live, /ready): host and
    port, its own for each process; empty is off.
    """

    insecure: bool = False
    """Allows a process to listen beyond this machine, unencrypted and without asking who speaks,
    and to send passwords there without TLS.
    """

    drain_s: float = 10.0
    """Seconds that scans on their way get to finish when a process is told to end."""

    log_level: str = "info"
    """What a process writes to its log: debug, info, warning or error."""

    log_format: str = "plain"
    """How a process writes its log, on standard error: plain, or json with one object a line."""

    data: Path = field(default_factory=lambda: default_data_folder(os.environ))
    """Folder of the log and the trails; a gateway's spool is in its `gateway`. One running process
    holds it.
    """

    ledger: str = ""
    """Where a gateway forwards scans to: host and port of the ledger."""

    spool_bytes_max: int = 1 << 30
    """Bytes that a gateway keeps on its disk of scans that the ledger does not have yet. When they
    are full, further scans are turned away.
    """

    spool_age_max_s: float = 86_400.0
    """Seconds after which a gateway reports that scans are still on their way. None is dropped."""

    watch_folder: Path | None = None
    """Folder out of which a gateway takes files of scans, CSV or NDJSON as `send` does."""

    watch_source: str = ""
    """Who saw the scans of such a file, where no column `source` says it."""

    partitions: int = 32
    """Partitions of the log, 1 to 1,024. Fixed when its generation is made: the data folder, or the
    topics.
    """

    log_generation: int = 1
    """Generation of the log that scans are recorded in. A new one is made where the number of
    partitions is to change.
    """

    earlier_generations: str = ""
    """Generations of the log before this one whose scans are shown too, each with its partitions:
    `1:32, 2:64`.
    """

    kafka: str = ""
    """Brokers to begin with: host:port, more of them with commas between."""

    kafka_topic_prefix: str = "parcel-ledger-"
    """What the names of all topics begin with."""

    kafka_replication: int = 3
    """Replicas of the topics that `init` makes: at least 2, or 1 with `single_broker`."""

    kafka_refusals_days: int = 400
    """Days for which the topic of refused scans, which `init` makes, keeps them. A topic that keeps
    them shorter is refused.
    """

    single_broker: bool = False
    """Makes and accepts topics with one replica: an acknowledgement then means that one broker has
    it in memory, and a crash of its machine loses it.
    """

    kafka_tls_ca: Path | None = None
    """File of the certificates that the brokers' are checked by; with it Kafka is spoken to over
    TLS.
    """

    kafka_tls_cert: Path | None = None
    """File of our certificate, where the brokers ask for one."""

    kafka_tls_key: Path | None = None
    """File of the key of our certificate."""

    kafka_sasl: str = ""
    """How we say to Kafka who we are: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, or empty: not at all."""

    kafka_user: str = ""
    """Our name for Kafka."""

    kafka_password_file: Path | None = None
    """File with our password for Kafka on its one line."""

    cassandra: str = ""
    """Nodes to begin with: host:port, more of them with commas between, all with the same port."""

    cassandra_keyspace: str = "parcel_ledger"
    """Keyspace of all tables."""

    cassandra_data_centre: str = ""
    """The data centre that is written to and read from. Empty: that of the nodes to begin with."""

    cassandra_consistency: str = "LOCAL_QUORUM"
    """How many replicas have to answer: LOCAL_QUORUM, or QUORUM over all data centres."""

    cassandra_replication: int = 3
    """Replicas in the keyspace that `init` makes. 1 also accepts a keyspace that one node alone
    keeps: a broken disk takes trails away until they are made anew from the log.
    """

    cassandra_tls_ca: Path | None = None
    """File of the certificates that the nodes' are checked by; with it Cassandra is spoken to over
    TLS.
    """

    cassandra_tls_cert: Path | None = None
    """File of our certificate, where the nodes ask for one."""

    cassandra_tls_key: Path | None = None
    """File of the key of our certificate."""

    cassandra_user: str = ""
    """Our name for Cassandra, or empty: it does not ask."""

    cassandra_password_file: Path | None = None
    """File with our password for Cassandra on its one line."""

    cassandra_commitlog_sync_s: float = 10.0
    """Seconds within which a node has synced what it acknowledged, for nodes that do not tell their
    commitlog_sync_period.
    """

    store_generation: int = 1
    """Generation of the trail store that is written and read."""

    def __post_init__(self) -> None:
        """Check every value."""
        check(self)


def meaning(name: str) -> str:
    """Give the docstring of a setting, as one line."""
    return _MEANINGS[name]


def _meanings() -> dict[str, str]:
    """Read the docstrings under the fields out of this file: they are said once, and shown here."""
    body = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            assert isinstance(after, ast.Expr)
            assert isinstance(after.value, ast.Constant)
            found[one.target.id] = " ".join(str(after.value.value).split())
    return found


NAMES: Final = tuple(each.name for each in fields(Settings))
"""The names of all settings, in the order of the table."""

_MEANINGS: Final = _meanings()
