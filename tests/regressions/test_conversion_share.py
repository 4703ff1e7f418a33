"""What a pass that changes number formats really did.

A file may hold 8-bit weights and a runtime compute in float32 beside them: between operators
without an integer kernel, where a pattern is not matched, or throughout. These tests guard that
the share of weights and of multiply-accumulates, and the operators that stay in float, are read
from what the runtime executes, and are told in the result and its views.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from passes_bench import Context, network, samples
from qat_parts import observed, run_onnx, samples_of, source_of, to_onnx

import edgeopt
from edgeopt.cli.commands import run
from edgeopt.formats import format_named
from edgeopt.formats.tflite import files
from edgeopt.passes import fp16_onnx, fp16_tflite, quantize_int8_onnx, quantize_int8_tflite
from edgeopt.pipeline.conversion import job_for
from edgeopt.report import draw
from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.target import TargetFacts, parse_target
from edgeopt.step import Pass

pytestmark = pytest.mark.extras
X86 = platform.machine() in ("x86_64", "AMD64")
ORT, OPENVINO, LITERT = "onnxruntime", "openvino", "litert"
HIDDEN, FEATURES, STEPS = 32, 8, 10
Node = helper.make_node

UNTIMED: dict[str, Any] = {"islands": (), "quantizers_time": None}  # differ by the run


def weights(name: str, *shape: int) -> onnx.TensorProto:
    values = np.random.default_rng(len(name) + sum(shape)).normal(0, 0.2, shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def onnx_model(
    nodes: Sequence[Any], held: Sequence[Any], x: Sequence[int], y: Sequence[int]
) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [info("x", TensorProto.FLOAT, ["batch", *x])],
        [info("y", TensorProto.FLOAT, ["batch", *y])],
        held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def resizing(mode: str) -> onnx.ModelProto:
    """Two convolutions with a Resize between them."""
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    nodes = [
        Node("Conv", ["x", "w1"], ["a"], pads=[1] * 4),
        Node("Resize", ["a", "", "scales"], ["b"], mode=mode),
        Node("Conv", ["b", "w2"], ["y"], pads=[1] * 4),
    ]
    held = [weights("w1", 8, 8, 3, 3), weights("w2", 4, 8, 3, 3), scales]
    return onnx_model(nodes, held, (8, 12, 12), (4, 24, 24))


def recurrent() -> onnx.ModelProto:
    """A GRU over a sequence and a linear layer on its last state."""
    nodes = [
        Node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        Node("GRU", ["t", "W", "R"], ["", "h"], hidden_size=HIDDEN),
        Node("Squeeze", ["h", "first"], ["s"]),
        Node("MatMul", ["s", "w"], ["y"]),
    ]
    held = [
        weights("W", 1, 3 * HIDDEN, FEATURES),
        weights("R", 1, 3 * HIDDEN, HIDDEN),
        weights("w", HIDDEN, 4),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    return onnx_model(nodes, held, (STEPS, FEATURES), (4,))


def applied(step: Pass, folder: Path, parent: Any, **arrays: np.ndarray) -> Path:
    """The artifact folder of a pass on a model."""
    given, rough, out = (folder / name for name in ("given", "rough", "out"))
    for each in (given, rough, out):
        each.mkdir()
    fmt = format_named(step.takes)
    fmt.save(parent, given)
    made = step.run(fmt.load(given), Context(rough, fmt.describe(given), arrays))
    fmt.save(made, out)
    return out


def told(folder: Path, runtime: str, **feeds: np.ndarray) -> Any:
    """What the runtime is found to compute in which format."""
    fmt = format_named("tflite" if runtime == LITERT else "onnx")
    found = fmt.conversion(folder, runtime, feeds or None)
    assert found is not None and found.by == runtime and not found.note
    assert 0.0 <= found.weights <= 1.0
    assert 0.0 <= found.macs + found.macs_hybrid <= 1.0 + 1e-9
    return found


def quantized(tmp_path: Path, model: onnx.ModelProto, x: np.ndarray, scheme: str = "u8s8") -> Path:
    step = quantize_int8_onnx.QuantizeInt8(scheme=scheme, float_stem=False)  # type: ignore[arg-type]
    return applied(step, tmp_path, model, x=x)


def test_a_linear_resize_between_quantizers_computes_in_float(tmp_path: Path) -> None:
    """The file shows Q/DQ around it; ONNX Runtime has no integer kernel that fits."""
    folder = quantized(tmp_path, resizing("linear"), samples())
    found = told(folder, ORT, x=samples(1))
    assert found.weights == 1.0 and found.macs == 1.0
    assert set(found.float_operators) == {"Resize"}
    assert "Resize" in found.sentence and "Conv" not in found.sentence


def test_a_nearest_resize_moves_codes(tmp_path: Path) -> None:
    """The same file but for the mode: the runtime drops the quantizers around it."""
    folder = quantized(tmp_path, resizing("nearest"), samples())
    found = told(folder, ORT, x=samples(1))
    assert (found.weights, found.macs, found.float_operators) == (1.0, 1.0, {})
    assert found.sentence == "int8: 100% of weights and MACs"


def test_macs_of_a_residual_network_are_those_of_the_kernels_that_ran(tmp_path: Path) -> None:
    """Every convolution beside the skip connection is looked for in the executed graph."""
    folder = quantized(tmp_path, network(), samples())
    found = told(folder, ORT, x=samples(1))
    assert found.weights == 1.0 and found.macs == pytest.approx(1.0)
    assert "Add" not in found.float_operators  # it became QLinearAdd
    assert told(folder, ORT).model_copy(update=UNTIMED) == found.model_copy(
        update=UNTIMED
    )  # zeros in place of samples


def test_nodes_without_names_are_told_apart(tmp_path: Path) -> None:
    """Files of other tools leave names empty; the figures must not change."""
    folder = quantized(tmp_path, network(), samples())
    named = told(folder, ORT, x=samples(1))
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, folder / "model.onnx")
    same = {"bits_per_weight": named.bits_per_weight, **UNTIMED}  # names take room in the file
    again = told(folder, ORT, x=samples(1))
    assert again.model_copy(update=same) == named.model_copy(update=same)


def test_signed_activations_on_x86_run_in_float(tmp_path: Path) -> None:
    """``s8s8`` quantizes every weight, and ONNX Runtime on x86 leaves convolutions in float."""
    folder = quantized(tmp_path, network(), samples(), "s8s8")
    found = told(folder, ORT, x=samples(1))
    assert found.weights == 1.0
    assert ("Conv" in found.float_operators) == (found.macs < 0.9)
    if X86:
        assert found.macs < 0.1 and found.float_operators["Conv"] == 2


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
def test_openvino_tells_of_its_own_kernels(tmp_path: Path, scheme: str) -> None:
    """Another runtime does otherwise with one and the same file."""
    folder = quantized(tmp_path, network(), samples(), scheme)
    found = told(folder, OPENVINO, x=samples(1))
    assert found.weights == told(folder, ORT, x=samples(1)).weights == 1.0
    assert bool(found.float_operators) or found.macs == pytest.approx(1.0)
    if X86:
        assert found.macs == pytest.approx(1.0)


def test_openvino_computes_halves_in_the_precision_it_was_told(tmp_path: Path) -> None:
    """float16 weights are widened: all arithmetic is float32, though the file says otherwise."""
    folder = applied(fp16_onnx.Fp16(), tmp_path, network())
    found = told(folder, OPENVINO, x=samples(1))
    assert found.form == "float16" and found.weights == 1.0
    assert found.macs == 0.0 and "Convolution" in found.float_operators


def test_weights_of_a_gru_stay_float_and_it_is_named(tmp_path: Path) -> None:
    """INT8 by name, 97% float32 in truth."""
    x = np.random.default_rng(0).normal(size=(16, STEPS, FEATURES)).astype(np.float32)
    folder = quantized(tmp_path, recurrent(), x)
    gru, linear = 3 * HIDDEN * (FEATURES + HIDDEN), HIDDEN * 4
    for runtime in (ORT, OPENVINO):
        found = told(folder, runtime, x=x[:1])
        assert found.weights == pytest.approx(linear / (gru + linear))
        assert found.float_weights == {"GRU": pytest.approx(gru / (gru + linear))}
        assert found.macs == pytest.approx(linear / (STEPS * gru + linear))
        assert "97% of weights stay float32: GRU" in found.sentence
    assert "GRU" in told(folder, ORT, x=x[:1]).float_operators


def test_macs_of_recurrent_layers_are_counted(tmp_path: Path) -> None:
    """A share of MACs that leaves the GRU out would be 100%."""
    onnx_format = format_named("onnx")
    onnx_format.save(recurrent(), tmp_path)
    found = onnx_format.inspect(tmp_path)
    assert found.macs == STEPS * 3 * HIDDEN * (FEATURES + HIDDEN) + HIDDEN * 4
    assert not found.notes


def test_fp16_tells_weights_apart_from_arithmetic(tmp_path: Path) -> None:
    """All weights are halves; whether a CPU computes in them is another figure."""
    folder = applied(fp16_onnx.Fp16(), tmp_path, network())
    found = told(folder, ORT, x=samples(1))
    assert found.form == "float16" and found.weights == 1.0
    assert ("Conv" in found.float_operators) == (found.macs < 1.0)


def test_a_float_model_has_nothing_to_tell(tmp_path: Path) -> None:
    """No row and no field for what changed no number format."""
    onnx_format = format_named("onnx")
    onnx_format.save(network(), tmp_path)
    assert onnx_format.conversion(tmp_path, ORT, {"x": samples(1)}) is None


def test_what_a_runtime_cannot_run_is_told_by_the_file(tmp_path: Path) -> None:
    """A failure costs the runtime's word, never the candidate."""
    folder = quantized(tmp_path, resizing("linear"), samples())
    found = format_named("onnx").conversion(folder, ORT, {"x": samples(1)[:, :3]})
    assert found.by == "the file" and "onnxruntime" in found.note.lower()
    assert found.weights == 1.0 and found.macs == 1.0
    assert found.sentence.endswith("by the file")


