"""ONNX models rebuilt in torch: each node answers as it did, or is refused by its name."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgeopt.formats import format_named
from edgeopt.formats.onnx.describe import describe
from edgeopt.rebuilding.onnx_nodes import rebuilt
from edgeopt.schema.errors import PassError

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.extras


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.4, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def node(kind: str, shape: Sequence[int], *held: Any, outputs: int = 1, opset: int = 18,
         first: int = 0, dtype: int = TensorProto.FLOAT, **given: Any) -> Any:  # fmt: skip
    """A model of one node: ``x`` of (batch, *shape) is its input ``first``, constants the others.

    ``None`` among the constants leaves an input out.
    """
    names = ["" if array is None else f"c{place}" for place, array in enumerate(held)]
    names.insert(first, "x")
    results = [f"y{place}" for place in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(kind, names, results, name="it", **given)],
        "one",
        [helper.make_tensor_value_info("x", dtype, ["batch", *shape])],
        [helper.make_empty_tensor_value_info(name) for name in results],
        [numpy_helper.from_array(np.asarray(a), f"c{place}")
         for place, a in enumerate(held) if a is not None],
    )  # fmt: skip
    return finished(graph, opset)


def finished(graph: Any, opset: int = 18) -> Any:
    """A model of the graph, types of its outputs found."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    known = onnx.shape_inference.infer_shapes(model, data_prop=True)
    session = onnxruntime.InferenceSession(known.SerializeToString())
    kinds = {"tensor(float)": 1, "tensor(int64)": 7, "tensor(bool)": 9}
    outputs = [
        helper.make_tensor_value_info(o.name, kinds[o.type], o.shape) for o in session.get_outputs()
    ]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    return model


def compare(model: Any, tmp_path: Path, feeds: Mapping[str, np.ndarray] | None = None) -> Any:
    """Rebuilt, written, loaded by its format: the answers to five samples; the module."""
    signature = describe(model, "net.onnx").signature
    folder = rebuilt(model, signature).write(
        tmp_path / "rebuilt",
        {t.name: {"shape": list(t.shape), "dtype": t.dtype, "layout": t.layout}
         for t in signature.inputs},
    )  # fmt: skip
    module = format_named("torch").load(folder)
    rng = np.random.default_rng(1)
    for batch in (5, 1):
        fed = dict(feeds or {})
        for tensor in signature.inputs:
            shape = [n if isinstance(n, int) else batch for n in tensor.shape]
            if tensor.name not in fed or len(fed[tensor.name]) != batch:
                drawn = (
                    rng.integers(0, 5, shape) if "int" in tensor.dtype else rng.normal(size=shape)
                )
                fed[tensor.name] = drawn.astype(tensor.dtype)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        with torch.no_grad():
            found = module(**{name: torch.from_numpy(array) for name, array in fed.items()})
        for (name, one), wanted in zip(found.items(), session.run(None, fed), strict=True):
            np.testing.assert_allclose(one.numpy(), wanted, rtol=2e-4, atol=2e-5, err_msg=name)
            assert str(one.numpy().dtype) == str(wanted.dtype)
    return module


def conv(*shape: int, bias: int = 0, **given: Any) -> Callable[[], Any]:
    held = [weights(*shape), *([weights(bias)] if bias else [])]
    return lambda: node("Conv", (3, 9, 10), *held, **given)


def recurrent(kind: str, gates: int, directions: int = 1, **given: Any) -> Any:
    """Steps first in the node, samples first in the model."""
    units, features = 5, 4
    held = {
        "w": weights(directions, gates * units, features),
        "r": weights(directions, gates * units, units),
        "b": weights(directions, 2 * gates * units),
        "shape": ints(0, 0, directions * units),
    }
    way = "bidirectional" if directions == 2 else "forward"
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
            helper.make_node(kind, ["steps", "w", "r", "b"], ["every", "last"], name="it",
                             hidden_size=units, direction=way, **given),
            helper.make_node("Transpose", ["every"], ["apart"], perm=[2, 0, 1, 3]),
            helper.make_node("Reshape", ["apart", "shape"], ["y"]),
            helper.make_node("Transpose", ["last"], ["z"], perm=[1, 0, 2]),
        ],
        "steps",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 7, features])],
        [helper.make_empty_tensor_value_info(name) for name in ("y", "z")],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )  # fmt: skip
    return finished(graph)


