"""The workers of a call: they look at the study and make themselves ready before anything trains."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ablate import design, pool
from ablate.errors import StudyError
from ablate.job import Inspection, Job
from ablate.pool import Died, Lane
from ablate.study import Study


def built_first(study: Study) -> design.Plan:
    """Return the settings that are built before anything trains: all of a design, of a search every single choice."""
    return design.plan(study) if study.design.search is None else design.neighbours(study)


@contextmanager
def crew(n: int, job: Job) -> Iterator[tuple[Job, list[Lane], Callable[[], Inspection]]]:
    """Start workers: one inspects the study, the others make themselves ready meanwhile.

    Yields the job, its settings made equally large where the study asks for it, the workers, and what waits for the
    inspection and raises a StudyError with all that it has found.
    """
    before = pool.semaphores(os.getpid())
    lanes = pool.lanes(n, pin=job.study.device in ("auto", "cuda"))

    def inspection() -> Inspection:
        try:
            found: Inspection = future.result()
        except Died:
            found = lanes[0].ask("inspect", first)
        if found.problems:
            raise StudyError([f"{job.study.path}: {problem}" for problem in found.problems])
        return found

    try:
        if job.study.match is not None:
            job = replace(job, plan=lanes[0].start("matched", job).result())
        first = job if job.study.design.search is None else replace(job, plan=built_first(job.study))
        future = lanes[0].start("inspect", first)
        for lane in lanes[1:]:
            lane.start("prepare", job)
        yield job, lanes, inspection
    finally:
        for lane in lanes:
            lane.kill()
        pool.await_release(before)
