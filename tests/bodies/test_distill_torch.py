"""Distillation on shipped networks and real samples: what is learnt, written and refused."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import edgeopt.passes
from edgeopt.by_hand import ByHand
from edgeopt.formats import format_named
from edgeopt.passes import PruneUnstructured
from edgeopt.passes.distill_torch import Distill
from edgeopt.schema.errors import PassError
from edgeopt.training.distillation_losses import attention_map, output_loss

MODELS = Path(__file__).parents[2] / "models"
MODEL = MODELS / "imu"  # a tenth of the work of the one over images
QUICK = {"epochs": 2, "batch": 32, "lr": 0.05, "ema": 0.9}
LONGER = {**QUICK, "epochs": 6}
SIGNATURE = {"signal": {"shape": [6, 128], "dtype": "float32", "layout": ""}}
Split = tuple[dict[str, np.ndarray], np.ndarray]


class Working(ByHand):
    """The context of a pass in a worker, as far as distill is concerned."""

    source_folder = Path()

    @property
    def parent(self) -> Path:
        return self.source_folder


def working(source: Path, teacher: nn.Module, data: dict[str, Split], folder: Path) -> Working:
    made = Working(
        seed=0,
        workdir=folder,
        description=format_named("torch").describe(source),
        given=data,
        source=copy.deepcopy(teacher),
        taught=True,
    )
    made.source_folder = source
    return made


def net(model: str = "imu") -> Any:
    spec = importlib.util.spec_from_file_location(f"{model}_net", MODELS / model / "net.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def narrow(width: int, classes: int = 7, model: str = "imu") -> nn.Module:
    torch.manual_seed(0)
    return net(model).ResNet(width, classes=classes)


@pytest.fixture(scope="module")
def data() -> dict[str, Split]:
    with np.load(MODEL / "imu.npz") as archive:
        return {
            split: (
                {"signal": archive[f"{split}.signal"][:count].astype(np.float32) / 1000},
                archive[f"{split}.label"][:count],
            )
            for split, count in (("train", 320), ("validation", 160))
        }


@pytest.fixture(scope="module")
def images() -> dict[str, Split]:
    with np.load(MODELS / "fashion_mnist" / "fashion_mnist.npz") as archive:
        found = {}
        for split, count in (("train", 64), ("validation", 32)):
            pixels = archive[f"{split}.images"][:count, None].astype(np.float32) / 255
            found[split] = {"image": (pixels - 0.286) / 0.353}, archive[f"{split}.label"][:count]
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    spec = {"factory": "net.py:resnet", "weights": "source.safetensors"}
    format_named("torch").gather(spec, MODEL, folder, SIGNATURE)
    return folder


@pytest.fixture(scope="module")
def teacher(source: Path) -> nn.Module:
    return format_named("torch").load(source)


def unlabelled(data: dict[str, Split]) -> dict[str, dict[str, np.ndarray]]:
    return {split: inputs for split, (inputs, _) in data.items()}


def agreement(a: nn.Module, b: nn.Module, signals: np.ndarray) -> float:
    x = torch.from_numpy(signals)
    with torch.inference_mode():
        return float((a(x).argmax(1) == b(x).argmax(1)).float().mean())


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("method", ["logits", "features", "attention"])
def test_a_narrow_student_learns_without_labels_and_the_caller_keeps_his_modules(
    method: str, data: dict[str, Split], teacher: nn.Module
) -> None:
    student = narrow(8)
    student.train()
    kept, taught = state(student), state(teacher)
    seeds = torch.get_rng_state()
    told: list[float] = []
    step = edgeopt.passes.Distill(method=method, outputs="classes", **LONGER)
    made = step(
        student,
        unlabelled(data),
        teacher=teacher,
        progress=lambda done, *_, **__: told.append(done),
    )
    assert same(kept, state(student)) and student.training
    assert same(taught, state(teacher)) and all(p.requires_grad for p in teacher.parameters())
    assert torch.equal(seeds, torch.get_rng_state())
    assert made.training and told
    made.eval()
    signals = data["validation"][0]["signal"]
    assert agreement(made, teacher, signals) > 0.55 > agreement(student.eval(), teacher, signals)
    assert not any(module._forward_hooks for module in made.modules())


def test_labels_teach_beside_the_teacher_and_equal_calls_give_equal_bits(
    images: dict[str, Split],
) -> None:
    torch.manual_seed(1)
    teacher = net("fashion_mnist").ResNet(12).eval()

    def taught(soft: float, seed: int) -> dict[str, torch.Tensor]:
        step = Distill(soft=soft, method="attention", shift=1, mirror=True, **QUICK)
        student = narrow(8, 10, "fashion_mnist")
        return state(step(student, images, teacher=teacher, seed=seed))

    first, second = (taught(soft=0.5, seed=1) for _ in range(2))
    assert same(first, second) and not same(first, taught(soft=0.5, seed=2))
    assert not same(first, taught(soft=1.0, seed=1))


def test_loaders_are_read_and_cut_where_there_is_one_source(
    data: dict[str, Split], teacher: nn.Module
) -> None:
    inputs, labels = data["train"]
    tensors = torch.from_numpy(inputs["signal"]), torch.from_numpy(labels)
    loader = DataLoader(TensorDataset(*tensors), batch_size=50)
    made = Distill(epochs=1, batch=32)(narrow(8), loader, teacher=teacher)
    assert isinstance(made, nn.Module)
    with pytest.raises(PassError, match="no data for the split 'validation'"):
        Distill(epochs=1)(narrow(8), {"train": loader}, teacher=teacher)


def test_self_distillation_has_the_network_so_far_for_a_teacher(
    data: dict[str, Split], teacher: nn.Module
) -> None:
    step = Distill(teacher="parent", steps=2, batch=16, lr=1e-3, ema=0.0)
    made = step(teacher, unlabelled(data))
    assert agreement(made, teacher, data["validation"][0]["signal"]) > 0.9


class Regressor(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, width), nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x)))


@pytest.mark.parametrize("outputs", ["auto", "embedding"])
@pytest.mark.parametrize("labelled", [False, True])
def test_values_and_embeddings(outputs: str, labelled: bool) -> None:
    torch.manual_seed(0)
    wide, student = Regressor(32).eval(), Regressor(8)
    x = torch.randn(400, 6)
    arrays = ({"x": x}, wide(x).detach()) if labelled else {"x": x}
    step = Distill(outputs=outputs, epochs=20, batch=32, optimizer="adamw", lr=0.02)
    made = step(student, {"train": arrays, "validation": arrays}, teacher=wide)
    with torch.inference_mode():
        gaps = [
            float(output_loss(each(x), wide(x), "values" if outputs == "auto" else "embedding"))
            for each in (student, made)
        ]
    assert gaps[1] < gaps[0] / 4


def test_the_factory_student_is_an_artifact_of_its_own(
    data: dict[str, Split], teacher: nn.Module, source: Path, tmp_path: Path
) -> None:
    ctx = working(source, teacher, data, tmp_path)
    step = Distill(student=str(MODEL / "net.py") + ":resnet_16", epochs=1, batch=32)
    made = step.run(copy.deepcopy(teacher), ctx)
    assert json.loads((made / "model.json").read_text())["factory"] == "net.py:resnet_16"
    assert format_named("torch").describe(made) == step.effect(ctx.description)
    loaded = format_named("torch").load(made)
    assert sum(p.numel() for p in loaded.parameters()) < 60_000
    assert step.code == (step.student,)


def test_the_parent_keeps_its_factory(
    data: dict[str, Split], teacher: nn.Module, source: Path, tmp_path: Path
) -> None:
    ctx = working(source, teacher, data, tmp_path)
    made = Distill(steps=1, batch=16).run(copy.deepcopy(teacher), ctx)
    assert (made / "code" / "net.py").read_bytes() == (MODEL / "net.py").read_bytes()
    assert not same(state(format_named("torch").load(made)), state(teacher))


def test_a_step_of_the_users_own(
    data: dict[str, Split], teacher: nn.Module, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        "def step(student, teacher, inputs, labels):\n"
        "    return (student(**inputs) - teacher(**inputs)).abs().mean()\n"
    )
    step = Distill(training_step=str(tmp_path / "own.py") + ":step", **LONGER)
    made = step(narrow(8).eval(), data, teacher=teacher)
    signals = data["validation"][0]["signal"]
    assert agreement(made, teacher, signals) > 0.55 > agreement(narrow(8).eval(), teacher, signals)
    assert step.code == (step.training_step,)

    asked: list[int] = []

    def own(student: Any, teacher: Any, inputs: Any, _labels: Any) -> torch.Tensor:
        asked.append(len(inputs["signal"]))
        return (student(**inputs) - teacher(**inputs)).abs().mean()

    same_made = Distill(**LONGER)(narrow(8).eval(), data, teacher=teacher, training_step=own)
    assert same(state(made), state(same_made)) and asked
    with pytest.raises(PassError, match="prune-unstructured takes no training step"):
        PruneUnstructured(sparsity=0.5)(narrow(8), training_step=own)
    wrong = Distill(training_step=str(tmp_path / "own.py") + ":stop", **QUICK)
    with pytest.raises(Exception, match="no callable 'stop'"):
        wrong(narrow(8), data, teacher=teacher)


@pytest.mark.parametrize(
    ("student", "fields", "said"),
    [
        (lambda: narrow(8, classes=5), {}, "answers with 7 classes, the student with 5"),
        (lambda: narrow(8), {"layers": {"stages.9": "stages.1"}, "method": "features"},
         "the student has no layer 'stages.9'"),
        (lambda: narrow(8), {"layers": {"stages.0": "stages.1"}, "method": "attention"},
         "may differ in their channels only"),
    ],
    ids=["classes", "layer", "sizes"],
)  # fmt: skip
def test_what_cannot_be_taught_is_said(
    student: Callable[[], nn.Module], fields: dict[str, Any], said: str,
    data: dict[str, Split], teacher: nn.Module,
) -> None:  # fmt: skip
    with pytest.raises(PassError, match=said):
        Distill.model_validate({**QUICK, **fields})(student(), data, teacher=teacher)


def test_losses_are_least_where_student_and_teacher_agree() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(5, 7), torch.randn(5, 7)
    for kind in ("classes", "values", "embedding"):
        assert abs(float(output_loss(a, a, kind, 3.0))) < 1e-6 < float(output_loss(a, b, kind, 3.0))
    assert float(output_loss(a, 2 * a, "embedding")) < 1e-6
    apart = torch.log_softmax(b / 2, 1) - torch.log_softmax(a / 2, 1)
    by_hand = torch.softmax(b / 2, 1) * apart
    assert torch.isclose(output_loss(a, b, "classes", 2.0), 4 * by_hand.sum(1).mean())
    features = torch.randn(3, 4, 5, 6)
    assert torch.allclose(attention_map(features, 1), attention_map(2 * features.flip(1), 1))


class TwoHeads(nn.Module):
    """Scores and an embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, width), nn.Linear(width, 4)
        self.embed = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = torch.tanh(self.body(x))
        return {"scores": self.head(y), "embedding": self.embed(y)}


def test_every_output_is_taught() -> None:
    torch.manual_seed(0)
    wide, student, x = TwoHeads(32).eval(), TwoHeads(8), torch.randn(400, 6)
    arrays = {"x": x}, wide(x)["scores"].argmax(1)
    step = Distill(epochs=20, batch=32, optimizer="adamw", lr=0.02, soft=1.0)
    made = step(student, {"train": arrays, "validation": arrays}, teacher=wide)
    with torch.inference_mode():
        goal, before, after = (each(x) for each in (wide, student, made))
    for name in goal:  # softened scores say nothing of what is added to all of them
        first, last = (_centred(each[name] - goal[name], name) for each in (before, after))
        assert last < first / 4, name


def _centred(gap: torch.Tensor, name: str) -> float:
    return float((gap - gap.mean(1, keepdim=True) * (name == "scores")).square().mean())
