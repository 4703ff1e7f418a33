"""Layers and grids as they train: what the frozen form is made of afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from edgeopt.agent import fakequant, traced
from edgeopt.agent.fakequant import LEVELS, Layer, Layout
from edgeopt.quantization.biases import MOST_STEPS
from edgeopt.schema.errors import PassError

SMALLEST = 1e-8  # a scale; a channel that batch norm has switched off would have none
LEAST_FOR_GRADIENT = 1e-4  # a scale below gets no larger gradients
MOST_GRADIENT = 1e4


class TrainedGrid(nn.Module):
    """A grid whose range follows the data, or is learned once the data has shown it.

    ``phase``: ``observe`` lets values pass and keeps their extremes, ``follow`` quantizes and
    moves the range towards each batch's extremes or learns the scale, ``fixed`` quantizes.
    Only training mode observes and moves.

    A learned scale is ``scale * exp(growth)``: no optimizer can make it negative, and with plain
    gradient descent ``growth`` moves as LSQ's scale does (arXiv:1902.08153, section 2.2).
    """

    low: torch.Tensor
    high: torch.Tensor
    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, learned: bool, momentum: float) -> None:
        super().__init__()
        self.momentum, self.phase = momentum, "observe"
        self.given = False
        self.growth = nn.Parameter(torch.zeros(())) if learned else None
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero_point", torch.zeros((), dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape in, the same out."""
        if self.phase == "observe":
            if self.training:
                self._see(x, share=None)
            return x
        x = x.float()  # under autocast, too: 8 bits of mantissa are too few for codes
        if self.training and self.growth is None:
            if self.phase == "follow":
                self._see(x, share=self.momentum)
            return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, 0, LEVELS)
        return quantized(x, self.step(x.numel()), self.zero_point, 0, LEVELS)

    def step(self, count: int = 1) -> torch.Tensor:
        """The scale in use; its gradient is made for ``count`` values."""
        if self.growth is None:
            return self.scale
        return _grown(self.scale, self.growth, count * LEVELS)

    def give(self, scale: float, zero_point: int) -> None:
        """Take a grid as it is, to the bit."""
        self.scale.fill_(scale)
        self.zero_point.fill_(zero_point)
        self.given = True

    def settle(self) -> None:
        """Scale and zero point of the range as it is: an average of states may differ."""
        if self.growth is None and not self.given:
            self._place()

    @torch.no_grad()
    def _see(self, x: torch.Tensor, share: float | None) -> None:
        low, high = torch.aminmax(x.detach())
        low, high = low.clamp(max=0), high.clamp(min=0)
        if share is None:
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
        else:
            self.low.lerp_(low, share)
            self.high.lerp_(high, share)
        self._place()

    def _place(self) -> None:
        width = self.high - self.low
        width = torch.where(width > 0, width, 1.0)  # all 0: runtimes refuse layers of tiny steps
        scale = (width / LEVELS).clamp(min=SMALLEST)
        self.scale.copy_(scale)
        self.zero_point.copy_(torch.round(-self.low / scale).clamp(0, LEVELS))


