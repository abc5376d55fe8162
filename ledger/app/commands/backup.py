"""`parcel-ledger backup` and `restore`: the embedded engine's folder, copied while it is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ledger.app.commands.operating import ended_job, operator_at, show_job
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE, FAILED


def backup(
    *,
    to: Annotated[Path, Parameter(help="Folder of the backup: an empty one, or a new one.")],
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Back up the folder of a running `parcel-ledger up`.

    The backup holds everything that was acknowledged before it began. The folder lies on the
    ledger's machine; it is a backup once its file BACKUP is there, which is written last. It is a
    job, which Ctrl-C leaves alone: see `parcel-ledger jobs`.

    Exit code: 0 it is whole and on disk, 1 the path is none, 2 it could not be made.
    """
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import backup_line
    from ledger.v1.operator_service_pb2 import JobState, StartBackupRequest

    request = StartBackupRequest(folder=str(to.absolute()))
    with operator_at(server, config) as stub:
        job = ended_job(stub, stub.StartBackup(request, timeout=ANSWER_S).job.job_id)
    if as_json or job.state != JobState.JOB_STATE_DONE:
        show_job(job, as_json=as_json)
    else:
        answers().print(backup_line(job.backup), soft_wrap=True)
    return DONE if job.state == JobState.JOB_STATE_DONE else FAILED


def restore(
    *,
    from_: Annotated[Path, Parameter(name="--from", help="Folder of the backup.")],
    data: Annotated[Path, Parameter(help="Folder to make: an empty one, or a new one.")],
) -> int:
    """Make a folder for `parcel-ledger up` from a backup, and check all of it.

    Every file is compared with what was written, and the new folder is opened once, with all checks
    of the engine. The backup stays as it is.

    Exit code: 0 restored, 2 it could not be, 3 the backup is damaged: nothing was restored.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from ledger.app.commands.screen import answers, remarks
    from ledger.app.wiring.restoring import restored

    bar = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = remarks()
    # Nothing is drawn where nobody looks: an error stays one line.
    with Progress(
        *bar, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("begins", total=None)

        class Shown:
            """The progress bar."""

            def total(self, total: int) -> None:
                """Show how much there is to do."""
                progress.update(task, total=total)

            def done(self, count: int, message: str = "") -> None:
                """Show how much is done."""
                progress.update(task, completed=count, description=message)

        records, partitions = restored(from_, data, Shown())
    answers().print(
        f"Restored to {data}: at least {records:,} scans in {partitions} partitions. Start it with "
        f"`parcel-ledger up --data {data} --partitions {partitions}`.",
        soft_wrap=True,
        markup=False,
    )
    return DONE
