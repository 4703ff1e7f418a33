"""OpenVINO: reads ONNX as it is; one stream, computing in the precision that the file states."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import openvino

from ..errors import AgentError, one_line
from ..profiled import repeats
from . import nodes

FILE = "model.onnx"
DEVICES = {name: each[0] for name, each in nodes("openvino").items()}
PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # the declaration's words -> OpenVINO's
NO_WORK = ("Const", "Input", "Output")  # layers of the executed graph that compute nothing


def load(threads: int) -> str:
    """The runtime's version. Threads belong to the compiled model here."""
    return str(openvino.__version__)


@functools.lru_cache(maxsize=None)
def _core() -> Any:
    """One core for the whole process.

    OpenVINO 2026.4.1 leaves the thread a signal stack in memory that it has given back where a core
    ends before one that was made later; the next signal then ends the process or corrupts it.
    """
    return openvino.Core()


def accelerators() -> Dict[str, str]:
    """Accelerator -> the device's full name, of those that OpenVINO finds."""
    core = _core()
    kinds = {name.partition(".")[0]: name for name in reversed(core.available_devices)}
    return {
        accelerator: str(core.get_property(kinds[kind], "FULL_DEVICE_NAME"))
        for accelerator, kind in DEVICES.items()
        if kind in kinds
    }


class Session:
    """``model.onnx`` of a folder, with its external data beside it.

    ``fixed`` are the sizes that each input will have, None for one that stays free: the model is
    reshaped to them before it is compiled. ``dynamic_quant`` and ``precision`` are settings of its
    declaration.
    """

    def __init__(
        self,
        folder: str,
        accelerator: str,
        threads: int,
        fixed: Optional[Mapping[str, Sequence[Optional[int]]]] = None,
        dynamic_quant: str = "auto",
        precision: str = "fp32",
    ) -> None:
        device = DEVICES.get(accelerator)
        core = _core()
        present = [name.partition(".")[0] for name in core.available_devices]  # GPU.0 -> GPU
        if device is None or device not in present:
            raise AgentError(
                "DeviceError", "OpenVINO has no accelerator '{}' here".format(accelerator),
                "openvino", "it has: {}".format(", ".join(core.available_devices)),
            )  # fmt: skip
        self.device = "" if device == "CPU" else str(core.get_property(device, "FULL_DEVICE_NAME"))
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],  # unsaid: 16 bits on some devices
        }
        if dynamic_quant != "auto":
            settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = dynamic_quant
        if device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = str(threads)
            settings["ENABLE_CPU_PINNING"] = "NO"  # others in a race are not pinned either
        path = os.path.join(folder, FILE)
        self._opening = core, path, device, settings, fixed or {}
        try:
            self._compiled = _compiled(*self._opening)
        except Exception as error:  # the runtime raises RuntimeError for all that is wrong
            raise AgentError(
                "ModelError", "OpenVINO cannot load the model: {}".format(one_line(error)),
                FILE, "check the model's operators and opset against this version of the runtime",
            ) from error  # fmt: skip
        _refuse_other(self._compiled, precision)
        self._request = self._compiled.create_infer_request()
        self.inputs = [_described(port) for port in self._compiled.inputs]
        self.outputs = [_name(port) for port in self._compiled.outputs]

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return dict(feeds)

    def call(self, prepared: Dict[str, np.ndarray]) -> Any:
        return self._request.infer(prepared, share_inputs=True)

    def arrays(self, result: Any) -> List[np.ndarray]:
        return [np.array(result[index]) for index in range(len(self.outputs))]

    def placement(self, prepared: Dict[str, np.ndarray]) -> Dict[str, int]:
        """Nodes of the executed graph, all on the devices that the runtime names."""
        names = self._compiled.get_property("EXECUTION_DEVICES")
        devices = "+".join(str(name).partition(".")[0] for name in names)
        layers = [_layer(node) for node in self._compiled.get_runtime_model().get_ops()]
        return {devices: sum(layer not in NO_WORK for layer in layers)}

    def executed(self, prepared: Optional[Dict[str, np.ndarray]] = None) -> List[Dict[str, Any]]:
        """The executed graph, node by node: ``{"name", "op", "kernel", "inputs", "outputs",
        "makers", "seconds"}``.

        ``inputs`` are (dtype, shape, layer that makes it), ``outputs`` (dtype, shape); a free
        dimension is ``?``. ``makers`` are the names of the nodes that its inputs come from.
        ``seconds`` is what OpenVINO's profile says of the last of several runs of ``prepared``;
        None without it.
        """
        spent = self._profiled(prepared) if prepared else {}
        return [
            {
                "name": str(node.get_friendly_name()),
                "op": _layer(node),
                "kernel": _text(node.get_rt_info()["primitiveType"]),
                "makers": [
                    str(port.get_source_output().get_node().get_friendly_name())
                    for port in node.inputs()
                ],
                "seconds": spent.get(str(node.get_friendly_name())),
                "inputs": [
                    (*_typed(port), _layer(port.get_source_output().get_node()))
                    for port in node.inputs()
                ],
                "outputs": [_typed(port) for port in node.outputs()],
            }
            for node in self._compiled.get_runtime_model().get_ops()
        ]

    def _profiled(self, prepared: Dict[str, np.ndarray]) -> Dict[str, float]:
        """Seconds by node, of a model compiled once more with the profiler on."""
        core, path, device, settings, fixed = self._opening
        compiled = _compiled(core, path, device, {**settings, "PERF_COUNT": "YES"}, fixed)
        request = compiled.create_infer_request()
        repeats(lambda: request.infer(prepared, share_inputs=True))
        return {
            str(each.node_name): each.real_time.total_seconds()
            for each in request.get_profiling_info()
        }


