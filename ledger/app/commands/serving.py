"""What the commands share that run a process until it is told to end."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

from ledger.app.exits import DONE
from ledger.app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.app.wiring.runner import Running


class Run(Protocol):
    """Runs a role until it is told to end."""

    def __call__(self, settings: Settings, *, on_up: Callable[[Running], None]) -> Awaitable[None]:
        """`on_up` is told when it serves."""


def logs_as_told(settings: Settings) -> None:
    """Send the logs of this process where its settings say. Before anything is imported that may
    write some.
    """
    from ledger.app.logs import set_up_logs

    set_up_logs(level=settings.log_level, as_json=settings.log_format == "json")


def serve(run: Run, settings: Settings, title: str) -> int:
    """Run a role until it is told to end; say `title` and where it is when it serves."""
    import asyncio

    async def main() -> None:
        await run(settings, on_up=lambda running: _say_up(title, running))

    asyncio.run(main())
    return DONE


def _say_up(title: str, running: Running) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.render import durability_words
    from ledger.v1.ingest_service_pb2 import Durability

    lines = {"gRPC": running.address} if running.address else {}
    lines["metrics"] = f"http://{running.metrics}/metrics" if running.metrics else "off"
    lines |= running.facts
    if running.durability is not None:
        name = Durability.Name(running.durability).removeprefix("DURABILITY_")
        lines["durability"] = f"{name}{durability_words(running.durability)}"
    console = answers()
    console.print(f"[bold green]{title}[/] Ctrl-C ends it.")
    for name, value in lines.items():
        console.print(f"  {name:<11}{value}", markup=False, soft_wrap=True)
