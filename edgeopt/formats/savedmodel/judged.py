"""What a SavedModel's graph would do, read from its bytes before TensorFlow loads it.

Loading restores variables and runs initializers, so the whole graph is judged, not the signature
alone. Operators that save and restore variables are TensorFlow's own and stand in functions of
that name, or below ``save/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from edgeopt.agent.errors import one_line
from edgeopt.schema.errors import ModelError

SAVING = re.compile(r"(^|/)(save|save_\d+|RestoreV2|SaveV2|MergeV2Checkpoints)(/|$|_)")
SAVING_FUNCTIONS = re.compile(r"(traced_save|traced_restore|_save_fn|_restore_fn)")
OF_SAVING = frozenset(
    {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "SaveSlices"}
)
# operators that read, write or run what is outside of the graph
OUTSIDE = re.compile(
    r"""^(
    ReadFile|WriteFile|MatchingFiles|Save|Save(V2|Slices)|Restore|Restore(V2|Slice)
    |MergeV2Checkpoints|.*Reader(V2)?|ReaderRead.*|InitializeTableFromTextFile(V2)?
    |(Eager)?PyFunc(Stateless)?|.*Dataset(V\d)?|ImmutableConst|LoadLibrary.*|.*Summary.*
    |Rpc.*|.*RemoteCall.*|CopyHost|Print(V2)?|OutfeedEnqueue.*|InfeedDequeue.*|TPU.*
    |_Send|_Recv|Collective.*|CompositeTensorVariant.*|Debug.*|DeleteFile.*
    )$""",
    re.VERBOSE,
)
TEXT = 7  # DT_STRING


def read(path: Path) -> Any:
    """The ``SavedModel`` message of a file. Raises ModelError for a damaged one."""
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"the file is damaged: {error}", where=str(path)) from error
    if not message.meta_graphs:
        raise ModelError("the file is damaged or empty: it holds no graph", where=str(path))
    return message.meta_graphs[0]


def check_variables(folder: Path) -> None:
    """Read every variable once. Raises ModelError that names the file of a damaged one."""
    prefix, shards = folder / "variables" / "variables", sorted(folder.glob("variables/*.data-*"))
    if not shards:
        return  # a model without variables
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # IndexError, ValueError and TensorFlow's own
        where = (
            str(shards[0]) if (folder / "variables" / "variables.index").is_file() else str(prefix)
        )
        raise ModelError(f"the variables are damaged: {one_line(error)}", where=where) from error


def signature_of(graph: Any, asked: str | None, where: str) -> str:
    """The signature to take: the one asked for, the only one, or ``serving_default``.

    Raises ModelError that lists them where none or several would do.
    """
    names = [str(name) for name in graph.signature_def if not name.startswith("__")]
    listed = ", ".join(sorted(names)) or "none"
    if asked is not None:
        if asked not in names:
            raise ModelError(f"no signature '{asked}'; it has: {listed}", where=where)
        return asked
    if len(names) == 1:
        return names[0]
    alike = [n for n in names if _sides(graph.signature_def[n]) == _sides(
        graph.signature_def["serving_default"])] if "serving_default" in names else []  # fmt: skip
    if names and len(alike) == len(names):  # Keras writes one under two names
        return "serving_default"
    what = "the model has several signatures" if names else "the model has no signature"
    raise ModelError(
        f"{what}: {listed}", where=where,
        hint="Say which: model.signature." if names else "Save it with signatures=.",
    )  # fmt: skip


def judge(graph: Any, signature: str, where: str) -> None:
    """Raise ModelError, naming the operator, for what reaches outside or takes strings."""
    for node, function in _nodes(graph):
        if node.op in OF_SAVING and _saves(node, function):
            continue
        if OUTSIDE.match(node.op):
            at = f" of the function '{function}'" if function else ""
            raise ModelError(
                f"'{node.name}'{at} is a {node.op}: it reads, writes or runs what is outside the "
                "model, which edgeopt does not do",
                where=where,
                hint="Leave it out of what is exported, and do that work before the model.",
            )
    chosen = graph.signature_def[signature]
    for side, tensors in (("input", chosen.inputs), ("output", chosen.outputs)):
        for name, tensor in tensors.items():
            if tensor.dtype == TEXT:
                raise ModelError(
                    f"{side} '{name}' is text", where=where,
                    hint="Export the part behind the text's encoding, which takes numbers.",
                )  # fmt: skip


def _saves(node: Any, function: str) -> bool:
    return bool(SAVING_FUNCTIONS.search(function) if function else SAVING.search(node.name))


def _nodes(graph: Any) -> Iterator[tuple[Any, str]]:
    """Each node, with the name of the function that it stands in."""
    for node in graph.graph_def.node:
        yield node, ""
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            yield node, function.signature.name


def _sides(signature: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(sorted(signature.inputs)), tuple(sorted(signature.outputs))
