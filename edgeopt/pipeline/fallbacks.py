"""The same chains with one pass in another form, planned beside those that need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeopt import step_calls
from edgeopt.planner import Known, make_plan
from edgeopt.recipe import Choice, Recipe
from edgeopt.schema.errors import PlanError
from edgeopt.schema.plan import Candidate, Plan
from edgeopt.step import Pass, registry


def with_fallbacks(
    recipe: Recipe, known: Known, plan: Plan, needed: Iterable[str]
) -> tuple[Plan, dict[str, tuple[str, ...]]]:
    """The plan with what the passes of some leaf jobs name as fallbacks, and these by that job.

    A fallback that the plan has already is named and not planned again. Without room below
    ``limits.candidates`` the plan stays as it is and no fallback is named.
    """
    ill = [c for c in plan.candidates if c.job in set(needed) and c.eligible]
    fallbacks = {c.id: _with_one(c, plan) for c in ill}
    passes = {step_calls.label(step): step for each in fallbacks.values() for step in each.values()}
    try:
        wider = make_plan(_widened(recipe, passes.values()), known)
    except PlanError:
        return plan, {}
    by_place = {(c.target, c.chain): c for c in wider.candidates}
    named: dict[str, tuple[str, ...]] = {}
    fresh: dict[str, Candidate] = {}
    old = {c.id for c in plan.candidates}
    for candidate in ill:
        places = ((candidate.target, chain) for chain in fallbacks[candidate.id])
        known_ones = [by_place[place] for place in places if place in by_place]
        named[candidate.job] = tuple(c.job for c in known_ones)
        fresh |= {c.id: c for c in known_ones if c.id not in old}
    steps = {id for c in fresh.values() for id in (*c.steps, *(f"check:{s}" for s in c.steps))}
    have = {job.id for job in plan.jobs}
    jobs = [*plan.jobs, *(j for j in wider.jobs if j.id in steps and j.id not in have)]
    update = {"jobs": tuple(jobs), "candidates": (*plan.candidates, *fresh.values())}
    return plan.model_copy(update=update), named


def _with_one(candidate: Candidate, plan: Plan) -> Mapping[tuple[str, ...], Pass]:
    """Chain -> the fallback in it, for each fallback of each pass of a candidate."""
    by_chain = {}
    for index, id in enumerate(candidate.steps):
        job = plan.job(id)
        kind = registry()[job.name, job.params["takes"]]
        step = step_calls.read(kind, job.params["fields"])
        for fallback in step_calls.fallbacks(step):
            label = step_calls.label(fallback)
            chain = (*candidate.chain[:index], label, *candidate.chain[index + 1 :])
            by_chain[chain] = fallback
    return by_chain


def _widened(recipe: Recipe, fallbacks: Iterable[Pass]) -> Recipe:
    """The recipe with the fallbacks as further alternatives wherever their pass stands."""
    more: dict[str, list[Choice]] = {}
    for fallback in fallbacks:
        fields = fallback.model_dump(mode="json", exclude_defaults=True)
        more.setdefault(fallback.name, []).append(Choice(name=fallback.name, fields=fields))
    passes = []
    for step in recipe.passes:
        names = dict.fromkeys(choice.name for choice in step.choices)
        added = [choice for name in names for choice in more.get(name, ())]
        passes.append(step.model_copy(update={"choices": (*step.choices, *added)}))
    return recipe.model_copy(update={"passes": tuple(passes)})
