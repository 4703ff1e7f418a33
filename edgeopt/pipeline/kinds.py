"""How a target is measured and decided, by what can be measured there."""

from __future__ import annotations

from edgeopt.pipeline.away import AwayBench, is_away
from edgeopt.pipeline.contest import Contest
from edgeopt.pipeline.counted import CountedBench, CountedContest, is_timed
from edgeopt.pipeline.measure import Bench
from edgeopt.schema.target import TargetGroup


def kinds_of(group: TargetGroup) -> tuple[type[Bench], type[Contest]]:
    """The bench that measures a target's entries and the contest that decides among them."""
    if not is_timed(group):
        return CountedBench, CountedContest
    return AwayBench if is_away(group) else Bench, Contest
