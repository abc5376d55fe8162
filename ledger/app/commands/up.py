"""`parcel-ledger up`: the whole ledger in one process, on the embedded engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ledger.app.commands.options import Config, flag_of
from ledger.app.exits import DONE

if TYPE_CHECKING:
    from ledger.app.settings import Settings
    from ledger.app.wiring import Running


def up(
    *,
    listen: Annotated[str | None, flag_of("listen")] = None,
    data: Annotated[Path | None, flag_of("data")] = None,
    metrics: Annotated[str | None, flag_of("metrics")] = None,
    partitions: Annotated[int | None, flag_of("partitions")] = None,
    drain_s: Annotated[float | None, flag_of("drain_s")] = None,
    log_level: Annotated[str | None, flag_of("log_level")] = None,
    log_format: Annotated[str | None, flag_of("log_format")] = None,
    insecure: Annotated[bool | None, flag_of("insecure")] = None,
    config: Config = None,
) -> int:
    """Run the ledger on this machine: all roles in one process.

    It keeps its data in one folder and needs nothing else. Ctrl-C or SIGTERM ends it: what is on
    its way is finished first. Ended in any other way it loses nothing that was acknowledged.

    Exit code: 0 ended as told, 2 could not start, 3 stored data is not what was stored before.
    """
    import asyncio

    from ledger.app.logs import set_up_logs
    from ledger.app.settings import load

    flags = {
        "listen": listen,
        "data": data,
        "metrics": metrics,
        "partitions": partitions,
        "drain_s": drain_s,
        "log_level": log_level,
        "log_format": log_format,
        "insecure": insecure,
    }
    settings = load(flags, config=config).settings
    set_up_logs(level=settings.log_level, as_json=settings.log_format == "json")

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
