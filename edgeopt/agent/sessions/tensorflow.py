"""TensorFlow on the CPU: Keras models and SavedModels as they are given, as one graph."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

import numpy as np

from .. import tf_network
from ..errors import AgentError, one_line
from . import nodes

(CPU,) = nodes("tensorflow")["cpu"]


def load(threads: int) -> str:
    """Set TensorFlow's threads, which are the process's; its version."""
    return tf_network.set_up(threads)


def accelerators() -> Dict[str, str]:
    """The CPU alone: others are hidden from TensorFlow before it is imported."""
    return {"cpu": "CPU"}


class Session:
    """A folder with ``model.keras`` or a SavedModel, which runs as a ``tf.function``."""

    def __init__(self, folder: str, accelerator: str, threads: int) -> None:
        if accelerator != "cpu":
            raise AgentError(
                "DeviceError", "no accelerator '{}' here".format(accelerator), "tensorflow"
            )
        self._network = tf_network.opened(folder)
        self._run = self._network.function()
        self.inputs = self._network.inputs
        self.outputs = [str(one["name"]) for one in self._network.outputs]

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> List[Any]:
        return tf_network.feeds_of(self._network, feeds)

    def call(self, prepared: List[Any]) -> Dict[str, Any]:
        try:
            return dict(self._run(*prepared))
        except Exception as error:  # TensorFlow's errors share no public base with Keras'
            raise AgentError(
                "ModelError", "TensorFlow cannot run the model: {}".format(one_line(error)), ""
            ) from error

    def arrays(self, result: Dict[str, Any]) -> List[np.ndarray]:
        return [result[name].numpy() for name in self.outputs]

    def placement(self, prepared: List[Any]) -> Dict[str, int]:
        """All nodes of the graph on the CPU: nothing else is visible."""
        graph = self._run.get_concrete_function().graph
        return {CPU: len(graph.get_operations())}
