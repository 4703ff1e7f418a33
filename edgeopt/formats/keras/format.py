"""What workers do with files of the format."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.agent import tf_network
from edgeopt.agent.errors import AgentError
from edgeopt.formats.keras import files, judged
from edgeopt.formats.keras.declared import QUANTIZED, KerasDeclared
from edgeopt.models import tensorflow_graph
from edgeopt.models.python_files import code_files
from edgeopt.schema.artifact import Description, Inspection
from edgeopt.schema.errors import ModelError

MODEL, RECORD, CODE = tf_network.KERAS, tf_network.RECORD, tf_network.CODE


class KerasFormat(tensorflow_graph.TensorflowFormat, KerasDeclared):
    """Keras models; no Lambda is run, and no class but Keras' own and those that the user names."""

    marker = MODEL

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Judge the file, copy it or bring it to Keras 3's own form, and open it once."""
        path, own = root / spec["path"], list(spec.get("custom_objects") or ())
        is_zip = path.suffix.lower() == ".keras"
        told = judged.told_by_zip(path) if is_zip else judged.told_by_h5(path)
        judged.judge(told.config, {name.partition(":")[2] for name in own}, str(path))
        self._copy_code(own, root, into)
        with tempfile.TemporaryDirectory() as scratch:
            workdir = Path(scratch)
            if is_zip:
                files.check_weights(path, workdir)
            dropped = judged.without_gone(told.config) if files.is_old(told) else []
            if is_zip and not dropped:
                shutil.copyfile(path, into / MODEL)
            else:
                self._bring(path, told.config, dropped, into, workdir)
        network = tensorflow_graph.opened(into, str(path))
        _refuse_other_floats(network, str(path))
        return {}

    def _copy_code(self, own: list[str], root: Path, into: Path) -> None:
        if not own:
            return
        for key, file in code_files([name.partition(":")[0] for name in own], root).items():
            (into / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, into / key)
        (into / RECORD).write_text(json.dumps({"custom_objects": own}, indent=1) + "\n")

    def _bring(
        self, path: Path, config: Mapping[str, Any], dropped: list[str], into: Path, workdir: Path
    ) -> None:
        """Open a file of another form, or of Keras 2, and save it as Keras 3 does."""
        given = workdir / f"given{path.suffix.lower()}"
        if dropped:
            files.with_config(path, given, config)
        else:
            shutil.copyfile(path, given)
        try:
            model = tf_network.load(str(given), tf_network.own_objects(str(into)))
        except AgentError as error:
            raise ModelError(
                error.what, where=str(path),
                hint="If Keras 2 wrote it: open it with tf-keras, and model.export(FOLDER).",
            ) from error  # fmt: skip
        saved = workdir / "saved.keras"
        model.save(saved)
        files.normalized(saved, into / MODEL)

    def describe(self, folder: Path) -> Description:
        """Signature and facts as Keras tells them."""
        network = self.load(folder)
        facts = {QUANTIZED if tf_network.is_quantized(network.model) else "float32"}
        return tensorflow_graph.described("keras", network, facts, str(folder / MODEL))

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the model; MACs are of one sample."""
        network = self.load(folder)
        layers = network.model._flatten_layers(include_self=False, recursive=True)
        kinds = Counter(type(layer).__name__ for layer in layers)
        return Inspection(
            format="keras",
            description=self.describe(folder),
            parameters=int(network.model.count_params()),
            macs=tensorflow_graph.macs(network),
            operators=dict(kinds.most_common()),
            size_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
            notes=tensorflow_graph.notes(network),
        )


def _refuse_other_floats(network: tf_network.Network, where: str) -> None:
    for variable in network.model.variables:
        if variable.dtype in tensorflow_graph.OTHER_FLOATS:
            raise ModelError(
                f"'{variable.path}' is {variable.dtype}; a source must be float32",
                where=where,
                hint="Build it under keras.config.set_dtype_policy('float32').",
            )
    for layer in network.model._flatten_layers(include_self=False, recursive=True):
        if layer.compute_dtype in tensorflow_graph.OTHER_FLOATS:
            raise ModelError(
                f"layer '{layer.name}' computes in {layer.compute_dtype}; a source must be float32",
                where=where,
                hint="Build it under keras.config.set_dtype_policy('float32').",
            )


FORMAT = KerasFormat()
