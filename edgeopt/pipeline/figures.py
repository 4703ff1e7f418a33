"""From a score's outputs to figures: metrics, differences to the source, groups, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgeopt.data.gather import blamed
from edgeopt.data.outputs import kept_outputs
from edgeopt.metrics import FIDELITY, compute, custom, default_metrics, difference, ratio
from edgeopt.metrics.chance import Lead, lead, other_names
from edgeopt.metrics.slices import as_text, sliced
from edgeopt.planner import Known
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import EdgeoptError
from edgeopt.schema.job import Arrays, Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import SliceFigure
from edgeopt.schema.target import Target
from edgeopt.store import Store

NO_METRIC = (  # quantities that are no outputs' own
    "latency.", "load_time", "memory.", "size", "instructions", "bytes.",
)  # fmt: skip
RANGE_SAMPLES = 256


class Figures:
    """Makes Measurements of outputs on a split; runs no model."""

    def __init__(self, recipe: Recipe, known: Known, store: Store, target: Target) -> None:
        self.recipe, self.known, self.store, self.target = recipe, known, store, target
        asked = recipe.parsed_constraints()
        self._as_ratios = {c.quantity for c in asked if c.basis == "ratio"}

    def labels(self, split: str) -> Any:
        """The labels of a split, or None."""
        ref = self.known.raw[split].labels
        return None if ref is None else self.store.get_array(ref)

    def outputs(self, outcome: Outcome, description: Description) -> dict[str, Any]:
        """What a score kept. Raises ModelError."""
        tensors = description.signature.outputs
        return kept_outputs(outcome.value, tensors, self.store, outcome.job)

    def metrics(self, outputs: Mapping[str, Any], labels: Any) -> list[str]:
        """What is measured: what the recipe lists, or the data suggest, and what it bounds."""
        first = next(iter(outputs.values()))
        classes = int(first.shape[-1]) if first.ndim > 1 else 1
        wanted = list(self.recipe.listed_metrics or default_metrics(labels, classes))
        asked = [c.quantity for c in self.recipe.parsed_constraints()]
        asked.append(self.recipe.objective_for(self.target))
        wanted += [quantity for quantity in asked if not quantity.startswith(NO_METRIC)]
        return [q for q in dict.fromkeys(wanted) if not q.startswith("metric.")]

    def of_source(self, outputs: Mapping[str, Any], labels: Any) -> dict[str, Measurement]:
        """The source's own figures."""
        metrics = [q for q in self.metrics(outputs, labels) if q not in FIDELITY]
        found = {quantity: compute(quantity, outputs, labels) for quantity in metrics}
        return found | self._in_process(outputs, outputs, labels, against=False)

    def of_candidate(
        self, outputs: Mapping[str, Any], source: Mapping[str, Any], labels: Any
    ) -> dict[str, Measurement]:
        """Figures of a candidate, alone and against the source."""
        metrics = self.metrics(source, labels)
        found = {quantity: compute(quantity, outputs, labels, source) for quantity in metrics}
        for quantity in metrics if labels is not None else ():
            if quantity in FIDELITY:
                continue
            pair = (quantity, outputs, source, labels)
            found[f"difference.{quantity}"] = difference(*pair)
            if quantity in self._as_ratios:
                found[f"ratio.{quantity}"] = ratio(*pair)
        return found | self._in_process(outputs, source, labels, against=True)

    def _in_process(
        self, outputs: Mapping[str, Any], source: Mapping[str, Any], labels: Any, *, against: bool
    ) -> dict[str, Measurement]:
        """The user's metrics that live in this process: closures of a caller's script."""
        found: dict[str, Measurement] = {}
        for metric in self.recipe.own_metrics:
            if metric.name in self.recipe.functions:
                function = self.recipe.functions[metric.name]
                name, better = metric.name, metric.better
                try:
                    made = custom.figures(name, function, better, outputs, source, labels)
                except EdgeoptError:
                    raise
                except Exception as error:
                    raise blamed(error, f"metric.{name}") from error
                found |= made if against else {q: m for q, m in made.items() if q[:7] == "metric."}
        return found

    def lead(self, outputs: Mapping[str, Any], labels: Any) -> Lead | None:
        """How far a model is ahead of guessing, where labels are classes."""
        if labels is None or labels.dtype.kind not in "iu":
            return None
        return lead(outputs, labels) if "accuracy" in self.metrics(outputs, labels) else None

    def why_lost(self, told: Lead, outputs: Mapping[str, Any], labels: Any, fed: Arrays) -> str:
        """What may make the source guess: the order of labels, or else what it was fed."""
        said = f"the source's {told}"
        if renamed := other_names(outputs, labels):
            return f"{said}; {renamed}"
        ranges = []
        for name, ref in fed.arrays.items():
            values = self.store.get_array(ref)[:RANGE_SAMPLES]
            ranges.append(f"'{name}' from {values.min():.4g} to {values.max():.4g}")
        return (
            f"{said}; it was fed {', '.join(ranges)}: compare data.preprocess (scale, normalize, "
            "order of channels) and the labels with what it was trained with"
        )

    def sliced(
        self, outputs: Mapping[str, Any], source: Mapping[str, Any], split: str
    ) -> Iterable[SliceFigure]:
        """The first metric by class and by the values of each metadata column."""
        labels, refs = self.labels(split), self.known.raw[split].slices
        columns = {name: as_text(self.store.get_array(ref)) for name, ref in refs.items()}
        return sliced(self.metrics(source, labels)[0], outputs, source, labels, columns)
