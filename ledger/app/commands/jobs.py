"""`parcel-ledger jobs`: work that takes its time, as it goes on in a process."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from ledger.app.commands.operating import follow_job, operator_at, print_json
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DONE

jobs = App(
    name="jobs",
    help="Look after work that takes its time.\n\n"
    "A job runs in the process that was asked, which forgets it when it ends; what it has done "
    "stays done.",
    help_format="plaintext",
)

JobId = Annotated[str, Parameter(help="The job's id, as `jobs list` shows it.")]


@jobs.command(name="list")
def list_(*, as_json: AsJson = False, server: Server = None, config: Config = None) -> int:
    """List the jobs of a process, the newest first."""
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import jobs_table
    from ledger.v1.operator_service_pb2 import ListJobsRequest

    with operator_at(server, config) as stub:
        answer = stub.ListJobs(ListJobsRequest(), timeout=ANSWER_S)
    if as_json:
        print_json(answer)
    elif answer.jobs:
        answers().print(jobs_table(answer.jobs))
    else:
        answers().print("There are no jobs.")
    return DONE


@jobs.command
def watch(
    job_id: JobId, /, *, as_json: AsJson = False, server: Server = None, config: Config = None
) -> int:
    """Show how far a job is until it has ended. Ctrl-C leaves it alone.

    Exit code: 0 it has done all, 2 it has not.
    """
    with operator_at(server, config) as stub:
        return follow_job(stub, job_id, as_json=as_json)


@jobs.command
def cancel(
    job_id: JobId, /, *, as_json: AsJson = False, server: Server = None, config: Config = None
) -> int:
    """Cancel a job. What it has done stays done."""
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import job_line
    from ledger.v1.operator_service_pb2 import CancelJobRequest

    with operator_at(server, config) as stub:
        job = stub.CancelJob(CancelJobRequest(job_id=job_id), timeout=ANSWER_S).job
    if as_json:
        print_json(job)
    else:
        answers().print(job_line(job), soft_wrap=True)
    return DONE
