"""Keras models and SavedModels as TensorFlow runs them: one function with names on both sides.

A folder holds ``model.keras``, with ``model.json`` and ``code/`` beside it where the model has
classes of the user's own, or the files of a SavedModel with ``model.json``, which names the
signature. What is opened here has been judged before (``formats/keras``, ``formats/savedmodel``).
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List, Mapping, Sequence

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # cpu is the accelerator that is declared

import keras as keras
import tensorflow as tf

__all__ = ["Network", "keras", "keras_model", "of_keras", "opened", "tf"]

from .errors import AgentError, one_line
from .user_code import imported, importing

KERAS, SAVED, RECORD, CODE = "model.keras", "saved_model.pb", "model.json", "code"
BATCH = "batch"

Tensors = Dict[str, Any]


class Network:
    """A model opened for inference.

    ``call`` takes and gives tensors by name. ``inputs`` are {"name", "dtype", "shape"}, where a
    free dimension is a string; ``outputs`` likewise, with a shape of None where the rank is not
    known. ``variables`` are those that ``call`` reads; ``model`` is the ``keras.Model``, or None;
    ``loaded`` is what owns the variables and tables of a SavedModel, or None.
    """

    def __init__(
        self,
        call: Callable[[Tensors], Tensors],
        inputs: List[Dict[str, Any]],
        outputs: List[Dict[str, Any]],
        variables: Sequence[Any],
        model: Any = None,
        loaded: Any = None,
    ) -> None:
        self.call, self.inputs, self.outputs = call, inputs, outputs
        self.variables, self.model = list(variables), model
        self.loaded = loaded

    def specs(self, batch: Any = None) -> List[Any]:
        """A ``tf.TensorSpec`` of each input; other free sizes stay free."""
        return [
            tf.TensorSpec(
                [batch if n == BATCH else None if isinstance(n, str) else n for n in one["shape"]],
                tf.as_dtype(one["dtype"]),
                name=one["name"],
            )
            for one in self.inputs
        ]

    def function(self, batch: Any = None) -> Any:
        """A ``tf.function`` of the inputs by position; outputs are a dictionary by name."""
        names = [one["name"] for one in self.inputs]

        def called(*given: Any) -> Tensors:
            return self.call(dict(zip(names, given)))  # noqa: B905 - Python 3.8

        return tf.function(called, input_signature=self.specs(batch))


def opened(folder: str) -> Network:
    """The network of an artifact's folder. Raises AgentError naming the file."""
    if os.path.exists(os.path.join(folder, KERAS)):
        return of_keras(keras_model(folder), KERAS)
    return _saved(folder)


def keras_model(folder: str) -> Any:
    """The ``keras.Model`` of a folder, without its optimizer and loss. Raises AgentError."""
    return load(os.path.join(folder, KERAS), own_objects(folder))


def own_objects(folder: str) -> Dict[str, Any]:
    """The user's classes and functions by name, of an artifact's folder. Raises AgentError."""
    return custom_objects(os.path.join(folder, CODE), record(folder).get("custom_objects", []))


def load(path: str, own: Mapping[str, Any]) -> Any:
    """The ``keras.Model`` of a file that was judged. Raises AgentError."""
    try:
        return keras.saving.load_model(
            path, custom_objects=dict(own), compile=False, safe_mode=True
        )
    except Exception as error:  # Keras raises ValueError, TypeError and what layers raise
        raise AgentError(
            "ModelError", "Keras {} cannot open the model: {}".format(
                keras.__version__, one_line(error)), os.path.basename(path),
        ) from error  # fmt: skip


def is_quantized(model: Any) -> bool:
    """Whether ``quantize()`` of Keras changed a layer of it."""
    layers = model._flatten_layers(include_self=False, recursive=True)
    return any(getattr(layer, "quantization_mode", None) for layer in layers)