class TrainedLayer(nn.Module):
    """A weighted operator with its batch norm folded in, its weight fake-quantized.

    While ``batch_stats`` holds, the batch norm sees the batch, as in Krishnamoorthi
    (arXiv:1806.08342), section 3.2.2: the weight is folded by the running statistics and the
    result corrected to the batch's. Otherwise the layer is the folded one.

    It stands where the user's layer stood, which may hold other modules: hence names that no
    layer has.
    """

    folded_start: torch.Tensor

    def __init__(
        self, module: Any, layer: Layer, largest: int, learned: bool, grid: TrainedGrid | None
    ) -> None:
        super().__init__()
        node, bias = layer.node, fakequant.bias_of(layer.node)
        self.operator, self.rest = node.target, tuple(node.args[3:])
        self.quantized, self.largest, self.batch_stats = layer.quantized, largest, False
        self._input = (grid,)  # in a tuple: the grid is registered where it is
        self._given: torch.Tensor | None = None
        self.weight = _copied(module, node.args[1])
        self.bias = _copied(module, bias) if bias is not None else None
        self.folded_norm = _norm(module, layer) if layer.norm is not None else None
        self.folded_growth = None
        if self.quantized and learned:
            self.register_buffer("folded_start", self._widest(self.folded()[0].detach()))
            self.folded_growth = nn.Parameter(torch.zeros(len(self.weight)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the operator and its batch norm give."""
        weight, bias = self.folded()
        scale = self.scales(weight, bias)
        if self.quantized:
            wide = _per_channel(scale, weight)
            weight = quantized(weight, wide, None, -self.largest, self.largest)
        if self.folded_norm is None or not (self.batch_stats and self.training):
            bias = self._stepped(bias, scale)
            return self.operator(x, weight, bias, *self.rest)  # type: ignore[no-any-return]
        plain = self.operator(x, weight, None, *self.rest)
        shape = (1, -1, *(1 for _ in plain.shape[2:]))
        plain = plain / self._factor().reshape(shape)
        if self.bias is not None:
            plain = plain + self.bias.reshape(shape)
        return self.folded_norm(plain)  # type: ignore[no-any-return]

    def folded(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weight and bias with the batch norm's running statistics in them."""
        if self.folded_norm is None:
            return self.weight, self.bias
        factor = self._factor()
        before = self.bias if self.bias is not None else torch.zeros_like(factor)
        bias = self.folded_norm.bias + (before - self.folded_norm.running_mean) * factor
        return self.weight * _per_channel(factor, self.weight), bias

    @torch.no_grad()
    def frozen(self) -> dict[str, torch.Tensor]:
        """``weight``, ``bias`` and ``weight_scale.value`` of the frozen form, on their grids."""
        weight, bias = self.folded()
        if not self.quantized:
            return {"weight": weight, **({} if bias is None else {"bias": bias})}
        scale = self.scales(weight, bias)
        wide = _per_channel(scale, weight)
        codes = torch.round(weight / wide).clamp(-self.largest, self.largest)
        state = {"weight": codes * wide, "weight_scale.value": scale}
        bias = self._stepped(bias, scale)
        return state if bias is None else {**state, "bias": bias}

    def scales(self, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The scale of each output channel of a folded weight, (channels,).

        Not so small that the channel's bias would need more than 31 bits.
        """
        if self._given is not None:
            scale = self._given
        elif self.folded_growth is None:
            scale = self._widest(weight.detach())
        else:
            scale = _grown(self.folded_start, self.folded_growth, weight[0].numel() * self.largest)
        (grid,) = self._input
        if bias is None or grid is None:
            return scale
        return torch.maximum(scale, bias.detach().abs() / (grid.step().detach() * MOST_STEPS))

    def give(self, scales: torch.Tensor) -> None:
        """Take the scales of its weight, (channels,), as they are."""
        self._given = scales.clamp(min=SMALLEST)

    def _stepped(self, bias: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor | None:
        """The bias in steps of input scale times weight scale."""
        (grid,) = self._input
        if bias is None or grid is None or not self.quantized or grid.phase == "observe":
            return bias
        step = scale.detach().double() * grid.step().detach().double()
        whole = (torch.round(bias.detach().double() / step) * step).to(bias.dtype)
        return bias + (whole - bias).detach() if self.training else whole

    def _widest(self, weight: torch.Tensor) -> torch.Tensor:
        return (weight.flatten(1).abs().amax(1) / self.largest).clamp(min=SMALLEST)

    def _factor(self) -> torch.Tensor:
        """What the batch norm multiplies each channel by, never quite 0."""
        norm = self.folded_norm
        assert norm is not None
        factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        tiny = torch.where(factor < 0, -SMALLEST, SMALLEST)
        return torch.where(factor.abs() < SMALLEST, tiny, factor)


def quantized(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor | None, least: int, most: int
) -> torch.Tensor:
    """``x`` on a grid; gradients pass straight through rounding and stop outside the range."""
    steps = x / scale
    codes = steps + (torch.round(steps) - steps).detach()
    if zero_point is None:
        return codes.clamp(least, most) * scale
    return ((codes + zero_point).clamp(least, most) - zero_point) * scale


def trained_form(layout: Layout, learned: bool, momentum: float, largest: int) -> nn.Module:
    """The module that trains. It takes the layout's graph for itself."""
    source = layout.graph_module

    def place(_: Layout, layer: Layer, held: dict[str, Any]) -> None:
        graph, node = source.graph, layer.node
        grid = held.get(str(node.args[0].target))
        held[layer.name] = TrainedLayer(source, layer, largest, learned, grid)
        with graph.inserting_before(node):
            call = graph.call_module(layer.name, (node.args[0],))
        layer.last.replace_all_uses_with(call)
        if layer.norm is not None:
            graph.erase_node(layer.norm)
        graph.erase_node(node)

    return fakequant.built(layout, place, lambda name: TrainedGrid(learned, momentum))


@torch.no_grad()
def frozen_state(trained: nn.Module, frozen: nn.Module) -> dict[str, torch.Tensor]:
    """The state of the frozen form, from what was trained."""
    known = frozen.state_dict()
    state = {key: value for key, value in trained.state_dict().items() if key in known}
    for name, module in trained.named_modules():
        if isinstance(module, TrainedGrid):
            module.settle()
            state |= {f"{name}.scale": module.step(), f"{name}.zero_point": module.zero_point}
    for name, module in trained.named_modules():
        if isinstance(module, TrainedLayer):
            state |= {f"{name}.{key}": value for key, value in module.frozen().items()}
    return state


def observe(trained: nn.Module, batches: Iterable[Mapping[str, torch.Tensor]]) -> None:
    """Find first ranges: the extremes of every grid over the batches, batch norms untouched."""
    set_phase(trained, "observe", batch_stats=False)
    trained.train()
    with torch.no_grad():
        for batch in batches:
            trained(**batch)
    trained.eval()


def set_phase(trained: nn.Module, ranges: str, batch_stats: bool) -> None:
    """The phase of every grid, and whether batch norms see the batch."""
    for module in trained.modules():
        if isinstance(module, TrainedGrid):
            module.phase = ranges
        elif isinstance(module, TrainedLayer):
            module.batch_stats = batch_stats
        growth = getattr(module, "folded_growth", None)
        if isinstance(module, TrainedGrid):
            growth = module.growth
        if growth is not None:
            growth.requires_grad_(ranges != "fixed")


def _copied(module: Any, node: Any) -> nn.Parameter:
    given = traced.attribute(module, node.target)
    return nn.Parameter(given.detach().clone(), requires_grad=given.requires_grad)


def _norm(module: Any, layer: Layer) -> Any:
    """A batch norm with the parameters and statistics of a layer's."""
    args = layer.norm.args
    weight, bias, mean, var = (
        None if a is None else traced.attribute(module, a.target) for a in args[1:5]
    )
    if mean is None or var is None:
        raise PassError(
            f"the batch norm after '{layer.name}' keeps no running statistics to fold",
            hint="Build it with track_running_stats=True.",
        )
    axes = len(layer.norm.meta["val"].shape)
    kind = nn.BatchNorm2d if axes == 4 else nn.BatchNorm1d
    norm = kind(len(mean), eps=float(args[7]), momentum=float(args[6]))
    given = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
    known = {name: value for name, value in given.items() if value is not None}
    norm.load_state_dict({**norm.state_dict(), **known})
    for name, value in known.items():
        getattr(norm, name).requires_grad_(value.requires_grad)
    return norm


def _per_channel(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return values.reshape(-1, *(1 for _ in weight.shape[1:]))


def _grown(start: torch.Tensor, growth: torch.Tensor, share: float) -> torch.Tensor:
    """``start * exp(growth)``; the gradient to ``growth`` is LSQ's to the scale, over the scale."""
    factor = (share**-0.5 / start.clamp(min=LEAST_FOR_GRADIENT) ** 2).clamp(max=MOST_GRADIENT)
    value = growth * factor + (growth - growth * factor).detach()
    return (start * torch.exp(value)).clamp(min=SMALLEST)
