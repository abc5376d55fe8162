"""`parcel-ledger rebuild`: the trail store made again from the log, while the old one serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter, validators

from ledger.app.commands.operating import ended_job, operator_at, print_json, show_job
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DIVERGED, DONE, FAILED

if TYPE_CHECKING:
    from ledger.v1.operator_service_pb2 import (
        DropStoreGenerationResponse,
        ListStoreGenerationsResponse,
    )

DROP_S: Final = 90.0
"""How long it may take until no other process uses a generation, and its table is gone."""

GENERATION_MAX: Final = (1 << 32) - 1
"""Largest number that the wire takes."""

rebuild = App(
    name="rebuild",
    help="Make the trail store again from the log, while the old one serves.\n\n"
    "A new generation of the store is filled from the log and compared with it; if they are the "
    "same it serves from then on, and the old one is kept until `rebuild drop`. It is a job, which "
    "Ctrl-C leaves alone: see `parcel-ledger jobs`. Cancelled or killed it changes nothing; the "
    "next one goes on with what was built.\n\n"
    "Exit code: 0 the new one serves, 3 it differs from the log and does not serve, 2 it could not "
    "be built, 1 it was refused at once.",
    help_format="plaintext",
)


@rebuild.default
def rebuild_(*, as_json: AsJson = False, server: Server = None, config: Config = None) -> int:
    """Make the store again."""
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import comparison_lines, rebuild_lines
    from ledger.v1.operator_service_pb2 import JobState, StartRebuildRequest

    with operator_at(server, config) as stub:
        job = stub.StartRebuild(StartRebuildRequest(), timeout=ANSWER_S).job
        job = ended_job(stub, job.job_id)
    if as_json or job.state != JobState.JOB_STATE_DONE:
        show_job(job, as_json=as_json)
    lines = comparison_lines(job.comparison) if job.HasField("comparison") else ()
    if job.state == JobState.JOB_STATE_DONE:
        lines = rebuild_lines(job.rebuild)
    for line in () if as_json else lines:
        answers().print(line, soft_wrap=True)
    if job.HasField("comparison"):
        return DIVERGED
    return DONE if job.state == JobState.JOB_STATE_DONE else FAILED


@rebuild.command(name="list")
def list_(*, as_json: AsJson = False, server: Server = None, config: Config = None) -> int:
    """List the generations of the store."""
    from ledger.app.client import ANSWER_S
    from ledger.v1.operator_service_pb2 import ListStoreGenerationsRequest

    with operator_at(server, config) as stub:
        answer = stub.ListStoreGenerations(ListStoreGenerationsRequest(), timeout=ANSWER_S)
    _show(answer, as_json=as_json)
    return DONE


@rebuild.command
def drop(
    generation: Annotated[
        int,
        Parameter(
            validator=validators.Number(gte=1, lte=GENERATION_MAX),
            help="Its number, as `rebuild list` shows it.",
        ),
    ],
    /,
    *,
    as_json: AsJson = False,
    server: Server = None,
    config: Config = None,
) -> int:
    """Remove a generation that does not serve, for good."""
    from ledger.v1.operator_service_pb2 import DropStoreGenerationRequest

    request = DropStoreGenerationRequest(store_generation=generation)
    with operator_at(server, config) as stub:
        answer = stub.DropStoreGeneration(request, timeout=DROP_S)
    _show(answer, as_json=as_json)
    return DONE


def _show(
    answer: ListStoreGenerationsResponse | DropStoreGenerationResponse, *, as_json: bool
) -> None:
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import generation_line

    if as_json:
        print_json(answer)
        return
    for one in answer.generations:
        answers().print(generation_line(one))
