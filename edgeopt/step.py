"""What a pass is: a typed step Artifact -> Artifact, and the registry that finds them.

A pass is its own frozen parameter model: its fields are the YAML keys, the CLI help, the
keyword arguments and the cache key, written once. Built-in passes are found by file name
(``passes/quantize_int8_onnx.py`` is ``quantize-int8`` for ``onnx``), others by the entry
point group ``edgeopt.passes``. What a pass does to a model is in another module, its ``body``:
a declaration loads no heavy library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict

from edgeopt.schema import plugged
from edgeopt.schema.artifact import Description
from edgeopt.schema.base import Noun
from edgeopt.schema.errors import PluginError, UsageError, did_you_mean
from edgeopt.schema.model_format import model_formats
from edgeopt.schema.target import TargetFacts


class Promise(Noun):
    """What a pass says of its output against its input, on real samples.

    ``exact``: equal to the bit. ``close``: ``|a - b| <= atol + rtol * max|b|`` for each
    output. ``approximate``: sound and finite; accuracy decides.
    """

    kind: str  # exact, close, approximate
    rtol: float = 0.0
    atol: float = 0.0

    def __str__(self) -> str:
        return (
            f"close(rtol={self.rtol:g}, atol={self.atol:g})" if self.kind == "close" else self.kind
        )


EXACT = Promise(kind="exact")
APPROXIMATE = Promise(kind="approximate")


def close(rtol: float, atol: float) -> Promise:
    """A promise of equality up to rounding."""
    return Promise(kind="close", rtol=rtol, atol=atol)


class Open(NamedTuple):
    """What a pass leaves open for measuring to fill in: a fraction of the network to keep.

    The fields ``fields`` make way for a number under ``closes``. ``speedup`` is what is sought:
    the widest network so much faster than the reference, or without one the smallest network
    that keeps the constraints.
    """

    closes: str
    fields: tuple[str, ...]
    speedup: float | None = None


class PassContext(Protocol):
    """What a pass may ask for while it runs."""

    seed: int
    workdir: Path  # empty, the pass's own, gone afterwards
    threads: int
    description: Description  # of the input artifact
    parent: Path  # a private copy of its folder
    found: dict[str, Any]  # what it tells beside its artifact, plain JSON; kept in the result

    @property
    def checkpoints(self) -> Path | None:
        """A folder that is kept across a kill and gone once the pass has ended well.

        None where the caller of a pass by hand gave none.
        """
        ...

    def data(self, split: str) -> Mapping[str, Any]:
        """Arrays by model input, (n, ...) each, memory-mapped, ready to feed.

        Only the splits that the pass declares; the test split cannot be asked for.
        """
        ...

    def labels(self, split: str) -> Any:
        """The labels of a split that ``data`` gives, or None where the data has none.

        (n,) of whole numbers from 0, (n, ...) of float values to predict, or whatever else the
        user's own step reads. Only for a pass that declares ``labels``.
        """
        ...

    def labelled(self, split: str) -> Mapping[str, Any]:
        """The labels of a split by the output that they speak of; empty where there are none.

        The first of them are what ``labels`` gives. Declared as ``labels`` is.
        """
        ...

    def teacher(self) -> Any:
        """The source, loaded; only for a pass that declares ``teaches``."""
        ...

    def code(self, named: str) -> tuple[Path, str]:
        """Folder of ``FILE.py:NAME``, and its form there; only what ``Pass.code`` names."""
        ...

    def progress(self, done: float, total: float | None = None, **figures: float) -> None:
        """An event, and the point where a cancel strikes.

        A figure called ``samples`` (how many there are) says that samples are counted, ``epochs``
        beside ``epoch`` that steps of training are; else the log shows a share.
        """
        ...


class Pass(BaseModel):
    """Base of all passes: parameters, what is asked of the input, and the predicted output.

    ``requires``, ``effect`` and ``variants`` are pure: they see descriptions, never files.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: ClassVar[str]
    takes: ClassVar[str]
    gives: ClassVar[str]
    version: ClassVar[int] = 1
    worker: ClassVar[str]
    body: ClassVar[str] = ""  # module of the function run(step, model, ctx); workers load it
    uses: ClassVar[tuple[str, ...]] = ()
    splits: ClassVar[tuple[str, ...]] = ()
    labels: ClassVar[bool] = False  # whether it sees the labels of these splits
    teaches: ClassVar[bool] = False  # whether it sees the source beside its parent
    stage: ClassVar[bool] = False  # changes the network itself: raced with and without
    limit_s: ClassVar[float | None] = None  # most seconds it may take, where more than usual
    isa_matters: ClassVar[bool] = False
    promise: ClassVar[Promise] = APPROXIMATE

    @classmethod
    def open_of(cls, fields: Mapping[str, Any]) -> Open | None:
        """What a recipe's fields leave open, if anything."""
        return None

    def variants(self, d: Description, t: TargetFacts) -> tuple[Self, ...]:
        """The concrete passes that this one stands for; ``scheme: auto`` expands here."""
        return (self,)

    def fallbacks(self) -> tuple[Self, ...]:
        """What to try beside it where its artifact answers otherwise on another CPU."""
        return ()

    def requires(self, d: Description) -> None:
        """Refuse an input that this pass cannot take. Raises PassError with the reason."""

    def effect(self, d: Description) -> Description:
        """The predicted description of the output; the worker compares it with the file."""
        return d

    def promised(self, d: Description) -> Promise:
        """What this pass promises for an input so described; ``promise``, unless it says else."""
        return self.promise

    @property
    def code(self) -> tuple[str, ...]:
        """The user's code that it runs, each ``FILE.py:NAME``; its digests enter the key."""
        return ()

    @property
    def label(self) -> str:
        """``name(field=value)`` with the fields that are not at their default."""
        set_fields = self.model_dump(exclude_defaults=True)
        text = ", ".join(f"{k}={v}" for k, v in set_fields.items())
        return f"{self.name}({text})" if text else self.name

    def run(self, model: Any, ctx: PassContext) -> Any:
        """A private copy in (what the format's ``load`` gives); a live model or a path out.

        It is what ``run(step, model, ctx)`` of ``body`` says. Only workers call it.
        """
        return body_of(self).run(self, model, ctx)


