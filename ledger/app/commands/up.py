"""`parcel-ledger up`: the whole ledger in one process, on the embedded engine."""

from __future__ import annotations

from ledger.app.commands.options import with_settings
from ledger.app.settings import Settings


@with_settings
def up(settings: Settings) -> int:
    """Run the ledger on this machine: all roles in one process.

    It keeps its data in one folder and needs nothing else. Ctrl-C or SIGTERM ends it: what is on
    its way is finished first. Ended in any other way it loses nothing that was acknowledged.

    Exit code: 0 ended as told, 2 could not start, 3 stored data is not what was stored before.
    """
    from ledger.app.commands.serving import logs_as_told, serve

    logs_as_told(settings)

    from ledger.app.wiring.embedded import run_ledger

    return serve(run_ledger, settings, "The ledger is up.")
