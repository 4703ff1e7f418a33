"""Targets: ``DEVICE/RUNTIME[:ACCELERATOR][?threads=2&batch=1&precision=fp16]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from edgeopt.schema.base import Noun
from edgeopt.schema.errors import UsageError, did_you_mean
from edgeopt.schema.runtime import COUNTS, Setting, runtime_named, runtimes

HERE = "local"
ISA, ISAS = "isa", ("avx512f", "avx2", "sse4_1")  # x86-64 CPUs that this machine can stand for
EVERY = "*"  # in place of a runtime: every one that is found on the device
EXAMPLE = (
    "a target is DEVICE/RUNTIME[:ACCELERATOR][?threads=2&batch=1], "
    "e.g. local/onnxruntime, or local/* for every runtime there"
)

_TARGET = re.compile(
    r"(?P<device>[a-z]+(?::[A-Za-z0-9_.-]+)?)/(?P<runtime>[a-z0-9_-]+|\*)"
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
    settings: tuple[tuple[str, str], ...] = ()  # of the runtime's own, those that are pinned

    @property
    def format(self) -> str:
        """The model format that the runtime reads. Raises UsageError for ``*``."""
        return runtime_named(self.runtime).format

    @property
    def formats(self) -> tuple[str, ...]:
        """All that it reads. Raises UsageError for ``*``."""
        return runtime_named(self.runtime).formats

    def reads(self, name: str) -> bool:
        """Whether the runtime reads a model format. Raises UsageError for ``*``."""
        return name in self.formats

    @property
    def nodes(self) -> frozenset[str]:
        """Where nodes may run, in the runtime's own words. Raises UsageError for ``*``."""
        known = runtime_named(self.runtime).accelerators
        if self.accelerator not in known:
            raise UsageError(f"'{self.runtime}' has no '{self.accelerator}' in target '{self}'")
        return frozenset(known[self.accelerator].nodes)

    @property
    def every(self) -> bool:
        """Whether it stands for every runtime of the device."""
        return self.runtime == EVERY

    def on(self, runtime: str) -> Target:
        """The same target with another runtime."""
        return self.model_copy(update={"runtime": runtime})

    @property
    def choices(self) -> dict[str, str]:
        """The runtime's own settings that are pinned: what a session is told."""
        return dict(self.settings)

    def under(self, settings: Mapping[str, str]) -> Target:
        """The same target with these settings in place of its own of their names.

        Raises UsageError for one that the runtime does not have.
        """
        if not settings:
            return self
        bare, merged = self.model_copy(update={"settings": ()}), {**self.choices, **settings}
        counts = {name: str(n) for name in COUNTS if (n := getattr(self, name)) != 1}
        counts |= {ISA: self.isa} if self.isa else {}
        written = [f"{name}={value}" for name, value in {**counts, **merged}.items()]
        return parse_target(f"{str(bare).partition('?')[0]}?{'&'.join(written)}")

    @property
    def open_settings(self) -> dict[str, Setting]:
        """What may be raced for it: settings with values worth it, of those that it leaves out."""
        if self.every:
            return {}
        own = runtime_named(self.runtime).settings
        return {name: s for name, s in own.items() if s.worth and name not in self.choices}

    def in_parity(self, *, host: bool = False) -> Target:
        """The target under the settings that answers of two machines are compared with."""
        own = runtime_named(self.runtime).settings
        held = {name: s.in_parity or (s.on_host if host else "") for name, s in own.items()}
        return self.under({
            name: value for name, value in held.items()
            if value and self.choices.get(name, own[name].default) != value
        })  # fmt: skip

    @property
    def isa(self) -> str:
        """The older CPU that this machine stands for; empty for none."""
        kind, _, isa = self.device.partition(":")
        return isa if kind == HERE else ""

    def __str__(self) -> str:
        device = HERE if self.isa else self.device
        text = f"{device}/{self.runtime}"
        if self.accelerator != "cpu":
            text += f":{self.accelerator}"
        counts = {name: n for name in COUNTS if (n := getattr(self, name)) != 1}
        said = {**counts, **({ISA: self.isa} if self.isa else {}), **self.choices}
        settings = [f"{name}={value}" for name, value in said.items()]
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
    declared = runtimes()
    if runtime not in (*declared, EVERY):
        raise UsageError(
            f"unknown runtime '{runtime}' in target '{text}'", hint=did_you_mean(runtime, declared)
        )
    accelerator = match["accelerator"] or "cpu"
    known = tuple(declared[runtime].accelerators) if runtime in declared else ("cpu",)
    if accelerator not in known:
        every = {name for each in declared.values() for name in each.accelerators}
        what = "unknown accelerator" if accelerator not in every else f"'{runtime}' has no"
        raise UsageError(
            f"{what} '{accelerator}' in target '{text}'", hint=did_you_mean(accelerator, known)
        )
    own = declared[runtime].settings if runtime in declared else {}
    given = _given(match["settings"] or "", runtime, text)
    for name, setting in own.items():
        only = setting.only_on.get(given.get(name, ""), accelerator)
        if only != accelerator:
            mismatch = f"is there on {only.upper()} only, not on {accelerator.upper()}"
            raise UsageError(f"'{name}={given[name]}' {mismatch}, in '{text}'")
    device = match["device"]
    if isa := given.get(ISA):
        if device != HERE or accelerator != "cpu":
            raise UsageError(f"'{ISA}={isa}' is there on {HERE}'s CPU only, not in '{text}'")
        device = f"{HERE}:{isa}"
    return Target(
        device=device,
        runtime=runtime,
        accelerator=accelerator,
        settings=tuple(
            (name, given[name])
            for name, setting in own.items()
            if name in given and (setting.worth or given[name] != setting.default)
        ),
        **{name: int(given[name]) for name in COUNTS if name in given},
    )


def _given(written: str, runtime: str, text: str) -> dict[str, str]:
    """What stands behind the ``?``. Raises UsageError that names the setting that is wrong."""
    every = {name: each.settings for name, each in runtimes().items()}
    choices: dict[str, Setting] = every.get(runtime, {})
    settings: dict[str, str] = {}
    for part in filter(None, written.split("&")):
        name, _, value = part.partition("=")
        if name not in (*COUNTS, ISA) and name not in choices:
            others = [other for other, known in every.items() if name in known]
            of = f"is a setting of {', '.join(others)}, not of {runtime}," if others else ""
            raise UsageError(
                f"'{name}' {of} in target '{text}'" if of
                else f"unknown setting '{name}' in target '{text}'",
                hint=did_you_mean(name, [*COUNTS, ISA, *choices]),
            )  # fmt: skip
        if name in settings:
            raise UsageError(f"setting '{name}' appears twice in target '{text}'")
        if name in choices or name == ISA:
            words = ISAS if name == ISA else choices[name].values
            if value not in words:
                what = f"'{name}' is one of {', '.join(words)}, not '{value}', in '{text}'"
                raise UsageError(what, hint=did_you_mean(value, words))
        elif not (value.isascii() and value.isdigit() and 1 <= int(value) <= 4096):
            raise UsageError(f"'{name}' must be a whole number from 1, not '{value}', in '{text}'")
        settings[name] = value
    return settings
