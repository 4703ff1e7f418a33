"""Model formats: open safely, check, describe, load, save, run, inspect.

A format is a package of this folder, or one that an entry point of the group ``edgeopt.formats``
names. Its declaration, ``format.json`` (``schema/model_format``), and its ``DECLARED`` are all that
the parent sees and load no heavy library; the ``FORMAT`` of its module ``format`` is what workers
alone load. A small one may have its ``FORMAT`` in the package itself, and no ``DECLARED``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from edgeopt.models.plugged_format import Checked
from edgeopt.models.plugged_format import Runner as Runner
from edgeopt.schema import plugged
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError, PluginError, UsageError
from edgeopt.schema.model_format import model_format, model_formats, plugged_in, scored_by
from edgeopt.schema.runtime import runtime_named


class Declared(Protocol):
    """What the parent needs to know of a model format."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """Every file that ``gather`` reads, by its name in the key. Raises ModelError."""
        ...


class Format(Declared, Protocol):
    """One model format; stateless.

    All methods but ``sources`` belong to workers. They raise ModelError, naming the file,
    and the tensor or key where there is one.
    """

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Build an artifact folder of the user's files, fully checked.

        ``samples`` ({input: {"shape", "dtype", "layout"}}, shape without the batch) says
        what the data are, for formats that do not say it themselves; under ``else``, what to try
        where the model does not run so. Gives the layouts, by input, in which the model was seen
        to run beside the one that was taken, answering otherwise.
        """
        ...

    def describe(self, folder: Path) -> Description:
        """Signature and facts, read from the files alone."""
        ...

    def load(self, folder: Path) -> Any:
        """The live model."""
        ...

    def save(self, model: Any, folder: Path) -> None:
        """Write a live model, or copy a model file, as an artifact folder."""
        ...

    def runner(self, folder: Path, threads: int = 1) -> Runner:
        """The model, loaded once: one batch of inputs in, outputs by name out, each time."""
        ...

    def inspect(self, folder: Path) -> Inspection:
        """What ``edgeopt inspect`` prints."""
        ...

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """How much of a quantized or float16 model is held and computed so; None for another.

        By what ``runtime``, under ``settings`` of its own where there are some, executes here of
        one batch, ``feeds`` or zeros; without a runtime, or
        where it fails (``note`` says why), by the file.
        """
        ...


METHODS = ("sources", "gather", "describe", "load", "save", "runner", "inspect", "conversion")


def declared(name: str) -> Declared:
    """What the parent asks of the format of that name. Raises UsageError for an unknown one."""
    package = _package(name)
    light = getattr(plugged.imported(package, f"the format {name}"), "DECLARED", None)
    if light is None:
        return format_named(name)
    return Checked(name, package, light) if name in plugged_in() else cast("Declared", light)


def format_named(name: str) -> Format:
    """The whole format of that name, with its libraries. Raises UsageError as ``declared``."""
    package = _package(name)
    what = f"the format {name}"
    try:
        found = getattr(plugged.imported(package, what), "FORMAT", None)
        if found is None and find_spec(f"{package}.format") is not None:
            found = getattr(plugged.imported(f"{package}.format", what), "FORMAT", None)
    except PluginError as error:
        missing = error.__cause__
        if name in plugged_in() or not isinstance(missing, ModuleNotFoundError):
            raise
        raise UsageError(
            f"models of the format {name} need '{missing.name}', which is not installed",
            hint=f"Install it: {runtime_named(scored_by(name)).install}",
        ) from error
    if found is None:
        raise UsageError(f"the package '{package}' of the format '{name}' has no FORMAT")
    absent = [each for each in METHODS if not callable(getattr(found, each, None))]
    if isinstance(found, type) or absent:
        what = "is a class, not an object of it" if isinstance(found, type) else (
            f"has no {' and no '.join(f'{each}()' for each in absent)}"
        )  # fmt: skip
        raise PluginError(f"FORMAT of the package '{package}' {what}")
    return Checked(name, package, found) if name in plugged_in() else cast("Format", found)


def _package(name: str) -> str:
    model_format(name)
    added = plugged_in()
    return added[name].name if name in added else f"edgeopt.formats.{name}"


def format_of(path: Path) -> str:
    """The format's name by what a folder holds or by a file's suffix.

    Raises ModelError for a missing path and UsageError for one that nobody reads.
    """
    if not path.exists():
        raise ModelError("no such model file", where=str(path))
    declared = model_formats()
    if path.is_dir():
        for name, each in declared.items():
            if (path / each.marker).is_file():
                return name
        raise UsageError("the folder holds no model", where=str(path))
    known = {suffix: name for name, each in reversed(declared.items()) for suffix in each.suffixes}
    if path.suffix.lower() in known:
        return known[path.suffix.lower()]
    suffixes = dict.fromkeys(suffix for each in declared.values() for suffix in each.suffixes)
    raise UsageError(
        f"cannot tell the model format from the suffix '{path.suffix}'",
        where=str(path),
        hint=f"Known suffixes: {', '.join(suffixes)}.",
    )