def _compiled(
    core: Any,
    path: str,
    device: str,
    settings: Mapping[str, str],
    fixed: Mapping[str, Sequence[Optional[int]]],
) -> Any:
    """The model compiled for sizes that are fixed, or free ones where it does not do with those.

    Raises what the runtime raises.
    """
    model = core.read_model(path)
    if shapes := _fixed(model, fixed):
        with contextlib.suppress(Exception):  # it raises RuntimeError for all that does not fit
            model.reshape(shapes)
            return core.compile_model(model, device, settings)
        model = core.read_model(path)
    return core.compile_model(model, device, settings)


def _refuse_other(compiled: Any, precision: str) -> None:
    """Raises AgentError where the device computes in float32 after all.

    OpenVINO 2026.4.1 takes the hint on a CPU without bfloat16 and computes in float32.
    """
    if precision == "fp32":
        return
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != PRECISIONS[precision]:
        raise AgentError(
            "DeviceError", "OpenVINO computes in {} here, not in {}".format(taken, precision),
            "precision", "leave the setting out: the device has no such arithmetic",
        )  # fmt: skip


def _fixed(model: Any, fixed: Mapping[str, Sequence[Optional[int]]]) -> Dict[Any, Any]:
    """Input -> its shape with numbers in place of free sizes, of inputs that have some."""
    shapes: Dict[Any, Any] = {}
    for port in model.inputs:
        own, wanted = port.get_partial_shape(), fixed.get(_name(port))
        if wanted is None or own.is_static or own.rank.is_dynamic or len(own) != len(wanted):
            continue
        sizes = [
            d if d.is_static or n is None else openvino.Dimension(n)
            for d, n in zip(own, wanted)  # noqa: B905 - Python 3.8
        ]
        shapes[port] = openvino.PartialShape(sizes)
    return shapes


def _layer(node: Any) -> str:
    return _text(node.get_rt_info()["layerType"])


def _typed(port: Any) -> Tuple[str, List[Any]]:
    """OpenVINO's name of the type, and the shape."""
    shape = [d.get_length() if d.is_static else "?" for d in port.get_partial_shape()]
    return str(port.get_element_type().get_type_name()), shape


def _text(value: Any) -> str:
    """A runtime attribute as text: older versions wrap it."""
    return str(getattr(value, "value", value))


def _name(port: Any) -> str:
    """The ONNX name of an input or output: the node's own, where it is one of the port's names."""
    names = port.get_names()
    own = str(port.get_node().get_friendly_name()).partition("/sink_port_")[0]
    return own if own in names or not names else str(min(names))


def _described(port: Any) -> Dict[str, Any]:
    """Name, numpy dtype and shape; a free dimension is ``?``."""
    shape = [d.get_length() if d.is_static else "?" for d in port.get_partial_shape()]
    return {
        "name": _name(port), "dtype": str(np.dtype(port.get_element_type().to_dtype())),
        "shape": shape,
    }  # fmt: skip
