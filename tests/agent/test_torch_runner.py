"""PyTorch in its modes and precisions, on the CPU: outputs, types and the proof of what ran."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeopt.agent.errors import AgentError
from edgeopt.agent.torch_runner import Runner, on_cuda

TOLERANCE = {"fp32": 1e-5, "bf16": 5e-2, "fp16": 1e-2}


@pytest.fixture(autouse=True)
def settings_restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    ).eval()


def runner(folder: Path, mode: str = "eager", precision: str = "fp32") -> Runner:
    return Runner(network(), ["x"], 1, "cpu", mode, precision, str(folder / "compiled"))


X = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_outputs_stay_float32_and_close(tmp_path: Path, precision: str) -> None:
    made = runner(tmp_path, precision=precision)
    (found,) = made.call(made.prepare({"x": X}))
    with torch.no_grad():
        expected = network()(torch.from_numpy(X))
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, expected, rtol=TOLERANCE[precision], atol=TOLERANCE[precision]
    )
    if precision != "fp32":
        assert not torch.equal(found, expected), "it computed in 16 bits"


@pytest.mark.long
def test_compiled_code_is_proven_to_have_run(tmp_path: Path) -> None:
    eager, compiled = runner(tmp_path), runner(tmp_path, mode="compiled")
    prepared = eager.prepare({"x": X})
    torch.testing.assert_close(compiled.call(prepared), eager.call(prepared), rtol=1e-4, atol=1e-5)
    assert set(eager.placement(prepared)) == {"cpu"}
    assert compiled.placement(prepared) == {"cpu": 1}, "one compiled region"
    with torch.compiler.set_stance("force_eager"):
        assert set(compiled.placement(prepared)) == {"eager"}, "a fallback does not pass"


def test_a_machine_without_cuda_says_so() -> None:
    if torch.cuda.is_available():
        assert on_cuda() == torch.cuda.get_device_name()
        return
    with pytest.raises(AgentError) as caught:
        on_cuda()
    assert caught.value.what == "torch finds no CUDA device here" and caught.value.hint
