"""Settings of a finalist: which are raced, and which are taken; figures are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import selection_parts as parts

from edgeopt.decide.choose import judge_all
from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotRaced, NotScored, Raced, Scored, SourceScored
from edgeopt.decide.settings import Tuned, Tuning, worth_racing
from edgeopt.decide.steps import Race, Score, Settings
from edgeopt.schema.constraint import parse_constraint
from edgeopt.schema.target import TargetFacts, parse_target

RATIO = "ratio.latency.p50"
INT8: Settings = (("int8", "allowed"),)
OPT: Settings = (("opt", "extended"),)
SOURCE = parts.measurements(parts.accurate(0))
BOUND = parse_constraint(parts.BOUND)


def entry(target: str, isa: str, *facts: str) -> Entry:
    (made,) = parts.entries_for({"a": 100}, {"a": 100})
    described = parts.EMPTY.model_copy(update={"facts": frozenset(facts)})
    place = parse_target(target)
    told = TargetFacts(target=target, isa=isa)
    return replace(made, target=place, facts=told, description=described)


@pytest.mark.parametrize(
    ("target", "isa", "facts", "worth"),
    [
        ("local/onnxruntime", "x86_64-avx2", ("int8", "qdq"), [OPT]),
        (
            "local/onnxruntime",
            "x86_64-avx2",
            ("int8", "int8-activations", "qdq"),
            [INT8, OPT, INT8 + OPT],
        ),
        ("local/onnxruntime", "x86_64-avx2", ("float32",), [OPT]),
        ("local/onnxruntime", "aarch64-asimddp", ("int8", "qdq"), []),
        ("local/onnxruntime?int8=auto", "x86_64-avx2", ("int8", "qdq"), [OPT]),
        ("local/onnxruntime?opt=all&int8=auto", "x86_64-avx2", ("int8", "qdq"), []),
        ("local/onnxruntime:cuda", "x86_64-avx2", ("int8", "int8-activations", "qdq"), [OPT]),
        ("local/openvino", "x86_64-avx512_vnni", ("int8",), [(("dynamic_quant", "0"),)]),
        ("local/openvino", "x86_64-avx2", ("int8",), []),
        ("local/openvino", "x86_64-avx512_bf16", ("float32",), [(("precision", "bf16"),)]),
        ("local/openvino", "x86_64-avx512_bf16", ("int8", "qdq"), []),
        ("local/openvino", "x86_64-avx2", ("float32",), []),
        ("local/litert", "aarch64-asimd", ("float32",), [(("api", "compiled"),)]),
        ("local/torch", "x86_64-avx2", ("float32",), []),
    ],
)
def test_what_is_worth_a_race_is_declared_for_machine_and_file(
    target: str, isa: str, facts: tuple[str, ...], worth: list[Settings]
) -> None:
    assert list(worth_racing(entry(target, isa, *facts))) == worth


def tuning(*tries: Settings) -> Tuning:
    def judge(measured: Any) -> Any:
        return judge_all([BOUND], measured, SOURCE)

    return Tuning("a", tries, ratio=RATIO, constraints=[BOUND], judge=judge)


def raced(step: Any, ratio: float) -> Raced:
    assert isinstance(step, Race) and step.purpose == "settings"
    assert (step.first, step.second) == ("a", "a")
    figures = parts.fast(ratio)
    return Raced(step, {}, {}, parts.measurements({RATIO: figures[RATIO]}))


def scored(step: Any, points: float) -> Scored:
    assert isinstance(step, Score) and step.ids == ("a",)
    return Scored(
        step.split, "a", parts.measurements(parts.accurate(points)), settings=step.settings
    )


def ended(found: Any) -> Tuned:
    assert isinstance(found, Tuned)
    return found


def test_the_fastest_that_holds_is_taken() -> None:
    machine = tuning(INT8, OPT, INT8 + OPT)
    step = machine.tell(raced(machine.start(), 0.8))
    assert machine.tell(SourceScored("validation", SOURCE)) is None
    step = machine.tell(scored(step, 0.0))
    step = machine.tell(raced(step, 0.9))
    step = machine.tell(scored(step, 0.0))
    step = machine.tell(raced(step, 0.5))  # fastest, and wrong
    tuned = ended(machine.tell(scored(step, -5.0)))
    assert tuned.settings == INT8 and tuned.scored is not None
    assert tuned.scored.settings == INT8
    told = {trial.name: (trial.taken, trial.reason) for trial in tuned.tried}
    assert told["int8=allowed"][0] and "0.80x" in told["int8=allowed"][1]
    assert "others were faster" in told["opt=extended"][1]
    assert not told["int8=allowed&opt=extended"][0]
    assert "misses" in told["int8=allowed&opt=extended"][1]


def test_what_is_not_proven_faster_is_not_even_scored() -> None:
    machine = tuning(INT8, OPT)
    step = machine.tell(raced(machine.start(), 0.995))  # up to 1.005
    assert isinstance(step, Race) and step.settings == OPT
    tuned = ended(machine.tell(NotRaced(step, {"what": "it broke"})))
    assert tuned.settings == () and tuned.scored is None
    assert [trial.taken for trial in tuned.tried] == [False, False]
    assert "not proven faster" in tuned.tried[0].reason and "it broke" in tuned.tried[1].reason


def test_what_is_proven_slower_is_called_slower() -> None:
    machine = tuning(INT8)
    tuned = ended(machine.tell(raced(machine.start(), 1.05)))
    assert tuned.tried[0].reason.startswith("slower: 1.05x")


def test_several_at_once_are_raced_only_where_each_won_by_itself() -> None:
    machine = tuning(INT8, OPT, INT8 + OPT)
    step = machine.tell(raced(machine.start(), 0.8))
    step = machine.tell(scored(step, 0.0))
    tuned = ended(machine.tell(raced(step, 1.1)))
    assert tuned.settings == INT8
    assert [trial.name for trial in tuned.tried] == ["int8=allowed", "opt=extended"]


def test_a_gain_that_may_be_less_than_two_percent_is_not_taken() -> None:
    """Guards against a setting that wins one of many races by noise."""
    machine = tuning(INT8)
    tuned = ended(machine.tell(raced(machine.start(), 0.975)))  # up to 0.985
    assert tuned.settings == () and "not proven faster" in tuned.tried[0].reason


def test_answers_that_fail_are_not_taken() -> None:
    machine = tuning(INT8)
    step = machine.tell(raced(machine.start(), 0.5))
    assert isinstance(step, Score)
    error = NotScored("validation", "a", {"what": "guesses"}, settings=step.settings)
    tuned = ended(machine.tell(error))
    assert tuned.settings == () and "guesses" in tuned.tried[0].reason


def test_without_time_no_further_ones_are_raced() -> None:
    machine = tuning(INT8, OPT)
    step = machine.tell(raced(machine.start(), 0.5), late=True)
    assert ended(machine.tell(scored(step, 0.0), late=True)).settings == INT8
    assert ended(tuning().start()).tried == ()


def test_what_nobody_asked_for_is_refused() -> None:
    machine = tuning(INT8)
    asked = machine.start()
    for event in (
        raced(Race("a", "a", "short", "settings", settings=OPT), 0.5),
        Scored("validation", "a", {}, settings=INT8),
        SourceScored("validation", {}),
    ):
        with pytest.raises(ValueError, match="nothing was asked for"):
            machine.tell(event)
    step = machine.tell(raced(asked, 0.5))
    with pytest.raises(ValueError, match="nothing was asked for"):
        machine.tell(Scored("validation", "a", {}))
    assert isinstance(step, Score)
