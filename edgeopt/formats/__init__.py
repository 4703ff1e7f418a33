"""Model formats: open safely, check, describe, load, save, run, inspect.

A format is a package of this folder with a ``DECLARED``, which is all that the parent sees and
loads no heavy library, and a module ``format`` with a ``FORMAT``, which workers alone load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol

import numpy as np

from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError, UsageError, did_you_mean

SUFFIXES = {
    ".onnx": "onnx",
    ".tflite": "tflite",
    ".safetensors": "torch",
    ".pt": "torch",
    ".pt2": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".bin": "torch",
}
MARKERS = {
    "model.onnx": "onnx",
    "model.tflite": "tflite",
    "model.json": "torch",
}  # what an artifact's folder holds

Runner = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


class Declared(Protocol):
    """What the parent needs to know of a model format."""

    name: str
    worker: str  # which warm worker handles it
    uses: tuple[str, ...]  # libraries whose versions enter the key of `open`

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
        self, folder: Path, runtime: str = "", feeds: Mapping[str, np.ndarray] | None = None
    ) -> Conversion | None:
        """How much of a quantized or float16 model is held and computed so; None for another.

        By what ``runtime`` executes here of one batch, ``feeds`` or zeros; without a runtime, or
        where it fails (``note`` says why), by the file.
        """
        ...


def declared(name: str) -> Declared:
    """What is declared of the format of that name. Raises UsageError for an unknown one."""
    known = [info.name for info in iter_modules(__path__) if info.ispkg]
    if name not in known:
        raise UsageError(f"unknown model format '{name}'", hint=did_you_mean(name, known))
    found: Declared = import_module(f"edgeopt.formats.{name}").DECLARED
    return found


def format_named(name: str) -> Format:
    """The whole format of that name, with its libraries. Raises as ``declared`` does."""
    found: Format = import_module(f"edgeopt.formats.{declared(name).name}.format").FORMAT
    return found


def format_of(path: Path) -> str:
    """The format's name by what a folder holds or by a file's suffix.

    Raises ModelError for a missing path and UsageError for one that nobody reads.
    """
    if not path.exists():
        raise ModelError("no such model file", where=str(path))
    if path.is_dir():
        for marker, name in MARKERS.items():
            if (path / marker).is_file():
                return name
        raise UsageError("the folder holds no model", where=str(path))
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()]
    raise UsageError(
        f"cannot tell the model format by the suffix '{path.suffix}'",
        where=str(path),
        hint=f"Known suffixes: {', '.join(SUFFIXES)}.",
    )
