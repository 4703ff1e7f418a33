"""Ranges that neural-compressor finds are those of the frozen module, and nothing is left to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgeopt.agent import fakequant
from edgeopt.quantization.found import Found, Grid
from edgeopt.quantization.given import quantized_as_found

pytestmark = pytest.mark.extras
INPUTS = {"x": {"shape": ["batch", 3, 12, 12], "dtype": "float32"}}


class Net(nn.Module):
    """Convolutions with and without a norm, a skip connection, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.stem(x)
        return self.head(torch.relu(y + self.deep(y)).mean((2, 3)))


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    made = Net()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return made.eval()


@pytest.fixture(scope="module")
def batches() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    return [{"x": torch.randn(8, 3, 12, 12)} for _ in range(4)]


FIND = """
import json, sys
import torch
sys.path.insert(0, {folder!r})
from test_given import Branching, Net
from edgeopt.quantization.neural_compressor_ranges import ranges_found
from edgeopt.schema.errors import PassError
net = Net().eval()
net.load_state_dict(torch.load({state!r}, weights_only=True))
before = {{name: value.clone() for name, value in net.state_dict().items()}}
batches = torch.load({batches!r}, weights_only=True)
found = ranges_found(net, batches, "minmax")
same = all(torch.equal(before[name], value) for name, value in net.state_dict().items())
try:
    ranges_found(Branching(), batches, "minmax")
    said = ""
except PassError as error:
    said = error.what
weights = {{name: scales.tolist() for name, scales in found.weights.items()}}
print(json.dumps([found.data, weights, same, said]))
"""


class Branching(nn.Module):
    """What no tracer follows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x


@pytest.fixture(scope="module")
def told(
    net: Any, batches: list[dict[str, torch.Tensor]], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What neural-compressor finds, in a process of its own: it does not stand all libraries that
    other tests have imported."""
    folder = tmp_path_factory.mktemp("found")
    torch.save(net.state_dict(), folder / "state.pt")
    torch.save(batches, folder / "batches.pt")
    names = {"state": str(folder / "state.pt"), "batches": str(folder / "batches.pt")}
    script = FIND.format(folder=str(Path(__file__).parent), **names)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=folder
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(told: Any) -> Found:
    data, weights, same, _ = told
    assert same, "the module is as it was"
    return Found(
        {name: Grid(*grid) for name, grid in data.items()},
        {name: torch.tensor(scales) for name, scales in weights.items()},
    )


def test_every_layer_has_a_grid_and_a_scale_for_each_channel(net: Any, found: Found) -> None:
    assert set(found.weights) == {"stem.0", "deep", "head"} == set(found.data)
    assert len(found.weights["stem.0"]) == 8 and len(found.weights["head"]) == 4
    assert found.data["deep"].zero_point == 0, "it reads what a ReLU gives"
    folded = net.stem[0].weight * (
        net.stem[1].weight * (net.stem[1].running_var + net.stem[1].eps).rsqrt()
    ).reshape(-1, 1, 1, 1)
    largest = folded.detach().flatten(1).abs().amax(1)
    torch.testing.assert_close(found.weights["stem.0"], largest / 127.5, rtol=1e-5, atol=0)


@pytest.mark.parametrize("scheme", ["u8s8", "int8"])
def test_they_stand_in_the_frozen_module_to_the_bit(
    scheme: str, net: Any, found: Found, batches: list[dict[str, torch.Tensor]]
) -> None:
    frozen, record, missing = quantized_as_found(
        net, INPUTS, found, batches, scheme=scheme, float_stem=False
    )
    scales = fakequant.scales_of(frozen)
    assert record["scheme"] == scheme and set(scales) == set(found.weights)
    for name, wanted in found.weights.items():
        assert torch.equal(scales[name], wanted)
    layers = {str(n.args[1].target).removesuffix(".weight"): n for n in frozen.graph.nodes
              if n.target in fakequant.WEIGHTED}  # fmt: skip
    for name, node in layers.items():
        grid = fakequant.input_grid(frozen, node)
        assert grid is not None
        assert (float(grid.scale), int(grid.zero_point)) == pytest.approx(found.data[name], abs=0)
    assert missing, "one side of the addition, and what the head gives, are not its own"
    x = torch.cat([batch["x"] for batch in batches])
    with torch.no_grad():
        near = torch.nn.functional.cosine_similarity(net(x).flatten(), frozen(x).flatten(), 0)
    assert near > 0.995


def test_where_two_grids_meet_one_holds_both(
    net: Any, batches: list[dict[str, torch.Tensor]]
) -> None:
    """Layers that read one tensor and were given two ranges for it."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(x) + self.other(x)

    torch.manual_seed(0)
    two, drawn = Two().eval(), [{"x": torch.randn(16, 4)}]
    given = Found({"one": Grid(0.01, 100), "other": Grid(0.02, 30)}, {})
    inputs = {"x": {"shape": ["batch", 4], "dtype": "float32"}}
    frozen, _, _ = quantized_as_found(two, inputs, given, drawn, scheme="u8s8", float_stem=False)
    node = next(n for n in frozen.graph.nodes if n.target in fakequant.WEIGHTED)
    grid = fakequant.input_grid(frozen, node)
    assert grid is not None
    low, high = -grid.zero_point * grid.scale, (255 - grid.zero_point) * grid.scale
    assert low <= -1.0 + 0.02 and high >= (255 - 30) * 0.02 - 0.03


def test_what_it_cannot_trace_is_told(told: Any) -> None:
    assert told[3].startswith("neural-compressor cannot calibrate the module")
