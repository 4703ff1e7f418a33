"""From the operators that a file holds, or a runtime executes, to a Conversion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgeopt.agent.errors import one_line
from edgeopt.schema.artifact import Description
from edgeopt.schema.conversion import BY_FILE, Conversion, Island
from edgeopt.schema.errors import ModelError

Form = Literal["int8", "int4", "float16"]
INT8, INT4, HALF, FLOAT, OTHER = "int8", "int4", "float16", "float32", ""
HYBRID = "narrow weights"  # beside float activations
CODES = (INT8, INT4)
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "FakeQuantize")
BITS = {  # numpy's and OpenVINO's names of types -> what arithmetic on them is
    **dict.fromkeys(("int8", "uint8", "i8", "u8"), INT8),
    **dict.fromkeys(("int4", "uint4", "i4", "u4"), INT4),
    **dict.fromkeys(("float16", "bfloat16", "f16", "bf16"), HALF),
    **dict.fromkeys(("float32", "float64", "f32", "f64", "float", "double"), FLOAT),
}


@dataclass(frozen=True)
class Step:
    """One operator: what it computes in, its multiply-accumulates and its time; None: not known.

    ``id`` names it among the steps, and ``after`` those whose outputs it reads.
    """

    op: str
    precision: str
    macs: int | None = 0
    seconds: float | None = None
    id: str = ""
    after: tuple[str, ...] = ()


def form_of(description: Description) -> Form | None:
    """What a model was converted to; None for a float32 one."""
    if "int4" in description.facts:
        return "int4"
    if description.quantized:
        return "int8"
    return "float16" if "float16" in description.facts else None


def hybrid(data: str, weights: str) -> str:
    """Precision of an operator by the types of its data and of its weights."""
    precision, held = BITS.get(data, OTHER), BITS.get(weights, OTHER)
    return HYBRID if held in CODES and precision in (FLOAT, HALF) else precision


def summed(
    form: Form,
    weights: Mapping[tuple[str, str], int],
    steps: Iterable[Step],
    total: int | None,
    free: Collection[str],
    size_bytes: int,
) -> Conversion:
    """The shares. ``weights`` counts parameters by (operator, precision they are held in);
    ``total`` are the MACs of all ``steps`` where the file tells them; operators in ``free``
    compute nothing. ``size_bytes`` is that of the whole file.
    """
    steps = list(steps)
    held = sum(weights.values())
    narrow = sum(n for (_, precision), n in weights.items() if precision == form)
    kept: Counter[str] = Counter()
    for (op, precision), n in weights.items():
        if precision != form:
            kept[op] += n
    computing = Counter(s.op for s in steps if s.precision == FLOAT and s.op not in free)
    return Conversion(
        form=form,
        weights=narrow / held if held else 0.0,
        macs=_part(steps, form, total),
        macs_hybrid=_part(steps, HYBRID, total) or 0.0,
        float_weights={op: n / held for op, n in kept.most_common()},
        float_operators=dict(computing.most_common()),
        bits_per_weight=8 * size_bytes / held if held else None,
        islands=_islands(steps, free),
        quantizers_time=_share(steps, [s for s in steps if s.op in QUANTIZERS]),
        by=BY_FILE,
    )


def _islands(steps: list[Step], free: Collection[str]) -> tuple[Island, ...]:
    """What computes in float32 and hangs together, longest first; none where no time is known.

    Operators that only move float values join those around them; quantizers part them.
    """
    if any(step.seconds is None for step in steps):
        return ()
    members = {s.id: s for s in steps if s.precision == FLOAT and s.op not in QUANTIZERS}
    root = {id: id for id in members}

    def top(id: str) -> str:
        while root[id] != id:
            id = root[id]
        return id

    for step in members.values():
        for before in step.after:
            if before in members:
                root[top(step.id)] = top(before)
    groups: dict[str, list[Step]] = {}
    for step in members.values():
        groups.setdefault(top(step.id), []).append(step)
    found = []
    for group in groups.values():
        computing = Counter(s.op for s in group if s.op not in free)
        share = _share(steps, group)
        if computing and share is not None:
            found.append(Island(operators=dict(computing.most_common()), time=share))
    return tuple(sorted(found, key=lambda island: -island.time))


def _share(steps: list[Step], some: list[Step]) -> float | None:
    """Of the time of all steps; None where it is not known."""
    total = sum(step.seconds or 0.0 for step in steps)
    if not total or any(step.seconds is None for step in steps):
        return None
    return sum(step.seconds or 0.0 for step in some) / total


def _part(steps: list[Step], precision: str, total: int | None) -> float | None:
    """Share of the MACs in one precision; None where shapes do not tell, or there are none."""
    every = [s.macs for s in steps if s.macs != 0]
    mine = [s.macs for s in steps if s.macs != 0 and s.precision == precision]
    if not every:
        return None
    if len(mine) in (0, len(every)):  # none or all, whatever the shapes
        return 1.0 if mine else 0.0
    if total is None:
        total = None if None in every else sum(n or 0 for n in every)
    if not total or None in mine:
        return None
    return min(1.0, sum(n or 0 for n in mine) / total)


def untold(runtime: str) -> ModelError:
    """The error for a runtime that nobody here knows how to ask."""
    return ModelError(f"{runtime} does not report what it executes")


def not_asked(conversion: Conversion, runtime: str, error: Exception) -> Conversion:
    """What the file says, noting why the runtime could not be asked."""
    return conversion.model_copy(
        update={"note": f"{runtime} could not be asked: {one_line(error)}"}
    )


def left_in_float(
    weights: Mapping[tuple[str, str], int], tool: str, spared: Collection[str] = ()
) -> str:
    """Where the weights are that ``tool`` left in float32; ``spared`` names first convolutions."""
    kept: Counter[str] = Counter()
    for (op, precision), n in weights.items():
        if precision == FLOAT and n and not (spared and op == "Conv"):
            kept[op] += n
    if not kept and not spared:
        others = ", ".join(dict.fromkeys(op for (op, _), n in weights.items() if n))
        none = "there are no weights in the network"
        return f"{none} except constants of {others}" if others else none
    named = ", ".join(op for op, _ in kept.most_common())
    sentence = f"{sum(kept.values()):,} weights are in {named}, which {tool} leaves in float32"
    if not spared:
        return sentence
    first = " and ".join(f"'{name}'" for name in spared)
    stays = f"the first convolution {first} stays in float32"
    return f"{stays}, and {sentence}" if kept else stays
