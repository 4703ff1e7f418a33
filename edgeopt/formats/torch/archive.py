"""Exported programs (``.pt2``) from strangers: checked and copied without what could run code.

``torch.export.load`` unpickles members of the archive, evaluates symbolic expressions as
Python, calls whatever function of torch the graph names, and executes the guards that the
file brings. So each of these is looked at first; what is not needed is left out of the copy.
Layout of the archive: ``torch/export/pt2_archive/constants.py`` of PyTorch 2.8 and later.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from edgeopt.formats.torch.symbolic import is_arithmetic
from edgeopt.schema.errors import ModelError

MODEL = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
LEGACY = ("data/weights/model.pt", "data/constants/model.pt")  # state dicts, pickled
PLAIN = (
    "archive_format",
    "archive_version",
    "byteorder",
    ".data/version",
    ".data/serialization_id",
)
KEPT = re.compile(r"data/(weights/weight_[0-9]+|constants/tensor_[0-9]+)")
WORD = re.compile(r"[A-Za-z0-9_.+<=-]*")
OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed)\.[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|torch\.sym_[a-z_]+|math\.(ceil|floor|trunc|sqrt|log2)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
)
FILES = re.compile(r"torch\.ops\.aten\.(from_file|_print)(\..*)?")  # operators that reach outside
TREES = {
    None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict",
    "collections.namedtuple",
}  # fmt: skip
EPOCH = (1980, 1, 1, 0, 0, 0)
MEMBER_BYTES = 1 << 33
AGAIN = "Save it again by torch.export.save of PyTorch 2.8 or later."
CODE = "holds pickled Python objects, not tensors alone; loading them would run their code"


def copy_program(path: Path, to: Path) -> None:
    """Write a checked copy of a ``.pt2`` file; equal programs give equal bytes.

    Raises ModelError, naming file and member, for an archive that is damaged, of another
    layout, or that could run code when loaded.
    """
    members = _members(path)
    document = _json(members[MODEL], path, MODEL)
    members[MODEL] = _dumped(_program(document, path))
    for name in CONFIGS:
        if name in members:
            config = _json(members[name], path, name)
            _checked(config, path, name)
            _check_payloads(config, members, path, name)
    for name in (SAMPLES, *LEGACY):
        if name in members:
            _only_tensors(members[name], path, name)
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(f"program/{name}", EPOCH), members[name])


def _members(path: Path) -> dict[str, bytes]:
    """The members that a program is made of, without the archive's top folder."""
    known = {*PLAIN, MODEL, SAMPLES, *CONFIGS, *LEGACY}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            top = names[0].partition("/")[0] + "/" if names else ""
            inner = {name.removeprefix(top): name for name in names if name.startswith(top)}
            _check_layout(set(inner), path)
            wanted = {n: full for n, full in inner.items() if n in known or KEPT.fullmatch(n)}
            if sum(archive.getinfo(full).file_size for full in wanted.values()) > MEMBER_BYTES:
                raise ModelError(f"claims more than {MEMBER_BYTES:,} bytes", where=str(path))
            return {name: archive.read(full) for name, full in wanted.items()}
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise ModelError(
            f"not a sound .pt2 archive: {error}",
            where=str(path),
            hint="It may be truncated, or of another format.",
        ) from None


def _check_layout(names: set[str], path: Path) -> None:
    if {"constants.pkl", "data.pkl"} & names and any(n.startswith("code/") for n in names):
        raise ModelError(
            "a TorchScript archive: it is code, which edgeopt does not run",
            where=str(path),
            hint="Give the nn.Module's factory and weights, or export it by torch.export.",
        )
    if "data.pkl" in names:
        raise ModelError(
            "a pickled checkpoint, not an exported program",
            where=str(path),
            hint="Give the nn.Module's factory, and this file as its weights.",
        )
    if any(name.startswith("data/aotinductor/") for name in names):
        raise ModelError("holds compiled native code", where=str(path), hint=AGAIN)
    programs = [name for name in names if name.startswith("models/")]
    if "archive_format" not in names or programs != [MODEL] or len(set(CONFIGS) & names) < 1:
        raise ModelError("not an exported program of a known layout", where=str(path), hint=AGAIN)
    strange = [n for n in names if n.startswith("data/constants/") and not KEPT.fullmatch(n)]
    if strange := [n for n in strange if n not in (*CONFIGS, *LEGACY)]:
        raise ModelError(
            f"{strange[0]} is an object of a class, not a tensor", where=str(path), hint=AGAIN
        )


