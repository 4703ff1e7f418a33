"""How a target is measured, by what can be measured there."""

from __future__ import annotations

from edgeopt.pipeline.counted import CountedBench, is_timed
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.remote import RemoteBench, is_remote
from edgeopt.schema.target import TargetGroup


def bench_for(group: TargetGroup) -> type[Bench]:
    """The bench that measures a target's entries."""
    if not is_timed(group):
        return CountedBench
    return RemoteBench if is_remote(group) else Bench
