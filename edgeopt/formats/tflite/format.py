"""What workers do with files of the format."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.agent.errors import AgentError
from edgeopt.agent.sessions.litert import Session
from edgeopt.formats import Runner
from edgeopt.formats.tflite import files
from edgeopt.formats.tflite.conversion import by_file, by_litert
from edgeopt.formats.tflite.declared import MODEL, TfliteDeclared
from edgeopt.formats.tflite.describe import describe
from edgeopt.formats.tflite.inspect import inspect
from edgeopt.models.conversion import form_of, not_asked, untold
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError


class TfliteFormat(TfliteDeclared):
    """TFLite models as files; custom operators are refused: their code is not in the file."""

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Copy the model, byte for byte, once it is checked."""
        path = root / spec["path"]
        files.check(path)
        shutil.copyfile(path, into / MODEL)
        return {}

    def describe(self, folder: Path) -> Description:
        """Signature and facts, read from the file."""
        return describe(folder / MODEL)

    def load(self, folder: Path) -> Any:
        """The file's bytes, as today's tools write them: what the quantizer takes."""
        return files.modern((folder / MODEL).read_bytes(), str(folder / MODEL))

    def save(self, model: Any, folder: Path) -> None:
        """Write a model's bytes, or copy a model file."""
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Path):
            shutil.copyfile(model, folder / MODEL)
        else:
            (folder / MODEL).write_bytes(model)
        files.check(folder / MODEL)

    def runner(self, folder: Path, threads: int = 1) -> Runner:
        """LiteRT on the CPU. It and what it gives raise ModelError with its message."""
        where = str(folder / MODEL)
        try:
            session = Session(str(folder), "cpu", threads)
        except AgentError as error:
            raise ModelError(error.what, where=where, hint=error.hint) from error

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            try:
                outputs = session.call(session.prepare(feeds))
            except (ValueError, RuntimeError) as error:
                raise ModelError(f"LiteRT cannot run the model: {error}", where=where) from error
            return dict(zip(session.outputs, outputs, strict=True))

        return run

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the graph; MACs are of one sample."""
        return inspect(folder / MODEL)

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """By LiteRT's interpreter, which executes the file's operators as they stand."""
        form = form_of(self.describe(folder))
        if form is None:
            return None
        if not runtime:
            return by_file(folder / MODEL, form)
        try:
            if runtime != "litert":
                raise untold(runtime)
            conversion = by_litert(folder, folder / MODEL, form)
        except Exception as error:  # the interpreter's own, and AgentError
            return not_asked(by_file(folder / MODEL, form), runtime, error)
        return conversion.model_copy(update={"by": runtime})


FORMAT = TfliteFormat()
