"""LiteRT (TensorFlow Lite): the interpreter with XNNPACK, by either of its packages."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from .. import litert_accelerated as accelerated
from ..errors import AgentError, one_line
from . import declared, imported, nodes, version

FILE = "model.tflite"
SIGNATURE = "serving_default"
DELEGATED, BUILT_IN = nodes("litert")["cpu"]

Feeds = List[Tuple[int, np.ndarray]]


def load(threads: int) -> str:
    """Import the runtime; its version. Threads belong to the interpreter here."""
    imported("litert")
    return version(declared("litert")["distributions"])


def accelerators() -> Dict[str, str]:
    """The CPU, and what LiteRT can look for: it tells of no device before a model is loaded."""
    found = {"cpu": DELEGATED}
    if accelerated.present():
        found.update(dict.fromkeys(accelerated.KINDS, "tried when a model is loaded"))
    return found


def Session(  # noqa: N802 (its loader wants it so)
    folder: str,
    accelerator: str,
    threads: int,
    fixed: Optional[Mapping[str, Sequence[Optional[int]]]] = None,
    api: str = "interpreter",
) -> Any:
    """A session on the CPU by the interpreter, or by a compiled model where ``api`` says so, as
    always on an accelerator.

    ``fixed`` are the sizes that each input will have, None for one that stays free.
    """
    path = os.path.join(folder, FILE)
    if accelerator == "cpu" and api == "interpreter":
        return _opened(lambda sizes: Interpreted(path, threads, sizes), fixed)

    def compiled(sizes: Any) -> Any:
        plain = Interpreted(path, threads, sizes, runs=False)  # tells of the file, no more
        return accelerated.Compiled(path, accelerator, plain, threads)

    return _opened(compiled, fixed)


def _opened(make: Callable[[Any], Any], fixed: Any) -> Any:
    """What is made for fixed sizes, or for free ones where the model does not do with those."""
    if fixed:
        with contextlib.suppress(Exception):  # RuntimeError or ValueError, as the runtime likes
            return make(fixed)
    return make(None)


class Interpreted:
    """``model.tflite`` of a folder: its first signature, or its only graph.

    Names are the signature's where there is one, else the tensors' own.
    """

    def __init__(
        self,
        path: str,
        threads: int,
        fixed: Optional[Mapping[str, Sequence[Optional[int]]]] = None,
        runs: bool = True,
    ) -> None:
        try:
            self._model = imported("litert").Interpreter(model_path=path, num_threads=threads)
            for index, shape in _resized(self._model, fixed or {}).items():
                self._model.resize_tensor_input(index, shape, strict=True)
            if runs:
                self._model.allocate_tensors()
        except Exception as error:  # ValueError or RuntimeError, with the runtime's own words
            raise AgentError(
                "ModelError", "LiteRT cannot load the model: {}".format(one_line(error)), FILE,
                "check the model's operators against this version of the runtime",
            ) from error  # fmt: skip
        names = border_names(self._model)
        details = self._model.get_input_details()
        self._index = {names[one["index"]]: int(one["index"]) for one in details}
        self._sizes = {int(one["index"]): tuple(one["shape"]) for one in details}
        self.inputs = [
            {
                "name": names[one["index"]],
                "dtype": str(np.dtype(one["dtype"])),
                "shape": _shape(one, (fixed or {}).get(names[one["index"]])),
            }
            for one in details
        ]
        self._free = any("?" in tensor["shape"] for tensor in self.inputs)
        self._outputs = [int(one["index"]) for one in self._model.get_output_details()]
        self.outputs = [names[index] for index in self._outputs]

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> Feeds:
        return [(self._index[name], array) for name, array in feeds.items()]

    def call(self, prepared: Feeds) -> List[np.ndarray]:
        model = self._model
        if self._free:
            self._resize(prepared)
        for index, array in prepared:
            model.set_tensor(index, array)
        model.invoke()
        return [model.get_tensor(index) for index in self._outputs]

    def arrays(self, result: List[np.ndarray]) -> List[np.ndarray]:
        return result

    @property
    def operators(self) -> int:
        """How many operators the model has."""
        return sum(op["op_name"] != "DELEGATE" for op in self._model._get_ops_details())

    def executed(self) -> List[Dict[str, Any]]:
        """The operators in the file's order: ``{"op", "inputs", "outputs"}``.

        Each tensor is (index, dtype); inputs that are left out are not listed.
        """
        dtypes = {
            int(one["index"]): str(np.dtype(one["dtype"]))
            for one in self._model.get_tensor_details()
        }

        def typed(indices: Any) -> List[Tuple[int, str]]:
            return [(int(i), dtypes.get(int(i), "")) for i in indices if int(i) >= 0]

        return [
            {"op": op["op_name"], "inputs": typed(op["inputs"]), "outputs": typed(op["outputs"])}
            for op in self._model._get_ops_details()
            if op["op_name"] != "DELEGATE"
        ]

    def _resize(self, prepared: Feeds) -> None:
        """Plan the graph anew where feeds have another shape than those before."""
        sizes = {index: array.shape for index, array in prepared}
        if sizes != self._sizes:
            for index, shape in sizes.items():
                self._model.resize_tensor_input(index, shape)
            self._model.allocate_tensors()
            self._sizes = sizes

    def placement(self, prepared: Feeds) -> Dict[str, int]:
        """Operators that XNNPACK took over, and those left to the runtime's own kernels.

        The runtime keeps the operators that a delegate replaced in its list: they are those
        between the delegate's inputs and outputs.
        """
        ops = self._model._get_ops_details()
        return placed(ops)


def _resized(model: Any, fixed: Mapping[str, Sequence[Optional[int]]]) -> Dict[int, List[int]]:
    """Tensor index -> shape, of the inputs with free sizes that are to be fixed."""
    names = border_names(model)
    shapes: Dict[int, List[int]] = {}
    for one in model.get_input_details() if fixed else ():
        shape = _shape(one, fixed.get(names[one["index"]]))
        if shape != _shape(one):
            taken = zip(shape, one["shape"])  # noqa: B905 - Python 3.8
            shapes[int(one["index"])] = [int(old) if n == "?" else n for n, old in taken]
    return shapes


def _shape(one: Dict[str, Any], fixed: Optional[Sequence[Optional[int]]] = None) -> List[Any]:
    """An input's shape, free sizes as they are to be fixed; one that stays free is ``?``."""
    free = one.get("shape_signature")
    sizes = [int(n) for n in (one["shape"] if free is None or not len(free) else free)]
    if fixed is None or len(fixed) != len(sizes):
        fixed = [None] * len(sizes)
    named = ["?" if n is None else n for n in fixed]
    return [n if n >= 0 else m for n, m in zip(sizes, named)]  # noqa: B905 - Python 3.8


