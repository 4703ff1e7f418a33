"""Open, check and write TFLite files: LiteRT's own verifier comes before all else."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeopt.schema.errors import ModelError
from edgeopt.schema.runtime import runtime_named

IDENTIFIER = b"TFL3"  # bytes 4 to 8 of the file
FOREIGN = {  # first bytes -> what people rename to .tflite
    b"PK\x03\x04": "This is a zip archive, such as PyTorch's or a bundle with a model inside.",
    b"\x89HDF": "This is an HDF5 file, such as Keras's.",
    b"\x08": "This may be an ONNX model.",
}


def schema() -> Any:
    """The generated classes of the flatbuffer's schema. Raises ModelError without LiteRT."""
    return _litert("schema_py_generated")


def interpreter(path: Path) -> Any:
    """LiteRT's interpreter of a file, verified but not allocated, without XNNPACK.

    Raises ModelError where the file is no TFLite model or is damaged.
    """
    litert = _litert("interpreter")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(error.strerror or str(error), where=str(path)) from None
    if content[4:8] != IDENTIFIER:
        hint = next((advice for magic, advice in FOREIGN.items() if content.startswith(magic)), "")
        raise ModelError("no TFLite model", where=str(path), hint=hint)
    try:
        return litert.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"LiteRT refuses the model: {_first_line(error)}",
            where=str(path),
            hint="The file is truncated, damaged, or newer than this version of LiteRT.",
        ) from error


def read(path: Path) -> Any:
    """The graph as the schema's objects (``ModelT``), verified. Raises ModelError."""
    interpreter(path)
    return unpack(path.read_bytes(), str(path))


def unpack(content: bytes, where: str) -> Any:
    """A ``ModelT`` of a file's bytes. Raises ModelError where they do not hold together."""
    try:
        return schema().ModelT.InitFromPackedBuf(content, 0)
    except ModelError:
        raise
    except Exception as error:  # struct.error, IndexError and more: the reader trusts all offsets
        raise ModelError(f"the model is damaged: {error}", where=where) from error


def pack(model: Any) -> bytes:
    """The file's bytes of a ``ModelT``."""
    import flatbuffers  # of an extra

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def check(path: Path) -> None:
    """Raise ModelError unless LiteRT has a kernel for every operator and can plan the graph."""
    interp = interpreter(path)
    custom = sorted(custom_operators(unpack(path.read_bytes(), str(path))))
    if custom:
        raise ModelError(
            f"custom operator{'s' if len(custom) > 1 else ''} {', '.join(custom)}: the code is "
            "not in the file and LiteRT has none",
            where=str(path),
            hint="Export the model without custom operators (for MediaPipe models: the network "
            "without its post-processing).",
        )
    try:
        interp.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"LiteRT cannot plan the model: {_first_line(error)}", where=str(path)
        ) from error


def custom_operators(model: Any) -> set[str]:
    """Names of the operators that the schema does not know."""
    codes = model.operatorCodes or []
    used = {op.opcodeIndex for graph in model.subgraphs or [] for op in graph.operators or []}
    return {
        text(code.customCode) or "without a name"
        for index, code in enumerate(codes)
        if index in used and builtin(code) == schema().BuiltinOperator.CUSTOM
    }


def builtin(code: Any) -> int:
    """An operator's number: old files keep it in a byte, where 127 says to look further."""
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def operators(model: Any) -> Iterator[tuple[str, Any]]:
    """(name, operator) over the main graph's operators, in order."""
    names = {
        number: name
        for name, number in vars(schema().BuiltinOperator).items()
        if isinstance(number, int)
    }
    for op in model.subgraphs[0].operators or []:
        code = model.operatorCodes[op.opcodeIndex]
        yield names.get(builtin(code), f"operator {builtin(code)}"), op


def constant(model: Any, tensor: Any) -> bool:
    """Whether the file holds a tensor's values."""
    buffer = model.buffers[tensor.buffer]
    return (buffer.data is not None and len(buffer.data) > 0) or bool(buffer.size)


def text(raw: Any) -> str:
    """A name as the schema's reader gives it."""
    return raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else str(raw or "")


def _litert(name: str) -> Any:
    try:
        return importlib.import_module(f"ai_edge_litert.{name}")
    except ImportError as error:
        install = runtime_named("litert").install
        raise ModelError(f"TFLite models need LiteRT: {error}", hint=install) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def modern(content: bytes, where: str) -> bytes:
    """The same model with operator codes where today's tools look for them.

    Files from before 2020 have them in the 8-bit field alone; the wider one then says ADD.
    """
    model = unpack(content, where)
    old = [code for code in model.operatorCodes or [] if code.builtinCode != builtin(code)]
    for code in old:
        code.builtinCode = builtin(code)
    return pack(model) if old else content
