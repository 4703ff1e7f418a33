"""Which bench measures a target: by whether it has time, and whether it is this machine's CPU."""

from __future__ import annotations

import pytest

from edgeopt.pipeline.counted import CountedBench
from edgeopt.pipeline.dispatch import bench_for
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.remote import RemoteBench
from edgeopt.schema.target import TargetFacts, TargetGroup, parse_target


@pytest.mark.parametrize(
    ("target", "quantities", "bench"),
    [
        ("local/onnxruntime", ("latency", "size"), Bench),
        ("local/onnxruntime?threads=2&batch=4", ("latency", "size"), Bench),
        ("local/litert:gpu", ("latency", "size"), RemoteBench),
        ("local/torch?mode=compiled", ("latency", "size"), RemoteBench),
        ("ssh:board/onnxruntime", ("latency", "size"), RemoteBench),
        ("emulated:cortex-a53/litert", ("instructions", "size"), CountedBench),
    ],
)
def test_a_bench_is_found_by_what_can_be_measured(
    target: str, quantities: tuple[str, ...], bench: type[Bench]
) -> None:
    asked = parse_target(target)
    facts = TargetFacts(target=target, isa="x", quantities=quantities)
    assert bench_for(TargetGroup(asked=asked, members=((asked, facts),))) is bench
