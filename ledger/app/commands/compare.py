"""`parcel-ledger compare`: whether the trail store holds exactly what the log says."""

from __future__ import annotations

from ledger.app.commands.operating import ended_job, operator_at, show_job
from ledger.app.commands.options import AsJson, Config, Server
from ledger.app.exits import DIVERGED, DONE, FAILED


def compare(*, as_json: AsJson = False, server: Server = None, config: Config = None) -> int:
    """Compare every row of the trail store with the log, while both are in use.

    It reads everything that is settled and changes nothing; what differs is named by position and
    tracking key. It is a job, which Ctrl-C leaves alone: see `parcel-ledger jobs`.

    Exit code: 0 they hold the same, 3 they differ, 2 it could not be compared.
    """
    from ledger.app.client import ANSWER_S
    from ledger.app.commands.screen import answers
    from ledger.app.operator_render import comparison_lines
    from ledger.v1.operator_service_pb2 import JobState, StartCompareRequest

    with operator_at(server, config) as stub:
        job = stub.StartCompare(StartCompareRequest(), timeout=ANSWER_S).job
        job = ended_job(stub, job.job_id)
    if as_json or job.state != JobState.JOB_STATE_DONE:
        show_job(job, as_json=as_json)
    else:
        for line in comparison_lines(job.comparison):
            answers().print(line, soft_wrap=True)
    if job.state != JobState.JOB_STATE_DONE:
        return FAILED
    return DONE if job.comparison.same else DIVERGED
