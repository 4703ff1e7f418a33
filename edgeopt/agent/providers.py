"""ONNX Runtime's execution providers: those of a build, and plug-ins that it loads."""

from __future__ import annotations

import importlib
from typing import Any, Dict, List, Tuple

import onnxruntime

from . import machine
from .errors import AgentError, one_line
from .sessions import declared

DECLARED = declared("onnxruntime")["accelerators"]
PROVIDER = {name: str(each["nodes"][0]) for name, each in DECLARED.items()}
PLUGIN = {name: str(each["plugin"]) for name, each in DECLARED.items() if "plugin" in each}
CPU = PROVIDER["cpu"]
NVIDIA = ("cuda", "tensorrt")

Listed = List[Tuple[str, Dict[str, str]]]


class Providers:
    """What a session is made with for an accelerator.

    ``listed`` are providers of the build, most wanted first, with their options; ``devices``
    are those that a plug-in offers, with ``options``; either is empty. Raises AgentError where
    this ONNX Runtime has neither, or its plug-in finds no device.
    """

    def __init__(self, accelerator: str, threads: int) -> None:
        self.listed: Listed = []
        self.devices: List[Any] = []
        self.options: Dict[str, str] = {}  # of the plug-in's provider
        self.device = ""
        present = onnxruntime.get_available_providers()
        name = PROVIDER.get(accelerator, "")
        if accelerator == "cpu":
            return
        if name in present:
            _preload(accelerator)
            self.device = machine.gpu() if accelerator in NVIDIA else ""
            order = [name, "CUDAExecutionProvider"] if accelerator == "tensorrt" else [name]
            self.listed = [(one, _options(one, threads)) for one in order if one in present]
            return
        library = _plugin(accelerator)
        if not library:
            raise AgentError(
                "DeviceError", "ONNX Runtime has no accelerator '{}' here".format(accelerator),
                "onnxruntime", "this build has: {}{}".format(
                    ", ".join(present), _to_install(accelerator)
                ),
            )  # fmt: skip
        self.devices = _offered(accelerator, library)
        self.options = _options(name, threads)
        self.options.pop("device_type", None)  # the device says what it is
        if not self.devices:
            raise AgentError(
                "DeviceError", "the plug-in {} offers no device here for accelerator '{}'".format(
                    PLUGIN[accelerator], accelerator
                ),
                "onnxruntime", "it is installed, but finds no device or driver that it can use",
            )  # fmt: skip
        self.device = str(self.devices[0].device.vendor or "")


def offered() -> Dict[str, str]:
    """Accelerator -> provider, of those that a session can be made with."""
    usable = {}
    for accelerator, name in PROVIDER.items():
        try:
            Providers(accelerator, 1)
        except AgentError:
            continue
        usable[accelerator] = name
    return usable


def _options(name: str, threads: int) -> Dict[str, str]:
    """Options that keep the file's own precision, and the target's threads."""
    if name == "OpenVINOExecutionProvider":
        return {"device_type": "CPU", "num_of_threads": str(threads), "precision": "FP32"}
    if name == "CUDAExecutionProvider":
        return {"use_tf32": "0"}
    return {}


def _preload(accelerator: str) -> None:
    """Load CUDA's libraries from their Python packages, where ONNX Runtime knows how."""
    if accelerator in NVIDIA and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()


def _plugin(accelerator: str) -> Any:
    """The module of an accelerator's plug-in, or None where it is not installed."""
    if accelerator not in PLUGIN:
        return None
    try:
        return importlib.import_module(PLUGIN[accelerator])
    except ImportError:
        return None


def _offered(accelerator: str, library: Any) -> List[Any]:
    """The devices that a plug-in offers, its library registered. Raises AgentError."""
    name, registered = PROVIDER[accelerator], PLUGIN[accelerator]
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise AgentError(
            "DeviceError", "this ONNX Runtime loads no plug-ins", "onnxruntime",
            "plug-ins need one newer than {}".format(onnxruntime.__version__),
        )  # fmt: skip
    try:
        if registered not in _REGISTERED:
            onnxruntime.register_execution_provider_library(registered, library.get_library_path())
            _REGISTERED.append(registered)
        offered = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
        kind = onnxruntime.OrtHardwareDeviceType.CPU
        return [one for one in offered if accelerator != "openvino" or one.device.type == kind]
    except Exception as error:  # the runtime's classes are not public
        raise AgentError(
            "DeviceError", "the plug-in {} does not load: {}".format(registered, one_line(error)),
            "onnxruntime", "its version must match ONNX Runtime's",
        ) from error  # fmt: skip


def _to_install(accelerator: str) -> str:
    package = DECLARED.get(accelerator, {}).get("package", "")
    return "; {} brings it".format(package) if package else ""


_REGISTERED: List[str] = []  # libraries of this process
