"""What the tests of quantization share: shipped networks with samples, and both exports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from edgeopt.agent.fakequant import FakeQuantize
from edgeopt.agent.machine import facts
from edgeopt.formats import format_named
from edgeopt.passes.export_onnx_torch import ExportOnnx
from edgeopt.passes.export_tflite_torch import ExportTflite
from edgeopt.quantization.training import quantization_trained
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schemes import VNNI

MODELS = Path(__file__).parents[2] / "models"
INPUTS = {"fashion_mnist": ("image", (1, 28, 28)), "imu": ("signal", (6, 128))}
SATURATES = facts()["isa"].startswith("x86") and not VNNI & set(facts()["features"])
U8S8 = "u8s8-reduced" if SATURATES else "u8s8"  # without VNNI, sums of u8s8 saturate in 16 bits


@dataclass
class Context:
    """What the exports ask for."""

    description: Description
    workdir: Path


@dataclass
class Quantized:
    """A module on grids, and what it was made of."""

    source: Any
    frozen: Any
    scheme: str
    description: Description
    samples: np.ndarray

    @property
    def name(self) -> str:
        return self.description.signature.inputs[0].name

    @property
    def step(self) -> float:
        """The step of the grid that the last operator gives."""
        return float([m for m in self.frozen.modules() if isinstance(m, FakeQuantize)][-1].scale)

    def outputs(self) -> np.ndarray:
        with torch.inference_mode():
            made = self.frozen(**{self.name: torch.from_numpy(self.samples)})
        return next(iter(made.values() if isinstance(made, dict) else [made])).numpy()

    def steps_apart(self, outputs: np.ndarray) -> float:
        """The largest difference from the module's own answers, in steps of their grid."""
        return float(np.abs(outputs - self.outputs()).max()) / self.step


def samples_of(model: str, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Real samples as recipes prepare them, and their labels."""
    with np.load(MODELS / model / f"{model}.npz") as archive:
        labels = archive[f"{split}.label"][:count]
        if model == "imu":
            return archive[f"{split}.signal"][:count].astype(np.float32) / 1000, labels
        pixels = archive[f"{split}.images"][:count, None].astype(np.float32) / 255
        return ((pixels - 0.286) / 0.353).astype(np.float32), labels


def source_of(model: str, folder: Path) -> Path:
    """The shipped network as an artifact's folder."""
    name, shape = INPUTS[model]
    folder.mkdir(parents=True)
    spec = {"factory": "net.py:resnet", "weights": "source.safetensors"}
    sample = {name: {"shape": shape, "dtype": "float32"}}
    format_named("torch").gather(spec, MODELS / model, folder, sample)
    return folder


def observed(
    module: torch.nn.Module,
    name: str,
    samples: np.ndarray,
    scheme: str = U8S8,
    float_stem: bool = False,
    outputs: int = 10,
    learned: bool = False,
) -> Quantized:
    """A module on grids that samples have shown, without any training."""
    shape = ("batch", *samples.shape[1:])
    frozen, _ = quantization_trained(
        module,
        {name: {"shape": list(shape), "dtype": "float32"}},
        scheme=scheme,
        float_stem=float_stem,
        learned=learned,
        momentum=0.01,
        observed=[{name: torch.from_numpy(samples)}],
        train=lambda made: None,
    )
    layout = "NCHW" if len(shape) == 4 else ""
    signature = Signature(
        inputs=(Tensor(name=name, dtype="float32", shape=shape, layout=layout),),
        outputs=(Tensor(name="output", dtype="float32", shape=("batch", outputs)),),
    )
    known = frozenset({"float32", "fake-quantized", f"qat-{scheme}"})
    description = Description(format="torch", signature=signature, facts=known)
    return Quantized(module, frozen, scheme, description, samples)


def to_onnx(made: Quantized, folder: Path) -> Path:
    """The exported ONNX file."""
    folder.mkdir(parents=True)
    model = ExportOnnx().run(made.frozen, Context(made.description, folder))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def run_onnx(path: Path, samples: np.ndarray) -> tuple[np.ndarray, Counter[str]]:
    """What ONNX Runtime answers, and the operators it runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path.with_suffix(".run.onnx"))
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    answers = session.run(None, {session.get_inputs()[0].name: samples})[0]
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    return answers, Counter(node.op_type for node in nodes)


def to_tflite(made: Quantized, folder: Path) -> bytes:
    """The exported TFLite model."""
    folder.mkdir(parents=True)
    return ExportTflite().run(made.frozen, Context(made.description, folder))


def run_tflite(content: bytes, samples: np.ndarray) -> np.ndarray:
    """What LiteRT answers, with the kernels it uses by default."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for sample in samples:
        one = sample[None]
        if one.ndim == 4:
            one = np.ascontiguousarray(one.transpose(0, 2, 3, 1))
        interpreter.set_tensor(given["index"], one)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(told["index"]).copy())
    return np.concatenate(answers)
