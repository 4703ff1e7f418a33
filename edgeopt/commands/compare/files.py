"""Two model files side by side: raced directly, and answering the same samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgeopt.answers.labels import Labels, placed
from edgeopt.bench.jobs import race_job, run_bench, score_job
from edgeopt.commands.model_files import fed, fed_with, opened, runnable
from edgeopt.commands.samples import samples_for
from edgeopt.data.outputs import kept_labels, kept_outputs
from edgeopt.data.tensors import axes_of, bind, layouts_read, make_tensors
from edgeopt.decide.choose import judge_all
from edgeopt.engine import Engine
from edgeopt.evaluation import default_metrics, figures
from edgeopt.evaluation.changed import answers
from edgeopt.pipeline.prepare import data_jobs, run_or_raise
from edgeopt.pipeline.targets import target_group
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.comparison import ComparedPair, ComparedSide, Comparison
from edgeopt.schema.constraint import Constraint, Verdict, parse_constraint
from edgeopt.schema.errors import DataError, UsageError, from_record
from edgeopt.schema.event import Event
from edgeopt.schema.job import Arrays, Outcome
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.quantities import is_of_outputs
from edgeopt.schema.target import Target, TargetGroup, parse_target
from edgeopt.store import Store

OnEvent = Callable[[Event], None]
SIDES = ("a", "b")


class Samples(NamedTuple):
    """What both models are fed: raw arrays, how to make inputs of them, and their name."""

    raw: Arrays
    recipe: Recipe | None
    name: str
    label: str | Mapping[str, str] | None = None  # an array of labels, or one for each output


def compare_files(
    paths: tuple[Path, Path],
    *,
    version: str,
    targets: Sequence[str] = ("local/*",),
    places: tuple[str, str] | None = None,
    require: Sequence[str] = (),
    recipe: Recipe | None = None,
    split: str | None = None,
    data: Path | None = None,
    label: str | Mapping[str, str] | None = None,
    quick: bool = False,
    store: Store,
    on_event: OnEvent = lambda _event: None,
) -> Comparison:
    """Race B against A in every runtime that reads both, and score both on the same samples.

    Samples are those of a recipe's ``split`` (``validation`` where None), prepared as it says; or
    the arrays of ``data`` (.npz), one for each input of A and one called ``label``, of ``split``
    where it has several; or random ones, which are raced and not scored. Where no runtime reads
    both, each runs in the first that reads it; or ``places`` names where A and where B runs. In
    ``require`` the word ``source`` means A.
    Raises UsageError, DataError, ModelError, DeviceError.
    """
    required = [parse_constraint(text, where="--require") for text in require]
    groups = [] if places else [target_group(parse_target(text)) for text in targets]
    with Engine(store, on_event=on_event, bench=run_bench) as engine:
        models = {side: opened(engine, path, n) for n, (side, path) in
                  enumerate(zip(SIDES, paths, strict=True))}  # fmt: skip
        described = {
            side: Description.model_validate(o.value["description"]) for side, o in models.items()
        }
        samples = _samples(engine, described["a"], recipe, split, data, label, store)
        known = {o.job: o for o in models.values()}
        for side, path in zip(SIDES, paths, strict=True):
            tensors = _tensors(samples, paths[0], path, described["a"], described[side], store)
            ready = fed_with(models[side], tensors)
            known[ready.job] = ready
        both = _HeadToHead(engine, store, paths, models, described, known, samples, required, quick)
        where = [each for group in groups for each in _placed(group, paths, models)]
        if places is not None:
            where = [(parse_target(places[0]), parse_target(places[1]))]
        pairs = [both.pair(*each) for each in where]
    return Comparison(
        edgeopt=version,
        kind="models",
        a=str(paths[0]),
        b=str(paths[1]),
        samples=samples.name,
        required=tuple(require),
        pairs=tuple(pairs),
        exit_code=exit_code([v for pair in pairs for v in pair.verdicts]),
    )


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 where all passed, 3 where one failed, 4 where one is inconclusive and none failed."""
    words = {verdict.verdict for verdict in verdicts}
    return 3 if "fail" in words else 4 if "inconclusive" in words else 0


