"""``prune-structured`` on real samples: reached, proven, saved, loaded afresh, exported."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pruned_nets
import pytest
import torch
from passes_bench import Context
from pruning_bench import Opened
from pydantic import ValidationError
from torch import nn

import edgeopt.passes
from edgeopt.formats import format_named
from edgeopt.passes.export_onnx_torch import ExportOnnx
from edgeopt.passes.prune_structured_torch import PruneStructured
from edgeopt.schema.errors import DataError, PassError

Open = Callable[[str], Opened]
NETWORKS = ("padded", "mobile", "encoder", "written", "joined", "fashion_mnist", "imu")


def masked(module: nn.Module, records: list[dict[str, Any]]) -> nn.Module:
    """The whole module with zeros in place of all that the records do not keep."""
    made = copy.deepcopy(module)
    for record in records:
        for path, said in record["modules"].items():
            for tensor, axes in said.get("keep", {}).items():
                values = getattr(made.get_submodule(path), tensor).data
                for axis, kept in axes.items():
                    gone = [i for i in range(values.shape[int(axis)]) if i not in kept]
                    fill = 1.0 if tensor == "running_var" else 0.0
                    values.index_fill_(int(axis), torch.tensor(gone, dtype=torch.long), fill)
    return made


SHIPPED = ("fashion_mnist", "imu")


@pytest.mark.parametrize(
    "name",
    [name if name in SHIPPED else pytest.param(name, marks=pytest.mark.long) for name in NETWORKS],
)
def test_pruned_networks_are_the_masked_ones_in_any_process_and_format(
    name: str,
    opened: Open,
    fresh_digest: Callable[[Path, dict[str, np.ndarray]], tuple[str, str]],
    tmp_path: Path,
) -> None:
    source = opened(name)
    made = source.run(PruneStructured(macs=0.6, round_to=4))
    before, after = source.inspect(), made.inspect()
    assert 0.3 * before.macs < after.macs <= 0.6 * before.macs
    assert after.parameters < before.parameters
    expected = masked(source.load(), json.loads(made.files()["edits.json"]))
    with torch.no_grad():
        feeds = {n: torch.from_numpy(a) for n, a in source.arrays.items()}
        whole = expected(**feeds).numpy()
    np.testing.assert_allclose(made.outputs(), whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    assert np.abs(whole - source.outputs()).max() > 1e-3, "something went"
    here, there = fresh_digest(made.folder, made.arrays)
    assert here == there
    onnx = format_named("onnx")
    exported, rough = tmp_path / "onnx", tmp_path / "rough"
    exported.mkdir()
    description = format_named("torch").describe(made.folder)
    onnx.save(ExportOnnx().run(made.load(), Context(rough, description, made.arrays)), exported)
    (answers,) = onnx.runner(exported)(made.arrays).values()
    np.testing.assert_allclose(answers, whole, rtol=1e-3, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize(
    "importance", ["group_l2", "l1", "l2", "bn_scale", "taylor", "fpgm", "random"]
)
def test_equal_seeds_give_equal_files(importance: Any, opened: Open) -> None:
    source = opened("imu")
    step = PruneStructured(parameters=0.5, importance=importance, spread="global")
    first, second = source.run(step, seed=3), source.run(step, seed=3)
    assert first.files() == second.files()
    assert first.inspect().parameters <= 0.5 * source.inspect().parameters
    if importance == "random":
        assert source.run(step, seed=4).files() != first.files()


def test_an_informed_choice_beats_the_random_one(opened: Open) -> None:
    source = opened("fashion_mnist")
    agreement = {}
    for importance in ("taylor", "random"):
        step = PruneStructured(macs=0.75, importance=importance, spread="global", round_to=1)
        answers = source.run(step).outputs().argmax(1)
        agreement[importance] = float((answers == source.outputs().argmax(1)).mean())
    assert agreement["taylor"] > agreement["random"]


def test_a_pruned_network_can_be_pruned_again(opened: Open) -> None:
    once = opened("encoder").run(PruneStructured(ratio=0.5))
    twice = once.run(PruneStructured(ratio={"encoder.layers.0.linear1": 0.5}))
    kinds = [r["edit"] for r in json.loads(twice.files()["edits.json"])]
    assert kinds == ["narrow-attention", "prune", "prune"]
    heads = {"encoder.layers.0.self_attn": 0.5}
    thrice = twice.run(PruneStructured(ratio=heads))
    assert once.load().encoder.layers[0].self_attn.num_heads == 2
    assert [x.self_attn.num_heads for x in thrice.load().encoder.layers] == [1, 2]
    assert twice.load().encoder.layers[0].linear1.out_features == 16


def test_one_encoder_layer_that_loses_heads_runs_beside_a_whole_one() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True)

        def forward(self, x: torch.Tensor, empty: torch.Tensor) -> torch.Tensor:
            return self.encoder(x, src_key_padding_mask=empty)[:, 0]

    x, empty = torch.randn(4, 6, 32), torch.zeros(4, 6, dtype=torch.bool)
    empty[0, 4:] = True
    step = edgeopt.passes.PruneStructured(ratio={"encoder.layers.1.self_attn": 0.5})
    made = step(Masked().eval(), {"x": x, "empty": empty})
    assert [x.self_attn.num_heads for x in made.encoder.layers] == [4, 2]
    with torch.inference_mode():
        padded = x.clone()
        padded[0, 4:] = 7.0
        torch.testing.assert_close(made(x, empty), made(padded, empty))


def test_layers_that_are_kept_stay_whole(opened: Open) -> None:
    made = opened("imu").run(PruneStructured(ratio=0.5, keep=("stages.0", "stem.0")))
    module = made.load()
    assert module.stages[0].conv1.out_channels == module.stem[0].out_channels == 32
    assert module.stages[1].conv1.out_channels == 32, "of 64"


def test_widths_are_rounded(opened: Open) -> None:
    module = opened("imu").run(PruneStructured(ratio=0.3, round_to=8)).load()
    assert [b.conv1.out_channels for b in module.stages] == [24, 48, 88]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ratio": 0.99}, "would leave 'stem.0' none of its 32 channels"),
        ({"ratio": {"stages.0.conv1": 0.98}}, "would leave 'stages.0.conv1' none"),
        ({"ratio": {"stages.0.conv7": 0.5}}, "'stages.0.conv7' is not a layer that can be pruned"),
        ({"ratio": {"stem.0": 0.5, "stages.0.conv2": 0.25}}, "can only be pruned as"),
        ({"macs": 0.001}, "macs: 0.001 cannot be reached"),
        ({"macs": 0.5, "keep": ("stagez",)}, "keep names 'stagez'"),
        ({"macs": 0.5, "keep": ("stem", "stages")}, "no layer can be pruned"),
        ({"ratio": 0.5, "round_to": 512}, "less than 512 channels of any layer"),
    ],
)
def test_goals_that_cannot_be_are_refused_by_name(
    fields: dict[str, Any], said: str, opened: Open
) -> None:
    with pytest.raises(PassError) as caught:
        opened("imu").run(PruneStructured(**fields))
    assert said in caught.value.what


@pytest.mark.parametrize("fields", [{}, {"macs": 0.5, "ratio": 0.5}, {"macs": 1.5}, {"ratio": 0.0}])
def test_one_goal_is_asked_for(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PruneStructured(**fields)


def test_bn_scale_names_a_layer_without_norm(opened: Open) -> None:
    with pytest.raises(PassError, match="no batch norm follows"):
        opened("encoder").run(PruneStructured(macs=0.5, importance="bn_scale"))


def test_an_untraceable_module_is_named_by_layer_and_line(opened: Open) -> None:
    with pytest.raises(PassError, match="cannot trace 'b'") as caught:
        opened("detached").run(PruneStructured(macs=0.5))
    assert caught.value.where.startswith("pruned_nets.py:")


def test_an_exported_program_is_refused(opened: Open) -> None:
    source = opened("imu")
    (source.folder / "model.json").write_text(json.dumps({"program": "program.pt2"}))
    with pytest.raises(PassError, match="no factory"):
        PruneStructured(macs=0.5).run(
            None, Context(source.root, None, {}, parent=source.folder)  # type: ignore[arg-type]
        )  # fmt: skip


def test_samples_are_needed(opened: Open) -> None:
    source = opened("imu")
    source.arrays = {"signal": source.arrays["signal"][:0]}
    with pytest.raises(DataError, match="too few"):
        source.run(PruneStructured(macs=0.5))


class Small(nn.Module):
    """One inverted block between a stem and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU6())
        self.block = pruned_nets.Inverted(16, 16, 1)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * 4 * 4, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.stem(image)))


def test_by_hand_the_callers_module_and_random_states_stay() -> None:
    torch.manual_seed(0)
    module = pruned_nets.settled(Small()).train()
    images = torch.rand(16, 1, 8, 8)
    weights = {k: v.clone() for k, v in module.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    step = edgeopt.passes.PruneStructured(ratio=0.5)
    smaller = step(module, images)
    assert smaller.training and module.training
    assert all(torch.equal(v, weights[k]) for k, v in module.state_dict().items())
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all() and states[2] == random.getstate()
    assert smaller.block.layers[3].groups == 32 and module.block.layers[3].groups == 64
    smaller(images).sum().backward()
    batches = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, torch.arange(16) % 10), batch_size=8
    )
    taylor = edgeopt.passes.PruneStructured(ratio=0.5, importance="taylor")
    for data in (batches, {"image": images}, (images, torch.arange(16) % 10),
                 {"calibration": {"image": images}}):  # fmt: skip
        assert taylor(module, data).block.layers[3].groups == 32
    with pytest.raises(DataError, match="no input 'x'"):
        step(module, {"x": images})
    with pytest.raises(PassError, match="needs samples"):
        step(module)
    with pytest.raises(AttributeError):
        _ = edgeopt.passes.PruneEverything
