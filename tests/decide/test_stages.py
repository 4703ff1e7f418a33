"""What a stage did to speed: pairs of chains that differ in it alone."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.decide.stages import dropped, quotient, stage_figures
from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.plan import Candidate

SPEED = "ratio.latency.p50"
INT8 = "quantize-int8(scheme=u8s8)"


def candidate(*stages: str, int8: bool = False, target: str = "local/onnxruntime") -> Candidate:
    rest = ("export-onnx", INT8) if int8 else ("export-onnx",)
    facts = frozenset({"qdq", "int8"} if int8 else {"float32"})
    chain = (*stages, *rest)
    return Candidate(
        id=f"{target}#{'/'.join(chain)}",
        target=target,
        chain=chain,
        steps=chain,
        stages=stages,
        job="/".join(chain),
        description=Description(
            format="onnx", signature=Signature(inputs=(), outputs=()), facts=facts
        ),
    )


def ratio(value: float, half: float = 0.02) -> dict[str, Measurement]:
    made = Measurement(
        quantity=SPEED, value=value, unit="x", low=value / (1 + half), high=value * (1 + half), n=5
    )
    return {SPEED: made}


def test_every_stage_is_looked_at_in_every_form_that_was_raced() -> None:
    speeds = {
        candidate(): 1.0,
        candidate(int8=True): 0.3,
        candidate("prune"): 0.5,
        candidate("prune", int8=True): 0.36,
        candidate("prune", "distill"): 0.5,
    }
    never = candidate("prune", "distill", int8=True)
    measured = {c.id: ratio(value) for c, value in speeds.items()} | {never.id: {}}
    found = stage_figures([*speeds, never], measured, SPEED)
    told = {(f.stage, f.form): (round(f.ratio.value, 3), f.word) for f in found}
    assert told == {
        ("prune", "float32"): (0.5, "faster"),
        ("prune", "int8"): (1.2, "slower"),
        ("distill", "float32"): (1.0, "as fast"),
    }
    plans = {c.id: c for c in speeds}
    (note,) = dropped(found, plans, candidate(int8=True).id)
    assert note.startswith(f"stage 'prune' was dropped: after it, 'export-onnx > {INT8}' takes")
    assert not dropped(found, plans, candidate().id), "another form was chosen"
    assert not dropped(found, plans, candidate("prune", int8=True).id), "it is in the choice"


def test_a_stage_after_which_nothing_could_be_raced_is_told_of_with_the_next() -> None:
    speeds = {candidate(): 1.0, candidate("prune", "distill"): 0.5}
    (found,) = stage_figures(list(speeds), {c.id: ratio(v) for c, v in speeds.items()}, SPEED)
    assert (found.stage, found.word) == ("prune > distill", "faster")


def test_chains_of_other_targets_are_no_pair() -> None:
    here, there = candidate(), candidate("prune", target="local/openvino")
    assert stage_figures([here, there], {c.id: ratio(1.0) for c in (here, there)}, SPEED) == ()


def test_a_quotient_is_marked_where_it_is_wide_or_its_parts_are_doubtful() -> None:
    """Guards against an interval as wide as a marked one, without the mark."""
    near, far = ratio(0.3, 0.01)[SPEED], ratio(0.9, 0.04)[SPEED]
    assert quotient(near, near).marks == ()
    assert quotient(near, far).marks == ("wide",)
    few = near.model_copy(update={"marks": ("contended", "wide")})
    assert quotient(few, near).marks == ("contended",)


positive = st.floats(0.01, 100)
halves = st.floats(0.0, 0.5)


@given(positive, halves, positive, halves)
def test_a_quotient_is_no_more_certain_than_its_parts(
    mine: float, one: float, theirs: float, other: float
) -> None:
    found = quotient(ratio(mine, one)[SPEED], ratio(theirs, other)[SPEED])
    assert found.value == pytest.approx(mine / theirs)
    half = log(found.interval[1] / found.value)
    assert half >= max(log(1 + one), log(1 + other)) - 1e-9
    assert found.interval[0] * found.interval[1] == pytest.approx(found.value**2)
