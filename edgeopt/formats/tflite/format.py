"""The format's face: what the planner and the workers call."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.formats import Runner
from edgeopt.formats.conversion import form_of, not_asked, untold
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError

MODEL = "model.tflite"


class TfliteFormat:
    """TFLite models as files; custom operators are refused: their code is not in the file."""

    def sources(self, spec: Mapping[str, Any], root: Path) -> dict[str, Path]:
        """The model file. Raises ModelError where it is missing."""
        path = root / spec["path"]
        if not path.is_file():
            raise ModelError("no such model file", where=str(path))
        return {MODEL: path}

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Copy the model, byte for byte, once it is checked."""
        from edgeopt.formats.tflite import files

        path = root / spec["path"]
        files.check(path)
        shutil.copyfile(path, into / MODEL)
        return {}

    def describe(self, folder: Path) -> Description:
        """Signature and facts, read from the file."""
        from edgeopt.formats.tflite.describe import describe

        return describe(folder / MODEL)

    def load(self, folder: Path) -> Any:
        """The file's bytes, as today's tools write them: what the quantizer takes."""
        from edgeopt.formats.tflite import files

        return files.modern((folder / MODEL).read_bytes(), str(folder / MODEL))

    def save(self, model: Any, folder: Path) -> None:
        """Write a model's bytes, or copy a model file."""
        from edgeopt.formats.tflite import files

        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Path):
            shutil.copyfile(model, folder / MODEL)
        else:
            (folder / MODEL).write_bytes(model)
        files.check(folder / MODEL)

    def runner(self, folder: Path, threads: int = 1) -> Runner:
        """LiteRT on the CPU. It and what it gives raise ModelError with its message."""
        from edgeopt.agent.errors import AgentError
        from edgeopt.agent.sessions.litert import Session

        where = str(folder / MODEL)
        try:
            session = Session(str(folder), "cpu", threads)
        except AgentError as error:
            raise ModelError(error.what, where=where, hint=error.hint) from error

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            try:
                found = session.call(session.prepare(feeds))
            except (ValueError, RuntimeError) as error:
                raise ModelError(f"LiteRT cannot run the model: {error}", where=where) from error
            return dict(zip(session.outputs, found, strict=True))

        return run

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the graph; MACs are of one sample."""
        from edgeopt.formats.tflite.inspect import inspect

        return inspect(folder / MODEL)

    def conversion(
        self, folder: Path, runtime: str = "", feeds: Mapping[str, np.ndarray] | None = None
    ) -> Conversion | None:
        """By LiteRT's interpreter, which executes the file's operators as they stand."""
        from edgeopt.formats.tflite.conversion import by_file, by_litert

        form = form_of(self.describe(folder))
        if form is None:
            return None
        if not runtime:
            return by_file(folder / MODEL, form)
        try:
            if runtime != "litert":
                raise untold(runtime)
            found = by_litert(folder, folder / MODEL, form)
        except Exception as error:  # the interpreter's own, and AgentError
            return not_asked(by_file(folder / MODEL, form), runtime, error)
        return found.model_copy(update={"by": runtime})
