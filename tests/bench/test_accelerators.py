"""What runtimes find to run on."""

from __future__ import annotations

import pytest

from edgeopt.bench.accelerators import with_accelerator
from edgeopt.devices.local import LocalDevice
from edgeopt.schema.errors import DeviceError
from edgeopt.schema.target import parse_target


def test_an_accelerator_that_is_not_there_is_an_error_before_any_work() -> None:
    device = LocalDevice()
    for target, told in (
        ("local/onnxruntime:tensorrt", "finds no accelerator 'tensorrt'"),
        ("local/onnxruntime:openvino", "finds no accelerator 'openvino'"),
    ):
        asked = parse_target(target)
        facts = device.facts(asked)
        with pytest.raises(DeviceError, match=told) as caught:
            with_accelerator(device, asked, facts)
        assert "it finds: cpu" in caught.value.hint


@pytest.mark.extras
def test_what_is_found_enters_the_facts() -> None:
    device = LocalDevice()
    asked = parse_target("local/litert:gpu")
    assert with_accelerator(device, asked, device.facts(asked)).machine["accelerator"]
    plain = parse_target("local/litert")
    assert with_accelerator(device, plain, device.facts(plain)) == device.facts(plain)
