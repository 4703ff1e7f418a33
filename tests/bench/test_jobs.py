"""How scores and races are written and called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from passes_bench import network, samples

from edgeopt.bench.jobs import Runnable, race_job, score_job
from edgeopt.schema.errors import DeviceError, EdgeoptError, UsageError
from edgeopt.schema.target import parse_target

Ask = Callable[..., dict[str, Any]]


def test_sides_with_other_threads_cannot_race(ask: Ask) -> None:
    targets = {"a": "local/onnxruntime?threads=2", "b": "local/onnxruntime"}
    with pytest.raises(UsageError, match="cannot race"):
        ask("race", a=network(), b=network(), x=samples(8), target=targets)


def test_what_cannot_run_is_an_error_with_a_name(ask: Ask) -> None:
    with pytest.raises(UsageError, match="no race 'long'"):
        ask("race", a=network(), b=network(), x=samples(4), protocol="long")
    with pytest.raises(DeviceError, match="torch reads torch, not onnx"):
        ask("score", model=network(), x=samples(4), target="local/torch")
    broken = network()
    broken.graph.node[0].op_type = "Convolve"
    with pytest.raises(EdgeoptError, match="Convolve"):
        ask("score", model=broken, x=samples(4))


HERE = Runnable(parse_target("local/onnxruntime"), "model-job", "samples-job")


def test_a_score_names_its_target_its_check_and_how_much_it_is_of() -> None:
    whole = score_job("score", HERE)
    assert (whole.id, whole.name, whole.worker, whole.needs) == (
        "score",
        "onnxruntime",
        "bench",
        (),
    )
    assert whole.inputs == {"model": "model-job", "samples:model": "samples-job"}
    made = {"targets": {"model": "local/onnxruntime"}, "fixed": "sizes"}
    assert whole.params == made and whole.cache
    few = score_job("score", HERE, first=8, check="check", key={"isa": "x"}, allow_fallback=True)
    assert (few.id, few.needs, few.key) == ("score (first 8)", ("check",), {"isa": "x"})
    assert (few.params["first"], few.params["allow_fallback"]) == (8, True)
    digests = {"model": "1", "samples:model": "2"}
    assert few.cache_key(digests) != whole.cache_key(digests)


def test_scores_of_sessions_that_are_made_for_something_are_kept_apart() -> None:
    several = score_job("score", HERE._replace(one_size=False))
    assert several.params["fixed"] == "batch"
    torch = HERE._replace(target=parse_target("local/torch"))
    assert "fixed" not in score_job("score", torch).params
    assert race_job("race", torch, HERE, "full").params["fixed"] == "sizes"


def test_a_race_is_never_taken_from_the_cache() -> None:
    other = HERE._replace(model="other-job")
    job = race_job("race", HERE, other, "full")
    assert not job.cache and job.params["protocol"] == job.name == "full"
    assert job.inputs == {
        "a": "model-job", "samples:a": "samples-job", "b": "other-job", "samples:b": "samples-job",
    }  # fmt: skip
    assert "allow_fallback" not in job.params


@pytest.mark.parametrize(
    ("target", "protocol", "lacks"),
    [
        ("emulated:cortex-a53/onnxruntime", "full", "latency"),
        ("emulated:cortex-a53/onnxruntime", "memory", "memory"),
        ("local/onnxruntime", "count", "instructions"),
    ],
)
def test_nothing_races_by_what_a_device_cannot_measure(
    ask: Ask, target: str, protocol: str, lacks: str
) -> None:
    with pytest.raises(UsageError, match=f"does not measure {lacks}") as caught:
        ask("race", a=network(), b=network(), x=samples(4), target=target, protocol=protocol)
    assert caught.value.where == "race"
