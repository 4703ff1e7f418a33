"""From a score's outputs to figures: metrics, differences to the source, groups, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgeopt.answers.labels import Labels
from edgeopt.data.gather import blamed
from edgeopt.data.outputs import kept_labels, kept_outputs
from edgeopt.decide.leading import leading_metric
from edgeopt.evaluation import default_metrics, figures, outputs_with, user_metrics
from edgeopt.evaluation.chance import Lead, lead, other_names
from edgeopt.evaluation.slices import as_text, sliced
from edgeopt.planner import Known
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError, EdgeoptError
from edgeopt.schema.job import Arrays, Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import is_of_outputs, of_output
from edgeopt.schema.result import SliceFigure
from edgeopt.schema.target import Target
from edgeopt.store import Store

RANGE_SAMPLES = 256


class Figures:
    """Makes Measurements of outputs on a split; runs no model."""

    def __init__(self, recipe: Recipe, known: Known, store: Store, target: Target) -> None:
        self.recipe, self.known, self.store, self.target = recipe, known, store, target
        asked = recipe.parsed_constraints()
        self._as_ratios = {c.quantity for c in asked if c.basis == "ratio"}

    def labels(self, split: str) -> Labels:
        """The labels of a split by the output that they speak of."""
        labels: Labels = kept_labels(self.known.labelled, self.known.raw[split].labels, self.store)
        return labels

    def given(self, split: str) -> Any:
        """The labels as a metric of the user's own gets them: an array, or arrays by output."""
        label = self.recipe.data.label if self.recipe.data else None
        return kept_labels(label, self.known.raw[split].labels, self.store)

    def outputs(self, outcome: Outcome, description: Description) -> dict[str, Any]:
        """What a score kept. Raises ModelError."""
        tensors = description.signature.outputs
        return kept_outputs(outcome.value, tensors, self.store, outcome.job)

    def metrics(self, source: Mapping[str, Any], labels: Labels) -> list[str]:
        """What is measured: what the recipe lists, or the data suggest, and what it bounds."""
        wanted = list(self.recipe.listed_metrics or default_metrics(source, labels))
        asked = [c.quantity for c in self.recipe.parsed_constraints()]
        asked.append(self.recipe.objective_for(self.target))
        return list(dict.fromkeys(filter(is_of_outputs, [*wanted, *asked])))

    def of_source(self, outputs: Mapping[str, Any], split: str) -> dict[str, Measurement]:
        """The source's own figures."""
        labels = self.labels(split)
        measured = figures(self.metrics(outputs, labels), outputs, labels=labels)
        return measured | self._in_process(outputs, outputs, self.given(split), against=False)

    def of_candidate(
        self,
        outputs: Mapping[str, Any],
        source: Mapping[str, Any],
        split: str,
        n: int | None = None,
    ) -> dict[str, Measurement]:
        """Figures of a candidate, alone and against the source, on the first ``n`` samples.

        Raises ModelError where an output stands still, and as ``metrics.figures`` does.
        """
        labels, given = self.labels(split), self.given(split)
        if n is not None:
            source = {name: array[:n] for name, array in source.items()}
            labels = {name: array[:n] for name, array in labels.items()}
            given = _first(given, n)
        measured = figures(
            self.metrics(source, labels), outputs, source, labels, ratios=self._as_ratios
        )
        return measured | self._in_process(outputs, source, given, against=True)

    def _in_process(
        self, outputs: Mapping[str, Any], source: Mapping[str, Any], labels: Any, *, against: bool
    ) -> dict[str, Measurement]:
        """The user's metrics that live in this process: closures of a caller's script."""
        measured: dict[str, Measurement] = {}
        for metric in self.recipe.own_metrics:
            if metric.name in self.recipe.functions:
                function = self.recipe.functions[metric.name]
                name, better = metric.name, metric.better
                try:
                    own = user_metrics.figures(name, function, better, outputs, source, labels)
                except EdgeoptError:
                    raise
                except Exception as error:
                    raise blamed(error, f"metric.{name}") from error
                measured |= own if against else {q: m for q, m in own.items() if q[:7] == "metric."}
        return measured

    def lead(self, outputs: Mapping[str, Any], labels: Labels) -> Lead | None:
        """How far a model is ahead of guessing, where labels are classes."""
        name = self._classified(outputs, labels)
        return None if name is None else lead(name, outputs[name], labels[name])

    def _classified(self, outputs: Mapping[str, Any], labels: Labels) -> str | None:
        """The first output with class labels, where accuracy is measured at all."""
        metrics = self.metrics(outputs, labels)
        if not any(of_output(quantity)[0] == "accuracy" for quantity in metrics):
            return None
        try:
            return outputs_with("accuracy", outputs, labels)[0]
        except DataError:
            return None

    def why_lost(self, ahead: Lead, outputs: Mapping[str, Any], labels: Labels, fed: Arrays) -> str:
        """What may make the source guess: the order of labels, or else what it was fed."""
        said = f"the source's {ahead}"
        name = self._classified(outputs, labels)
        if name and (renamed := other_names(name, outputs[name], labels[name])):
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
        """The leading metric by class and by the values of each metadata column."""
        labels, refs = self.labels(split), self.known.raw[split].slices
        columns = {name: as_text(self.store.get_array(ref)) for name, ref in refs.items()}
        measured = self.metrics(source, labels)
        asked = [c for c in self.recipe.parsed_constraints() if is_of_outputs(c.quantity)]
        objective, listed = self.recipe.objective_for(self.target), self.recipe.listed_metrics
        first = leading_metric(asked, objective, listed, measured)
        quantity = first if is_of_outputs(first) else measured[0]
        for figure in sliced(quantity, outputs, source, labels, columns):
            name = "" if figure.column in columns else self._class(figure.column, figure.value)
            yield figure.model_copy(update={"name": name})

    def _class(self, column: str, value: str) -> str:
        """The name of a class of ``class`` or ``class@OUTPUT``; empty where it has none."""
        classes = self.known.classes
        output = column.partition("@")[2] or (next(iter(classes)) if len(classes) == 1 else "")
        names = classes.get(output, ())
        return names[int(value)] if value.isdigit() and int(value) < len(names) else ""


def _first(labels: Any, n: int) -> Any:
    if isinstance(labels, Mapping):
        return {output: array[:n] for output, array in labels.items()}
    return None if labels is None else labels[:n]
