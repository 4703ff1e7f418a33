"""What a pass is: a typed step Artifact -> Artifact, and the registry that finds them.

A pass is its own frozen parameter model: its fields are the YAML keys, the CLI help, the
keyword arguments and the cache key, written once. Built-in passes are found by file name
(``passes/quantize_int8_onnx.py`` is ``quantize-int8`` for ``onnx``), others by the entry
point group ``edgeopt.passes``. What a pass does to a model is in another module, its ``body``:
a declaration loads no heavy library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol, Self, get_args

from pydantic import BaseModel, ConfigDict

from edgeopt.environments import environments
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


KINDS = ("exact", "close", "approximate")  # of promises
SPLITS = ("calibration", "train", "validation")  # that a pass may see
RESERVED = ("none", "one_of", "choices")  # which mean something else among a recipe's steps
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")  # of a pass
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
    found: dict[str, Any]  # what it tells beside its artifact, plain JSON; kept in the result,
    # whose notes hold the sentences that it lists under "notes"

    @property
    def checkpoints(self) -> Path | None:
        """A folder that is kept across a kill and gone once the pass has ended well.

        None where the caller of a pass by hand gave none.
        """
        ...

    def data(self, split: str) -> Mapping[str, Any]:
        """Arrays by model input, (n, ...) each, memory-mapped, ready to feed.

        Only the splits that the pass declares; the test split cannot be asked for. Empty for an
        optional split that there is none of.
        """
        ...

    @property
    def axes(self) -> Mapping[str, int | None]:
        """Where the model takes samples of ``data``, by input, if not on the first axis.

        None: it takes none, and each of its rows is the same constant. ``agent.feeds.as_fed``
        makes rows into what the model takes.
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
    worker: ClassVar[str]  # of a format, or the tool environment that it runs in
    body: ClassVar[str] = ""  # module of the function run(step, model, ctx); workers load it
    uses: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""  # of edgeopt, that brings what it uses, where a format's does not
    splits: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()  # those of splits that it does without where need be
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
    def sees(self) -> tuple[str, ...]:
        """Those of ``splits`` that it needs with its parameters; all, unless it says else."""
        return self.splits

    @property
    def libraries(self) -> tuple[str, ...]:
        """The distributions that it uses with its parameters; ``uses``, unless it says else."""
        return self.uses

    @property
    def needs(self) -> Mapping[str, int]:
        """The ``opset`` that its output needs of a runtime, where it sets one."""
        return {}

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


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _seconds(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return value is None
    return isinstance(value, int | float) and 0 < value < float("inf")


def _texts(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_text, value))


def _splits(value: object) -> bool:
    return isinstance(value, tuple) and all(each in SPLITS for each in value)


DECLARED: Mapping[str, tuple[Callable[[Any], bool], str]] = {  # of every pass: what it must be
    **dict.fromkeys(("name", "takes", "gives", "worker", "body", "extra"), (_text, "a text")),
    **dict.fromkeys(("labels", "teaches", "stage", "isa_matters"), (_flag, "True or False")),
    "version": (lambda value: isinstance(value, int) and not _flag(value), "a whole number"),
    "uses": (_texts, "a tuple of texts"),
    **dict.fromkeys(("splits", "optional"), (_splits, f"a tuple of texts, of {', '.join(SPLITS)}")),
    "limit_s": (_seconds, "a number of seconds above 0, or None"),
    "promise": (
        lambda value: isinstance(value, Promise) and value.kind in KINDS,
        "EXACT, APPROXIMATE or close(rtol, atol) of edgeopt.step",
    ),
}


@cache
def registry() -> dict[tuple[str, str], type[Pass]]:
    """All known passes by (name, format taken), built-in and plugged in."""
    passes: dict[tuple[str, str], type[Pass]] = {}
    for kind, where in (*_built_in(), *_plugged_in()):
        _check(kind, where)
        key = (kind.name, kind.takes)
        if passes.setdefault(key, kind) is not kind:
            raise UsageError(
                f"two passes are called '{kind.name}' for {kind.takes}: "
                f"{place_of(passes[key])} and {place_of(kind)}",
                where=where,
            )
    return passes


def pass_taking(name: str, takes: str) -> type[Pass] | None:
    """The pass of a name for a format: of edgeopt's own only its module is loaded.

    That no other is called so is for ``registry`` to say, which whoever asks for the name has
    read. Raises PluginError.
    """
    module = f"edgeopt.passes.{name}_{takes}".replace("-", "_")
    if not find_spec(module):
        return registry().get((name, takes))
    found = _passes_of(plugged.imported(module, "a module of passes"))
    return next((kind for kind in found if (kind.name, kind.takes) == (name, takes)), None)


