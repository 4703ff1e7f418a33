"""Which of ONNX Runtime's providers a session is made with."""

from __future__ import annotations

import onnxruntime
import pytest

from edgeopt.agent.errors import AgentError
from edgeopt.agent.providers import CPU, PLUGIN, PROVIDER, Providers, offered


def test_the_cpu_needs_no_provider_beside_its_own() -> None:
    made = Providers("cpu", 4)
    assert (made.listed, made.devices, made.device) == ([], [], "")
    assert offered()["cpu"] == CPU == "CPUExecutionProvider"


def test_what_is_found_is_what_a_session_can_be_made_with() -> None:
    present = set(onnxruntime.get_available_providers())
    for accelerator, provider in offered().items():
        assert PROVIDER[accelerator] == provider
        assert provider in present or accelerator in PLUGIN


@pytest.mark.parametrize("accelerator", ["none", *PROVIDER])
def test_what_is_absent_is_refused_with_what_is_there(accelerator: str) -> None:
    if accelerator in offered():
        assert Providers(accelerator, 1).options.get("device_type") is None
        return
    with pytest.raises(AgentError) as caught:
        Providers(accelerator, 1)
    assert caught.value.kind == "DeviceError" and accelerator in caught.value.what
    assert caught.value.hint
