"""Targets: ``DEVICE/RUNTIME[:ACCELERATOR][?threads=2&batch=1]``."""

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
ACCELERATORS = ("cpu",)
SETTINGS = ("threads", "batch")
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

    def __str__(self) -> str:
        text = f"{self.device}/{self.runtime}"
        if self.accelerator != "cpu":
            text += f":{self.accelerator}"
        settings = [
            f"{name}={value}"
            for name, value in (("threads", self.threads), ("batch", self.batch))
            if value != 1
        ]
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
    if accelerator not in ACCELERATORS:
        raise UsageError(
            f"unknown accelerator '{accelerator}' in target '{text}'",
            hint=did_you_mean(accelerator, ACCELERATORS),
        )
    settings: dict[str, int] = {}
    for part in (match["settings"] or "").split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if name not in SETTINGS:
            raise UsageError(
                f"unknown setting '{name}' in target '{text}'", hint=did_you_mean(name, SETTINGS)
            )
        if name in settings:
            raise UsageError(f"setting '{name}' stands twice in target '{text}'")
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 4096):
            raise UsageError(f"'{name}' must be a whole number from 1, not '{value}', in '{text}'")
        settings[name] = int(value)
    return Target(device=match["device"], runtime=runtime, accelerator=accelerator, **settings)
