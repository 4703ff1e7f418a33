"""From an agent's hello to the facts of a target."""

from __future__ import annotations

import pytest

from edgeopt.schema.errors import DeviceError
from edgeopt.schema.target import parse_target
from edgeopt.transport.channel import Hello
from edgeopt.transport.hello import MOMENTARY, facts_of

SAID = {
    "protocol": 3, "python": "3.9.1",
    "machine": {"isa": "aarch64-asimd", "cores": 4, "features": ["asimd"], "cpu": "a board",
                "load": 0.5, "temperature_c": 40.0, "frequency_mhz": 1500.0, "kernel": "6.1"},
    "runtimes": {"litert": "2.1"}, "missing": {"onnxruntime": "has none of: onnxruntime"},
}  # fmt: skip
HELLO = Hello.model_validate(SAID)


def test_facts_are_of_the_machine_and_not_of_the_moment() -> None:
    target = parse_target("ssh:board/litert?threads=2")
    facts = facts_of(HELLO, target, {"size", "latency"}, "install it")
    assert (facts.target, facts.isa, facts.cores) == (str(target), "aarch64-asimd", 4)
    assert (facts.runtime_version, facts.features) == ("2.1", ("asimd",))
    assert facts.quantities == ("latency", "size")
    assert (facts.machine["cpu"], facts.machine["python"], facts.machine["cores"]) == (
        "a board", "3.9.1", 4,
    )  # fmt: skip
    assert not (MOMENTARY - {"cores"}) & set(facts.machine)


def test_a_missing_runtime_says_why_and_what_is_there() -> None:
    with pytest.raises(DeviceError, match="runtime 'onnxruntime' is not installed") as caught:
        facts_of(HELLO, parse_target("ssh:board/onnxruntime"), (), "install it")
    assert caught.value.where == "ssh:board/onnxruntime"
    assert caught.value.hint == "install it; has none of: onnxruntime; installed: litert"
    bare = HELLO.model_copy(update={"runtimes": {}, "missing": {}})
    with pytest.raises(DeviceError) as caught:
        facts_of(bare, parse_target("ssh:board/torch"), (), "install it")
    assert caught.value.hint == "install it"
