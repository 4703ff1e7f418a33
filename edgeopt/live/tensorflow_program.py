"""A live Keras model or ``tf.function`` as a file: saved as it is, nothing of it is changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgeopt.agent.errors import one_line
from edgeopt.live import known
from edgeopt.schema.errors import ModelError

MOST_SAID = 300


def input_names(model: Any) -> list[str]:
    """The names of its inputs, in order. Raises ModelError where it tells none."""
    if isinstance(model, known("keras", "Model")):
        given = getattr(model, "inputs", None)
        if not given:
            raise ModelError(
                "the model tells no inputs: it is a subclass of keras.Model",
                where=type(model).__name__,
                hint="save it by model.export(FOLDER) and give the folder",
            )
        return [str(tensor.name) for tensor in given]
    specs = tf.nest.flatten(_concrete(model).structured_input_signature)
    return [str(spec.name) for spec in specs]


def save(model: Any, _examples: Mapping[str, Any], folder: Path) -> Path:
    """A ``.keras`` file, or the folder of a SavedModel. Raises ModelError."""
    if isinstance(model, known("keras", "Model")):
        return _keras(model, folder)
    return _function(model, folder / "function")


def _keras(model: Any, folder: Path) -> Path:
    name = type(model).__name__
    try:
        path = folder / f"{name}.keras"
        model.save(path)
        return path
    except Exception as error:  # Keras raises what layers raise
        said = one_line(error, MOST_SAID)
        raise ModelError(f"Keras cannot save the model: {said}", where=name) from error


def _function(function: Any, folder: Path) -> Path:
    """The function with the variables that it reads."""
    concrete = _concrete(function)
    try:
        module = tf.Module()
        module.read, module.call = list(concrete.variables), function
        tf.saved_model.save(module, str(folder), signatures=concrete)
    except Exception as error:  # TensorFlow raises its own
        said = one_line(error, MOST_SAID)
        raise ModelError(f"TensorFlow cannot save it: {said}", where=_name(function)) from error
    return folder


def _concrete(function: Any) -> Any:
    """The function for its own input signature. Raises ModelError where it says none."""
    if getattr(function, "input_signature", None) is None:
        raise ModelError(
            "the tf.function says no input signature",
            where=_name(function),
            hint="write @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], "
            "name='image')])",
        )
    try:
        return function.get_concrete_function()
    except Exception as error:  # what the function itself raises
        said = one_line(error, MOST_SAID)
        raise ModelError(f"TensorFlow cannot trace it: {said}", where=_name(function)) from error


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
