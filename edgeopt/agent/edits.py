"""Surgery on a torch module, kept as records and replayed after its factory built it.

A record is JSON: ``{"edit": KIND, ...}``. It comes with the model and is data, never code: a
kind names one of the functions here, a path one of the module's own submodules, and what is
set are numbers where numbers stood.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import torch

from .errors import AgentError, one_line
from .narrow_attention import NarrowAttention

NEWER = "It may come from a newer edgeopt, or be damaged."
Shared = Dict[Tuple[int, str], Any]  # a parameter that two modules share is cut once


def replay(module: Any, records: Sequence[Any], where: str = "edits.json") -> None:
    """Do the edits to the module, in their order, in place.

    Raises AgentError (kind ``ModelError``) that names the record by its number from 0.
    """
    for number, record in enumerate(records):
        place = "{}, record {}".format(where, number)
        kind = record.get("edit") if isinstance(record, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise _refused("unknown edit: {!r} (known: {})".format(kind, known), place)
        KINDS[kind](module, record, place)


def prune(module: Any, record: Mapping[str, Any], place: str) -> None:
    """Keep some rows of tensors and say so in the modules' own numbers.

    ``modules``: ``{path: {"keep": {tensor: {axis: [indices]}}, "set": {attribute: number}}}``.
    Indices ascend. An attribute may be a list of numbers, where it is a tuple.
    """
    shared: Shared = {}
    for path, submodule, said in _modules(module, record, place):
        here = "{} ({})".format(place, path)
        for tensor, axes in _entries(said.get("keep", {}), "keep", here):
            for axis, indices in _entries(axes, tensor, here):
                _keep(submodule, tensor, axis, indices, shared, here)
        for attribute, value in _entries(said.get("set", {}), "set", here):
            _set(submodule, attribute, value, here)


def narrow_attention(module: Any, record: Mapping[str, Any], place: str) -> None:
    """Let ``nn.MultiheadAttention`` modules have fewer heads than their width asks for.

    ``modules``: ``{path: {}}``. Weights stay as they are.
    """
    for path, submodule, _ in _modules(module, record, place):
        if type(submodule) is not torch.nn.MultiheadAttention or not submodule._qkv_same_embed_dim:
            raise _refused("'{}' is not a plain nn.MultiheadAttention".format(path), place)
        NarrowAttention.take(submodule)
    for each in module.modules():
        narrow = any(isinstance(inner, NarrowAttention) for inner in each.modules())
        if isinstance(each, torch.nn.TransformerEncoder) and narrow:
            each.use_nested_tensor = False  # it would pack padded samples for its own kernels


def fake_quantize(module: Any, record: Mapping[str, Any], place: str) -> None:
    """Turn the module into its graph with quantized weights and tensors (``fakequant.py``).

    ``inputs``: ``{name: {"shape": [...], "dtype": name}}``; ``float``: layers left as they are.
    """
    from . import fakequant  # an older torch lacks what it names

    for name, said in _entries(record.get("inputs"), "inputs", place):
        if not isinstance(said, dict) or not {"shape", "dtype"} <= set(said):
            raise _refused("the input '{}' has no shape and dtype".format(name), place)
    if not isinstance(record.get("float"), list):
        raise _refused("'float' is not a list", place)
    try:
        quantized = fakequant.quantized_form(module, record)
    except Exception as error:  # torch.export raises what it meets
        what = "torch cannot trace the module: {}".format(one_line(error))
        raise _refused(what, place) from error
    vars(module).clear()
    module.__class__ = quantized.__class__
    vars(module).update(vars(quantized))


KINDS: Dict[str, Callable[[Any, Mapping[str, Any], str], None]] = {
    "fake-quantize": fake_quantize,
    "narrow-attention": narrow_attention,
    "prune": prune,
}


def _modules(
    module: Any, record: Mapping[str, Any], place: str
) -> List[Tuple[str, Any, Mapping[str, Any]]]:
    """(path, submodule, what is said of it) of a record's ``modules``."""
    there = dict(module.named_modules(remove_duplicate=False))
    submodules: List[Tuple[str, Any, Mapping[str, Any]]] = []
    for path, said in _entries(record.get("modules"), "modules", place):
        if path not in there:
            raise _refused("the module has no submodule '{}'".format(path), place)
        if not isinstance(said, dict):
            raise _refused("'{}' is not a mapping".format(path), place)
        submodules.append((path, there[path], said))
    return submodules


def _keep(
    module: Any, name: str, axis: str, indices: Any, shared: Shared, place: str
) -> None:  # fmt: skip
    """Put the rows ``indices`` along ``axis`` in the place of a parameter or buffer."""
    holder = next((h for h in (module._parameters, module._buffers) if name in h), None)
    old = holder[name] if holder is not None else None
    if holder is None or old is None:
        raise _refused("no tensor '{}'".format(name), place)
    if axis not in [str(n) for n in range(old.dim())]:
        raise _refused("'{}' has no axis {!r}".format(name, axis), place)
    size = old.shape[int(axis)]
    whole = isinstance(indices, list) and all(type(i) is int for i in indices)
    if not whole or not indices or indices != sorted(set(indices)):
        raise _refused("indices of '{}' must be ascending numbers".format(name), place)
    if indices[0] < 0 or indices[-1] >= size:
        raise _refused(
            "index {} of '{}' is out of range: axis {} has {}".format(
                indices[-1] if indices[-1] >= size else indices[0], name, axis, size
            ),
            place,
        )
    key = (id(old), "{} {}".format(axis, indices))
    if key not in shared:
        with torch.no_grad():
            kept = old.detach().index_select(int(axis), torch.tensor(indices, device=old.device))
        if isinstance(old, torch.nn.Parameter):
            kept = torch.nn.Parameter(kept, requires_grad=old.requires_grad)
        shared[key] = (kept, old)  # the old one lives as long as its id is a key
    holder[name] = shared[key][0]


def _set(module: Any, name: str, value: Any, place: str) -> None:
    """Change a number, or a tuple of numbers, that the module has as an attribute."""
    old = vars(module).get(name)
    if type(old) is int and type(value) is int and value >= 0:
        setattr(module, name, value)
    elif _numbers(old, tuple) and _numbers(value, list) and len(old) == len(value):
        setattr(module, name, tuple(value))
    else:
        raise _refused("'{}' cannot become {!r}".format(name, value), place)


def _numbers(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and all(type(n) is int for n in value)  # type: ignore[attr-defined]


def _entries(said: Any, what: str, place: str) -> List[Tuple[str, Any]]:
    if not isinstance(said, dict):
        raise _refused("{} is not a mapping".format(what), place)
    return list(said.items())


def _refused(what: str, place: str) -> AgentError:
    return AgentError("ModelError", what, place, NEWER)
