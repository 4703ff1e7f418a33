"""The ONNX form of a module on grids: codes and scales are the module's own."""

from __future__ import annotations

import pytest
import torch
from qat_parts import observed
from torch import nn

from edgeopt.agent.fakequant import FakeQuantize
from edgeopt.quantization.qdq import bias_codes, bias_step, qdq_form, weight_codes


def test_codes_of_a_weight_on_its_grid_give_it_back() -> None:
    scale = torch.tensor([0.5, 0.25])
    codes = torch.tensor([[-127, 3, 0], [127, -1, 8]], dtype=torch.int8)
    weight = codes * scale[:, None]
    assert torch.equal(weight_codes(weight, scale), codes)
    wide = weight.reshape(2, 3, 1, 1)
    assert torch.equal(weight_codes(wide, scale).reshape(2, 3), codes)


def test_codes_of_a_bias_stop_where_32_bits_do() -> None:
    step = torch.tensor([0.5, 1e-12, 1e-12], dtype=torch.float64)
    found = bias_codes(torch.tensor([1.26, 5.0, -5.0]), step)
    assert found.tolist() == [3, 2**31 - 1, -(2**31) + 1] and found.dtype == torch.int32


def test_a_form_holds_the_numbers_of_training_and_its_own_graph_alone() -> None:
    torch.manual_seed(0)
    source = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    samples = torch.randn(8, 1, 8, 8).numpy()
    made = observed(source, "input", samples, outputs=2)
    before = made.frozen.graph.python_code("self").src
    for activation, offset in (("uint8", 0), ("int8", 128)):
        form = qdq_form(made.frozen, activation)
        held = dict(form.named_buffers())
        grids = [m for m in made.frozen.modules() if isinstance(m, FakeQuantize)]
        zeros = {int(v) for n, v in held.items() if n.endswith("zero_point") and v.dim() == 0}
        assert zeros == {int(grid.zero_point) - offset for grid in grids}
        codes = [v for n, v in held.items() if n.endswith("codes")]
        assert sorted(str(v.dtype) for v in codes) == ["torch.int32"] * 2 + ["torch.int8"] * 2
        assert not any(v.dtype == torch.float32 and v.dim() == 4 for v in held.values())
    assert made.frozen.graph.python_code("self").src == before, "the module itself stays"


def test_a_step_of_a_bias_is_the_product_of_both_scales() -> None:
    grid = FakeQuantize.__new__(FakeQuantize)
    nn.Module.__init__(grid)
    grid.register_buffer("scale", torch.tensor(0.5))
    found = bias_step(torch.tensor([0.25, 2.0]), grid)
    assert found.tolist() == pytest.approx([0.125, 1.0]) and found.dtype == torch.float64
