"""What a user asks for, as a whole. Field descriptions are the recipe's reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
)

from edgeopt.recipe.source import DataSpec, ModelSpec, bytes_of, seconds_of
from edgeopt.recipe.steps import Step
from edgeopt.schema.base import Noun
from edgeopt.schema.constraint import Constraint, parse_constraint, prefixes
from edgeopt.schema.errors import RecipeError, UsageError
from edgeopt.schema.floor import Floor, parse_floor
from edgeopt.schema.model_format import model_formats
from edgeopt.schema.quantities import declared
from edgeopt.schema.runtime import every_runtime
from edgeopt.schema.target import Target, parse_target
from edgeopt.transport.kinds import quantities_of

LEAST_MEMORY = 500_000_000  # bytes


class LimitSpec(Noun):
    """Bounds on the whole run."""

    candidates: StrictInt = Field(200, ge=1, description="maximum number of candidates")
    memory: StrictStr | None = Field(
        None, description="memory of all processes of the run together, such as '4 GB'"
    )
    settings: StrictInt = Field(
        3, ge=0, le=3, description="settings of its target that a finalist is raced under, at most"
    )
    time: StrictStr | None = Field(None, description="time limit of the run, such as '30 min'")

    @field_validator("time")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            seconds_of(text)
        return text

    @field_validator("memory")
    @classmethod
    def _enough(cls, text: str | None) -> str | None:
        if text is not None and bytes_of(text) < LEAST_MEMORY:
            raise ValueError(f"'{text}' is less than a run takes: say '500 MB' or more")
        return text

    @property
    def memory_bytes(self) -> int | None:
        """The memory in bytes, or None."""
        return None if self.memory is None else bytes_of(self.memory)

    @property
    def time_s(self) -> float | None:
        """The wall time in seconds, or None."""
        return None if self.time is None else seconds_of(self.time)


class OwnMetric(Noun):
    """A metric of the user's own, ``metric.NAME``."""

    name: StrictStr = Field(description="bounded as metric.NAME", pattern=r"^[A-Za-z_]\w*$")
    function: StrictStr = Field(
        description="FILE.py:FUNCTION of (outputs, labels): one value per sample, or one number"
    )
    better: Literal["more", "less"] = Field("more", description="which way is better")


class OnTarget(Noun):
    """A constraint that holds for some targets only."""

    on: StrictStr
    require: StrictStr