def _program(document: Any, path: Path) -> Any:
    """The document without guards, traces and inner calls; every word of it checked."""
    if not isinstance(document, dict) or "graph_module" not in document:
        raise ModelError(f"{MODEL} describes no program", where=str(path))
    module = document["graph_module"]
    calls = module.get("module_call_graph", []) if isinstance(module, dict) else []
    document = {
        **document,
        "guards_code": [],
        "graph_module": {
            **module,
            "module_call_graph": [_with_plain_outputs(c) for c in calls if c.get("fqn") == ""],
        },
    }
    return _checked(_without_metadata(document), path, MODEL)


def _with_plain_outputs(call: Any) -> Any:
    """A call whose outputs of a class of its own, as libraries register them, are a dict instead.

    Such a class (``transformers``' ``ModelOutput``) is written as its name, the keys of what it
    holds, and that: all but its name is what a dict is written as.
    """
    signature = call.get("signature")
    text = signature.get("out_spec") if isinstance(signature, dict) else None
    try:
        tree = json.loads(text) if isinstance(text, str) and text else None
    except ValueError:
        return call  # refused by name when it is checked
    if tree is None:
        return call
    return {**call, "signature": {**signature, "out_spec": json.dumps(_plain_tree(tree))}}


def _plain_tree(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain_tree(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _plain_tree(value) for key, value in node.items()}
    if node.get("type") in TREES or not isinstance(node.get("context"), str):
        return node
    try:
        keys = json.loads(node["context"])
    except ValueError:
        return node
    children = node.get("children_spec")
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not named or not isinstance(children, list) or len(children) != len(keys):
        return node
    return {**node, "type": "builtins.dict"}


def _without_metadata(node: Any) -> Any:
    """Stack traces and paths change the digest and say nothing to a runtime."""
    if isinstance(node, dict):
        return {
            key: {} if key == "metadata" else _without_metadata(value)
            for key, value in node.items()
        }
    return [_without_metadata(each) for each in node] if isinstance(node, list) else node


def _checked(node: Any, path: Path, member: str, key: str = "") -> Any:
    """The node itself. Raises ModelError for a word that could be code."""
    if isinstance(node, dict):
        for name, value in node.items():
            _check_word(name, path, member)
            _checked(value, path, member, name)
    elif isinstance(node, list):
        for value in node:
            _checked(value, path, member, key)
    elif isinstance(node, str):
        _check_text(key, node, path, member)
    return node


def _check_text(key: str, text: str, path: Path, member: str) -> None:
    if key in ("as_string", "as_strings"):
        return
    if key in ("in_spec", "out_spec", "context"):
        tree = _json(text.encode(), path, member) if text else None
        _checked(tree, path, member, "tree")
    elif key == "expr_str":
        _check_expression(text, path, member)
    elif key in ("target", "as_operator"):
        if not OPERATORS.fullmatch(text) or FILES.fullmatch(text):
            raise ModelError(f"the graph calls '{text}'", where=str(path), hint=UNKNOWN)
    elif key == "type" and member == MODEL and "." in text and text not in TREES:
        raise ModelError(f"inputs or outputs are a '{text}'", where=str(path), hint=UNKNOWN)
    else:
        _check_word(text, path, member)


UNKNOWN = "Only operators of ATen and plain Python arithmetic, containers and tensors are read."


def _check_word(text: str, path: Path, member: str) -> None:
    if not WORD.fullmatch(text):
        raise ModelError(f"{member} has a name that could be code: {text[:60]!r}", where=str(path))


def _check_expression(text: str, path: Path, member: str) -> None:
    """Sizes are arithmetic over symbols, within bounds: nothing else is evaluated."""
    if not is_arithmetic(text):
        raise ModelError(
            f"{member} has a size that is not arithmetic: {text[:60]!r}", where=str(path)
        )


def _check_payloads(config: Any, members: dict[str, bytes], path: Path, name: str) -> None:
    folder = name.rpartition("/")[0]
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict):
        raise ModelError(f"{name} is malformed", where=str(path))
    for said in entries.values():
        place = f"{folder}/{said.get('path_name')}"
        if place not in members or not KEPT.fullmatch(place):
            raise ModelError(f"{name} names '{place}', which is not there", where=str(path))
        if said.get("use_pickle"):
            _only_tensors(members[place], path, place)


def _only_tensors(content: bytes, path: Path, member: str) -> None:
    """Raise ModelError unless a pickled member can be read without running any code."""
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # UnpicklingError, or any of a damaged archive
        raise ModelError(f"{member} {CODE}", where=str(path), hint=AGAIN) from error


def _json(content: bytes, path: Path, member: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{member} is damaged: {error}", where=str(path)) from None


def _dumped(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
