"""The choices of two results on the same samples: equal answers are equal, kept ones are paired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from edgeopt.answers.labels import Labels
from edgeopt.data.outputs import kept_labels
from edgeopt.data.quantized import dequantized
from edgeopt.evaluation import difference, ratio
from edgeopt.schema.errors import EdgeoptError, PluginError, StoreError
from edgeopt.schema.job import ArrayRef
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import is_metric, of_output
from edgeopt.schema.result import CandidateResult, Result, TargetResult
from edgeopt.store import Store

SPLIT = "validation"
SAME = "exact: the same answers to the same samples"


class Chosen(NamedTuple):
    """What a result chose for a target."""

    result: Result
    target: TargetResult
    candidate: CandidateResult


class Paired(NamedTuple):
    """``difference.Q`` and ``ratio.Q`` of B against A, and in words how they were come by."""

    against: dict[str, Measurement]
    how: str


def paired(a: Chosen, b: Chosen, store: Store | None, ratios: set[str]) -> Paired:
    """What is known of B against A beyond their two intervals; ``ratios`` is wanted of which.

    Metrics of B and A are paired where both answered the same samples and the store still keeps
    what; nothing is where they did not or it does not, and then ``how`` says why.
    """
    if not same_samples(a.result, b.result, SPLIT):
        return Paired({}, f"not paired: the samples of '{SPLIT}' differ")
    mine, theirs = b.candidate.measurements, a.candidate.measurements
    shared = [
        q
        for q in mine
        if q in theirs and is_metric(q) and "." not in of_output(q)[0].removeprefix("metric.")
    ]
    if same_answers(a, b):
        equal = [quantity for quantity in shared if mine[quantity].value == theirs[quantity].value]
        against = {f"difference.{q}": _exact(f"difference.{q}", 0.0, mine[q]) for q in equal}
        against |= {f"ratio.{q}": _exact(f"ratio.{q}", 1.0, mine[q]) for q in equal if q in ratios}
        return Paired(against, "both give the same answers, so metrics are equal")
    sides = [_answers(each, store) for each in (b, a)]
    labels = _labels(b.result, store)
    if sides[0] is None or sides[1] is None or labels is None:
        return Paired({}, "not paired: the store does not keep the answers of both")
    against = {}
    for quantity in shared:
        against |= _of_pairs(quantity, sides[0], sides[1], labels, quantity in ratios)
    return Paired(against, f"metrics are paired, sample by sample, on {SPLIT}" if against else "")


def same_samples(a: Result, b: Result, split: str) -> bool:
    """Whether a split held the same samples, with the same labels where both results tell them."""
    one, other = a.data.get(split, {}), b.data.get(split, {})
    facts = [fact for fact in ("labels", "labelled") if fact in one and fact in other]
    return all(one.get(fact) == other.get(fact) for fact in ("n", "digest", *facts))


def same_answers(a: Chosen, b: Chosen) -> bool:
    """Whether both answer alike: by the digests of their answers, or else as one file does.

    The same file gives the same answers where input, runtime, its version and the instruction
    set are the same.
    """
    kept = [list(each.candidate.scores.get(SPLIT, {}).values()) for each in (a, b)]
    if all(kept):
        forms = [_output_forms(each.candidate) for each in (a, b)]
        return kept[0] == kept[1] and forms[0] == forms[1]
    one, other = _place(a), _place(b)
    return one == other and None not in one


def _place(chosen: Chosen) -> tuple[Any, ...]:
    """What answers depend on beside the samples; None for what is not known."""
    candidate, machine = chosen.candidate, chosen.target.machine
    data = chosen.result.recipe.get("data") or {}
    return (
        candidate.artifact.digest if candidate.artifact else None,
        candidate.target,
        machine.get("runtimes", {}).get(candidate.runtime),
        machine.get("isa"),
        str([data.get(key) for key in ("preprocess", "inputs", "layout")]),
    )


def _output_forms(candidate: CandidateResult) -> list[Any]:
    outputs = candidate.description.signature.outputs if candidate.description else ()
    return [(tensor.scale, tensor.zero_point) for tensor in outputs]


def _answers(chosen: Chosen, store: Store | None) -> dict[str, Any] | None:
    """Outputs, (n, ...) each, by the source's names; None where the store keeps them no longer."""
    candidate = chosen.candidate
    refs = candidate.scores.get(SPLIT, {})
    if store is None or candidate.description is None or not refs:
        return None
    tensors = candidate.description.signature.outputs
    source = chosen.result.source.get("description", {}).get("signature", {}).get("outputs", [])
    names = [each["name"] for each in source]
    if len(names) != len(tensors):
        names = [tensor.name for tensor in tensors]
    try:
        return {
            name: dequantized(store.get_array(refs[tensor.name]), tensor)
            for name, tensor in zip(names, tensors, strict=True)
        }
    except (StoreError, KeyError):
        return None


def _labels(result: Result, store: Store | None) -> Labels | None:
    """The labels of the split; None where there are none or the store keeps them no longer."""
    held = result.data.get(SPLIT, {})
    if store is None or not held.get("labelled"):
        return None
    try:
        refs = {name: ArrayRef.model_validate(raw) for name, raw in held["labels"].items()}
        labels: Labels = kept_labels(held["labelled"], refs, store)
    except (StoreError, KeyError, ValueError):  # gone, or a document that was changed
        return None
    return labels


def _of_pairs(
    quantity: str, mine: Mapping[str, Any], theirs: Mapping[str, Any], labels: Any, as_ratio: bool
) -> dict[str, Measurement]:
    """One metric of pairs of answers; nothing for one that only its run could compute."""
    try:
        against = {f"difference.{quantity}": difference(quantity, mine, theirs, labels)}
        if as_ratio:
            against[f"ratio.{quantity}"] = ratio(quantity, mine, theirs, labels)
    except PluginError:
        raise
    except EdgeoptError:
        return {}
    return against


def _exact(quantity: str, value: float, of: Measurement) -> Measurement:
    unit = "x" if quantity.startswith("ratio.") else of.unit
    return Measurement(
        quantity=quantity, value=value, unit=unit, n=of.n, protocol=SAME, better=of.better
    )