def sized(mask: np.ndarray) -> Any:
    """A mask spread over as many samples as there are, and what it leaves of them."""
    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["x"], ["sizes"]),
            helper.make_node("Expand", ["mask", "sizes"], ["spread"], name="it"),
            helper.make_node("Where", ["spread", "x", "zero"], ["y"]),
        ],
        "sized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *mask.shape[1:]])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(mask, "mask"),
         numpy_helper.from_array(np.float32(0), "zero")],
    )  # fmt: skip
    return finished(graph)


SAME = {"auto_pad": "SAME_UPPER"}
NODES: dict[str, Callable[[], Any]] = {
    "conv": conv(5, 3, 3, 3, bias=5),
    "conv, padding": conv(5, 3, 3, 3, pads=[1, 2, 1, 2], strides=[2, 1]),
    "conv, unequal sides": conv(5, 3, 3, 3, bias=5, pads=[0, 1, 1, 2], strides=[2, 2]),
    "conv, same": conv(5, 3, 4, 3, strides=[2, 2], **SAME),
    "conv, same lower": conv(5, 3, 4, 3, strides=[2, 2], auto_pad="SAME_LOWER"),
    "conv, groups, dilated": conv(6, 1, 3, 3, group=3, dilations=[2, 1]),
    "conv 1d": lambda: node("Conv", (4, 11), weights(5, 4, 3), pads=[2, 0]),
    "conv 3d": lambda: node("Conv", (2, 5, 6, 7), weights(3, 2, 2, 2, 2)),
    "transposed": lambda: node("ConvTranspose", (4, 5, 6), weights(4, 3, 3, 3), weights(3),
                               strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "transposed, same": lambda: node("ConvTranspose", (4, 5, 6), weights(4, 3, 3, 3),
                                     strides=[2, 2], **SAME),
    "gemm": lambda: node("Gemm", (6,), weights(6, 4), weights(4)),
    "gemm, transposed, scaled": lambda: node("Gemm", (6,), weights(4, 6), weights(1, 4), transB=1,
                                             alpha=0.5, beta=2.0),
    "gemm without bias": lambda: node("Gemm", (6,), weights(6, 4)),
    "matmul": lambda: node("MatMul", (3, 6), weights(6, 4)),
    "matmul of a constant": lambda: node("MatMul", (6, 2), weights(4, 6), first=1),
    "batch norm": lambda: node("BatchNormalization", (3, 4, 5), weights(3), weights(3), weights(3),
                               np.abs(weights(3)), epsilon=1e-3),
    "batch norm of rows": lambda: node("BatchNormalization", (3,), weights(3), weights(3),
                                       weights(3), np.abs(weights(3))),
    "layer norm": lambda: node("LayerNormalization", (3, 4), weights(4), weights(4), epsilon=1e-3),
    "layer norm of two axes": lambda: node("LayerNormalization", (3, 4), weights(3, 4), axis=1),
    "instance norm": lambda: node("InstanceNormalization", (3, 4, 5), weights(3), weights(3)),
    "max pool": lambda: node("MaxPool", (3, 9, 10), kernel_shape=[3, 2], strides=[2, 2],
                             pads=[1, 0, 1, 0]),
    "max pool, same": lambda: node("MaxPool", (3, 9, 10), kernel_shape=[2, 2], strides=[2, 2],
                                   **SAME),
    "max pool, ceil, dilated": lambda: node("MaxPool", (3, 9, 10), kernel_shape=[2, 2],
                                            strides=[2, 2], dilations=[2, 1], ceil_mode=1),
    "average pool": lambda: node("AveragePool", (3, 9, 10), kernel_shape=[3, 3],
                                 pads=[1, 1, 1, 1], strides=[2, 2]),
    "average pool, padding counts": lambda: node("AveragePool", (3, 9), kernel_shape=[3],
                                                 pads=[0, 1], count_include_pad=1),
    "over all": lambda: node("GlobalAveragePool", (3, 9, 10)),
    "most of all": lambda: node("GlobalMaxPool", (3, 9)),
    "relu6": lambda: node("Clip", (3, 4), np.float32(0), np.float32(6)),
    "clip": lambda: node("Clip", (3, 4), np.float32(-0.3), np.float32(0.4)),
    "clip from below": lambda: node("Clip", (3, 4), np.float32(0)),
    "clip from above": lambda: node("Clip", (3, 4), None, np.float32(0.5)),
    "slopes": lambda: node("PRelu", (3, 4, 5), weights(3, 1, 1)),
    "one slope": lambda: node("PRelu", (3, 4), weights(1)),
    "leaky": lambda: node("LeakyRelu", (3, 4), alpha=0.2),
    "elu": lambda: node("Elu", (3, 4), alpha=0.7),
    "selu": lambda: node("Selu", (3, 4)),
    "hard sigmoid": lambda: node("HardSigmoid", (3, 4)),
    "hard sigmoid of torch": lambda: node("HardSigmoid", (3, 4), alpha=1 / 6),
    "hard swish": lambda: node("HardSwish", (3, 4)),
    "gelu": lambda: node("Gelu", (3, 4), opset=20, approximate="tanh"),
    "softmax": lambda: node("Softmax", (3, 4), axis=1),
    "log softmax": lambda: node("LogSoftmax", (3, 4)),
    **{kind: (lambda kind=kind: node(kind, (3, 4)))
       for kind in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Abs", "Neg", "Erf",
                    "Sin", "Cos", "Floor", "Ceil", "Sign", "Identity", "Mish")},
    **{f"{kind} a constant": (lambda kind=kind: node(kind, (3, 4), weights(3, 1)))
       for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min")},
    "a constant less": lambda: node("Sub", (3, 4), weights(4), first=1),
    "a constant through": lambda: node("Div", (3, 4), weights(4), first=1),
    "power": lambda: node("Pow", (3, 4), np.float32(2)),
    "greater": lambda: node("Greater", (3, 4), np.float32(0.1)),
    "cast": lambda: node("Cast", (3,), to=TensorProto.FLOAT, dtype=TensorProto.INT64),
    "mean": lambda: node("ReduceMean", (3, 4, 5), ints(2, 3)),
    "mean, axes gone": lambda: node("ReduceMean", (3, 4, 5), ints(-1), keepdims=0),
    "mean of old": lambda: node("ReduceMean", (3, 4), axes=[2], opset=13),
    "most": lambda: node("ReduceMax", (3, 4), ints(1)),
    "sum": lambda: node("ReduceSum", (3, 4), ints(1), keepdims=0),
    "flat": lambda: node("Flatten", (3, 4, 5)),
    "reshaped": lambda: node("Reshape", (3, 4), ints(0, 2, 6)),
    "reshaped by what is left": lambda: node("Reshape", (3, 4), ints(-1, 6)),
    "squeezed": lambda: node("Squeeze", (3, 1, 1), ints(2, 3)),
    "unsqueezed": lambda: node("Unsqueeze", (3,), ints(1)),
    "permuted": lambda: node("Transpose", (3, 4, 5), perm=[0, 3, 1, 2]),
    "split": lambda: node("Split", (6, 4), ints(1, 5), axis=1, outputs=2),
    "sliced": lambda: node("Slice", (6, 4), ints(1, -3), ints(5, 1000), ints(1, 2), ints(2, 1)),
    "sliced, batch left": lambda: node("Slice", (6,), ints(0, 1), ints(2**60, 4), ints(0, 1)),
    "padded": lambda: node("Pad", (3, 4, 5), ints(0, 0, 1, 2, 0, 0, 3, 0), np.float32(0.5)),
    "padded channels": lambda: node("Pad", (3, 4), ints(0, 1, 0, 0, 2, 0)),
    "reflected": lambda: node("Pad", (3, 4, 5), ints(0, 0, 1, 2, 0, 0, 1, 0), mode="reflect"),
    "one of an axis": lambda: node("Gather", (3, 4), np.int64(-1), axis=1),
    "some of an axis": lambda: node("Gather", (3, 4), ints(2, 0), axis=1),
    "a table": lambda: node("Gather", (6,), weights(7, 5), first=1, dtype=TensorProto.INT64),
    "sliced, to an end as tf2onnx writes it": lambda: node(
        "Slice", (6,), ints(0, 1), ints(10**9, 10**9), ints(0, 1), ints(1, 2)
    ),
    "tiled": lambda: node("Tile", (3, 4), ints(1, 2, 3)),
    "masked by the batch": lambda: sized(weights(1, 3, 3) > 0),
    "expanded": lambda: node("Expand", (1, 4), ints(1, 3, 4)),
    "nearest": lambda: node("Resize", (3, 4, 5), None, np.array([1, 1, 2, 2], np.float32),
                            mode="nearest", coordinate_transformation_mode="asymmetric",
                            nearest_mode="floor"),
    "linear": lambda: node("Resize", (3, 4, 5), None, np.array([1, 1, 2, 2], np.float32),
                           mode="linear"),
    "corners": lambda: node("Resize", (3, 4, 5), None, np.array([1, 1, 1.75, 1.8], np.float32),
                            mode="linear", coordinate_transformation_mode="align_corners"),
    "shuffled": lambda: node("DepthToSpace", (8, 3, 4), blocksize=2, mode="CRD"),
    "lstm": lambda: recurrent("LSTM", 4),
    "lstm, both ways": lambda: recurrent("LSTM", 4, 2),
    "gru": lambda: recurrent("GRU", 3, linear_before_reset=1),
    "gru, both ways": lambda: recurrent("GRU", 3, 2, linear_before_reset=1),
    "rnn": lambda: recurrent("RNN", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_each_node_answers_as_it_did(name: str, tmp_path: Path) -> None:
    compare(NODES[name](), tmp_path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: recurrent("GRU", 3), "linear_before_reset is 0"),
        (lambda: node("LRN", (3, 4, 5), size=3), "no twin in torch"),
        (lambda: node("PRelu", (3, 4), weights(3, 4)), "a slope for each place"),
        (lambda: node("ReduceMean", (3,), ints(0)), "over the batch"),
        (lambda: node("AveragePool", (3, 9), kernel_shape=[3], pads=[0, 1]), "unequal sides"),
        (lambda: node("DepthToSpace", (8, 3, 4), blocksize=2), "mode DCR"),
        (lambda: node("Tile", (3,), ints(2, 1)), "along a free size"),
        (
            lambda: node("Resize", (2, 3, 4), None, np.float32([1, 1, 2, 2]), mode="cubic",
                         cubic_coeff_a=-0.5),
            "cubic_coeff_a -0.5",
        ),
        (lambda: node("Slice", (6,), ints(1), ints(3), ints(0)), "along a free size"),
    ],
)  # fmt: skip
def test_what_has_no_twin_is_refused_by_its_name(make: Callable[[], Any], said: str) -> None:
    model = make()
    with pytest.raises(PassError, match="node 'it'") as caught:
        rebuilt(model, describe(model, "net.onnx").signature)
    assert said in caught.value.what


def test_what_the_batch_alone_decides_is_refused(tmp_path: Path) -> None:
    """The samples divided by their number, which is no constant."""
    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["x"], ["sizes"], end=1),
            helper.make_node("Cast", ["sizes"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["x", "count"], ["y"]),
        ],
        "counted",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_empty_tensor_value_info("y")],
    )
    model = finished(graph)
    with pytest.raises(PassError, match=r"value 'count' .*the batch decides it"):
        rebuilt(model, describe(model, "net.onnx").signature)