class _HeadToHead:
    """What all pairs of one comparison share."""

    def __init__(
        self, engine: Engine, store: Store, paths: tuple[Path, Path],
        models: Mapping[str, Outcome], described: Mapping[str, Description],
        known: Mapping[str, Outcome], samples: Samples, required: Sequence[Constraint],
        quick: bool,
    ) -> None:  # fmt: skip
        self._engine, self._store, self._paths, self._models = engine, store, paths, models
        self._described, self._known, self._samples = described, known, samples
        self._required, self._protocols = required, ("short" if quick else "full", "memory")

    def pair(self, a: Target, b: Target) -> ComparedPair:
        """A and B where each runs."""
        own, against = self._raced({"a": a, "b": b})
        sizes = {s: self._models[s].value["artifact"]["size_bytes"] for s in SIDES}
        for side, size in sizes.items():
            own[side]["size"] = Measurement(quantity="size", value=size, unit="bytes")
        against["ratio.size"] = Measurement(
            quantity="ratio.size", value=sizes["b"] / sizes["a"], unit="x"
        )
        changed_answers = None
        if self._samples.name != "random":
            outputs = self._outputs({"a": a, "b": b})
            labels = self._labels(outputs["a"])
            scored, apart = _scored(outputs, labels, self._required)
            own = {side: own[side] | scored[side] for side in SIDES}
            against |= apart
            changed_answers = answers(outputs["a"], outputs["b"], labels)
        lacking = [c for c in self._required if c.quantity not in own["b"]]
        if lacking:
            raise UsageError(
                f"'{lacking[0].text}' cannot be judged: {lacking[0].quantity} was not measured",
                where="--require",
                hint="give labelled samples: --recipe RECIPE, or --data FILE.npz",
            )
        target = str(b) if a == b else f"{b} against {a}"
        sides = {
            side: ComparedSide(
                name=str(path), target=str(place), digest=self._models[side].digest,
                measurements=own[side],
            )
            for side, path, place in zip(SIDES, self._paths, (a, b), strict=True)
        }  # fmt: skip
        verdicts = judge_all(self._required, {**own["b"], **against}, own["a"])
        return ComparedPair(
            target=target,
            a=sides["a"],
            b=sides["b"],
            against=against,
            answers=changed_answers,
            verdicts=verdicts,
        )

    def _raced(
        self, places: Mapping[str, Target]
    ) -> tuple[dict[str, dict[str, Measurement]], dict[str, Measurement]]:
        """Own figures by side, and the ratios of B over A."""
        own: dict[str, dict[str, Measurement]] = {side: {} for side in SIDES}
        against: dict[str, Measurement] = {}
        for protocol in self._protocols:
            sides = {side: runnable(self._models[side], place) for side, place in places.items()}
            job = race_job(
                f"race:{protocol}:{places['b']}:{self._paths[1]} against {self._paths[0]}",
                sides["b"],  # a race's a is over its b
                sides["a"],
                protocol,
            )
            ended = self._engine.run([job], self._known)[job.id]
            if not ended.ok:
                raise from_record(ended.error or {"what": "the race failed"})
            for role, side in (("a", "b"), ("b", "a")):
                own[side] |= _read(ended.value[role])
            for name, ratio in _read(ended.value.get("ratio", {})).items():
                against[f"ratio.{name}"] = ratio
        return own, against

    def _outputs(self, places: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
        jobs = {
            side: score_job(
                f"score:{place}:{self._models[side].job}",
                runnable(self._models[side], place),
                cache=False,
            )
            for side, place in places.items()
        }
        ended = run_or_raise(self._engine, list(jobs.values()), self._known)
        return {
            side: kept_outputs(
                ended[job.id].value, self._described[side].signature.outputs, self._store, job.id
            )
            for side, job in jobs.items()
        }

    def _labels(self, outputs: Mapping[str, Any]) -> Labels:
        """Labels by the outputs of A that they speak of. Raises DataError."""
        refs, said = self._samples.raw.labels, self._samples.label
        named = said if isinstance(said, str) else ""
        return placed(kept_labels(said, refs, self._store), outputs, named)


def _scored(
    outputs: Mapping[str, dict[str, Any]], labels: Labels, required: Sequence[Constraint]
) -> tuple[dict[str, dict[str, Measurement]], dict[str, Measurement]]:
    """Metrics of each side, and differences, ratios and fidelity of B against A.

    Raises ModelError where an output of B stands still, and as the metrics do.
    """
    metrics = dict.fromkeys(default_metrics(outputs["a"], labels))
    metrics |= dict.fromkeys(c.quantity for c in required if is_of_outputs(c.quantity))
    ratios = [c.quantity for c in required if c.basis == "ratio"]
    measured = figures(metrics, outputs["b"], outputs["a"], labels, ratios=ratios)
    against = {q: m for q, m in measured.items() if q.startswith(("difference.", "ratio."))}
    own = {
        "a": figures(metrics, outputs["a"], labels=labels),
        "b": {q: m for q, m in measured.items() if q not in against},
    }
    return own, against


def _read(raw: Mapping[str, Any]) -> dict[str, Measurement]:
    return {name: Measurement.model_validate(record) for name, record in raw.items()}


def _placed(
    group: TargetGroup, paths: tuple[Path, Path], models: Mapping[str, Outcome]
) -> list[tuple[Target, Target]]:
    """Where A and B run: in each runtime that reads both, else each in the first that reads it."""
    reading: dict[str, list[Target]] = {}
    for side, path in zip(SIDES, paths, strict=True):
        fmt = models[side].value["artifact"]["format"]
        reading[side] = [target for target, _ in group.members if target.reads(fmt)]
        if not reading[side]:
            raise UsageError(
                f"no runtime of {group} reads {fmt}",
                where=str(path),
                hint="see 'edgeopt doctor' for what to install",
            )
    both = [target for target in reading["a"] if target in reading["b"]]
    return [(t, t) for t in both] or [(reading["a"][0], reading["b"][0])]


def _samples(
    engine: Engine, d: Description, recipe: Recipe | None, split: str | None, data: Path | None,
    label: str | Mapping[str, str] | None, store: Store,
) -> Samples:  # fmt: skip
    if recipe is not None and data is not None:
        raise UsageError("give --recipe or --data, not both")
    if recipe is not None:
        split = split or "validation"
        jobs = [job for job in data_jobs(recipe) if job.params.get("split") == split]
        if not jobs:
            raise UsageError(f"the recipe has no split '{split}'", where="--split")
        outcome = run_or_raise(engine, jobs, {})[jobs[0].id]
        name = f"{split} of {recipe.path or 'the recipe'}"
        said = recipe.data.label if recipe.data else None
        return Samples(Arrays.model_validate(outcome.value), recipe, name, said)
    named = [label] if isinstance(label, str) else (label or {}).values()
    raw = samples_for(d, data, store, split, list(dict.fromkeys(named)))
    return Samples(raw, None, str(data) if data else "random", label if data else None)


def _tensors(
    samples: Samples, first_path: Path, path: Path, first: Description, d: Description, store: Store
) -> Arrays:
    """The samples as a model takes them. Raises UsageError where its inputs are others."""
    if samples.recipe is None:
        return fed(path, first_path, samples.raw, first.signature, d, store)
    spec = samples.recipe.data
    assert spec is not None
    try:
        layouts = layouts_read(samples.raw, first.signature, spec.inputs, spec.layout)
        binding = bind(samples.raw, spec.preprocess, d.signature, spec.inputs, layouts, d.codes)
    except DataError as error:
        raise UsageError(error.what, where=str(path), hint=error.hint) from None
    return make_tensors(samples.raw, {"bind": binding, **axes_of(d.signature)}, store, d.signature)
