"""`parcel-ledger gateway`: scans of a facility, on its own disk until the ledger has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ledger.app.commands.options import AsJson, Config, with_settings
from ledger.app.exits import DONE, CommandFailed
from ledger.app.settings import Settings


def gateway(settings: Settings) -> int:
    """Take scans of a facility's scanners, keep them, and forward them to the ledger.

    It serves the same API as the ledger's door in, and answers SPOOLED as soon as its own disk has
    a scan; so scanners go on while the ledger, or the way to it, is away. Each scan keeps its
    source, its spool, its sequence and its bytes. With --watch-folder it takes files, too.

    Ctrl-C or SIGTERM ends it: what is on its way is finished first. Ended in any other way it loses
    nothing either.

    Exit code: 0 ended as told, 2 could not start, 3 what was spooled is not what is there.
    """
    from ledger.app.commands.serving import logs_as_told, serve

    logs_as_told(settings)

    from ledger.app.wiring.gateway import run_gateway

    return serve(run_gateway, settings, "The gateway is up.")


def refusals(
    *,
    data: Annotated[
        Path | None,
        Parameter(help="The gateway's data folder. Else the setting `data`.", show_default=False),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> int:
    """List the scans that the ledger refused after a gateway had taken them.

    Each is kept whole, with its reason. The gateway may run meanwhile, or not. With --json a line
    for each has the scan itself, as base64. When the list is full its oldest scans go out of it,
    and it says how many did: the ledger has kept them among its own refusals.

    Exit code: 0, 2 where no gateway was ever started with that folder.
    """
    import base64
    import json

    from ingest.spool_refused import count_let_go, read_refused
    from ledger.app.commands.screen import answers, remarks
    from ledger.app.refused_render import refused_table
    from ledger.app.settings import load
    from ledger.app.wiring.gateway import spool_folder

    folder = spool_folder(load({"data": data}, config=config).settings)
    if not folder.is_dir():
        raise CommandFailed(f"There is no gateway's spool in {folder.parent}.")
    scans = list(read_refused(folder))
    if as_json:
        for scan in scans:
            said = scan._asdict() | {
                "spool_id": scan.spool_id.hex(),
                "event": base64.b64encode(scan.event).decode(),
            }
            print(json.dumps(said))  # noqa: T201 - the answer.
    elif scans:
        answers().print(refused_table(scans))
    else:
        answers().print(f"Nothing in {folder} was refused.", markup=False)
    if let_go := count_let_go(folder):
        remarks().print(
            f"{let_go:,} older ones went out of the list, as it was full. The ledger has "
            "them: `parcel-ledger refusals` there."
        )
    return DONE


app = App(name="gateway", help=gateway.__doc__, help_format="plaintext")
app.default(with_settings(gateway))
app.command(refusals)
