"""What is behind an error of torch's exporters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MOST_NAMED = 3  # layers that one line of code belongs to


def root_cause(error: BaseException) -> BaseException:
    """The error that all others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def batch_hint(cause: BaseException) -> str:
    """What to do where ``forward`` fixes the batch; nothing where something else is wrong."""
    if "batch" in str(cause) and "constrain" in str(cause).lower():
        return "forward() fixes the batch: write x.shape[0] rather than len(x) or a number."
    return ""


def layer_of(error: BaseException, module: Any, prefix: str = "") -> str:
    """``'encoder.stft' (aten.stft)``: the layer and operator at which an exporter failed.

    As the graph that was walked knows them, or else the innermost layer of ``module`` that ran;
    empty where neither tells. ``prefix`` is taken off the layer's path.
    """
    paths = {id(layer): path for path, layer in module.named_modules()}
    found, path = None, ""
    each: BaseException | None = error
    while each is not None:
        step = each.__traceback__
        while step is not None:
            seen = step.tb_frame.f_locals
            path = paths.get(id(seen.get("self")), path)
            for held in (seen.get("node"), seen.get("n")):
                if type(held).__name__ == "Node" and getattr(held, "op", "") == "call_function":
                    found = held
            step = step.tb_next
        each = each.__cause__
    if found is not None:
        return told(found, prefix)
    path = path.removeprefix(prefix)
    return f"'{path}'" if path and f"{path}." != prefix else ""


def told(node: Any, prefix: str = "") -> str:
    """A node of an exported graph as its layer's path and its operator."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    path = (stack[-1] if stack else "").removeprefix(prefix)
    operator = ".".join(_operator(node).split(".")[:2])
    return f"'{path}' ({operator})" if path else operator


def _operator(node: Any) -> str:
    """The operator that a node was made of, before decompositions."""
    operator, history = str(node.target), node.meta.get("from_node") or []
    while history:
        source = history[0]
        target = str(getattr(source, "target", "")).removeprefix("torch.ops.")
        if target.startswith("aten."):
            operator = target
        history = getattr(source, "from_node", None) or []
    return operator.removeprefix("torch.ops.")


def named_line(cause: BaseException, nodes: Iterable[Any], prefix: str = "") -> str:
    """Layers and operators of the line of code that a compiler's message starts with.

    ``nodes`` are those of the exported graph. Empty where the message names no such line, or one
    that more than a few layers belong to.
    """
    place = re.search(r"(\S+\.py):(\d+):\d+: error", str(cause))
    if place is None:
        return ""
    line = f'File "{place[1]}", line {place[2]},'
    found = dict.fromkeys(
        told(node, prefix)
        for node in nodes
        if node.op == "call_function" and line in _last(node.meta.get("stack_trace") or "")
    )
    return ", ".join(found) if len(found) <= MOST_NAMED else ""


def _last(trace: str) -> str:
    lines = [line for line in trace.splitlines() if line.strip().startswith("File ")]
    return lines[-1] if lines else ""
