"""Runtimes: what each declares, in ``agent/sessions/NAME.json`` or a plug-in's ``runtime.json``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator

from edgeopt.schema.base import Noun
from edgeopt.schema.declaration import HOME, Package, packages, read, with_own
from edgeopt.schema.errors import UsageError, did_you_mean

GROUP = "edgeopt.runtimes"
FILE = "runtime.json"  # of a plug-in's package
COUNTS = ("threads", "batch")  # settings of every runtime: whole numbers from 1
NAME, WORD = re.compile(r"[a-z0-9_-]+"), re.compile(r"[a-z0-9_]+")
VALUE = re.compile(r"[A-Za-z0-9_.-]+")


class Accelerator(Noun):
    """What a runtime can be asked to run on."""

    nodes: tuple[str, ...] = Field(
        min_length=1, description="where nodes may then run, as `placement` names it"
    )
    package: str = Field("", description="distribution that brings it, where it is another one")
    plugin: str = Field("", description="module of the distribution that adds it to the runtime")


class Worth(Noun):
    """Where a value of a setting is worth a race beside the default."""

    value: str = Field(description="the value that is tried")
    arch: str = Field(description="prefix of the ISA's name; empty: any")
    any_of: tuple[str, ...] = Field((), description="CPU features, of which one must be there")
    facts: tuple[str, ...] = Field((), description="facts of the model's file that must all hold")

    def fits(self, isa: str, features: Iterable[str], facts: Iterable[str]) -> bool:
        """Whether a machine and a file are of that kind."""
        has = {*features, *isa.split("-")[1:]}
        there = not self.any_of or bool(has & set(self.any_of))
        return isa.startswith(self.arch) and there and set(self.facts) <= set(facts)


class Setting(Noun):
    """A setting of a runtime's own, written behind the ``?`` of a target."""

    values: tuple[str, ...] = Field(
        min_length=1, description="words that it takes; the first is the default"
    )
    only_on: dict[str, str] = Field({}, description="value: the one accelerator that has it")
    does: str = Field("", description="what it changes, in a sentence")
    opened: dict[str, str] = Field(
        {},
        description="value: how it is set, in the runtime's own names, for whoever ships a model",
    )
    worth: tuple[Worth, ...] = Field(
        (), description="values worth a race where a target leaves the setting out"
    )
    in_parity: str = Field("", description="value that answers of two machines are compared under")
    on_host: str = Field(
        "", description="value under which the host answers for an accelerator; empty: the same"
    )

    @property
    def default(self) -> str:
        """The value where nothing is said."""
        return self.values[0]

    @property
    def named(self) -> frozenset[str]:
        """Every value that something is said of."""
        others = {self.in_parity, self.on_host} - {""}
        return frozenset({*self.only_on, *self.opened, *(w.value for w in self.worth), *others})


class Runtime(Noun):
    """What a runtime declares. The file's name, or the entry point's, is its name in a target."""

    format: str = Field(description="the model format that it reads")
    also: tuple[str, ...] = Field((), description="other model formats that it reads")
    rank: int = Field(
        description="place among the runtimes that a target `*` stands for: the reference is of "
        "the lowest that is there"
    )
    every: bool = Field(description="whether a target `*` stands for it, too")
    distributions: tuple[str, ...] = Field(
        min_length=1,
        description="packages that bring it: the first is what to install and what results "
        "record the version of",
    )
    modules: tuple[str, ...] = Field(
        min_length=1, description="modules to import it by; the first that is there is taken"
    )
    accelerators: dict[str, Accelerator] = Field(
        description="what it can be asked to run on, `cpu` among them, and where nodes may then run"
    )
    settings: dict[str, Setting] = Field({}, description="settings of its own, and their values")
    reads: dict[str, dict[str, int]] = Field(
        {},
        description="version: the newest of each kind that its files may be of, such as "
        "`opset`; versions between are as the one before",
    )
    fixes_shapes: bool = Field(
        False,
        description="whether its sessions take `fixed`, the sizes of each input, and are made for "
        "these alone: scores and races then run with the target's batch",
    )
    opened: str = Field(
        "",
        description="how a session on the CPU is opened, for whoever ships a model: options "
        "in the runtime's own names; THREADS and BATCH stand for the target's",
    )
    extra: str = Field("", description="the extra of edgeopt that installs it")
    adds: str = Field("", description="what that extra adds, as `edgeopt doctor` tells it")

    @property
    def formats(self) -> tuple[str, ...]:
        """All model formats that it reads, the first of them the one it is known by."""
        return (self.format, *self.also)

    @field_validator("settings")
    @classmethod
    def _can_be_written(cls, settings: dict[str, Setting]) -> dict[str, Setting]:
        for name, setting in settings.items():
            if not WORD.fullmatch(name) or name in COUNTS:
                raise ValueError(f"'{name}' is not a valid name for a setting of a runtime")
            for value in {*setting.values, *setting.named}:
                if not VALUE.fullmatch(value) or value not in setting.values:
                    raise ValueError(f"'{value}' is not a value of '{name}'")
        return settings

    @field_validator("accelerators")
    @classmethod
    def _has_cpu(cls, accelerators: dict[str, Accelerator]) -> dict[str, Accelerator]:
        for name in accelerators:
            if not WORD.fullmatch(name):
                raise ValueError(f"'{name}' is not a valid name for an accelerator")
        if "cpu" not in accelerators:
            raise ValueError("'cpu' is missing: it is the default in a target")
        return accelerators

    @property
    def install(self) -> str:
        """The line that installs it on this machine."""
        if self.extra:
            return f"pip install 'edgeopt[{self.extra}]'"
        return f"pip install {self.distributions[0]}"

    @property
    def library(self) -> str:
        """The distribution whose version results and keys hold."""
        return self.distributions[0]


@cache
def runtimes() -> dict[str, Runtime]:
    """All runtimes by name, in the order of their ranks. Raises UsageError."""
    files = _files()
    for name, file in files.items():
        if not NAME.fullmatch(name):
            raise UsageError(f"{file}: a target cannot name a runtime '{name}'",
                             hint="its name must be of a-z, 0-9, _ and -")  # fmt: skip
    declared = read(Runtime, files)
    return dict(sorted(declared.items(), key=lambda item: (item[1].rank, item[0])))


def file_of(name: str) -> Path:
    """Where a runtime is declared."""
    return _files()[name]


def _files() -> dict[str, Path]:
    own = {file.stem: file for file in sorted((HOME / "agent" / "sessions").glob("*.json"))}
    added = {name: package.folder / FILE for name, package in plugged_in().items()}
    return with_own("runtime", own, added)


def plugged_in() -> dict[str, Package]:
    """The packages of the runtimes that other distributions bring. Raises UsageError."""
    return packages(GROUP)


def brought_by(name: str) -> str:
    """The distribution whose entry point brings a runtime; empty for one of edgeopt."""
    added = plugged_in()
    return added[name].distribution if name in added else ""


def runtime_named(name: str) -> Runtime:
    """What a runtime declares. Raises UsageError for an unknown one."""
    known = runtimes()
    if name not in known:
        raise UsageError(f"unknown runtime '{name}'", hint=did_you_mean(name, known))
    return known[name]


def every_runtime() -> list[str]:
    """The runtimes that a target ``*`` stands for; the first that is there is the reference's."""
    return [name for name, runtime in runtimes().items() if runtime.every]
