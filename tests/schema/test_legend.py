from __future__ import annotations

from typing import Any

import pytest
import result_sample as sample

from edgeopt.schema import legend
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateResult, TargetResult


def changed(target: TargetResult, /, **update: Any) -> TargetResult:
    """The target, every candidate of it changed."""
    candidates = tuple(c.model_copy(update=update) for c in target.candidates)
    return target.model_copy(update={"candidates": candidates})


def terms(target: TargetResult) -> dict[str, str]:
    return dict(legend.legend(target))


def test_terms_are_explained_only_where_they_are_shown() -> None:
    full = terms(sample.sample_target())
    assert {"source", "reference", "constraint", "p50", "front", "scheme"} <= set(full)
    assert "stages" not in full and "int8, float16" not in full
    bare = sample.sample_target(candidates=(), reference="", chosen=None)
    assert set(terms(bare)) == {"source", "p50"}


def test_the_reference_is_said_to_be_a_choice_or_none() -> None:
    target = sample.sample_target()
    assert "It is none of the 8 candidates" in terms(target)["reference"]
    chosen = changed(target.model_copy(update={"candidates": target.candidates[:1]}), status="lost")
    assert (
        "It is one of the 1 candidate, because a chain of the recipe ends there;"
        in terms(chosen)["reference"]
    )


def test_the_reference_s_runtime_is_told_with_what_it_was_first_of() -> None:
    target = changed(sample.sample_target(), target="local/litert")
    machine = {"runtimes": {"litert": "2", "torch": "2"}}
    text = terms(target.model_copy(update={"machine": machine}))["reference"]
    assert ", in litert, the first of litert, torch that reads the conversion." in text
    alone = terms(target.model_copy(update={"machine": {"runtimes": {"litert": "2"}}}))["reference"]
    assert ", in litert. It is" in alone


def test_each_race_is_explained_by_its_processes_and_inferences() -> None:
    found = terms(sample.sample_target())
    assert "in 5 fresh processes;" in found["full race"]
    assert "in 5 fresh processes" in found["short race"] and "counted" not in found
    assert found["not raced"] == "the row says why"
    target = sample.sample_target()
    lost = target.candidates[3]
    timed = lost.measurements["ratio.latency.p50"].model_copy(update={"n": 12, "timed": 1500})
    lost = lost.model_copy(
        update={"measurements": {**lost.measurements, "ratio.latency.p50": timed}}
    )
    several = target.model_copy(
        update={"candidates": (*target.candidates[:3], lost, *target.candidates[4:])}
    )
    told = "in 5 to 12 fresh processes, in each at least 1,500 timed inferences of each of the two"
    assert told in terms(several)["full race"]
    assert "in 5 fresh processes" in terms(several)["short race"]


def test_a_direct_race_is_explained_where_one_was_run() -> None:
    target = sample.sample_target()
    assert legend.races(target.candidates[2]) == ["full race", "head to head"]
    assert "raced directly against the chosen, in 5 fresh" in terms(target)["head to head"]
    assert "head to head" not in terms(changed(target, against_chosen=None))


@pytest.mark.parametrize(
    ("update", "told"),
    [
        ({"raced": "count"}, ["counted"]),
        ({"raced": ""}, ["not raced"]),
        ({"raced": None}, []),
        ({"raced": "full", "reference": True}, []),
        ({"raced": "", "status": "unmeasured"}, []),
    ],
)
def test_nothing_is_said_of_races_that_go_without_saying(
    update: dict[str, Any], told: list[str]
) -> None:
    lost: CandidateResult = sample.candidates()[3].model_copy(update=update)
    assert legend.races(lost) == told


@pytest.mark.parametrize(
    ("reason", "word", "term"),
    [
        ("a tie with the chosen, which is smaller: raced", "tie, larger", "tie"),
        ("a tie with the chosen, which is of the same size: raced", "tie, same size", "tie"),
        ("a tie with the chosen: raced", "tie", "tie"),
        ("p50 latency 0.5x; not proven worse, because", "not proven", "not proven"),
        ("p50 latency 0.5x", "lost", "lost"),
    ],
)
def test_of_what_lost_it_is_said_whether_that_is_proven(reason: str, word: str, term: str) -> None:
    """Guards against "lost" beside a candidate that is level with the chosen."""
    target = sample.sample_target()
    lost = target.candidates[2].model_copy(update={"reason": reason})
    assert legend.standing(lost) == word
    found = terms(target.model_copy(update={"candidates": (target.candidates[0], lost)}))
    assert {"tie", "not proven", "lost"} & set(found) == {term}
    assert legend.standing(target.candidates[0]) == "reference"


def test_schemes_are_explained_that_a_chain_has() -> None:
    text = terms(sample.sample_target())["scheme"]
    assert all(f"{name}: " in text for name in ("u8s8", "u8s8-reduced", "s8s8"))
    assert "u8s8-safe: " not in text and "dynamic: " not in text
    assert "scheme" not in terms(changed(sample.sample_target(), label="export-onnx"))


def test_spared_operators_are_explained_of_onnx_files_alone() -> None:
    shares = Conversion(form="int8", weights=0.9, float_operators={"Conv": 1})
    target = changed(sample.sample_target(), conversion=shares)
    assert "float_stem" in terms(target)["int8, float16"]
    whole = shares.model_copy(update={"float_operators": {}})
    assert "float_stem" not in terms(changed(target, conversion=whole))["int8, float16"]
    artifact = target.candidates[0].artifact
    assert artifact is not None
    tflite = changed(target, artifact=artifact.model_copy(update={"format": "tflite"}))
    assert "float_stem" not in terms(tflite)["int8, float16"]


def test_memory_is_called_by_where_it_was_taken() -> None:
    target = sample.sample_target()
    assert legend.memory_name(target) == legend.ADDED
    text = terms(target)[legend.ADDED]
    assert "where a bound is on it; and of the reference beside each" in text
    held = Measurement(
        quantity="memory.peak", value=1e6, unit="bytes", protocol="peak on the accelerator"
    )
    there = changed(target, measurements={"memory.peak": held})
    assert legend.memory_name(there) == legend.THERE
    assert "the most that the runtime held there" in terms(there)[legend.THERE]
    assert "finalists" not in terms(there)[legend.THERE]
    assert legend.ADDED not in terms(changed(target, measurements={}))