def placed(ops: List[Dict[str, Any]]) -> Dict[str, int]:
    """Count operators by who runs them, from the interpreter's list of operators."""
    delegates = [op for op in ops if op["op_name"] == "DELEGATE"]
    plain = [op for op in ops if op["op_name"] != "DELEGATE"]
    makers: Dict[int, int] = {
        int(tensor): position for position, op in enumerate(plain) for tensor in op["outputs"]
    }
    taken: Set[int] = set()
    for delegate in delegates:
        border = {int(tensor) for tensor in delegate["inputs"]}
        pending = [int(tensor) for tensor in delegate["outputs"]]
        while pending:
            tensor = pending.pop()
            position = makers.get(tensor)
            if tensor in border or position is None or position in taken:
                continue
            taken.add(position)
            pending += [int(each) for each in plain[position]["inputs"]]
    counts = {DELEGATED: len(taken), BUILT_IN: len(plain) - len(taken)}
    return {name: count for name, count in counts.items() if count}


def border_names(model: Any) -> Dict[int, str]:
    """Tensor index -> the name that inputs and outputs go by."""
    details = model.get_input_details() + model.get_output_details()
    names = {int(one["index"]): str(one["name"]) for one in details}
    signatures = model._get_full_signature_list()
    for key in sorted(signatures, key=lambda key: (key != SIGNATURE, key)):
        sides = [signatures[key][side] for side in ("inputs", "outputs")]
        signature_names = {int(index): str(name) for side in sides for name, index in side.items()}
        if set(signature_names) == set(names):  # else it is another graph's
            return signature_names
    return names
