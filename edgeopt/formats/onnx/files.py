"""Open, check, copy and write ONNX files; external data never leave the model's folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import (
    ExternalDataInfo,
    convert_model_to_external_data,
    load_external_data_for_tensor,
    uses_external_data,
    write_external_data_tensors,
)

from edgeopt.formats.onnx.sources import locations
from edgeopt.schema.errors import ModelError

INLINE_BYTES = 1_500_000_000  # protobuf ends at 2 GiB; larger weights go to a file of their own
SMALL_ELEMENTS = 4096  # tensors up to this size may steer shape inference
FOREIGN = {  # first bytes -> what people rename to .onnx
    b"PK\x03\x04": "a zip archive, such as PyTorch's",
    b"\x89HDF": "an HDF5 file, such as Keras's",
    b"\x80\x02": "a pickle",
    b"\x80\x04": "a pickle",
}


def read(path: Path, *, small_data: bool = False) -> ModelProto:
    """The model without its external data, or with the small tensors among them.

    Raises ModelError where the file is no ONNX model or external data leave the folder.
    """
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except (DecodeError, ValueError, OSError) as error:
        hint = _foreign(path) or f"The file is truncated or damaged ({error})."
        raise ModelError("no ONNX model", where=str(path), hint=hint) from error
    if not model.graph.node and not model.graph.output:
        raise ModelError("not an ONNX model: it has no graph", where=str(path), hint=_foreign(path))
    for tensor in tensors(model):
        if uses_external_data(tensor):
            confined(tensor, path)
            if small_data and elements(tensor) <= SMALL_ELEMENTS:
                load_external_data_for_tensor(tensor, str(path.parent))
    return model


def read_whole(path: Path) -> ModelProto:
    """The model with all external data in memory. Raises ModelError as ``read`` does."""
    model = read(path)
    for tensor in tensors(model):
        if uses_external_data(tensor):
            load_external_data_for_tensor(tensor, str(path.parent))
    return model


def check(path: Path, shown: Path) -> None:
    """Run ONNX's own checker on a file. Raises ModelError that names ``shown``."""
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:  # the checker raises ValidationError and bare RuntimeErrors
        text = str(error).strip()
        raise ModelError(f"ONNX's checker refuses the model: {text}", where=str(shown)) from error


def copy_model(path: Path, to: Path) -> None:
    """Copy a model and its external data, byte for byte. Raises ModelError."""
    known = locations(path)
    needed: dict[str, Path] = {}
    for tensor in tensors(read(path)):
        if uses_external_data(tensor):
            location = ExternalDataInfo(tensor).location
            if location not in known:
                raise ModelError(
                    f"external data of tensor '{tensor.name}' are recorded in an unusual form",
                    where=str(path),
                    hint="Load and save the model with the onnx package, then try again.",
                )
            needed[location] = confined(tensor, path)
    for location, source in needed.items():
        target = to.parent / location
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shutil.copyfile(path, to)


def write(model: ModelProto, path: Path) -> None:
    """Write a model with all weights in memory; equal models give equal bytes."""
    size = sum(len(tensor.raw_data) for tensor in tensors(model))
    if size > INLINE_BYTES:
        convert_model_to_external_data(model, location=f"{path.name}.data", size_threshold=1024)
        write_external_data_tensors(model, str(path.parent))
    path.write_bytes(model.SerializeToString(deterministic=True))


def confined(tensor: TensorProto, path: Path) -> Path:
    """The file with a tensor's external data.

    Raises ModelError, naming the tensor, where it lies outside the model's folder (by an
    absolute path, ``..`` or a link), is missing, is the model itself or is too short.
    """
    what = f"external data of tensor '{tensor.name}'"
    try:
        info = ExternalDataInfo(tensor)
    except ValueError as error:
        raise ModelError(f"{what}: {error}", where=str(path)) from error
    location = Path(info.location)
    file = path.parent / location
    inside = file.resolve().is_relative_to(path.parent.resolve())
    if location.is_absolute() or ".." in location.parts or not inside:
        raise ModelError(
            f"{what} are outside the model's folder: '{info.location}'",
            where=str(path),
            hint="Save the model with its external data beside it.",
        )
    if not file.is_file():
        raise ModelError(f"{what} are missing: no file '{info.location}'", where=str(path))
    if file.resolve() == path.resolve() or location.name == "model.onnx":
        raise ModelError(f"{what} are in '{info.location}', a model file", where=str(path))
    end = (info.offset or 0) + (info.length or 0)
    if end > file.stat().st_size:
        raise ModelError(
            f"{what} end at byte {end} of '{info.location}', which has {file.stat().st_size}",
            where=str(path),
            hint="The file is truncated or belongs to another model.",
        )
    return file


def elements(tensor: TensorProto) -> int:
    """Number of elements; 1 for a scalar."""
    count = 1
    for dim in tensor.dims:
        count *= dim
    return count


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: initializers and attributes, subgraphs and functions too."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            yield from _of_node(node)
    for function in model.functions:
        for node in function.node:
            yield from _of_node(node)
            for inner in graphs_of(node):
                yield from inner.initializer
                for nested in inner.node:
                    yield from _of_node(nested)


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and the subgraphs in its nodes (If, Loop, Scan), outermost first."""
    yield graph
    for node in graph.node:
        yield from graphs_of(node)


def graphs_of(node: NodeProto) -> Iterator[GraphProto]:
    """The subgraphs of a node and those in them, outermost first."""
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            if inner.node or inner.output:
                yield from graphs(inner)


def _of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            if sparse.HasField("values"):
                yield from (sparse.values, sparse.indices)


def _foreign(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if start[4:8] == b"TFL3":
        return "This is a TensorFlow Lite model."
    for magic, what in FOREIGN.items():
        if start.startswith(magic):
            return f"This is {what}."
    return ""