def passes_named(name: str, where: str = "") -> dict[str, type[Pass]]:
    """The passes of a name by the format they take. Raises UsageError for an unknown name."""
    by_format = {takes: kind for (known, takes), kind in registry().items() if known == name}
    if not by_format:
        names = {known for known, _ in registry()}
        raise UsageError(f"unknown pass '{name}'", where=where, hint=did_you_mean(name, names))
    return by_format


def for_engine(by_format: Mapping[str, type[Pass]], engine: object) -> dict[str, type[Pass]]:
    """Those of the passes of one name that an engine is for; all of them where none is.

    ``engine`` is a field of some passes and names the library that does the work. Without one
    (None), those are meant that have an engine by default, or need none.
    """
    fitting = {fmt: kind for fmt, kind in by_format.items() if engine in _engines(kind)}
    return fitting or dict(by_format)


def _engines(kind: type[Pass]) -> tuple[object, ...]:
    field = kind.model_fields.get("engine")
    if field is None:
        return (None,)
    known: tuple[object, ...] = get_args(field.annotation)
    return known if field.is_required() else (None, *known)


def _built_in() -> Iterator[tuple[type[Pass], str]]:
    package = import_module("edgeopt.passes")
    for info in iter_modules(package.__path__):
        module = plugged.imported(f"edgeopt.passes.{info.name}", "a module of passes")
        yield from ((kind, "") for kind in _passes_of(module))


def _plugged_in() -> Iterator[tuple[type[Pass], str]]:
    """The passes that entry points name, and the points as errors name them."""
    for point in plugged.points("edgeopt.passes").values():
        found, where = plugged.load(point), plugged.place(point)
        kinds = _passes_of(found) if isinstance(found, ModuleType) else [found]
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Pass)):
                what = "a class that is no" if isinstance(kind, type) else "no class of a"
                raise PluginError(
                    f"'{point.value}' is {what} Pass of edgeopt.step: {kind!r:.80}",
                    where=where, hint="name a pass's class, or a module that defines some",
                )  # fmt: skip
            yield kind, where
        if not kinds:
            raise PluginError(
                f"neither '{point.value}' nor a module below it defines a pass that it names",
                where=where, hint="define one there, or import it from a submodule",
            )  # fmt: skip


def _check(kind: type[Pass], where: str = "") -> None:
    """Raise PluginError for a pass that does not declare what it must, or declares it wrongly."""
    wrong = [f"{name} must be {form}" for name, (fits, form) in DECLARED.items()
             if not fits(getattr(kind, name, None))]  # fmt: skip
    wrong += [*_misspelt(kind), *([] if wrong else _unknown(kind))]
    if wrong:
        raise PluginError(
            f"the pass {place_of(kind)} is declared wrongly: {'; '.join(wrong)}", where=where
        )


def _misspelt(kind: type[Pass]) -> Iterator[str]:
    """What stands in the class under nearly the name of something that every pass declares."""
    known = set(Pass.__class_vars__)
    methods = {name for name, value in vars(Pass).items() if _is_code(value) and name[0] != "_"}
    own = {name for name, value in vars(kind).items() if _is_code(value)}
    for name in sorted(own - set(dir(Pass))):
        if near := get_close_matches(name.lower().strip("_"), methods, n=1, cutoff=0.85):
            yield f"nobody calls '{name}': did you mean '{near[0]}'?"
    for name in sorted(set(kind.__class_vars__) - known):
        if near := get_close_matches(name.lower().strip("_"), known, n=1, cutoff=0.8):
            yield f"nobody reads '{name}': did you mean '{near[0]}'?"
    for name in sorted(known & set(kind.model_fields)):
        yield f"{name} is a field of it: write '{name}: ClassVar[...] = ...'"


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _unknown(kind: type[Pass]) -> Iterator[str]:
    """Names that nobody knows, and those that a recipe gives another meaning."""
    if not NAME.fullmatch(kind.name) or kind.name in RESERVED:
        yield f"a pass cannot be called '{kind.name}'"
    for field, name in (("takes", kind.takes), ("gives", kind.gives)):
        if name not in model_formats():
            yield f"{field}: there is no model format '{name}'"
    workers = {each.worker for each in model_formats().values()} | environments().keys()
    if kind.worker not in workers:
        yield f"there is no worker '{kind.worker}', but {', '.join(sorted(workers))}"


def place_of(kind: type[Pass]) -> str:
    """A pass's class as errors name it."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _passes_of(module: ModuleType) -> list[type[Pass]]:
    """The passes that a module defines, or imports from its own submodules, each once.

    One without a name that another one derives from is only their base.
    """
    found = [
        value
        for value in dict.fromkeys(v for v in vars(module).values() if isinstance(v, type))
        if issubclass(value, Pass) and f"{value.__module__}.".startswith(f"{module.__name__}.")
    ]
    return [
        kind
        for kind in found
        if hasattr(kind, "name") or not any(other in found for other in kind.__subclasses__())
    ]
