"""ONNX nodes that hold weights or have a module in torch: convolutions, dense layers, norms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeopt.rebuilding.onnx_graph import Array, Graph, Node
from edgeopt.rebuilding.onnx_parts import Rebuild, number, padded, shape_of, sides
from edgeopt.rebuilding.plan import Value

MODULES: dict[str, tuple[str, Mapping[str, tuple[str, Any]]]] = {
    # operator -> module, and by the module's parameter the attribute with its default
    "Relu": ("ReLU", {}),
    "Sigmoid": ("Sigmoid", {}),
    "Tanh": ("Tanh", {}),
    "Softplus": ("Softplus", {}),
    "Softsign": ("Softsign", {}),
    "HardSwish": ("Hardswish", {}),
    "Mish": ("Mish", {}),
    "Elu": ("ELU", {"alpha": ("alpha", 1.0)}),
    "Celu": ("CELU", {"alpha": ("alpha", 1.0)}),
    "LeakyRelu": ("LeakyReLU", {"negative_slope": ("alpha", 0.01)}),
}
SELU = (1.67326319217681884765625, 1.05070102214813232421875)
TORCHS_CURVE = -0.75  # of cubic interpolation; TensorFlow has -0.5


def _module(graph: Graph, node: Node) -> list[Value]:
    kind, attributes = MODULES[node.kind]
    given = {name: node.given.get(key, default) for name, (key, default) in attributes.items()}
    x = graph.live(node.input(0))
    return [graph.plan.layer(node.name, kind, x, x.shape, given)]


def _selu(graph: Graph, node: Node) -> list[Value]:
    told = tuple(node.given.get(key, held) for key, held in zip(("alpha", "gamma"), SELU,
                                                                  strict=True))  # fmt: skip
    if not np.allclose(told, SELU, rtol=1e-6):
        raise node.refused(f"alpha and gamma are {told[0]:g} and {told[1]:g}")
    x = graph.live(node.input(0))
    return [graph.plan.layer(node.name, "SELU", x, x.shape)]


def _hard_sigmoid(graph: Graph, node: Node) -> list[Value]:
    slope, offset = node.given.get("alpha", 0.2), node.given.get("beta", 0.5)
    x = graph.live(node.input(0))
    if abs(slope - 1 / 6) < 1e-6 and offset == 0.5:
        return [graph.plan.layer(node.name, "Hardsigmoid", x, x.shape)]
    scaled = graph.plan.function("scaled", [x], x.shape, {"scale": slope, "offset": offset})
    return [graph.plan.layer(node.name, "Hardtanh", scaled, x.shape,
                             {"min_val": 0.0, "max_val": 1.0})]  # fmt: skip


def _gelu(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    given = {"approximate": node.given.get("approximate", "none")}
    return [graph.plan.layer(node.name, "GELU", x, x.shape, given)]


def _clip(graph: Graph, node: Node) -> list[Value]:
    low, high = node.given.get("min"), node.given.get("max")
    low = number(graph.constant(node, 1)) if node.input(1) else low
    high = number(graph.constant(node, 2)) if node.input(2) else high
    x = graph.live(node.input(0))
    if low == 0 and high is None:
        return [graph.plan.layer(node.name, "ReLU", x, x.shape)]
    if (low, high) == (0, 6):
        return [graph.plan.layer(node.name, "ReLU6", x, x.shape)]
    given = {"min": low, "max": high}
    return [graph.plan.function("clamped", [x], x.shape, given)]


def _prelu(graph: Graph, node: Node) -> list[Value]:
    x, slope = graph.live(node.input(0)), graph.constant(node, 1)
    channels = x.shape[1] if x.rank > 1 else None
    by_channel = slope.size == 1 or (
        slope.size == channels and slope.shape[0] == channels and slope.ndim == x.rank - 1
    )
    if not by_channel:
        raise node.refused("a slope for each place, not for each channel")
    return [graph.plan.layer(node.name, "PReLU", x, x.shape, {"num_parameters": slope.size},
                             {"weight": slope.reshape(-1)})]  # fmt: skip


def _softmax(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    axis = node.given.get("axis", -1 if graph.opset >= 13 else 1) % x.rank
    if graph.opset < 13 and axis != x.rank - 1:
        raise node.refused(f"of opset {graph.opset} over several axes")
    kind = {"Softmax": "Softmax", "LogSoftmax": "LogSoftmax"}[node.kind]
    return [graph.plan.layer(node.name, kind, x, x.shape, {"dim": axis})]


def _dropout(graph: Graph, node: Node) -> list[Value]:
    ratio = node.given.get("ratio", 0.5)
    ratio = number(graph.constant(node, 1)) if node.input(1) else ratio
    x = graph.live(node.input(0))
    return [graph.plan.layer(node.name, "Dropout", x, x.shape, {"p": float(ratio)})]


# -- convolutions


def _convolution(graph: Graph, node: Node) -> list[Value]:
    x, weight = graph.live(node.input(0)), graph.constant(node, 1)
    bias = graph.constant(node, 2) if node.input(2) else None
    rank, groups = weight.ndim - 2, node.given.get("group", 1)
    pads = sides(node, x, weight.shape[2:])
    even = all(before == after for before, after in pads)
    if not even:
        x = padded(graph, node, x, pads, 0.0)
    given = {
        "in_channels": weight.shape[1] * groups, "out_channels": weight.shape[0],
        "kernel_size": list(weight.shape[2:]), "stride": node.given.get("strides") or [1] * rank,
        "padding": [before for before, _ in pads] if even else [0] * rank,
        "dilation": node.given.get("dilations") or [1] * rank, "groups": groups,
        "bias": bias is not None,
    }  # fmt: skip
    return [graph.plan.layer(node.name, f"Conv{rank}d", x, shape_of(graph, node), given,
                             _weights(weight, bias))]  # fmt: skip


def _transposed(graph: Graph, node: Node) -> list[Value]:
    """ConvTranspose: torch cuts both ends alike and adds at the end; else all, and then a cut."""
    x, weight = graph.live(node.input(0)), graph.constant(node, 1)
    bias = graph.constant(node, 2) if node.input(2) else None
    rank, groups = weight.ndim - 2, node.given.get("group", 1)
    strides = node.given.get("strides") or [1] * rank
    dilations = node.given.get("dilations") or [1] * rank
    shape = shape_of(graph, node)
    cuts = []  # off the start, and off the end less what is added there
    whole = []
    for axis, (n, m) in enumerate(zip(x.shape[2:], shape[2:], strict=True)):
        if n is None or m is None:
            raise node.refused("a free size")
        reach = (weight.shape[2 + axis] - 1) * dilations[axis] + 1
        whole.append((n - 1) * strides[axis] + reach)
        start = _start(node, axis, whole[-1] - m)
        cuts.append((start, whole[-1] - m - start))
    more = [start - end for start, end in cuts]
    plain = all(0 <= extra < max(s, 1) for extra, s in zip(more, strides, strict=True))
    if not plain and any(end < 0 for _, end in cuts):
        raise node.refused("its padding has no twin")
    given = {
        "in_channels": weight.shape[0], "out_channels": weight.shape[1] * groups,
        "kernel_size": list(weight.shape[2:]), "stride": strides,
        "padding": [start if plain else 0 for start, _ in cuts],
        "output_padding": more if plain else [0] * rank,
        "groups": groups, "bias": bias is not None, "dilation": dilations,
    }  # fmt: skip
    full = shape if plain else (*shape[:2], *whole)
    made = graph.plan.layer(node.name, f"ConvTranspose{rank}d", x, full, given,
                            _weights(weight, bias))  # fmt: skip
    if plain:
        return [made]
    return [padded(graph, node, made, [(-start, -end) for start, end in cuts], 0.0)]


def _start(node: Node, axis: int, total: int) -> int:
    """What is cut off the start of an axis, of ``total`` off both ends."""
    auto = node.given.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        return int((node.given.get("pads") or [0] * (axis + 1))[axis])
    less = max(total, 0) // 2
    return less if auto != "SAME_LOWER" else max(total, 0) - less


def _weights(weight: Array, bias: Array | None) -> dict[str, Array]:
    return {"weight": weight, **({} if bias is None else {"bias": bias})}


def _pool(graph: Graph, node: Node) -> list[Value]:
    x, kernel = graph.live(node.input(0)), node.given["kernel_shape"]
    rank, pads = len(kernel), sides(node, x, kernel)
    even = all(before == after for before, after in pads)
    most = node.kind == "MaxPool"
    inside = bool(node.given.get("count_include_pad", 0))
    if not even:
        if not most and not inside:
            raise node.refused("padding of unequal sides, which is not counted")
        x = padded(graph, node, x, pads, float("-inf") if most else 0.0)
    padding = [before for before, _ in pads] if even else [0] * rank
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise node.refused("padding of more than half of its window")
    given: dict[str, Any] = {
        "kernel_size": list(kernel), "stride": node.given.get("strides") or [1] * rank,
        "padding": padding, "ceil_mode": bool(node.given.get("ceil_mode", 0)),
    }  # fmt: skip
    dilations = node.given.get("dilations") or [1] * rank
    if most:
        given["dilation"] = dilations
    else:
        given["count_include_pad"] = inside
        if set(dilations) != {1}:
            raise node.refused("dilations")
    kind = f"{'Max' if most else 'Avg'}Pool{rank}d"
    return [graph.plan.layer(node.name, kind, x, shape_of(graph, node), given)]


def _global_pool(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    kind = "Avg" if node.kind == "GlobalAveragePool" else "Max"
    name = f"Adaptive{kind}Pool{x.rank - 2}d"
    return [graph.plan.layer(node.name, name, x, shape_of(graph, node), {"output_size": 1})]


def _resize(graph: Graph, node: Node) -> list[Value]:
    x, shape = graph.live(node.input(0)), shape_of(graph, node)
    mode = node.given.get("mode", "nearest")
    lies = node.given.get("coordinate_transformation_mode", "half_pixel")
    if node.kind == "Upsample":
        lies = "asymmetric"
    if shape[:2] != x.shape[:2] or any(n is None for n in shape[2:]):
        raise node.refused(f"from {list(x.shape)} to {list(shape)}")
    given: dict[str, Any] = {"size": list(shape[2:])}
    if mode == "nearest":
        rounds = node.given.get("nearest_mode", "round_prefer_floor")
        rounds = "floor" if node.kind == "Upsample" else rounds
        pairs = zip(x.shape[2:], shape[2:], strict=True)
        whole = all(m % n == 0 for n, m in pairs if n and m is not None)
        exact = whole and lies == "half_pixel" and rounds.startswith("round")
        if not exact and (lies, rounds) != ("asymmetric", "floor"):
            raise node.refused(f"nearest, {lies}, {rounds}")
        given["mode"] = "nearest"
    elif mode in ("linear", "cubic"):
        names = {("linear", 1): "linear", ("linear", 2): "bilinear", ("linear", 3): "trilinear",
                 ("cubic", 2): "bicubic"}  # fmt: skip
        name = names.get((mode, x.rank - 2))
        if name is None or lies not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
            raise node.refused(f"{mode}, {lies}")
        curve = node.given.get("cubic_coeff_a", TORCHS_CURVE)
        if mode == "cubic" and abs(curve - TORCHS_CURVE) > 1e-6:
            raise node.refused(f"cubic_coeff_a {curve:g}")
        given |= {"mode": name, "align_corners": lies == "align_corners"}
    else:
        raise node.refused(mode)
    return [graph.plan.layer(node.name, "Upsample", x, shape, given)]


def _shuffled(graph: Graph, node: Node) -> list[Value]:
    if node.given.get("mode", "DCR") != "CRD":
        raise node.refused("mode DCR")
    given = {"upscale_factor": node.given["blocksize"]}
    x = graph.live(node.input(0))
    return [graph.plan.layer(node.name, "PixelShuffle", x, shape_of(graph, node), given)]


# -- norms


def _batch_normed(graph: Graph, node: Node) -> list[Value]:
    if node.given.get("training_mode", 0):
        raise node.refused("training_mode")
    x = graph.live(node.input(0))
    scale, offset, mean, variance = (graph.constant(node, place) for place in range(1, 5))
    given = {"num_features": scale.size, "eps": node.given.get("epsilon", 1e-5),
             "momentum": 1 - node.given.get("momentum", 0.9)}  # fmt: skip
    weights = {"weight": scale, "bias": offset, "running_mean": mean, "running_var": variance,
               "num_batches_tracked": np.array(0, np.int64)}  # fmt: skip
    kind = {4: "BatchNorm2d", 5: "BatchNorm3d"}.get(x.rank, "BatchNorm1d")
    return [graph.plan.layer(node.name, kind, x, x.shape, given, weights)]


def _layer_normed(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    axis = node.given.get("axis", -1) % x.rank
    sizes = [n for n in x.shape[axis:] if n is not None]
    if len(sizes) < x.rank - axis:
        raise node.refused("over a free size")
    scale = graph.constant(node, 1)
    offset = graph.constant(node, 2) if node.input(2) else np.zeros(sizes, np.float32)
    given = {"normalized_shape": sizes, "eps": node.given.get("epsilon", 1e-5)}
    weights = {"weight": np.broadcast_to(scale, sizes), "bias": np.broadcast_to(offset, sizes)}
    return [graph.plan.layer(node.name, "LayerNorm", x, x.shape, given, weights)]


def _instance_normed(graph: Graph, node: Node) -> list[Value]:
    x = graph.live(node.input(0))
    scale, offset = graph.constant(node, 1), graph.constant(node, 2)
    given = {"num_groups": scale.size, "num_channels": scale.size,
             "eps": node.given.get("epsilon", 1e-5)}  # fmt: skip
    return [graph.plan.layer(node.name, "GroupNorm", x, x.shape, given,
                             {"weight": scale, "bias": offset})]  # fmt: skip


# -- dense layers


def _gemm(graph: Graph, node: Node) -> list[Value]:
    if node.given.get("transA", 0):
        raise node.refused("transA")
    x, weight = graph.live(node.input(0)), graph.constant(node, 1)
    weight = weight if node.given.get("transB", 0) else weight.T
    weight = weight * np.float32(node.given.get("alpha", 1.0))
    bias = None
    if node.input(2):
        held = graph.constant(node, 2) * np.float32(node.given.get("beta", 1.0))
        if held.size not in (1, len(weight)) or (held.ndim > 1 and held.shape[0] != 1):
            raise node.refused(f"a third input of {list(held.shape)}")
        bias = np.broadcast_to(held.reshape(-1), (len(weight),))
    return [_linear(graph, node, x, weight, bias, node.outputs[0])]


def _matmul(graph: Graph, node: Node) -> list[Value]:
    one, other = node.input(0), node.input(1)
    weight = graph.held.get(other)
    if one in graph.held or weight is None or weight.ndim != 2:
        taken = [graph.live(one), graph.live(other)]
        return [graph.plan.function("matmul", taken, shape_of(graph, node))]
    return [_linear(graph, node, graph.live(one), weight.T, *_bias_after(graph, node, weight))]


def _bias_after(graph: Graph, node: Node, weight: Array) -> tuple[Array | None, str]:
    """The bias that the one reader adds, and the name of what comes out; the node's own without."""
    (result,) = node.outputs
    if graph.readers[result] == 1:
        for after in graph.model.graph.node:
            if after.op_type != "Add" or result not in after.input:
                continue
            (other,) = (name for name in after.input if name != result)
            held = graph.held.get(other)
            if held is not None and held.shape == (weight.shape[1],):
                return held, after.output[0]
    return None, result