def record(folder: str) -> Dict[str, Any]:
    """What ``model.json`` of a folder says; empty where there is none."""
    try:
        with open(os.path.join(folder, RECORD), encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def custom_objects(code: str, named: Sequence[str]) -> Dict[str, Any]:
    """Classes and functions by name, of ``FILE.py:NAME`` each below ``code``. Raises AgentError."""
    found: Dict[str, Any] = {}
    for each in named:
        file, _, name = each.partition(":")
        path = os.path.join(code, file)
        try:
            with importing([os.path.dirname(path), code]):
                found[name] = getattr(imported(path), name)
        except Exception as error:  # the user's code may raise anything
            raise AgentError(
                "ModelError", "the custom object cannot be imported: {}".format(one_line(error)),
                each,
            ) from error  # fmt: skip
    return found


def of_keras(model: Any, where: str) -> Network:
    """A network of a Keras model. Raises AgentError where it does not tell its inputs."""
    given = getattr(model, "inputs", None)
    if not given:
        raise AgentError(
            "ModelError", "the model tells no inputs: it is a subclass of keras.Model", where,
            "save it as a SavedModel by model.export(FOLDER)",
        )  # fmt: skip
    taken = [_told(tensor.name, tensor) for tensor in given]
    inner = getattr(model, "_functional", None) or model  # what a Sequential is made of
    structure, given = inner.input, inner.output
    ends = keras.tree.flatten(given)
    names = _output_names(model, given, ends)
    outputs = [_told(*named) for named in zip(names, ends)]  # noqa: B905 - Python 3.8

    def call(tensors: Tensors) -> Tensors:
        flat = [tensors[one["name"]] for one in taken]
        packed = keras.tree.pack_sequence_as(structure, flat)
        results = keras.tree.flatten(model(packed, training=False))
        named = zip(names, results)  # noqa: B905 - Python 3.8
        return {name: tf.identity(each, name=name) for name, each in named}

    return Network(call, taken, outputs, [each.value for each in model.variables], model)


def _output_names(model: Any, structure: Any, ends: Sequence[Any]) -> List[str]:
    """Keys where outputs are a dictionary, else the names of the layers; each once."""
    if isinstance(structure, dict) and len(structure) == len(ends):
        names = sorted(structure)
    elif hasattr(model, "output_names"):
        names = list(model.output_names)
    else:  # a Sequential
        names = [model.layers[-1].name]
    if len(names) != len(ends):
        names = ["output_{}".format(k) for k in range(len(ends))]
    return [
        name if names.count(name) == 1 else "{}_{}".format(name, names[:k].count(name))
        for k, name in enumerate(names)
    ]


def _saved(folder: str) -> Network:
    try:
        loaded = tf.saved_model.load(folder)
    except Exception as error:  # TensorFlow raises OSError, ValueError and its own
        raise AgentError(
            "ModelError", "TensorFlow {} cannot open the SavedModel: {}".format(
                tf.__version__, one_line(error)), SAVED,
        ) from error  # fmt: skip
    signature = record(folder).get("signature", "serving_default")
    if signature not in loaded.signatures:
        raise AgentError("ModelError", "no signature '{}'".format(signature), SAVED)
    function = loaded.signatures[signature]
    _, specs = function.structured_input_signature
    order = _in_order(list(specs), [tensor.name for tensor in function.inputs])
    taken = [_told(name, specs[name]) for name in order]
    ends = function.structured_outputs
    given = [_told(name, ends[name]) for name in sorted(ends)]

    def call(tensors: Tensors) -> Tensors:
        results = function(**tensors)
        return {one["name"]: tf.identity(results[one["name"]], name=one["name"]) for one in given}

    return Network(call, taken, given, function.variables, loaded=loaded)


def _in_order(names: List[str], tensors: Sequence[str]) -> List[str]:
    """Names of a signature as its graph takes them; captured variables are among the tensors."""
    places = {name.partition(":")[0]: k for k, name in enumerate(tensors)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def _told(name: str, tensor: Any) -> Dict[str, Any]:
    shape = tensor.shape
    rank = getattr(shape, "rank", None) if not isinstance(shape, tuple) else len(shape)
    if rank is None:
        return {"name": name, "dtype": str(tf.as_dtype(tensor.dtype).name), "shape": None}
    return {
        "name": name,
        "dtype": str(tf.as_dtype(tensor.dtype).name),
        "shape": [
            int(n) if n is not None else BATCH if axis == 0 else "{}.{}".format(name, axis)
            for axis, n in enumerate(shape)
        ],
    }


def feeds_of(network: Network, feeds: Mapping[str, Any]) -> List[Any]:
    """Tensors by the network's inputs, of arrays by name."""
    return [tf.constant(feeds[one["name"]]) for one in network.inputs]


def set_up(threads: int) -> str:
    """Set TensorFlow's threads, which are the process's and fixed with the first use."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            raise AgentError(
                "DeviceError", "TensorFlow's threads are set already: {}".format(one_line(error)),
                "tensorflow",
            ) from error  # fmt: skip
    return str(tf.__version__)
