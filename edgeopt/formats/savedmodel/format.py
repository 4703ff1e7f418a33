"""What workers do with files of the format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeopt.agent import tf_network
from edgeopt.formats.savedmodel import judged
from edgeopt.formats.savedmodel.declared import MODEL, SavedModelDeclared, folder_of
from edgeopt.models import tensorflow_graph
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.errors import ModelError

RECORD = tf_network.RECORD


class SavedModelFormat(tensorflow_graph.TensorflowFormat, SavedModelDeclared):
    """SavedModels, one signature of each; a graph that reaches outside of itself is refused."""

    marker = MODEL

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
        network = tensorflow_graph.opened(into, where)
        _refuse_other_floats(network, where)
        return {}

    def describe(self, folder: Path) -> Description:
        """The signature, and facts."""
        where = str(folder / MODEL)
        return tensorflow_graph.described("savedmodel", self.load(folder), {"float32"}, where)

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the signature's graph; MACs are of one sample."""
        network = self.load(folder)
        return Inspection(
            format="savedmodel",
            description=self.describe(folder),
            parameters=sum(int(np.prod(v.shape)) for v in network.variables),
            macs=tensorflow_graph.macs(network),
            operators=tensorflow_graph.operators(network),
            size_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        )


def _refuse_other_floats(network: tf_network.Network, where: str) -> None:
    for variable in network.variables:
        name = variable.dtype.name.removesuffix("_ref")
        if name in tensorflow_graph.OTHER_FLOATS:
            raise ModelError(f"'{variable.name}' is {name}; a source must be float32", where=where)


FORMAT = SavedModelFormat()
