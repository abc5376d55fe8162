"""`parcel-ledger ingest`, `writer` and `query`: one role each, on Kafka and Cassandra."""

from __future__ import annotations

from ledger.app.commands.options import with_settings
from ledger.app.settings import Settings


@with_settings
def ingest(settings: Settings) -> int:
    """Take scans: the door in, on Kafka.

    A scan is acknowledged when Kafka has it for good. Several of these share the load: behind a
    balancer, or on one port of this machine with --share-port.

    It waits for an engine that is away, and serves when that is back; /ready, beside its metrics,
    says what it waits for. Ctrl-C or SIGTERM ends it: what is on its way is finished first.

    Exit code: 0 ended as told, 2 could not start, 3 stored data is not what was stored before.
    """
    from ledger.app.commands.serving import logs_as_told, serve

    logs_as_told(settings)

    from ledger.app.wiring.distributed import run_ingest

    return serve(run_ingest, settings, "Scans are taken.")


@with_settings
def writer(settings: Settings) -> int:
    """Make trails of scans: from Kafka to Cassandra.

    Several of these share the partitions of the log. One that ends or dies is replaced by the
    others within seconds; what it left half done is done again, which changes nothing.

    It waits for an engine that is away, and goes on when that is back; /ready, beside its metrics,
    says what it waits for. Ctrl-C or SIGTERM ends it: what is on its way is finished first.

    Exit code: 0 ended as told, 2 could not start, 3 stored data is not what was stored before.
    """
    from ledger.app.commands.serving import logs_as_told, serve

    logs_as_told(settings)

    from ledger.app.wiring.distributed import run_writer

    return serve(run_writer, settings, "Trails are written.")


@with_settings
def query(settings: Settings) -> int:
    """Answer what happened to items: the door out, on Cassandra.

    Several of these share the load: behind a balancer, or on one port of this machine with
    --share-port.

    It waits for an engine that is away, and serves when that is back; /ready, beside its metrics,
    says what it waits for. Ctrl-C or SIGTERM ends it: what is on its way is finished first.

    Exit code: 0 ended as told, 2 could not start, 3 stored data is not what was stored before.
    """
    from ledger.app.commands.serving import logs_as_told, serve

    logs_as_told(settings)

    from ledger.app.wiring.distributed import run_query

    return serve(run_query, settings, "Trails are shown.")