# -- whole networks, as frameworks export them


class Residual(nn.Module):
    """Convolutions, norms, a skip connection, squeeze and excitation, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8),
                                  nn.ReLU6())  # fmt: skip
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.SiLU(),
                                  nn.Conv2d(8, 8, 1))  # fmt: skip
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = x + self.deep(x)
        y = y * self.gate(y)
        return self.head(y.mean((2, 3)))


class Attending(nn.Module):
    """A transformer's encoder over steps, with a table of places."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 16)
        self.places = nn.Parameter(torch.randn(6, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.table(ids) + self.places)[:, 0])


class Listening(nn.Module):
    """Convolutions over time, then recurrent layers, the last step of which counts."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv1d(4, 6, 3, padding=1)
        self.both = nn.GRU(6, 5, batch_first=True, bidirectional=True)
        self.last = nn.LSTM(10, 7, batch_first=True)
        self.head = nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps, _ = self.both(torch.relu(self.front(x.transpose(1, 2))).transpose(1, 2))
        return self.head(self.last(steps)[0][:, -1])


def exported(network: nn.Module, example: torch.Tensor, name: str, *, dynamo: bool) -> Any:
    network.eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    if dynamo:
        free = {name: {0: torch.export.Dim("batch", min=1, max=64)}}
        made = torch.onnx.export(network, (example,), dynamo=True, dynamic_shapes=free,
                                 input_names=[name], verbose=False)  # fmt: skip
        assert made is not None
        return made.model_proto
    file = io.BytesIO()
    torch.onnx.export(network, (example,), file, dynamo=False, input_names=[name],
                      output_names=["y"], dynamic_axes={name: {0: "batch"}, "y": {0: "batch"}},
                      opset_version=14)  # fmt: skip
    return onnx.load_from_string(file.getvalue())


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "script"])
@pytest.mark.parametrize("kind", [Residual, Attending, Listening])
@pytest.mark.filterwarnings("ignore")
def test_what_torch_exports_comes_back(kind: type[nn.Module], dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    examples = {"Residual": ("x", torch.randn(2, 3, 16, 16)),
                "Listening": ("x", torch.randn(2, 9, 4)),
                "Attending": ("ids", torch.randint(0, 11, (2, 6)))}  # fmt: skip
    name, example = examples[kind.__name__]
    compare(exported(kind(), example, name, dynamo=dynamo), tmp_path)


def test_dense_layers_are_modules_and_train(tmp_path: Path) -> None:
    """A MatMul with the Add behind it is one layer; gradients reach every weight."""
    held = {"w": weights(6, 4), "b": weights(4), "v": weights(4, 2)}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"], name="first"),
            helper.make_node("Add", ["b", "m"], ["a"]),
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("MatMul", ["r", "v"], ["y"], name="second"),
        ],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    module = compare(finished(graph), tmp_path)
    assert isinstance(module.first, nn.Linear) and module.first.bias is not None
    assert isinstance(module.second, nn.Linear) and module.second.bias is None
    module.train()
    module(torch.randn(8, 6))["y"].square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_names_of_nodes_are_names_of_modules_each_its_own(tmp_path: Path) -> None:
    held = {"w": weights(3, 3, 1, 1)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["m"], name="/block.1/Conv"),
            helper.make_node("Conv", ["m", "w"], ["y"], name="/block/1.Conv"),
        ],
        "twice",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    module = compare(finished(graph), tmp_path)
    assert "_block_1_Conv" in dict(module.named_modules())
    assert sum(isinstance(m, nn.Conv2d) for m in module.modules()) == 2
    plan = json.loads((tmp_path / "rebuilt" / "code" / "network.json").read_text())
    assert plan["inputs"] == ["x"]
