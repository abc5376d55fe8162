"""`parcel-ledger up`: the whole ledger in one process, on the embedded engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.app.commands.options import set_up_logs_of, with_settings
from ledger.app.exits import DONE
from ledger.app.settings import Settings

if TYPE_CHECKING:
    from ledger.app.wiring import Running


@with_settings
def up(settings: Settings) -> int:
    """Run the ledger on this machine: all roles in one process.

    It keeps its data in one folder and needs nothing else. Ctrl-C or SIGTERM ends it: what is on
    its way is finished first. Ended in any other way it loses nothing that was acknowledged.

    Exit code: 0 ended as told, 2 could not start, 3 stored data is not what was stored before.
    """
    import asyncio

    set_up_logs_of(settings)

    from ledger.app.wiring import run_ledger

    asyncio.run(run_ledger(settings, on_up=lambda running: _say_up(settings, running)))
    return DONE


def _say_up(settings: Settings, running: Running) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.render import durability_words
    from ledger.v1.ingest_service_pb2 import Durability

    durability = Durability.Name(running.log.durability).removeprefix("DURABILITY_")
    lines = {
        "gRPC": running.address,
        "metrics": f"http://{running.metrics}/metrics" if running.metrics else "off",
        "data": f"{settings.data}",
        "log": f"{running.records:,} scans in {running.log.partitions} partitions",
        "durability": f"{durability}{durability_words(running.log.durability)}",
    }
    console = answers()
    console.print("[bold green]The ledger is up.[/] Ctrl-C ends it.")
    for name, value in lines.items():
        console.print(f"  {name:<11}{value}", markup=False, soft_wrap=True)
