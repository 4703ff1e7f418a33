"""Targets as they were asked for: reached and told apart at the start, in order at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeopt.bench.accelerators import with_accelerator
from edgeopt.decide.decision import EXIT
from edgeopt.planner import Known
from edgeopt.recipe import Recipe
from edgeopt.schema.errors import DeviceError, UnreachableError
from edgeopt.schema.result import TargetResult, TargetVerdict
from edgeopt.schema.runtime import every_runtime
from edgeopt.schema.target import Target, TargetGroup
from edgeopt.transport.kinds import device_named


def target_groups(
    targets: Iterable[Target],
) -> tuple[tuple[TargetGroup, ...], dict[str, UnreachableError]]:
    """Each target with what its agent says of it, and those that could not be reached.

    Raises UsageError, DeviceError where a runtime is missing, UnreachableError where all are
    out of reach.
    """
    groups, lost = [], dict[str, UnreachableError]()
    for target in targets:
        try:
            groups.append(target_group(target))
        except UnreachableError as error:
            lost[str(target)] = error
    if not groups:
        raise next(iter(lost.values()))
    return tuple(groups), lost


def target_group(asked: Target) -> TargetGroup:
    """A target, or one for each runtime that is found there. Raises DeviceError, UsageError."""
    device = device_named(asked.device)
    if not asked.every:
        facts = with_accelerator(device, asked, device.facts(asked))
        return TargetGroup(asked=asked, members=((asked, facts),))
    device.hello()  # a device out of reach lacks no runtime
    members = []
    for runtime in every_runtime():
        try:
            members.append((asked.on(runtime), device.facts(asked.on(runtime))))
        except DeviceError as error:
            missing = error
    if not members:
        raise missing
    return TargetGroup(asked=asked, members=tuple(members))


def in_order(recipe: Recipe, results: Sequence[TargetResult], known: Known) -> list[TargetResult]:
    """One result a target, in the recipe's order; what was never reached, or has no chain, has no
    candidates."""
    by_target = {result.target: result for result in results}
    lost: dict[str, tuple[TargetVerdict, str]] = {
        target: ("unreachable", str(error)) for target, error in known.unreachable.items()
    }
    lost |= {target: ("failed", what) for target, what in known.failed.items()}
    for target in recipe.parsed_targets():
        if str(target) in lost:
            verdict, sentence = lost[str(target)]
            by_target[str(target)] = TargetResult(
                target=str(target),
                objective=recipe.objective_for(target),
                machine={},
                verdict=verdict,
                sentence=sentence,
                exit_code=EXIT[verdict],
            )
    return [by_target[str(target)] for target in recipe.parsed_targets()]
