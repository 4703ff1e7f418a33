from __future__ import annotations

import pytest
import torch

from edgeopt.agent import machine
from edgeopt.training import TrainingSettings
from edgeopt.training.precision import precision_on

AUTO = TrainingSettings(precision="auto")


@pytest.mark.parametrize(
    ("features", "precision"),
    [
        (["avx2"], "float32"),
        ([], "float32"),
        (["avx2", "avx512_bf16"], "bfloat16"),
        (["amx_bf16"], "bfloat16"),
        (["asimd", "bf16"], "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, features: list[str], precision: str
) -> None:
    monkeypatch.setattr(machine, "facts", lambda: {"features": features})
    assert precision_on("cpu", AUTO) == precision


@pytest.mark.parametrize(("able", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_is_asked_for_its_own(
    monkeypatch: pytest.MonkeyPatch, able: bool, precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert precision_on("cuda", AUTO) == precision


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_what_is_named_is_taken(precision: str) -> None:
    settings = TrainingSettings.model_validate({"precision": precision})
    assert precision_on("cpu", settings) == precision_on("cuda", settings) == precision
