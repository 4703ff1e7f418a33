"""The reference evaluator of the package onnx as a runtime: slow, and right by definition."""

import os

import numpy as np

CPU = "ReferenceEvaluator"


def load(threads):
    """Import the runtime; its version. It has no threads to set."""
    import onnx

    return onnx.__version__


def accelerators():
    """Accelerator -> the device behind it, of those found here."""
    return {"cpu": CPU}


class Session:
    """``model.onnx`` of a folder."""

    def __init__(self, folder, accelerator, threads, shapes="trusted"):
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load(os.path.join(folder, "model.onnx"))
        self._model = ReferenceEvaluator(model, check_shape_annotations=shapes == "checked")
        self._nodes = len(model.graph.node)
        self.inputs = [described(tensor) for tensor in model.graph.input]
        self.outputs = [tensor.name for tensor in model.graph.output]

    def prepare(self, feeds):
        """What ``call`` takes, of arrays by input."""
        return dict(feeds)

    def call(self, prepared):
        """One inference, which is what is timed."""
        return self._model.run(None, prepared)

    def arrays(self, result):
        """The outputs as arrays, in the order of ``outputs``."""
        return [np.asarray(array) for array in result]

    def placement(self, prepared):
        """How many nodes ran where, in the words of the declaration."""
        return {CPU: self._nodes}


def described(tensor):
    """Name, numpy dtype and shape of an input; a free dimension is its name."""
    from onnx.helper import tensor_dtype_to_np_dtype

    told = tensor.type.tensor_type
    shape = [d.dim_param or d.dim_value for d in told.shape.dim]
    dtype = str(tensor_dtype_to_np_dtype(told.elem_type))
    return {"name": tensor.name, "dtype": dtype, "shape": shape}
