"""What workers do with files of the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edgeopt.formats import Runner
from edgeopt.formats.onnx import conversion, executed, files, shapes
from edgeopt.formats.onnx.declared import OnnxDeclared
from edgeopt.formats.onnx.describe import (
    BATCHES,
    call_batch,
    describe,
    fix_batch,
    free_names,
    holds_one,
)
from edgeopt.formats.onnx.inspect import inspect
from edgeopt.models.conversion import form_of, not_asked, summed
from edgeopt.models.samples import COUNT, touching
from edgeopt.schema.artifact import Description, Inspection, Tensor
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError

MODEL = "model.onnx"
TRIED = (1, 32, 224)  # sizes of free dimensions, until a model runs with one of them
LENGTHS = (4, *TRIED[1:], 1)  # the same where 1 would hide what goes on along them
CUSTOM = "operators of other domains need a library of their own; export it with ONNX's own"


class OnnxFormat(OnnxDeclared):
    """ONNX models as files; nothing in them is ever executed but operators."""

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Copy the model and its external data, byte for byte, once both are checked.

        Outputs without a shape get theirs. A batch that the file calls free and that can only be 1
        is written as 1. A free size on another axis than the first is called ``batch`` where runs
        show that samples lie there.
        """
        path = root / spec["path"]
        files.copy_model(path, into / MODEL)
        shapes.declare(into / MODEL, lambda: self.runner(into))
        files.check(into / MODEL, shown=path)
        if self._takes_one_only(into):
            model = files.read(into / MODEL)
            fix_batch(model, 1)
            files.write(model, into / MODEL)
        elif symbol := self._batch_elsewhere(into):
            model = files.read(into / MODEL)
            call_batch(model, symbol)
            files.write(model, into / MODEL)
        return {}

    def _batch_elsewhere(self, folder: Path) -> str:
        """The free size that samples lie along, where it is not the first axis; else empty.

        It is asked where no name tells the batch, entries of the first axis change each other's
        answers, and those of the other do not.
        """
        inputs = self.describe(folder).signature.inputs
        named = not free_names(files.read(folder / MODEL)).isdisjoint(BATCHES)
        symbols = dict.fromkeys(n for t in inputs for n in t.shape[1:] if isinstance(n, str))
        if named or not symbols or any(t.batch_axis for t in inputs):
            return ""
        first = {t.name: 0 for t in inputs if t.shape}
        try:
            run = self.runner(folder)
        except ModelError:
            return ""  # its check will tell
        if not _touching(run, inputs, first):
            return ""
        for symbol in symbols:
            axes = {t.name: t.shape.index(symbol) for t in inputs if symbol in t.shape}
            if _touching(run, inputs, axes) is False:
                return symbol
        return ""

    def _takes_one_only(self, folder: Path) -> bool:
        """Whether a model with a free batch answers one sample and not two: run, where its graph
        says that this may be so."""
        described = self.describe(folder)
        if not described.signature.dynamic_batch or not holds_one(files.read(folder / MODEL)):
            return False
        try:
            run = self.runner(folder)
        except ModelError:
            return False  # its check will tell
        sizes = next((n for n in TRIED if _answers(run, described, 1, n)), None)
        return sizes is not None and not _answers(run, described, 2, sizes)

    def describe(self, folder: Path) -> Description:
        """Signature and facts; weights in external files are not read."""
        return describe(files.read(folder / MODEL), str(folder / MODEL))

    def load(self, folder: Path) -> Any:
        """An ``onnx.ModelProto`` with all weights in memory."""
        return files.read_whole(folder / MODEL)

    def save(self, model: Any, folder: Path) -> None:
        """Write a ModelProto, or copy a model file with its external data."""
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Path):
            files.copy_model(model, folder / MODEL)
        else:
            files.write(model, folder / MODEL)
        files.check(folder / MODEL, shown=folder / MODEL)

    def runner(self, folder: Path, threads: int = 1, *, fused: bool = True) -> Runner:
        """ONNX Runtime on the CPU. It and what it gives raise ModelError with its message.

        Not ``fused``: each node by itself, as the file says.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        if not fused:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

        def failed(error: Exception) -> ModelError:  # its exceptions share no public base
            text = str(error).replace(str(folder / MODEL), MODEL)
            return ModelError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run the model: {text}",
                where=str(folder / MODEL),
                hint=CUSTOM if "is not a registered function/op" in text else "",
            )

        try:
            session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise failed(error) from error
        names = [output.name for output in session.get_outputs()]

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            try:
                return dict(zip(names, session.run(names, dict(feeds)), strict=True))
            except Exception as error:
                raise failed(error) from error

        return run

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the graph; MACs are of one sample."""
        model = files.read(folder / MODEL, small_data=True)
        return inspect(model, str(folder / MODEL), size_of(folder))

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """By ONNX Runtime's or OpenVINO's own graph of one batch: zeros, unless given."""
        described = self.describe(folder)
        form = form_of(described)
        if form is None:
            return None
        model, size = files.read(folder / MODEL, small_data=True), size_of(folder)
        if not runtime:
            return conversion.by_file(model, form, size)
        try:
            given = executed.zeros(described) | dict(feeds or {})
            fixed = {name: array.shape for name, array in (feeds or {}).items()}
            steps = list(executed.steps_of(runtime, folder, given, fixed, settings))
        except Exception as error:  # each runtime raises its own
            return not_asked(conversion.by_file(model, form, size), runtime, error)
        total, batch = conversion.total_macs(model), described.signature.batch or 1
        total = None if total is None else total * batch
        held, free = conversion.held_weights(model), conversion.FREE
        return summed(form, held, steps, total, free, size).model_copy(update={"by": runtime})


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _touching(run: Runner, inputs: Sequence[Tensor], axes: Mapping[str, int]) -> bool | None:
    """Whether entries along these axes change each other's answers; None where none can tell."""
    fixed = {t.shape[axes[t.name]] for t in inputs if t.name in axes} - {1}
    counts = {n for n in fixed if isinstance(n, int)} or {COUNT}
    if len(counts) != 1 or 1 in (t.shape[axes[t.name]] for t in inputs if t.name in axes):
        return None
    (count,) = counts
    for size in LENGTHS:
        shapes = {
            t.name: [
                count if axis == axes.get(t.name) else n if isinstance(n, int) else size
                for axis, n in enumerate(t.shape)
            ]
            for t in inputs
        }
        with suppress(ModelError):
            return touching(run, shapes, {t.name: t.dtype for t in inputs}, axes)
    return None


def _answers(run: Runner, described: Description, batch: int, size: int) -> bool:
    """Whether a model answers so many samples of zeros; other free dimensions have ``size``."""
    feeds = {
        t.name: np.zeros([batch if n == "batch" else size if isinstance(n, str) else n
                          for n in t.shape], t.dtype)
        for t in described.signature.inputs
    }  # fmt: skip
    try:
        outputs = run(feeds)
    except ModelError:
        return False
    return all(
        outputs[t.name].shape[:1] == (batch,)
        for t in described.signature.outputs
        if t.shape[:1] == ("batch",)
    )


FORMAT = OnnxFormat()
