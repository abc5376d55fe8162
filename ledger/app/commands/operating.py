"""What the operator's commands share: the service they ask, who asks, and jobs as they go on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from ledger.app.exits import DONE, FAILED, CommandFailed

if TYPE_CHECKING:
    from ledger.v1.operator_service_pb2 import Job
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
    from ledger.v1.position_pb2 import Position

By = Annotated[
    str | None,
    Parameter(help="Who does it, which is kept. Else your name on this machine."),
]
"""Who asks."""

_POSITION: Final = re.compile(r"([a-z]{1,64})-g(\d{1,3})/(\d{1,5})/(\d{1,13})", re.ASCII)


@contextmanager
def operator_at(server: str | None, config: Path | None) -> Iterator[OperatorServiceStub]:
    """Connect to the operator's service. Within, an error of a call ends the command."""
    import grpc

    from ledger.app.client import ledger_at
    from ledger.app.settings import load
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub

    address = load({"server": server}, config=config).settings.server
    with ledger_at(address) as channel:
        try:
            yield OperatorServiceStub(channel)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            raise CommandFailed(
                f"The process at {address} does not take the operator's service. Ask `up` where it "
                f"listens on this machine alone, or name with --server what `operator_listen` says "
                f"of `up` or of a writer."
            ) from None


def position_of(text: str) -> Position:
    """Read a position as it is shown, such as scans-g1/3/17."""
    from ledger.v1.position_pb2 import Position

    match = _POSITION.fullmatch(text)
    if match is None:
        raise CommandFailed(
            f"`{text}` is no position. It reads scans-g1/3/17: log, generation, partition, index."
        )
    log, *numbers = match.groups()
    generation, partition, index = map(int, numbers)
    return Position(log=log, generation=generation, partition=partition, index=index)


def who_asks(by: str | None) -> str:
    """Give the name that is kept."""
    import getpass
    import socket

    return by or f"{getpass.getuser()}@{socket.gethostname()}"


def print_json(message: Any) -> None:  # noqa: ANN401 - any message.
    """Print a message for a program."""
    from google.protobuf.json_format import MessageToDict

    document = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    print_document(document)


def print_document(document: dict[str, Any]) -> None:
    """Print one line of JSON for a program."""
    print(json.dumps(document))  # noqa: T201 - the answer.


def follow_job(stub: OperatorServiceStub, job_id: str, *, as_json: bool) -> int:
    """Show a job until it has ended; return the exit code that says how."""
    from ledger.v1.operator_service_pb2 import JobState

    job = ended_job(stub, job_id)
    show_job(job, as_json=as_json)
    return DONE if job.state == JobState.JOB_STATE_DONE else FAILED


def show_job(job: Job, *, as_json: bool) -> None:
    """Print how a job has ended."""
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import job_line

    if as_json:
        print_json(job)
    else:
        answers().print(job_line(job), soft_wrap=True)


def ended_job(stub: OperatorServiceStub, job_id: str) -> Job:
    """Show how far a job is until it has ended; give it as it is then."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from ledger.app.commands.screen import remarks
    from ledger.v1.operator_service_pb2 import Job, WatchJobRequest

    last = Job()
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*bar, console=remarks(), transient=True) as progress:
        task = progress.add_task("waits", total=None)
        for update in stub.WatchJob(WatchJobRequest(job_id=job_id)):
            last = update.job
            progress.update(
                task,
                completed=last.done,
                total=last.total or None,
                description=last.message or last.kind,
            )
    return last
