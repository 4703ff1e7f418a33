"""What workers do with files of the format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.agent import tf_network
from edgeopt.agent.errors import AgentError
from edgeopt.formats import Runner
from edgeopt.formats.savedmodel import judged
from edgeopt.formats.savedmodel.declared import MODEL, SavedModelDeclared, folder_of
from edgeopt.models import tensorflow_graph
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError

RECORD = tf_network.RECORD


class SavedModelFormat(SavedModelDeclared):
    """SavedModels, one signature of each; a graph that reaches outside of itself is refused."""

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Judge the graph, copy its files and open it once."""
        folder = folder_of(root / spec["path"])
        where = str(folder / MODEL)
        graph = judged.read(folder / MODEL)
        signature = judged.signature_of(graph, spec.get("signature"), where)
        judged.judge(graph, signature, where)
        judged.check_variables(folder)
        for name, path in self.sources(spec, root).items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into / name)
        (into / RECORD).write_text(json.dumps({"signature": signature}, indent=1) + "\n")
        network = _opened(into, where)
        _refuse_other_floats(network, where)
        return {}

    def describe(self, folder: Path) -> Description:
        """The signature, and facts."""
        where = str(folder / MODEL)
        return tensorflow_graph.described("savedmodel", _opened(folder, where), {"float32"}, where)

    def load(self, folder: Path) -> Any:
        """A ``tf_network.Network``."""
        return _opened(folder, str(folder / MODEL))

    def save(self, model: Any, folder: Path) -> None:
        """Copy an artifact's folder. Raises ModelError for a live model."""
        if not isinstance(model, Path):
            raise ModelError("no pass gives a SavedModel", where=str(folder))
        shutil.copytree(model, folder, dirs_exist_ok=True)

    def runner(self, folder: Path, threads: int = 1) -> Runner:
        """TensorFlow on the CPU, in one graph."""
        return tensorflow_graph.runner(self.load(folder), str(folder / MODEL))

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the signature's graph; MACs are of one sample."""
        network = _opened(folder, str(folder / MODEL))
        return Inspection(
            format="savedmodel",
            description=self.describe(folder),
            parameters=sum(int(np.prod(v.shape)) for v in network.variables),
            macs=tensorflow_graph.macs(network),
            operators=tensorflow_graph.operators(network),
            size_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        )

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """None: passes convert none into it."""
        return None


def _opened(folder: Path, where: str) -> tf_network.Network:
    try:
        return tf_network.opened(str(folder))
    except AgentError as error:
        raise ModelError(error.what, where=where, hint=error.hint) from error


def _refuse_other_floats(network: tf_network.Network, where: str) -> None:
    for variable in network.variables:
        name = variable.dtype.name.removesuffix("_ref")
        if name in ("float16", "bfloat16", "float64"):
            raise ModelError(f"'{variable.name}' is {name}; a source must be float32", where=where)


FORMAT = SavedModelFormat()
