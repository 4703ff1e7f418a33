"""What a Keras file says it is, read and judged before Keras opens it.

A configuration names classes and functions by module and name. Keras imports what it is told to,
and a Lambda layer holds code: both are refused here, whatever Keras itself would do, with the
layer's name. ``safe_mode`` of Keras is on besides.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from edgeopt.schema.errors import ModelError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CODE_LAYERS = ("Lambda", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod")
OF_KERAS = ("keras", "keras_core", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
MOST_DEPTH, MOST_NODES, MOST_BYTES = 200, 200_000, 64_000_000
INNER = ("tf_keras.", "keras.src.engine.")  # modules that Keras 2 names in its files
OLD = 2  # Keras' version whose files hold fields that Keras 3 no longer takes
# class -> field that Keras 3 refuses -> the value it had where nobody set it
GONE: dict[str, dict[str, Any]] = {
    name: fields
    for names, fields in (
        (("DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose", "Conv2DTranspose",
          "Conv3DTranspose"), {"groups": 1}),
        (("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
         {"time_major": False}),
        (("SeparableConv1D", "SeparableConv2D"), {
            "groups": 1, "kernel_initializer": ..., "kernel_regularizer": None,
            "kernel_constraint": None,
        }),
    )
    for name in names
}  # fmt: skip


class Told(NamedTuple):
    """A file's configuration, and the version of Keras that wrote it (empty: not said)."""

    config: dict[str, Any]
    version: str

    @property
    def old(self) -> bool:
        """Whether Keras 2 wrote it."""
        return self.version.startswith(f"{OLD}.")


def told_by_zip(path: Path) -> Told:
    """Of a ``.keras`` file. Raises ModelError for one that is damaged or is no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if lacking := [name for name in (CONFIG, WEIGHTS) if name not in sizes]:
                raise ModelError(f"the file lacks {lacking[0]}: no Keras model", where=str(path))
            if sizes[CONFIG] > MOST_BYTES:
                raise ModelError(f"{CONFIG} has {sizes[CONFIG]:,} bytes", where=str(path))
            if broken := archive.testzip():
                raise ModelError(f"the file is damaged: {broken}", where=str(path))
            config = _parsed(archive.read(CONFIG), CONFIG, path)
            said = _parsed(archive.read(METADATA), METADATA, path) if METADATA in sizes else {}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise ModelError(f"not a .keras file: {error}", where=str(path)) from error
    return Told(config, str(said.get("keras_version", "")))


def told_by_h5(path: Path) -> Told:
    """Of an ``.h5`` file. Raises ModelError for one that is damaged or holds weights alone."""
    if not h5py.is_hdf5(path):
        raise ModelError("not an HDF5 file", where=str(path),
                         hint="Save the model by model.save('NAME.keras').")  # fmt: skip
    try:
        with h5py.File(path, "r") as file:
            refuse_outside(file, path)
            if "model_config" not in file.attrs:
                raise ModelError(
                    "the file holds weights and no network",
                    where=str(path),
                    hint="Build the network, load the weights, and model.save('NAME.keras').",
                )
            config, version = file.attrs["model_config"], file.attrs.get("keras_version", "")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"the file is damaged: {error}", where=str(path)) from error
    return Told(_parsed(config, "model_config", path), _text(version))


def refuse_outside(file: h5py.File, path: Path) -> None:
    """Raise ModelError for links and datasets that lie in other files."""

    def look(group: Any, place: str) -> None:
        for name in group:
            link, at = group.get(name, getlink=True), f"{place}/{name}"
            if not isinstance(link, h5py.HardLink):
                raise ModelError(f"'{at}' is a link out of its place", where=str(path))
            item = group[name]
            if isinstance(item, h5py.Group):
                look(item, at)
            elif item.external or item.is_virtual:
                raise ModelError(f"'{at}' lies in another file", where=str(path))

    look(file, "")


def judge(config: Any, own: Collection[str], where: str) -> None:
    """Raise ModelError, naming the layer, for what runs code or is not Keras' own.

    ``own`` are the names of the user's classes and functions, which may stand in it.
    """
    for node, layer in _objects(config, where):
        name, module = node.get("class_name"), node.get("module")
        at = f"layer '{layer}'" if layer else "the model"
        if name in CODE_LAYERS or (
            isinstance(name, str) and name.rpartition(">")[2] in CODE_LAYERS
        ):
            raise ModelError(
                f"{at} is a {name}: it holds code, which edgeopt does not run",
                where=where,
                hint="Write it as a layer of your own and name it under model.custom_objects.",
            )
        if isinstance(module, str) and not _is_keras(module, name) and name not in own:
            raise ModelError(
                f"{at} needs '{module}.{name}', which is not Keras' own",
                where=where,
                hint="Name it under model.custom_objects, as FILE.py:NAME.",
            )
        registered = node.get("registered_name")
        if isinstance(registered, str) and ">" in registered and name not in own:
            raise ModelError(
                f"{at} is of a class of the user's own, '{registered}'",
                where=where,
                hint="Name it under model.custom_objects, as FILE.py:NAME.",
            )


def without_gone(config: Any) -> list[str]:
    """Drop, in place, fields that Keras 3 no longer takes and that hold what they held unset, and
    call modules of tf-keras what Keras 3 calls them.

    Gives what was changed, as ``CLASS.FIELD``, each once.
    """
    dropped = []
    for node, _ in _objects(config, ""):
        if isinstance(node.get("module"), str) and node["module"].startswith(INNER):
            node["module"] = _place(node["module"], str(node["class_name"]))
            dropped.append(f"{node['class_name']}.module")
        fields, gone = node.get("config"), GONE.get(str(node.get("class_name")), {})
        if not isinstance(fields, dict):
            continue
        axis = fields.get("axis")
        norm = node.get("class_name") == "BatchNormalization"
        if norm and isinstance(axis, list) and len(axis) == 1:  # as Keras 2 wrote a single one
            fields["axis"] = axis[0]
            dropped.append("BatchNormalization.axis")
        for field, unset in gone.items():
            if field in fields and (unset is ... or fields[field] == unset):
                del fields[field]
                dropped.append(f"{node['class_name']}.{field}")
    return list(dict.fromkeys(dropped))


def _place(module: str, name: str) -> str:
    """Where a class of Keras 2's own modules is in Keras 3."""
    if name == "Functional":
        return "keras.src.models.functional"
    return "keras.layers" if ".layers" in module else "keras"


def _is_keras(module: str, name: Any) -> bool:
    if module == "builtins":
        return isinstance(name, str) and name in {"dict", "list", "tuple", "str", "float", "int"}
    return any(module == each or module.startswith(f"{each}.") for each in OF_KERAS)


def _objects(config: Any, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Every map that names a class, with the nearest layer's name around it."""
    pending: list[tuple[Any, str, int]] = [(config, "", 0)]
    count = 0
    while pending:
        node, layer, depth = pending.pop()
        count += 1
        if depth > MOST_DEPTH or count > MOST_NODES:
            raise ModelError("the configuration is too deep or too large", where=where)
        if isinstance(node, dict):
            fields = node.get("config")
            if isinstance(fields, dict) and isinstance(fields.get("name"), str):
                layer = fields["name"]
            if "class_name" in node:
                yield node, layer
            pending += [(value, layer, depth + 1) for value in node.values()]
        elif isinstance(node, list):
            pending += [(value, layer, depth + 1) for value in node]


def _parsed(text: Any, name: str, path: Path) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} is no JSON: {error}", where=str(path)) from error
    if not isinstance(parsed, dict):
        raise ModelError(f"{name} holds no model", where=str(path))
    return parsed


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
