"""`parcel-ledger send FILE`: the scans of a file, or of a partner's list, each durable or refused.

Lines have no numbers of their own, so they are sent unnumbered; an event id that is missing is made
from the line, so sending a file twice changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from ledger.app.commands.options import Config, Server
from ledger.app.exits import DONE, REFUSED, CommandFailed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from ledger.app.partner_format import Kind
    from ledger.app.partner_list import PartnerList
    from ledger.app.scan_file import RefusedFile, ScanFile
    from ledger.app.sending import Sender
    from ledger.app.settings import Settings
    from ledger.app.shipment import Shipment

LINGER_S: Final = 0.5
"""How long lines of a pipe wait for others."""

FileFormat = Annotated[
    str | None,
    Parameter(
        name="--format",
        help="csv or ndjson; or the format of a partner's own list, FORMAT.toml. Else the file's "
        "ending decides.",
        show_default=False,
    ),
]
"""How the file is written."""

FacilitiesFile = Annotated[
    Path | None,
    Parameter(
        help="The file of facilities, by which a partner's local times get their instants. Else "
        "the setting `facilities`.",
        show_default=False,
    ),
]
"""What is known of facilities."""


def send(
    file: Annotated[
        str, Parameter(help="CSV or NDJSON; - is standard input.", allow_leading_hyphen=True)
    ],
    /,
    *,
    source: Annotated[
        str | None,
        Parameter(help="Who saw the scans, where no column `source` says it.", show_default=False),
    ] = None,
    file_format: FileFormat = None,
    refused: Annotated[
        Path | None,
        Parameter(
            help="Where refused lines go, with their reasons. Else FILE.refused.csv.",
            show_default=False,
        ),
    ] = None,
    give_up_s: Annotated[
        float, Parameter(help="Seconds after which a ledger that is silent is given up.")
    ] = 60.0,
    facilities: FacilitiesFile = None,
    server: Server = None,
    config: Config = None,
) -> int:
    """Send the scans of a CSV or NDJSON file, or a partner's own list of events.

    Columns (CSV) or names (NDJSON) are the fields of a ScanEvent: at least tracking_number, type
    and scan_time (RFC 3339 with its UTC offset), then facility, device, operator and so on, with
    dots into inner messages (place.city). Short names: latitude, longitude, accuracy_meters,
    place_name, city, region, postal_code, country, container_number, containment_direction.
    `source` says who saw the scan; attribute.NAME takes what has no field. A value of an enum may
    be in any case and without its prefix. A missing event_id is made from the line: sending a file
    twice changes nothing. A scan is one line: no cell may have a line break.

    A partner's own list (CSV, NDJSON or JSON) needs a format, which says which column is which
    field, and how its times are to be read; docs/integrate.md has two.

    Exit code: 0 all is durable, 1 something was refused, 2 not all could be sent.
    """
    from ledger.app.client import ledger_at
    from ledger.app.scan_file import STDIN, RefusedFile, open_scan_file
    from ledger.app.sending import Sender
    from ledger.app.settings import load
    from ledger.app.shipment import Shipment

    settings = load({"server": server, "facilities": facilities}, config=config).settings
    address = settings.server
    kind, partner = _written_as(file_format, settings)
    with open_scan_file(file, kind, partner) as scan_file, ledger_at(address) as channel:
        if not scan_file.names_sources and not source:
            raise CommandFailed("Say who saw the scans: --source NAME, or a column `source`.")
        path = refused or Path(f"{'stdin' if file == STDIN else file}.refused.csv")
        bad = RefusedFile(path, scan_file)
        sender = Sender(channel, server=address, give_up_s=give_up_s, on_refused=bad.add)
        _send(scan_file, Shipment(scan_file, sender, bad, source or ""), sender, bad)
    return REFUSED if bad.count else DONE


def _send(scan_file: ScanFile, shipment: Shipment, sender: Sender, bad: RefusedFile) -> None:
    """Send all lines, and say how far it is and how it went."""
    import time

    from ledger.app.commands.screen import remarks
    from ledger.app.scan_file import in_background
    from ledger.app.shipment import BATCH_LINES

    started_s = time.monotonic()
    try:
        with _bar(remarks(), scan_file.size) as bar:
            for line in in_background(scan_file.lines, linger_s=LINGER_S):
                shipment.take(line)
                if line is None or shipment.lines % BATCH_LINES == 0:
                    _show(bar, scan_file, sender, bad)
            shipment.flush()
            sender.finish()
            _show(bar, scan_file, sender, bad)
    finally:
        bad.close()
        _summary(shipment.lines, sender, bad, time.monotonic() - started_s)


def _written_as(name: str | None, settings: Settings) -> tuple[Kind | None, PartnerList | None]:
    """Say how a file is written: its kind, or the partner whose list it is."""
    from ledger.app.partner_format import load_format
    from ledger.app.partner_list import PartnerList
    from ledger.facilities import load_facilities

    own: dict[str | None, Kind | None] = {None: None, "csv": "csv", "ndjson": "ndjson"}
    if name is None or name in own:
        return own[name], None
    if not name.endswith(".toml"):
        raise CommandFailed(
            f"--format is {name}; it is csv, ndjson, or the name of a partner's format, "
            f"which ends in .toml."
        )
    return None, PartnerList(load_format(Path(name)), load_facilities(settings.facilities))


def _bar(console: Console, size: int | None) -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    bar = Progress(
        TextColumn("sending"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[durable]:,} durable, {task.fields[refused]:,} refused"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    bar.add_task("", total=size, durable=0, refused=0)
    return bar


def _show(bar: Progress, scan_file: ScanFile, sender: Sender, bad: RefusedFile) -> None:
    bar.update(
        bar.task_ids[0],
        completed=scan_file.position(),
        durable=sender.durable,
        refused=bad.count,
    )


def _summary(lines: int, sender: Sender, bad: RefusedFile, elapsed_s: float) -> None:
    from rich.markup import escape

    from ledger.app.commands.screen import answers, remarks
    from ledger.app.render import durability_words, printable

    told = remarks()
    for line, field, _, message in bad.first:
        where = f"line {line.number}" + (f", {field}" if field else "")
        told.print(printable(f"{where}: {message}"), style="red", markup=False)
    if bad.count > len(bad.first):
        told.print(f"and {bad.count - len(bad.first):,} more", style="red")
    refused = (
        f"[red]{bad.count:,} refused[/], see {escape(str(bad.path))}" if bad.count else "0 refused"
    )
    answers().print(
        f"{lines:,} {'line' if lines == 1 else 'lines'}: [green]{sender.durable:,} durable[/]"
        f"{durability_words(sender.durability)}, {refused}; "
        f"{elapsed_s:.1f} s, {lines / max(elapsed_s, 0.001):,.0f} lines/s"
    )
