"""Every kind of job has one who does it: a worker, or else the bench."""

from __future__ import annotations

from typing import get_args

from edgeopt.bench.jobs import ROLES
from edgeopt.schema.job import Kind
from edgeopt.worker.kinds import HANDLERS


def test_a_job_of_every_kind_is_done_by_a_worker_or_by_the_bench() -> None:
    assert set(HANDLERS) | set(ROLES) == set(get_args(Kind))
    assert not set(HANDLERS) & set(ROLES)
