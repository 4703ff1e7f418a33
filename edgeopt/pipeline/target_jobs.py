"""Jobs that score and race the candidates of a recipe on one target."""

from __future__ import annotations

from collections.abc import Iterable

from edgeopt.bench.jobs import Runnable, race_job, score_job
from edgeopt.decide.entry import Entry
from edgeopt.decide.steps import Race
from edgeopt.planner import Known, tensors_job
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.job import Job
from edgeopt.schema.model_format import scored_by
from edgeopt.schema.runtime import brought_by, runtime_named
from edgeopt.schema.target import Target


class TargetJobs:
    """Makes jobs of entries, by what a recipe says and what is known of its data."""

    def __init__(self, recipe: Recipe, known: Known) -> None:
        self.recipe, self.known = recipe, known

    def source_target(self) -> Target:
        """Where the source is scored: the model as given, in its own framework, on the host."""
        return Target(device="local", runtime=scored_by(self.known.source.format))

    def source_score(self, split: str) -> Job:
        """The score of the source on a split."""
        target = self.source_target()
        model = self._runnable(self.known.source_job, self.known.source, target, split)
        key = {
            "runtime_version": self.known.version(runtime_named(target.runtime).library),
            "isa": self.known.host_isa,
            **self._code_of(target),
        }
        return score_job(
            _score_id(split, model), model, key=key, allow_fallback=self.recipe.allow_fallback
        )

    def _code_of(self, target: Target) -> dict[str, str]:
        """The version of the session's code, where another distribution brings it."""
        name = brought_by(target.runtime)
        return {"code": f"{name} {self.known.version(name)}"} if name else {}

    def score(self, entry: Entry, split: str, *, first: int = 0) -> Job:
        """The score of an entry on a split, or on its ``first`` samples."""
        facts = entry.facts
        model = self._runnable(entry.plan.job, entry.described, entry.target, split)
        key = {"runtime_version": facts.runtime_version, "isa": facts.isa}
        key |= self._code_of(entry.target)
        if "accelerator" in facts.machine:
            key["accelerator"] = str(facts.machine["accelerator"])
        return score_job(
            _score_id(split, model),
            model,
            first=first,
            check=entry.plan.check,
            key=key,
            allow_fallback=self.recipe.allow_fallback,
        )

    def race(self, race: Race, first: Entry, second: Entry) -> Job:
        """A race of two entries, on the samples of the validation split."""
        sides = [
            self._runnable(entry.plan.job, entry.described, entry.target, "validation")
            for entry in (first, second)
        ]
        name = f"race:{race.name}:{_seated(first, race)} against {second.id}"
        return race_job(
            _of_processes(name, race.processes),
            sides[0],
            sides[1],
            race.protocol,
            processes=race.processes,
            earlier=_of_processes(name, race.earlier) if race.earlier else "",
            allow_fallback=self.recipe.allow_fallback,
        )

    def source_tensors(self, split: str) -> Job:
        """The job that makes a split's samples ready for the source."""
        return self._tensors(self.known.source, self.known.source_job, split)

    def tensors(self, entry: Entry, split: str) -> Job:
        """The same for an entry."""
        return self._tensors(entry.described, entry.plan.job, split)

    def all_tensors(self, entries: Iterable[Entry], split: str) -> list[Job]:
        """The same for the source and each entry."""
        return [self.source_tensors(split), *(self.tensors(entry, split) for entry in entries)]

    def _tensors(self, d: Description, model: str, split: str) -> Job:
        return tensors_job(self.recipe, self.known, split, d, model)

    def _runnable(self, model: str, d: Description, target: Target, split: str) -> Runnable:
        return Runnable(
            target, model, self._tensors(d, model, split).id, one_size=self.known.one_size
        )


def _seated(entry: Entry, race: Race) -> str:
    """A candidate's id, and the settings that it races under where these are not its target's."""
    settings = {**entry.settings, **dict(race.settings)}
    under = "&".join(f"{name}={value}" for name, value in settings.items())
    return f"{entry.id} ({under})" if under else entry.id


def _score_id(split: str, model: Runnable) -> str:
    return f"score:{split}:{model.target}:{model.model}"


def _of_processes(name: str, processes: int) -> str:
    """The id of a race of so many processes; without a number, of as many as it takes."""
    return f"{name} ({processes} processes)" if processes else name
