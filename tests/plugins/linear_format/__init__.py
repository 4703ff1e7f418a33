"""The format ``linear``: an .npz archive with ``weights`` (inputs, outputs) and ``bias``."""

import io
import shutil
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from edgeopt.schema.artifact import Description, Inspection, Signature, Tensor
from edgeopt.schema.errors import ModelError

MODEL = "model.linear"


class LinearFormat:
    """What the planner and the workers call."""

    def sources(self, spec, root):
        """Every file that ``gather`` reads, by its name in the key."""
        path = root / spec["path"]
        if not path.is_file():
            raise ModelError("no such model file", where=str(path))
        return {MODEL: path}

    def gather(self, spec, root, into, samples):
        """An artifact's folder of the user's file, once it is checked."""
        read(root / spec["path"])
        shutil.copyfile(root / spec["path"], into / MODEL)
        return {}

    def describe(self, folder):
        """Signature and facts, read from the file alone."""
        weights, _ = read(folder / MODEL)
        taken, given = (
            Tensor(name=name, dtype="float32", shape=("batch", size))
            for name, size in zip("xy", weights.shape, strict=True)
        )
        signature = Signature(inputs=(taken,), outputs=(given,))
        return Description(format="linear", signature=signature, facts=frozenset({"float32"}))

    def load(self, folder):
        """The live model: weights and bias."""
        return read(folder / MODEL)

    def save(self, model, folder):
        """Write a live model, or copy a model file, as an artifact's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Path):
            shutil.copyfile(model, folder / MODEL)
            return
        made = io.BytesIO()
        np.savez(made, weights=model[0], bias=model[1])
        (folder / MODEL).write_bytes(made.getvalue())

    def runner(self, folder, threads=1):
        """The model, loaded once: a batch of inputs in, outputs by name out."""
        weights, bias = read(folder / MODEL)
        return lambda feeds: {"y": feeds["x"] @ weights + bias}

    def inspect(self, folder):
        """What ``edgeopt inspect`` prints."""
        weights, bias = read(folder / MODEL)
        return Inspection(
            format="linear",
            description=self.describe(folder),
            parameters=weights.size + bias.size,
            macs=weights.size,
            operators={"MatMul": 1, "Add": 1},
            size_bytes=(folder / MODEL).stat().st_size,
        )

    def conversion(self, folder, runtime="", feeds=None):
        """None: nothing of it is ever quantized."""
        return None


def read(path):
    """Weights (inputs, outputs) and bias (outputs,), float32. Raises ModelError."""
    try:
        with np.load(path, allow_pickle=False) as held:
            weights, bias = held["weights"], held["bias"]
    except (OSError, EOFError, BadZipFile, ValueError, KeyError) as error:
        raise ModelError(f"no linear model: {error}", where=str(path)) from error
    if weights.ndim != 2 or bias.shape != weights.shape[1:] or weights.dtype != np.float32:
        raise ModelError("weights and bias do not fit each other", where=str(path))
    return weights, bias


FORMAT = LinearFormat()
