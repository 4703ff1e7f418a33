"""Targets: ``DEVICE/RUNTIME[:ACCELERATOR][?threads=2&batch=1&precision=fp16]``."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError, did_you_mean

RUNTIMES = {  # runtime -> format it reads; in the order in which one is the reference's
    "onnxruntime": "onnx",
    "openvino": "onnx",
    "litert": "tflite",
    "torch": "torch",
}
EVERY = "*"  # in place of a runtime: every one that is found on the device
ACCELERATORS = {  # runtime -> what it can be asked to run on; "cpu" goes without saying
    "onnxruntime": ("cpu", "cuda", "tensorrt", "openvino", "webgpu"),
    "openvino": ("cpu", "gpu"),
    "litert": ("cpu", "gpu", "npu"),
    "torch": ("cpu", "cuda"),
    EVERY: ("cpu",),
}
COUNTS = ("threads", "batch")  # settings of every runtime: whole numbers from 1
CHOICES = {  # runtime -> settings of its own: words, the first of which goes without saying
    "torch": {"mode": ("eager", "compiled"), "precision": ("fp32", "tf32", "fp16", "bf16")},
}
EXAMPLE = (
    "a target is DEVICE/RUNTIME[:ACCELERATOR][?threads=2&batch=1], "
    "e.g. local/onnxruntime, or local/* for every runtime there"
)

_TARGET = re.compile(
    r"(?P<device>[a-z]+(?::[A-Za-z0-9_.-]+)?)/(?P<runtime>[a-z0-9_]+|\*)"
    r"(?::(?P<accelerator>[a-z0-9_]+))?(?:\?(?P<settings>.+))?"
)


class Target(Noun):
    """Where an artifact must run: device, runtime, accelerator and settings.

    The runtime ``*`` stands for every one that is found on the device (``on``).
    """

    device: str
    runtime: str
    accelerator: str = "cpu"
    threads: int = 1
    batch: int = 1
    mode: str = "eager"
    precision: str = "fp32"

    @property
    def format(self) -> str:
        """The model format that the runtime reads. Raises KeyError for ``*``."""
        return RUNTIMES[self.runtime]

    @property
    def every(self) -> bool:
        """Whether it stands for every runtime of the device."""
        return self.runtime == EVERY

    def on(self, runtime: str) -> Target:
        """The same target with another runtime."""
        return self.model_copy(update={"runtime": runtime})

    @property
    def choices(self) -> dict[str, str]:
        """The runtime's own settings that are not as without saying: what a session is told."""
        known = CHOICES.get(self.runtime, {})
        return {name: got for name in known if (got := getattr(self, name)) != known[name][0]}

    def __str__(self) -> str:
        text = f"{self.device}/{self.runtime}"
        if self.accelerator != "cpu":
            text += f":{self.accelerator}"
        counts = {name: n for name in COUNTS if (n := getattr(self, name)) != 1}
        settings = [f"{name}={value}" for name, value in {**counts, **self.choices}.items()]
        return text + (f"?{'&'.join(settings)}" if settings else "")

    @property
    def slug(self) -> str:
        """A file name made of the target."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(self).replace("/*", "")).strip("-")


class TargetFacts(Noun):
    """What is known of a target when a plan is made: read from the agent's hello."""

    target: str
    isa: str  # "x86_64-avx512_vnni": what enters keys and tables
    features: tuple[str, ...] = ()  # CPU features by the kernel's names
    runtime_version: str = ""
    cores: int = 1
    quantities: tuple[str, ...] = ("latency", "memory", "load_time", "size")
    samples_max: int = 0  # that it can be asked to score; 0: any number
    machine: dict[str, Any] = {}


class TargetGroup(Noun):
    """A target as it was asked for, and those that it stands for: itself, or one a runtime."""

    asked: Target
    members: tuple[tuple[Target, TargetFacts], ...] = Field(min_length=1)

    def __str__(self) -> str:
        return str(self.asked)


def parse_target(text: str) -> Target:
    """Read the target grammar. Raises UsageError that names the part that is wrong."""
    match = _TARGET.fullmatch(text.strip())
    if not match:
        raise UsageError(f"cannot read target '{text}'", hint=EXAMPLE)
    runtime = match["runtime"]
    if runtime not in (*RUNTIMES, EVERY):
        raise UsageError(
            f"unknown runtime '{runtime}' in target '{text}'", hint=did_you_mean(runtime, RUNTIMES)
        )
    accelerator = match["accelerator"] or "cpu"
    known = ACCELERATORS[runtime]
    if accelerator not in known:
        every = {name for names in ACCELERATORS.values() for name in names}
        what = "unknown accelerator" if accelerator not in every else f"'{runtime}' has no"
        raise UsageError(
            f"{what} '{accelerator}' in target '{text}'", hint=did_you_mean(accelerator, known)
        )
    settings = _settings(match["settings"] or "", runtime, text)
    if settings.get("precision") == "tf32" and accelerator != "cuda":
        raise UsageError(f"'tf32' is a precision of CUDA, not of the CPU, in '{text}'")
    return Target(device=match["device"], runtime=runtime, accelerator=accelerator, **settings)


def _settings(given: str, runtime: str, text: str) -> dict[str, Any]:
    """What stands behind the ``?``. Raises UsageError that names the setting that is wrong."""
    choices = CHOICES.get(runtime, {})
    settings: dict[str, Any] = {}
    for part in filter(None, given.split("&")):
        name, _, value = part.partition("=")
        if name not in COUNTS and name not in choices:
            others = [other for other, known in CHOICES.items() if name in known]
            of = f"is a setting of {', '.join(others)}, not of {runtime}," if others else ""
            raise UsageError(
                f"'{name}' {of} in target '{text}'" if of
                else f"unknown setting '{name}' in target '{text}'",
                hint=did_you_mean(name, [*COUNTS, *choices]),
            )  # fmt: skip
        if name in settings:
            raise UsageError(f"setting '{name}' stands twice in target '{text}'")
        if name in choices:
            if value not in choices[name]:
                what = f"'{name}' is one of {', '.join(choices[name])}, not '{value}', in '{text}'"
                raise UsageError(what, hint=did_you_mean(value, choices[name]))
            settings[name] = value
            continue
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 4096):
            raise UsageError(f"'{name}' must be a whole number from 1, not '{value}', in '{text}'")
        settings[name] = int(value)
    return settings
