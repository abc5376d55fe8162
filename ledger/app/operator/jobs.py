"""Jobs: work that takes its time, with progress and cancel, in the task group of the process.

A few run at once, the others wait. What a job has done stays done, so ending the process is only
one more way to cancel it; a process knows its own jobs and forgets them when it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from ledger.errors import Busy, LedgerError, NotPossibleNow
from ledger.v1.operator_service_pb2 import Job, JobState

logger = logging.getLogger(__name__)

RUNNING_MAX: Final = 2
"""Jobs that run at once: each works as fast as the engines let it, beside live traffic."""

QUEUED_MAX: Final = 20
"""Jobs that wait at most: who asks for more has a script that has gone mad."""

ENDED_KEPT: Final = 100
"""Jobs that are remembered after their end."""

WATCH_EVERY_S: Final = 0.1
"""How often a watch is told at most: more cannot be read."""

TEXT_MAX: Final = 1_000
"""Most characters of a message or an error."""


class Progress:
    """What a running job says of itself."""

    def __init__(self, job: _Job) -> None:
        """`job` is told on."""
        self._job = job

    def total(self, total: int) -> None:
        """Say how much there is to do."""
        self._job.told.total = total
        self._job.tell()

    def done(self, count: int, message: str = "") -> None:
        """Say how much is done by now, and what came of it."""
        self._job.told.done = count
        if message:
            self._job.told.message = message[:TEXT_MAX]
        self._job.tell()

    def message(self, message: str) -> None:
        """Say what came of it."""
        self._job.told.message = message[:TEXT_MAX]
        self._job.tell()

    @property
    def result(self) -> Job:
        """The job, of which a field of the oneof `result` may be set before `message` is said."""
        return self._job.told


Work = Callable[[Progress], Awaitable[None]]
"""What a job does. It ends by returning, or with a LedgerError, which says why it failed."""


class _Job:
    """One job of this process."""

    def __init__(self, told: Job, work: Work) -> None:
        self.told = told
        self.work = work
        self.task: asyncio.Task[None] | None = None
        self.changed = asyncio.Event()
        """Set when it is told next; another one stands here then."""

    def tell(self) -> None:
        """Wake those who watch."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    @property
    def has_ended(self) -> bool:
        """Whether it has, in whatever way."""
        return self.told.HasField("end_time")

    def copy(self) -> Job:
        """Give it as it is now."""
        job = Job()
        job.CopyFrom(self.told)
        return job


class Jobs:
    """The jobs of one process. Keep `run` running."""

    def __init__(self, *, now_ns: Callable[[], int], new_id: Callable[[], str]) -> None:
        """`now_ns` gives nanoseconds since 1970, `new_id` an id that no job had before."""
        self._now_ns = now_ns
        self._new_id = new_id
        self._jobs: dict[str, _Job] = {}
        self._ended: deque[str] = deque()
        self._places = asyncio.Semaphore(RUNNING_MAX)
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Run jobs until cancelled; those that run are cancelled then."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    def start(self, kind: str, work: Work) -> Job:
        """Let a job begin as soon as there is a place. Raises Busy where too many wait."""
        waiting = len(self._jobs) - len(self._ended)
        if waiting >= RUNNING_MAX + QUEUED_MAX or self._tasks is None:
            raise Busy(
                f"{waiting} jobs run or wait already. Ask again when some have ended.",
                reason="TOO_MANY_JOBS",
                retry_after_s=1.0,
            )
        told = Job(job_id=self._new_id(), kind=kind, state=JobState.JOB_STATE_QUEUED)
        told.create_time.FromNanoseconds(self._now_ns())
        job = self._jobs[told.job_id] = _Job(told, work)
        job.task = self._tasks.create_task(self._carry_out(job), name=f"job {told.job_id}")
        return job.copy()

    def all(self) -> Sequence[Job]:
        """Give all that are known, the newest first."""
        return [job.copy() for job in reversed(self._jobs.values())]

    def get(self, job_id: str) -> Job:
        """Give one. Raises NotPossibleNow where none is known."""
        return self._find(job_id).copy()

    async def cancel(self, job_id: str) -> Job:
        """Cancel one, and give it when it has ended."""
        job = self._find(job_id)
        assert job.task is not None
        job.task.cancel()
        await asyncio.wait([job.task])
        # A task that is cancelled before its first step never runs, and so says nothing itself.
        self._end(job, JobState.JOB_STATE_CANCELLED)
        return job.copy()

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """Give one as it is and then as it changes, until it has ended."""
        job = self._find(job_id)
        while True:
            changed, now = job.changed, job.copy()
            yield now
            if now.HasField("end_time"):
                return
            await changed.wait()
            await asyncio.sleep(0 if job.has_ended else WATCH_EVERY_S)

    def _find(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotPossibleNow(
                "This process knows no job of that id: it was another process's, or it ended long "
                "ago. `parcel-ledger jobs list` shows those that are known.",
                reason="NO_SUCH_JOB",
                field="job_id",
            )
        return job

    async def _carry_out(self, job: _Job) -> None:
        try:
            async with self._places:
                job.told.state = JobState.JOB_STATE_RUNNING
                job.told.start_time.FromNanoseconds(self._now_ns())
                job.tell()
                await job.work(Progress(job))
        except asyncio.CancelledError:
            self._end(job, JobState.JOB_STATE_CANCELLED)
            raise
        except LedgerError as error:
            self._end(job, JobState.JOB_STATE_FAILED, error.message)
        except Exception:
            logger.exception("a job failed", extra={"kind": job.told.kind})
            self._end(
                job, JobState.JOB_STATE_FAILED, "The server met an error of its own; see its log."
            )
        else:
            self._end(job, JobState.JOB_STATE_DONE)

    def _end(self, job: _Job, state: JobState.ValueType, error: str = "") -> None:
        if job.has_ended:
            return
        job.told.state, job.told.error = state, error[:TEXT_MAX]
        job.told.end_time.FromNanoseconds(self._now_ns())
        job.tell()
        self._ended.append(job.told.job_id)
        if len(self._ended) > ENDED_KEPT:
            del self._jobs[self._ended.popleft()]