def _linear(
    graph: Graph, node: Node, x: Value, weight: Array, bias: Array | None, result: str
) -> Value:
    given = {"in_features": weight.shape[1], "out_features": weight.shape[0],
             "bias": bias is not None}  # fmt: skip
    made = graph.plan.layer(node.name, "Linear", x, graph.shapes[result], given,
                            _weights(weight, bias))  # fmt: skip
    graph.values[result] = made
    return made


def _gathered(graph: Graph, node: Node) -> list[Value]:
    """Rows of a table are an embedding; else entries of an axis by constant places."""
    axis, name = node.given.get("axis", 0), node.input(0)
    shape = shape_of(graph, node)
    if name in graph.held:
        table, places = graph.constant(node, 0), graph.live(node.input(1))
        if axis != 0 or table.ndim != 2:
            raise node.refused(f"from a constant of {list(table.shape)} along axis {axis}")
        whole = graph.plan.function("cast", [places], places.shape, {"dtype": "int64"})
        given = {"num_embeddings": table.shape[0], "embedding_dim": table.shape[1]}
        return [graph.plan.layer(node.name, "Embedding", whole, shape, given, {"weight": table})]
    x, places_held = graph.live(name), graph.constant(node, 1)
    axis %= x.rank
    size = x.shape[axis]
    if places_held.ndim == 0:
        given = {"dim": axis, "index": int(places_held)}
        return [graph.plan.function("picked", [x], shape, given)]
    if places_held.ndim != 1 or size is None:
        raise node.refused(f"places of {list(places_held.shape)}")
    listed: Sequence[int] = (places_held % size).tolist()
    return [graph.plan.function("chosen", [x], shape, {"dim": axis, "places": listed})]


NODES: dict[str, Rebuild] = {
    **dict.fromkeys(MODULES, _module),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "BatchNormalization": _batch_normed,
    "Clip": _clip,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "DepthToSpace": _shuffled,
    "Dropout": _dropout,
    "Gather": _gathered,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "HardSigmoid": _hard_sigmoid,
    "InstanceNormalization": _instance_normed,
    "LayerNormalization": _layer_normed,
    "MatMul": _matmul,
    "PRelu": _prelu,
    "Selu": _selu,
}
