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
    inspection = lazy.api.inspect(model)
    if as_json:
        print_json(inspection.to_json())
    else:
        _show(inspection, str(model))
    return 0


def _show(inspection: Inspection, path: str) -> None:
    signature, size = inspection.description.signature, inspection.size_bytes
    facts = [
        ("format", inspection.format),
        ("facts", ", ".join(sorted(inspection.description.facts))),
        ("size", f"{lazy.measurement.figure(size, 'bytes')} ({size:,} bytes)"),
        ("parameters", f"{inspection.parameters:,}"),
        (
            "MACs",
            f"{inspection.macs:,} per sample"
            if inspection.macs is not None
            else "unknown: shapes are missing",
        ),
    ]
    if inspection.opset:
        versions = (
            f"{domain or 'ai.onnx'} {version}" for domain, version in inspection.opset.items()
        )
        facts.append(("opset", ", ".join(versions)))
    if inspection.ir_version is not None:
        facts.append(("IR version", str(inspection.ir_version)))
    facts += [
        ("quantization", f"{name}: {value}") for name, value in inspection.quantization.items()
    ]
    for conversion in inspection.conversions:
        facts.append(("converted", f"{conversion.sentence} ({conversion.by})"))
        if conversion.islands_sentence:
            facts.append(("", conversion.islands_sentence))
        facts += [("note", conversion.note)] if conversion.note else []
    facts += [("note", note) for note in inspection.notes]
    lazy.layout.show_line(path, "bold")
    lazy.layout.show_facts(facts)
    lazy.layout.show_line()
    rows = [("input", *_row(t)) for t in signature.inputs]
    rows += [("output", *_row(t)) for t in signature.outputs]
    lazy.layout.show_table(["", "tensor", "dtype", "shape", "layout", "quantized"], rows)
    lazy.layout.show_line()
    counted = sorted(inspection.operators.items(), key=lambda item: (-item[1], item[0]))
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
