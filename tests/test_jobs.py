"""Jobs: they wait, run, tell how far they are, end in four ways, and are forgotten at last."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from ledger.app.operator import jobs as core
from ledger.app.operator.jobs import Jobs, Progress
from ledger.errors import Busy, NotPossibleNow, Uncertain
from ledger.v1.operator_service_pb2 import Job, JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WITHIN_S = 10


@asynccontextmanager
async def jobs_at_work() -> AsyncIterator[Jobs]:
    """Jobs in a task of their own."""
    ids = itertools.count(1)
    jobs = Jobs(now_ns=time.time_ns, new_id=lambda: f"job-{next(ids)}")
    running = asyncio.create_task(jobs.run())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(WITHIN_S):
            yield jobs
    finally:
        running.cancel()
        await asyncio.wait([running])


async def at_once(_: Progress) -> None:
    """Work that is done at once."""


async def forever(_: Progress) -> None:
    """Work that is never done."""
    await asyncio.Event().wait()


async def ended(jobs: Jobs, job: Job) -> Job:
    """Wait for its end."""
    return [one async for one in jobs.watch(job.job_id)][-1]


async def test_a_job_tells_how_far_it_is() -> None:
    """A watch begins with what is and ends with the end; done, total and words are told."""
    go = asyncio.Event()

    async def work(progress: Progress) -> None:
        progress.total(3)
        for done in range(1, 4):
            await go.wait()
            progress.done(done, f"{done} made")

    async with jobs_at_work() as jobs:
        job = jobs.start("test", work)
        watched = jobs.watch(job.job_id)
        seen = [await anext(watched)]
        go.set()
        seen += [one async for one in watched]

    assert job.state == JobState.JOB_STATE_QUEUED
    assert (seen[-1].state, seen[-1].done, seen[-1].total) == (JobState.JOB_STATE_DONE, 3, 3)
    assert (seen[-1].message, seen[-1].error) == ("3 made", "")
    times = [seen[-1].create_time, seen[-1].start_time, seen[-1].end_time]
    assert times == sorted(times, key=lambda time: time.ToNanoseconds())


async def test_a_watch_that_looks_late_misses_no_end() -> None:
    """Whoever is slow to take a message still gets the last one."""
    go = asyncio.Event()

    async def work(_: Progress) -> None:
        await go.wait()

    async with jobs_at_work() as jobs:
        watched = jobs.watch(jobs.start("test", work).job_id)
        await anext(watched)
        go.set()
        await asyncio.sleep(0.05)
        rest = [one async for one in watched]

    assert [one.state for one in rest] == [JobState.JOB_STATE_DONE]


async def test_a_job_fails_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    """An error of the ledger is said; one of our own is in the process's log, and ends no other."""

    async def away(_: Progress) -> None:
        raise Uncertain("The store did not answer.", reason="TEST")

    async def broken(_: Progress) -> None:
        raise ZeroDivisionError

    async with jobs_at_work() as jobs:
        one = await ended(jobs, jobs.start("test", away))
        other = await ended(jobs, jobs.start("test", broken))
        third = await ended(jobs, jobs.start("test", at_once))

    assert (one.state, one.error) == (JobState.JOB_STATE_FAILED, "The store did not answer.")
    assert other.state == JobState.JOB_STATE_FAILED
    assert "ZeroDivisionError" not in other.error
    assert "ZeroDivisionError" in caplog.text
    assert third.state == JobState.JOB_STATE_DONE


async def test_a_few_run_at_once_and_others_wait() -> None:
    """A place that becomes free is taken by the next one; a queued job can be cancelled."""
    async with jobs_at_work() as jobs:
        running = [jobs.start("test", forever) for _ in range(core.RUNNING_MAX)]
        waits = jobs.start("test", at_once)
        other = jobs.start("test", forever)
        await asyncio.sleep(0.01)
        states = [jobs.get(job.job_id).state for job in (*running, waits, other)]
        cancelled = await jobs.cancel(other.job_id)
        await jobs.cancel(running[0].job_id)
        done = await ended(jobs, waits)

    assert (
        states == [JobState.JOB_STATE_RUNNING] * core.RUNNING_MAX + [JobState.JOB_STATE_QUEUED] * 2
    )
    assert cancelled.state == JobState.JOB_STATE_CANCELLED
    assert not cancelled.HasField("start_time")
    assert done.state == JobState.JOB_STATE_DONE


async def test_a_cancel_is_final_and_safe_to_repeat() -> None:
    """Cancelled before it began, while it runs, or after its end: the first end stands."""
    async with jobs_at_work() as jobs:
        unborn = await jobs.cancel(jobs.start("test", forever).job_id)
        job = jobs.start("test", at_once)
        await ended(jobs, job)
        late = await jobs.cancel(job.job_id)

    assert unborn.state == JobState.JOB_STATE_CANCELLED
    assert late.state == JobState.JOB_STATE_DONE


async def test_too_many_are_refused() -> None:
    """Jobs that wait have a bound."""
    async with jobs_at_work() as jobs:
        for _ in range(core.RUNNING_MAX + core.QUEUED_MAX):
            jobs.start("test", forever)

        with pytest.raises(Busy, match="jobs run or wait"):
            jobs.start("test", forever)


async def test_only_the_last_that_ended_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones are forgotten, and asking for one says so; the newest stand first."""
    monkeypatch.setattr(core, "ENDED_KEPT", 3)
    async with jobs_at_work() as jobs:
        made = [await ended(jobs, jobs.start("test", at_once)) for _ in range(5)]
        known = [job.job_id for job in jobs.all()]

        with pytest.raises(NotPossibleNow) as unknown:
            jobs.get(made[0].job_id)

    assert known == [job.job_id for job in made[:1:-1]]
    assert unknown.value.reason == "NO_SUCH_JOB"


async def test_the_end_of_the_process_cancels_jobs() -> None:
    """Whoever watches is told, and the task group ends."""
    async with jobs_at_work() as jobs:
        job = jobs.start("test", forever)
        await asyncio.sleep(0.01)

    assert jobs.get(job.job_id).state == JobState.JOB_STATE_CANCELLED
