"""What each stage did to speed: the same chain with it and without it, form by form.

A pruned network may gain in FP32 and lose in INT8, where kernels like some channel counts and not
others. So every stage is looked at in every form that was raced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgeopt.decide.proof import quotient
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Candidate
from edgeopt.schema.result import StageFigure
from edgeopt.schema.shown import whole

Measured = Mapping[str, Mapping[str, Measurement]]
FORMS = ("int8", "int4", "float16", "float32")


def stage_figures(
    candidates: Sequence[Candidate], measured: Measured, quantity: str
) -> tuple[StageFigure, ...]:
    """A figure for each stage and form of which both sides were raced.

    Where a network could not be raced after one stage (a pruned one that only guesses, say), that
    stage and the next are told of together. ``quantity`` is the ratio to the reference that stands
    for speed. The ratio of two such ratios has the root of the sum of their squares as half-width,
    in logarithms.
    """
    known = {(c.target, c.stages, c.rest): c for c in candidates if quantity in measured[c.id]}
    figures = []
    for (target, stages, rest), after in known.items():
        shorter = [stages[:count] for count in reversed(range(len(stages)))]
        raced = [kept for kept in shorter if (target, kept, rest) in known]
        if not raced:
            continue
        before = known[target, raced[0], rest]
        ratio = quotient(measured[after.id][quantity], measured[before.id][quantity])
        figures.append(
            StageFigure(
                stage=" > ".join(stages[len(raced[0]) :]),
                form=next((f for f in FORMS if f in after.description.facts), ""),
                before=before.id,
                after=after.id,
                ratio=ratio,
            )
        )
    return tuple(figures)


def dropped(
    figures: Iterable[StageFigure], candidates: Mapping[str, Candidate], chosen: str
) -> list[str]:
    """A sentence for each stage that slows the form that was chosen, and is not in the choice."""
    won = candidates[chosen]
    sentences = []
    for each in figures:
        before = candidates[each.before]
        absent = not set(each.stage.split(" > ")) & set(won.stages)
        if each.slows and absent and before.rest == won.rest:
            sentences.append(
                f"stage '{each.stage}' was dropped: after it, '{' > '.join(before.rest)}' takes "
                f"{whole(each.ratio)} as long as before"
            )
    return sentences
