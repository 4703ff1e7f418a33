"""Scores that start while other candidates are still built: of each as soon as its check passed.

They are the same jobs that benches ask for later, which find them done.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeopt.decide.entry import Entry
from edgeopt.pipeline.counted import is_timed
from edgeopt.pipeline.entries import built
from edgeopt.pipeline.target_jobs import TargetJobs
from edgeopt.pipeline.work import Work
from edgeopt.planner import SOURCE_CHECK
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.job import Job, Outcome
from edgeopt.schema.plan import Plan
from edgeopt.transport.kinds import works_here

SPLIT = "validation"


class EarlyScores:
    """Called with each outcome of a plan, it gives the scores that may start then.

    Only for targets of this machine's own: a board is asked once for all.
    """

    def __init__(self, work: Work, plan: Plan) -> None:
        self._work, self._jobs = work, TargetJobs(work.recipe, work.known)
        self._asked: set[str] = set()
        groups = [g for g in work.known.groups if works_here(g.asked.device) and is_timed(g)]
        facts = {str(target): (target, each) for g in groups for target, each in g.members}
        self._last: dict[str, list[Entry]] = {}  # job that ends a candidate -> candidates
        for candidate in plan.candidates:
            if candidate.target in facts:
                ends = candidate.check or candidate.job
                entry = Entry(candidate, *facts[candidate.target])
                self._last.setdefault(ends, []).append(entry)
        self._ended: dict[str, Outcome] = dict(work.outcomes)

    def __call__(self, outcome: Outcome) -> Sequence[Job]:
        """The scores that follow an outcome, and the samples that they need."""
        self._ended[outcome.job] = outcome
        if not outcome.ok or not self._last:
            return ()
        jobs: list[Job] = []
        try:
            if outcome.job == SOURCE_CHECK:
                jobs = [self._jobs.source_tensors(SPLIT), self._jobs.source_score(SPLIT)]
            for waiting in self._last.get(outcome.job, ()):
                entry = built(waiting, self._ended)
                jobs += [self._jobs.tensors(entry, SPLIT), self._jobs.score(entry, SPLIT)]
        except EdgeoptError:
            return ()  # told where the bench asks for it
        new = {job.id: job for job in jobs if job.id not in self._asked | self._ended.keys()}
        self._asked |= new.keys()
        return list(new.values())