def body_of(step: Pass) -> Any:
    """The module with what a pass does, imported now. Raises TypeError where it names none."""
    if not step.body:
        raise TypeError(f"{type(step).__name__} defines no run() and names no module as its body")
    return import_module(step.body)


@cache
def registry() -> dict[tuple[str, str], type[Pass]]:
    """All known passes by (name, format taken), built-in and plugged in."""
    passes: dict[tuple[str, str], type[Pass]] = {}
    for kind in (*_built_in(), *_plugged_in()):
        _check(kind)
        key = (kind.name, kind.takes)
        if key in passes:
            raise UsageError(
                f"two passes are called '{kind.name}' for {kind.takes}: "
                f"{_place(passes[key])} and {_place(kind)}"
            )
        passes[key] = kind
    return passes


def passes_named(name: str, where: str = "") -> dict[str, type[Pass]]:
    """The passes of a name by the format they take. Raises UsageError for an unknown name."""
    by_format = {takes: kind for (known, takes), kind in registry().items() if known == name}
    if not by_format:
        names = {known for known, _ in registry()}
        raise UsageError(f"unknown pass '{name}'", where=where, hint=did_you_mean(name, names))
    return by_format


def _built_in() -> Iterator[type[Pass]]:
    package = import_module("edgeopt.passes")
    for info in iter_modules(package.__path__):
        module = plugged.imported(f"edgeopt.passes.{info.name}", "a module of passes")
        yield from _passes_of(module)


def _plugged_in() -> Iterator[type[Pass]]:
    for point in plugged.points("edgeopt.passes").values():
        loaded = plugged.load(point)
        yield from [loaded] if isinstance(loaded, type) else _passes_of(loaded)


def _check(kind: type[Pass]) -> None:
    """Raise PluginError for a pass that does not declare what it must, or declares it wrongly."""
    workers = {each.worker for each in model_formats().values()}
    texts = ("name", "takes", "gives", "worker")
    wrong = [
        f"{field} must be a text" for field in texts if not isinstance(getattr(kind, field, 0), str)
    ]
    wrong += [
        f"{field} must be a tuple of texts"
        for field in ("uses", "splits")
        if not isinstance(getattr(kind, field), tuple)
    ]
    if not isinstance(kind.promise, Promise):
        wrong.append("promise must be EXACT, APPROXIMATE or close(rtol, atol) of edgeopt.step")
    if not wrong:
        wrong += [
            f"{field}: there is no model format '{name}'"
            for field, name in (("takes", kind.takes), ("gives", kind.gives))
            if name not in model_formats()
        ]
        if kind.worker not in workers:
            wrong.append(f"there is no worker '{kind.worker}', but {', '.join(sorted(workers))}")
    if wrong:
        raise PluginError(f"the pass {_place(kind)} is declared wrongly: {'; '.join(wrong)}")


def _place(kind: type[Pass]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _passes_of(module: Any) -> Iterator[type[Pass]]:
    for value in vars(module).values():
        if (
            isinstance(value, type)
            and issubclass(value, Pass)
            and value.__module__ == module.__name__
        ):
            yield value