class Recipe(Noun):
    """What is asked for: model, data, targets, constraints and the steps to try."""

    model: ModelSpec = Field(description="the source model; a bare string is its path")
    data: DataSpec | None = Field(None, description="samples to calibrate, validate and test with")
    targets: tuple[StrictStr, ...] = Field(
        ("local/onnxruntime",), min_length=1, description="where the artifact must run"
    )
    objective: StrictStr | dict[str, StrictStr] | None = Field(
        None, description="the quantity to optimize, or a map of target prefix to quantity"
    )
    constraints: tuple[StrictStr | OnTarget, ...] = Field(
        (), description="bounds that the artifact must satisfy"
    )
    metrics: tuple[StrictStr | OwnMetric, ...] | None = Field(
        None,
        description="metrics to report; chosen by the data if only your own metrics are listed",
    )
    passes: tuple[Step, ...] = Field((), description="the steps, in order")
    limits: LimitSpec = LimitSpec.model_construct()
    runtime: dict[StrictStr, StrictStr] = Field(
        {},
        description="oldest version of a runtime that its artifacts must run in, such as "
        "`{onnxruntime: '>=1.17'}`",
    )
    seed: StrictInt = Field(0, ge=0, description="seed of everything random")
    allow_fallback: StrictBool = Field(
        False,
        description="measure even if nodes do not run on the requested accelerator",
    )

    root: Path = Field(Path(), exclude=True, repr=False)
    path: Path | None = Field(None, exclude=True, repr=False)
    lines: dict[str, int] = Field({}, exclude=True, repr=False)
    held: dict[str, Any] = Field({}, exclude=True, repr=False)  # SPLIT.ARRAY -> an ArrayRef's JSON
    functions: dict[str, Any] = Field({}, exclude=True, repr=False)  # metrics of this process

    @field_validator("model", mode="before")
    @classmethod
    def _bare_path(cls, raw: Any) -> Any:
        return {"path": raw} if isinstance(raw, str) else raw

    @field_validator("targets", "constraints", "metrics", "passes", mode="before")
    @classmethod
    def _one_is_a_list(cls, raw: Any) -> Any:
        return [raw] if isinstance(raw, str | Mapping) else raw

    def model_post_init(self, _context: Any) -> None:
        """Parse what has a grammar of its own, so that errors come before anything runs."""
        if len(set(map(str, self.parsed_targets()))) != len(self.targets):
            raise self.error("targets", "a target appears twice")
        self.parsed_constraints()
        _ = self.floors
        for target in self.parsed_targets():
            self.objective_for(target)
        for index, metric in enumerate(self.metrics or ()):
            if isinstance(metric, str):
                self._check_declared(metric, f"metrics.{index}")
        self._check_own_metrics()
        if self.data is not None and self.data.label is None:
            for constraint in self.parsed_constraints():
                if declared(constraint.quantity).labels:
                    raise self.error(
                        "constraints",
                        f"'{constraint.text}' needs labels and the data has none",
                        hint="name the label array under data.label, or bound fidelity.agreement",
                    )

    @property
    def floors(self) -> dict[str, Floor]:
        """The oldest version that is asked for, by runtime. Raises RecipeError."""
        try:
            return {name: parse_floor(name, text) for name, text in self.runtime.items()}
        except UsageError as error:
            raise self.error("runtime", error.what, hint=error.hint) from None

    def _check_own_metrics(self) -> None:
        """Raise RecipeError for a ``metric.NAME`` that is listed nowhere, or twice."""
        known = [metric.name for metric in self.own_metrics]
        for name in known:
            if known.count(name) > 1:
                raise self.error("metrics", f"two metrics are called '{name}'")
        used = [(f"constraints.{i}", c.quantity) for i, c in enumerate(self.parsed_constraints())]
        used += [("metrics", quantity) for quantity in self.listed_metrics]
        used += [("objective", self.objective_for(target)) for target in self.parsed_targets()]
        for place, quantity in used:
            owner, _, name = quantity.partition(".")
            if owner == "metric" and name not in known:
                raise self.error(
                    place,
                    f"'{quantity}' is not a metric of this recipe",
                    hint=f"list it: metrics: [{{name: {name}, function: 'FILE.py:FUNCTION'}}]",
                )

    @property
    def own_metrics(self) -> tuple[OwnMetric, ...]:
        """The metrics that the recipe brings itself."""
        return tuple(metric for metric in self.metrics or () if isinstance(metric, OwnMetric))

    @property
    def listed_metrics(self) -> tuple[str, ...]:
        """The metrics that it names."""
        return tuple(metric for metric in self.metrics or () if isinstance(metric, str))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The quantities of all metrics, in the recipe's order: its own are ``metric.NAME``."""
        return tuple(m if isinstance(m, str) else f"metric.{m.name}" for m in self.metrics or ())

    def parsed_targets(self) -> tuple[Target, ...]:
        """The targets. Raises RecipeError with the line."""
        targets = []
        model_formats()  # what is wrong with a plug-in is no fault of the recipe's
        for index, text in enumerate(self.targets):
            try:
                targets.append(parse_target(text))
            except UsageError as error:
                raise self.error(f"targets.{index}", _said(error), hint=error.hint) from None
        return tuple(targets)

    def parsed_constraints(self) -> tuple[Constraint, ...]:
        """The constraints. Raises RecipeError with the line."""
        constraints = []
        for index, item in enumerate(self.constraints):
            text, on = (item, "") if isinstance(item, str) else (item.require, item.on)
            try:
                constraints.append(parse_constraint(text, on))
            except UsageError as error:
                raise self.error(f"constraints.{index}", _said(error), hint=error.hint) from None
            places = [str(t) for t in self.parsed_targets()]
            places += [
                str(t.on(r)) for t in self.parsed_targets() if t.every for r in every_runtime()
            ]
            if on and not any(prefixes(on, place) for place in places):
                raise self.error(f"constraints.{index}", f"'on: {on}' names none of the targets")
        return tuple(constraints)

    def objective_for(self, target: Target) -> str:
        """The quantity to make best on a target: longest prefix, then ``default``."""
        if self.objective is None:
            return _fastest(target)
        if isinstance(self.objective, str):
            quantity = self.objective
        else:
            fitting = [key for key in self.objective if prefixes(key, str(target))]
            best = max(fitting, key=len, default="default")
            quantity = self.objective.get(best, _fastest(target))
        self._check_declared(quantity, "objective")
        return quantity

    def _check_declared(self, quantity: str, place: str) -> None:
        """Raise RecipeError for a quantity that nobody declares."""
        try:
            declared(quantity)
        except UsageError as error:
            raise self.error(place, _said(error), hint=error.hint) from None

    def line(self, *place: str | int) -> str:
        """``FILE:LINE`` of a place in the recipe, or the place itself without a file."""
        key = ".".join(map(str, place))
        if self.path is None:
            return key
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"{self.path}:{self.lines.get(key, 1)}"

    def error(self, place: str, what: str, hint: str = "") -> RecipeError:
        """A RecipeError at a place."""
        return RecipeError(what, where=self.line(place), hint=hint)

    def spelled(self) -> dict[str, Any]:
        """The JSON form, with steps as a user would write them; ``Recipe(**it)`` equals it."""
        form = self.to_json()
        if self.held:  # a live model's program lay in a folder that is gone
            form["model"] = {"path": Path(str(self.model.path)).name}
        form["passes"] = [step.to_yaml() for step in self.passes]
        return form


def _fastest(target: Target) -> str:
    """The objective where none is given: what stands for speed on the target's device."""
    return "latency.p50" if "latency" in quantities_of(target.device) else "instructions"


def _said(error: UsageError) -> str:
    """What is wrong, and the plug-in that it is in, if it is in one: the line is told beside it."""
    return f"{error.where}: {error.what}" if error.where else error.what
