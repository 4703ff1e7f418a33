"""A format of another distribution: its methods are called here, and what they give is looked at.

Raises PluginError, naming the format, its package and the method, for what breaks the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edgeopt.schema import plugged
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import PluginError
from edgeopt.schema.model_format import model_format

Runner = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
T = TypeVar("T")


class Checked:
    """The ``FORMAT`` (or ``DECLARED``) of a package as all others know it."""

    def __init__(self, name: str, package: str, format: Any) -> None:
        self._name, self._package, self._format = name, package, format

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """Paths by name: of every file, or a change to one would not be noticed."""
        given = self._called("sources", spec, root)
        if not given or not _maps(given, Path):
            wanted = "a mapping of names to pathlib.Path, with every file that gather() reads"
            raise self._odd("sources()", given, wanted)
        return dict(given)

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Layouts by input; the folder holds the format's marker afterwards."""
        given = self._called("gather", spec, root, into, samples) or {}
        if not _maps(given, str):
            raise self._odd("gather()", given, "a mapping of inputs to layouts")
        self._holds_marker("gather()", into)
        return dict(given)

    def describe(self, folder: Path) -> Description:
        """A description, of this format."""
        said = self._of_kind("describe", Description, folder)
        if said.format != self._name:
            raise self._odd("describe()", said.format, f"a model in {self._name}")
        return said

    def load(self, folder: Path) -> Any:
        """Anything but None."""
        model = self._called("load", folder)
        if model is None:
            raise self._odd("load()", model, "a live model")
        return model

    def save(self, model: Any, folder: Path) -> None:
        """The folder holds the format's marker afterwards."""
        self._called("save", model, folder)
        self._holds_marker("save()", folder)

    def runner(self, folder: Path, threads: int = 1) -> Runner:
        """A function that gives an array for each output that ``describe`` names."""
        run = self._called("runner", folder, threads)
        if not callable(run):
            raise self._odd("runner()", run, "a function of a batch of inputs")
        names = [tensor.name for tensor in self.describe(folder).signature.outputs]
        wanted = f"a mapping to numpy arrays of {', '.join(names)}"

        def ran(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            with plugged.calling(self._naming("what runner() gives")):
                given = run(feeds)
            if not _maps(given, np.ndarray):
                raise self._odd("what runner() gives", given, wanted)
            if not set(names) <= set(given):
                raise self._odd("what runner() gives", list(given), wanted)
            return dict(given)

        return ran

    def inspect(self, folder: Path) -> Inspection:
        """An inspection."""
        return self._of_kind("inspect", Inspection, folder)

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """A conversion, or None."""
        pinned = (settings,) if settings else ()  # a format may know of none
        given = self._called("conversion", folder, runtime, feeds, *pinned)
        if given is not None and not isinstance(given, Conversion):
            raise self._odd("conversion()", given, "a Conversion or None")
        return given

    def _called(self, method: str, *given: Any) -> Any:
        call: Callable[..., Any] = getattr(self._format, method)
        with plugged.calling(self._naming(f"{method}()")):
            return call(*given)

    def _of_kind(self, method: str, kind: type[T], *given: Any) -> T:
        said = self._called(method, *given)
        if not isinstance(said, kind):
            raise self._odd(f"{method}()", said, f"of the kind {kind.__name__}")
        return said

    def _holds_marker(self, what: str, folder: Path) -> None:
        marker = model_format(self._name).marker
        if not (folder / marker).is_file():
            raise PluginError(f"{self._naming(what)} leaves no file '{marker}', which is declared")

    def _odd(self, what: str, given: Any, wanted: str) -> PluginError:
        return PluginError(f"{self._naming(what)} gives {given!r:.200}, not {wanted}")

    def _naming(self, what: str) -> str:
        return f"{what} of the format {self._name} ({self._package})"


def _maps(given: Any, kind: type) -> bool:
    """Whether it is a mapping of texts to values of that kind."""
    return isinstance(given, Mapping) and all(
        isinstance(key, str) and isinstance(value, kind) for key, value in given.items()
    )
