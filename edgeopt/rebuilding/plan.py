"""What a network is made of, as ``network`` builds it: nodes, layouts, weights.

Frameworks that keep channels last meet torch, which wants them on axis 1 for convolutions. A value
knows how it lies; axes are exchanged where a node needs it otherwise, and nowhere else.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from edgeopt.schema.errors import PassError

Array = np.ndarray[Any, Any]
Size = int | None  # None: the batch, or a free size
FACTORY = "network.py:network"
INSTEAD = "Leave the passes that train out, or give the network as a torch factory."  # a hint
NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Value:
    """A tensor of the network: its shape as the source says it, and how it lies here.

    ``first``: channels are on axis 1 here and on the last axis in the source. ``rows``: (h, w, c)
    of what was flattened here with channels first; a layer that follows has its weights in that
    order.
    """

    name: str
    shape: tuple[Size, ...]
    first: bool = False
    rows: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        """Number of axes, the batch among them."""
        return len(self.shape)

    def axis(self, axis: int) -> int:
        """Where an axis of the source lies here."""
        at = axis % self.rank
        if not self.first or at == 0:
            return at
        return 1 if at == self.rank - 1 else at + 1


@dataclass
class Plan:
    """Nodes in the order in which they run, and the weights of layers by name."""

    inputs: list[str] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _count: int = 0

    # -- values

    def input(self, name: str, shape: Sequence[Size], first: bool) -> Value:
        """An input; ``first`` where it comes with channels on axis 1. Raises PassError."""
        if not NAME.fullmatch(name):
            raise PassError(
                f"the input '{name}' cannot be a parameter of a torch module",
                hint="Give it a name of letters, digits and underscores.",
            )
        self.inputs.append(name)
        return Value(name, tuple(shape), first)

    def output(self, name: str, value: Value) -> None:
        """Call a value an output of the network, as the source shapes it."""
        self.outputs[name] = self.last(value).name

    def layer(
        self,
        name: str,
        kind: str,
        taken: Value,
        shape: Sequence[Size],
        given: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
    ) -> Value:
        """A module's value. A name that comes again is the same module, with its weights."""
        called = _word(name)
        self.weights |= {f"{called}.{part}": np.array(array, order="C")
                         for part, array in (weights or {}).items()}  # fmt: skip
        made = {"op": "layer", "layer": called, "kind": kind, "with": dict(given or {})}
        return self._made(made, [taken], shape)

    def function(
        self,
        kind: str,
        taken: Sequence[Value],
        shape: Sequence[Size],
        given: Mapping[str, Any] | None = None,
    ) -> Value:
        """The value of a function of ``network.FUNCTIONS``."""
        return self._made({"op": "function", "kind": kind, "with": dict(given or {})}, taken, shape)

    def constant(self, name: str, array: Array, shape: Sequence[Size]) -> Value:
        """A constant as a value of its own."""
        called = _word(name)
        self.weights[f"{called}.value"] = np.array(array, order="C")
        given = {"shape": list(array.shape), "dtype": str(array.dtype)}
        made = {"op": "layer", "layer": called, "kind": "Constant", "with": given}
        return self._made(made, [], shape)

    # -- how values lie

    def channels_first(self, value: Value) -> Value:
        """With channels on axis 1; the same for two axes, where they are there already."""
        if value.first or value.rank < 3:
            return value
        order = [0, value.rank - 1, *range(1, value.rank - 1)]
        moved = self.function("permute", [value], value.shape, {"dims": order})
        return replace(moved, first=True)

    def last(self, value: Value) -> Value:
        """As the source has it. Raises PassError for what was flattened in another order."""
        if value.rows:
            h_w_c = value.rows
            unflat = [h_w_c[-1], *h_w_c[:-1]]
            shape = (value.shape[0], *h_w_c)
            whole = self.function("reshape", [replace(value, rows=())], shape, {"shape": unflat})
            moved = self.last(replace(whole, first=True))
            return self.function("flatten", [moved], value.shape, {"start_dim": 1})
        if not value.first:
            return value
        order = [0, *range(2, value.rank), 1]
        moved = self.function("permute", [value], value.shape, {"dims": order})
        return replace(moved, first=False)

    def alike(self, values: Sequence[Value]) -> list[Value]:
        """All as the first of the highest rank lies."""
        rank = max(value.rank for value in values)
        lead = next(value for value in values if value.rank == rank)
        if lead.first and any(value.rank not in (rank, 0) for value in values):
            return [self.last(value) for value in values]  # axes are counted from the end
        if any(value.rows != lead.rows for value in values):
            return [self.last(value) for value in values]
        return [self.channels_first(v) if lead.first else self.last(v) if not lead.rows else v
                for v in values]  # fmt: skip

    def keeping(self, taken: Value, made: Value) -> Value:
        """``made``, which lies as ``taken`` does."""
        return replace(made, first=taken.first, rows=taken.rows)

    # -- files

    def write(self, folder: Path, inputs: Mapping[str, Mapping[str, Any]]) -> Path:
        """The artifact's folder of the torch format. ``inputs`` are its record's."""
        code = folder / "code"
        code.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("network.py"), code / "network.py")
        said = {"inputs": self.inputs, "nodes": self.nodes, "outputs": self.outputs}
        (code / "network.json").write_text(json.dumps(said, indent=1) + "\n")
        record = {"factory": FACTORY, "inputs": inputs, "outputs": list(self.outputs)}
        (folder / "model.json").write_text(json.dumps(record, indent=1) + "\n")
        save_file(dict(self.weights), folder / "weights.safetensors")
        return folder

    def _made(self, node: dict[str, Any], taken: Sequence[Value], shape: Sequence[Size]) -> Value:
        self._count += 1
        name = f"v{self._count}"
        self.nodes.append({"name": name, **node, "from": [value.name for value in taken]})
        return Value(name, tuple(shape))


def _word(name: str) -> str:
    """A module's name: dots and slashes would be paths."""
    word = re.sub(r"\W", "_", name)
    return word if NAME.fullmatch(word) else f"layer_{word}"


def same_padding(size: Size, kernel: int, stride: int, dilation: int, what: str) -> tuple[int, int]:
    """What TensorFlow adds before and after for padding ``same``. Raises PassError for a stride
    over a free size, where it depends on the size."""
    reach = (kernel - 1) * dilation + 1
    if stride == 1:
        total = reach - 1
    elif size is None:
        raise PassError(f"{what}: padding 'same' with a stride needs a fixed size")
    else:
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2
