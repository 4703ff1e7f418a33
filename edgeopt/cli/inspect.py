"""``edgeopt inspect``: what is in a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeopt.cli import lazy
from edgeopt.cli.commands import json_option, print_json

if TYPE_CHECKING:
    from edgeopt.schema.artifact import Inspection, Tensor


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@json_option("Print it as JSON.")
def command(model: Path, as_json: bool) -> int:
    """Show a MODEL's signature, parameters, MACs, operators, versions and quantization."""
    found = lazy.api.inspect(model)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found, str(model))
    return 0


def _show(found: Inspection, path: str) -> None:
    signature = found.description.signature
    facts = [
        ("format", found.format),
        ("facts", ", ".join(sorted(found.description.facts))),
        (
            "size",
            f"{lazy.measurement.figure(found.size_bytes, 'bytes')} ({found.size_bytes:,} bytes)",
        ),
        ("parameters", f"{found.parameters:,}"),
        ("MACs", f"{found.macs:,} a sample" if found.macs is not None else "shapes do not tell"),
    ]
    if found.opset:
        versions = (f"{domain or 'ai.onnx'} {version}" for domain, version in found.opset.items())
        facts.append(("opset", ", ".join(versions)))
    if found.ir_version is not None:
        facts.append(("IR version", str(found.ir_version)))
    facts += [("quantization", f"{name}: {value}") for name, value in found.quantization.items()]
    for told in found.conversions:
        facts.append(("converted", f"{told.sentence} ({told.by})"))
        facts += [("note", told.note)] if told.note else []
    facts += [("note", note) for note in found.notes]
    lazy.layout.show_line(path, "bold")
    lazy.layout.show_facts(facts)
    lazy.layout.show_line()
    rows = [("input", *_row(t)) for t in signature.inputs]
    rows += [("output", *_row(t)) for t in signature.outputs]
    lazy.layout.show_table(["", "tensor", "dtype", "shape", "layout", "quantized"], rows)
    lazy.layout.show_line()
    counted = sorted(found.operators.items(), key=lambda item: (-item[1], item[0]))
    lazy.layout.show_table(
        ["operator", "count"], [(name, str(n)) for name, n in counted], right="count"
    )


def _row(tensor: Tensor) -> tuple[str, ...]:
    quantized = (
        f"scale {tensor.scale:.6g}, zero point {tensor.zero_point}"
        if tensor.scale is not None
        else ""
    )
    shape = " x ".join(map(str, tensor.shape)) or "scalar"
    return tensor.name, tensor.dtype, shape, tensor.layout, quantized