def test_an_export_of_a_module_on_grids_is_told_as_any_other(tmp_path: Path) -> None:
    """What ``qat`` trained becomes INT8 in the export, which is asked about, too."""
    signals, _ = samples_of("imu", "train", 32)
    parent = format_named("torch").load(source_of("imu", tmp_path / "torch"))
    made = observed(parent, "signal", signals, "u8s8", outputs=7)
    path = to_onnx(made, tmp_path / "onnx")
    found = told(path.parent, ORT, signal=signals[:1])
    _, ran = run_onnx(path, signals[:1])
    assert found.form == "int8" and found.weights > 0.99 and found.macs > 0.99
    assert set(found.float_operators) <= set(ran)


# -- TFLite


def tflite_layers(folder: Path) -> bytes:
    """Two fully connected layers, 16 to 16 to 4, with a TANH between them, and a signature."""
    from ai_edge_litert import schema_py_generated as schema

    rng = np.random.default_rng(0)
    model = schema.ModelT()
    model.version, model.description = 3, b"test"
    model.buffers = [schema.BufferT() for _ in range(3)]
    for index, shape in ((1, (16, 16)), (2, (4, 16))):
        values = rng.normal(0, 0.3, shape).astype(np.float32)
        model.buffers[index].data = np.frombuffer(values.tobytes(), np.uint8)
    builtin = schema.BuiltinOperator
    model.operatorCodes = []
    for kind in (builtin.FULLY_CONNECTED, builtin.TANH):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        model.operatorCodes.append(code)
    graph = schema.SubGraphT()
    graph.name, graph.tensors = b"main", []
    for name, shape, buffer in (
        (b"x", [1, 16], 0), (b"w1", [16, 16], 1), (b"a", [1, 16], 0), (b"b", [1, 16], 0),
        (b"w2", [4, 16], 2), (b"y", [1, 4], 0),
    ):  # fmt: skip
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
        tensor.type = schema.TensorType.FLOAT32
        graph.tensors.append(tensor)
    graph.operators = []
    for index, inputs, outputs in ((0, [0, 1, -1], [2]), (1, [2], [3]), (0, [3, 4, -1], [5])):
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = index, inputs, outputs
        if index == 0:
            op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            op.builtinOptions = schema.FullyConnectedOptionsT()
        graph.operators.append(op)
    graph.inputs, graph.outputs = [0], [5]
    model.subgraphs = [graph]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    for side, name, tensor_index in (("inputs", b"x", 0), ("outputs", b"y", 5)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, tensor_index
        setattr(signature, side, [entry])
    model.signatureDefs = [signature]
    return files.pack(model)


ROWS = np.random.default_rng(3).normal(size=(32, 16)).astype(np.float32)


@pytest.mark.parametrize(
    ("scheme", "shares", "in_float"),
    [
        ("static", (1.0, 1.0, 0.0), set()),
        ("static-int8-io", (1.0, 1.0, 0.0), set()),
        ("dynamic", (1.0, 0.0, 1.0), {"TANH"}),
        ("weight-only", (1.0, 0.0, 0.0), {"FULLY_CONNECTED", "TANH"}),
    ],
)
def test_each_tflite_scheme_is_told_as_it_computes(
    tmp_path: Path, scheme: Any, shares: tuple[float, ...], in_float: set[str]
) -> None:
    """Integer arithmetic, 8-bit weights beside float activations, and storage are three things."""
    step = quantize_int8_tflite.QuantizeInt8(scheme=scheme)
    folder = applied(step, tmp_path, tflite_layers(tmp_path), x=ROWS)
    found = told(folder, LITERT)
    assert (found.weights, found.macs, found.macs_hybrid) == shares
    assert set(found.float_operators) == in_float
    if scheme == "dynamic":
        assert "int8 weights and activations quantized as it runs" in found.sentence


def test_litert_quantizes_the_activations_of_a_dynamic_file_as_it_runs(tmp_path: Path) -> None:
    """Guards against a description as float arithmetic of what is computed in integers."""
    from ai_edge_litert.interpreter import Interpreter

    step = quantize_int8_tflite.QuantizeInt8(scheme="dynamic")
    folder = applied(step, tmp_path, tflite_layers(tmp_path), x=ROWS)
    model = files.unpack((folder / "model.tflite").read_bytes(), "the quantized model")
    held = {files.text(t.name): t for t in model.subgraphs[0].tensors}

    def weights(name: str) -> np.ndarray:
        tensor = held[name]
        codes = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int8)
        scales = np.asarray(tensor.quantization.scale, np.float64)
        return codes.reshape(tuple(tensor.shape)) * scales[:, None]

    hidden = np.tanh(ROWS[:1].astype(np.float64) @ weights("w1").T)
    in_float = hidden @ weights("w2").T
    interpreter = Interpreter(model_path=str(folder / "model.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], ROWS[:1])
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    off = np.abs(answer - in_float).max() / np.abs(in_float).max()
    assert 1e-4 < off < 0.05, "a step of 8 bits off, not a rounding of float32"


def test_tflite_halves_are_stored_only(tmp_path: Path) -> None:
    """float16 weights in TFLite are widened at load time."""
    folder = applied(fp16_tflite.Fp16(), tmp_path, tflite_layers(tmp_path))
    found = told(folder, LITERT)
    assert (found.form, found.weights, found.macs) == ("float16", 1.0, 0.0)
    assert set(found.float_operators) == {"FULLY_CONNECTED", "TANH"}


# -- Results and views


def test_a_result_and_its_views_tell_it(tmp_path: Path) -> None:
    """``result.json`` has a typed field, table and page one short line."""
    onnx.save(resizing("linear"), tmp_path / "net.onnx")
    x = samples(40)
    np.savez(tmp_path / "data.npz", **{"train.x": x[:16], "validation.x": x[16:]})
    result = edgeopt.optimize(
        tmp_path / "net.onnx",
        data={
            "source": str(tmp_path / "data.npz"),
            "splits": {"calibration": "train", "validation": "validation"},
        },
        targets=["local/onnxruntime", "local/openvino"],
        passes=[{"one_of": ["none", {"quantize-int8": {"scheme": "u8s8"}}, "fp16"]}],
        out=tmp_path / "out",
        store=tmp_path / "store",
        bench=False,
    )
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    for target, raw in zip(result.targets, document["targets"], strict=True):
        found = {c.label: c.conversion for c in target.candidates}
        assert len(found) == 3 and len([c for c in found.values() if c is None]) == 1
        for each in found.values():
            assert each is None or each.by.startswith(target.target.partition("/")[2])
        assert sum(bool(c["conversion"]) for c in raw["candidates"]) == 2
    assert edgeopt.load(tmp_path / "out").targets == result.targets
    ours = next(
        c.conversion for c in result.targets[0].candidates if c.label.startswith("quantize")
    )
    assert ours is not None and "Resize" in ours.float_operators
    for view in (draw(result, "terminal"), draw(result, "html")):
        assert ours.sentence in " ".join(view.split())


def endless() -> onnx.ModelProto:
    """An 8-bit matrix product behind a loop of 10**12 steps."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [Node("Identity", ["go"], ["on"]), Node("Sin", ["state"], ["next"])],
        "body",
        [
            info("step", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("state", TensorProto.FLOAT, None),
        ],
        [info("on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, None)],
    )
    nodes = [
        Node("Loop", ["steps", "yes", "x"], ["l"], body=body),
        Node("DequantizeLinear", ["codes", "scale"], ["w"]),
        Node("MatMul", ["l", "w"], ["y"]),
    ]
    held = [
        numpy_helper.from_array(np.array(10**12, np.int64), "steps"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.ones((4, 3), np.int8), "codes"),
        numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
    ]
    return onnx_model(nodes, held, (4,), (3,))


def test_a_runtime_that_hangs_costs_its_word_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a worker had to be killed over it, the file is told in place of the runtime."""
    monkeypatch.setattr("edgeopt.pipeline.conversion.LIMIT_S", 3.0)
    onnx.save(endless(), tmp_path / "endless.onnx")
    found = edgeopt.inspect(tmp_path / "endless.onnx", store=tmp_path / "store").conversions
    by_ort = next(each for each in found if not each.by.startswith(OPENVINO))
    assert by_ort.by == "the file" and "onnxruntime could not be asked" in by_ort.note
    assert by_ort.weights == 1.0 and "Sin" in by_ort.float_operators


def test_other_devices_and_accelerators_are_told_by_the_file() -> None:
    """What this machine's CPU executes says nothing of a board, a GPU or an emulated core."""
    described = Description(
        format="onnx", signature=Signature(inputs=(), outputs=()), facts=frozenset({"int8"})
    )
    for text, runtime in (
        ("local/onnxruntime?threads=2", ORT),
        ("local/onnxruntime:cuda", ""),
        ("ssh:pi/onnxruntime", ""),
        ("emulated:haswell/onnxruntime", ""),
    ):
        facts = TargetFacts(target=text, isa="x86_64", runtime_version="1.0")
        params = job_for("pass:1", described, parse_target(text), facts).params
        assert params["runtime"] == runtime and bool(params["note"]) == (not runtime)


def test_inspect_tells_it_by_each_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``edgeopt inspect`` of a quantized file, in text and as JSON."""
    monkeypatch.setenv("EDGEOPT_STORE", str(tmp_path / "store"))
    path = str(quantized(tmp_path, resizing("linear"), samples()) / "model.onnx")
    capsys.readouterr()
    assert run(["inspect", path, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = {each["by"].split()[0]: each for each in document["conversions"]}
    assert set(found) == {ORT, OPENVINO}
    assert found[ORT]["float_operators"] == {"Resize": 1}
    assert run(["inspect", path]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "converted" in text and "Resize" in text
