"""numpy as the runtime of the format ``linear``: one product and one sum."""

import os

import numpy as np


def load(threads):
    """numpy's version. It has no threads to set."""
    return np.__version__


def accelerators():
    """Accelerator -> the device behind it, of those found here."""
    return {"cpu": "numpy"}


class Session:
    """``model.linear`` of a folder."""

    def __init__(self, folder, accelerator, threads):
        with np.load(os.path.join(folder, "model.linear")) as held:
            self._weights, self._bias = held["weights"], held["bias"]
        shape = ["batch", len(self._weights)]
        self.inputs = [{"name": "x", "dtype": "float32", "shape": shape}]
        self.outputs = ["y"]

    def prepare(self, feeds):
        """What ``call`` takes, of arrays by input."""
        return feeds["x"]

    def call(self, prepared):
        """One inference, which is what is timed."""
        return prepared @ self._weights + self._bias

    def arrays(self, result):
        """The outputs as arrays, in the order of ``outputs``."""
        return [result]

    def placement(self, prepared):
        """How many nodes ran where, in the words of the declaration."""
        return {"numpy": 2}
