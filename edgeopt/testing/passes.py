"""What every pass must do. A new pass's test subclasses ``PassConformance``::

class TestMyPass(PassConformance):
    @pytest.fixture
    def step(self) -> Pass:
        return MyPass(rounds=2)

It runs on a small network in the format that the pass takes, where that is a built-in one; a
fixture ``model`` brings another. ``refused`` lists the facts of models that it must refuse.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeopt import step_calls
from edgeopt.formats import format_named
from edgeopt.pipeline.prepare import installed_version
from edgeopt.recipe.steps import Step
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import EdgeoptError, PassError
from edgeopt.schema.job import Outcome
from edgeopt.schema.model_format import model_format
from edgeopt.schema.target import TargetFacts
from edgeopt.step import Pass, passes_named, registry
from edgeopt.testing.folders import unchanged
from edgeopt.testing.jobs import Bed, Cancel
from edgeopt.testing.models import Model, small_model
from edgeopt.yaml_lines import read_yaml

ISAS = ("x86_64-avx2", "x86_64-avx512_vnni", "aarch64-asimddp")
STRANGE = "no-such-field"
Facts = frozenset[str]


@dataclass(frozen=True)
class Place:
    """A pass and a model under test, with an empty folder to work in."""

    step: Pass
    model: Model
    folder: Path

    def bed(self, name: str) -> Bed:
        """The model, opened into a store of its own."""
        return Bed(self.step, self.model, self.folder / name)

    @property
    def description(self) -> Description:
        """Of the model that the pass takes."""
        return self.bed(f"described-{len(list(self.folder.iterdir()))}").description


def is_registered(place: Place) -> str:
    """Recipes and workers find it by name and format; it says what it is."""
    step, kind = place.step, type(place.step)
    registered = registry().get((step.name, step.takes))
    assert registered is kind, (
        f"the registry has {registered} for '{step.name}' on {step.takes}, not {kind}"
    )
    assert kind in passes_named(step.name).values()
    for name in (step.takes, step.gives):
        assert format_named(name) is not None and model_format(name).worker
    assert (kind.__doc__ or "").strip(), "it has no docstring, which is its help"
    silent = [n for n, field in kind.model_fields.items() if not field.description]
    assert not silent, f"fields without a description, which is their help: {silent}"
    unknown = [name for name in step.uses if not installed_version(name)]
    assert not unknown, f"uses names distributions that are not installed: {unknown}"
    return f"{step.name}: {step.takes} -> {step.gives}"


def is_frozen(place: Place) -> str:
    """No field can be changed, none is unknown, and none is converted from another type."""
    step, kind = place.step, type(place.step)
    fields = step.model_dump(mode="json")
    for name in fields:
        _invalid(lambda name=name: setattr(step, name, fields[name]), f"field '{name}' can be set")
    _invalid(lambda: _read(kind, {**fields, STRANGE: 1}), "an unknown field was taken")
    for name, value in fields.items():
        other = _of_another_type(value)
        if other is not None:
            what = f"field '{name}' takes {other!r} for {value!r}"
            _invalid(lambda n=name, v=other: _read(kind, {**fields, n: v}), what)
    return f"{len(fields)} fields"


def is_read_as_written(place: Place) -> str:
    """Through a recipe's YAML, through a job's JSON and back; the label tells fields apart."""
    step, kind = place.step, type(place.step)
    assert _read(kind, step.model_dump(mode="json")) == step, "its JSON is read as another pass"
    fields = json.loads(step.model_dump_json(exclude_defaults=True))
    path = place.folder / "step.yaml"
    path.write_text(json.dumps({step.name: fields}))  # JSON is YAML
    (choice,) = Step.model_validate(read_yaml(path)[0]).choices
    assert choice.name == step.name
    assert _read(kind, choice.fields) == step, f"from a recipe it is {choice.label}"
    again = Step.model_validate(Step(choices=(choice,)).to_yaml())
    assert again.choices == (choice,), "a recipe that is written anew has another step"
    assert step.label.startswith(step.name), f"its label, {step.label!r}, has not its name"
    for name, value in fields.items():
        assert name in step.label, f"its label, {step.label!r}, does not tell {name}={value}"
    assert _read(kind, fields).label == step.label, "its label is not made of its fields alone"
    return step.label


def is_pure_before_it_runs(place: Place) -> str:
    """What a step says before it runs, ``requires`` to ``variants``, sees a description alone."""
    step, given = place.step, place.description
    here = place.folder / "pure"
    here.mkdir()
    with unchanged("asking what it would do", here):
        step.requires(given)
        answers = [_declared(step, Description.model_validate(given.to_json())) for _ in range(2)]
    assert answers[0] == answers[1], "asked again, it says another thing"
    for isa in ISAS:
        facts = TargetFacts(target="local/onnxruntime", isa=isa)
        for variant in (*step.variants(given, facts), *step.fallbacks()):
            assert type(variant) is type(step), f"it stands for another pass: {variant.label}"
            concrete = variant.variants(given, facts)
            assert concrete == (variant,), f"{variant.label} is not concrete on {isa}: {concrete}"
            assert _read(type(step), variant.model_dump(mode="json")) == variant
    assert step not in step.fallbacks(), "it names itself for a fallback"
    return f"{len(step.fallbacks())} fallbacks"


def refuses_what_it_says(place: Place, refused: tuple[Facts, ...]) -> str:
    """A PassError, with a reason, from ``requires``; the same from a worker, before it runs."""
    step, given = place.step, place.description
    for facts in refused:
        other = given.model_copy(update={"facts": facts})
        error = _refusal(step, other)
        assert error is not None, f"a model that is {sorted(facts)} was not refused"
        assert step.name in error.what or error.hint, f"no reason is told: {error}"
    bed = place.bed("refused")
    for facts in refused[:1]:
        value = {**bed.known["source"].value}
        value["description"] = given.model_copy(update={"facts": facts}).to_json()
        bed.known["source"] = bed.known["source"].model_copy(update={"value": value})
        job = bed.job()
        try:
            bed.run(job)
        except PassError:
            continue
        raise AssertionError(f"a worker ran it on a model that is {sorted(facts)}")
    bed.close()
    return ", ".join("+".join(sorted(facts)) for facts in refused) or "nothing is refused"


def keeps_its_word(place: Place) -> str:
    """It makes what it predicts, keeps its promise on samples and leaves its parent as it was."""
    bed = place.bed("word")
    job = bed.job()
    with unchanged("the pass", place.model.root):
        outcome = bed.run(job)  # raises where the file is not what effect() says
    sentence = bed.check(job)
    artifact = bed.artifact_of(outcome)
    assert artifact.format == place.step.gives and artifact.files
    verified = bed.store.verify()
    assert verified.ok, f"the store is damaged: {verified}"
    bed.close()
    return sentence


def is_reproducible(place: Place) -> str:
    """One seed gives equal bytes, in this process and in a worker's, in any folder."""
    ours, theirs = place.bed("ours"), place.bed("somewhere/else")
    a = ours.artifact_of(ours.run(ours.job(seed=7)))
    b = theirs.artifact_of(theirs.run_in_worker(theirs.job(seed=7)))
    other = [name for name in a.files if b.files.get(name) != a.files[name]]
    assert a == b, f"equal seeds give other bytes in {other or sorted(set(b.files) - set(a.files))}"
    ours.close()
    theirs.close()
    return a.digest


def leaves_nothing_when_cancelled(place: Place) -> str:
    """A cancel at its first progress ends it, keeps no outcome, and does not show afterwards."""
    whole, bed, cancel = place.bed("whole"), place.bed("cancelled"), Cancel()
    before, began = bed.blobs(), time.monotonic()
    ended = _ended(bed, cancel)
    if cancel.struck:
        wanted = whole.artifact_of(whole.run(whole.job()))
    else:  # it tells no progress: what the whole of it took says when it is under way
        assert isinstance(ended, Outcome)
        wanted, took = bed.artifact_of(ended), time.monotonic() - began
        bed.close()
        bed = place.bed("cancelled-later")
        before, ended = bed.blobs(), _ended(bed, Cancel(took * 0.8))
    message = "it was faster" if isinstance(ended, Outcome) else ended.what
    job = bed.job()
    if message != "it was faster":
        assert bed.store.outcome(bed.key(job)) is None, "an outcome was kept"
        strange = bed.blobs() - before - set(wanted.files.values())  # it may just have ended
        assert not strange, f"what it made so far was kept: {sorted(strange)}"
        assert bed.store.verify().ok, "the store is damaged"
        left = [path.name for path in (bed.store.root / "tmp").glob("*/*")]
        assert not left, f"rough files are left: {left}"
        artifact = bed.artifact_of(bed.run_in_worker(job))
        assert artifact == wanted, "run again after a cancel, it gives other bytes"
    for each in (whole, bed):
        each.close()
    return message


def _ended(bed: Bed, cancel: Cancel) -> Outcome | EdgeoptError:
    """How the pass ends in a worker while a cancel is armed."""
    try:
        return bed.run_in_worker(bed.job(), cancel)
    except EdgeoptError as error:
        if not cancel.struck:
            raise
        return error
    finally:
        cancel.disarm()


class PassConformance:
    """Subclass it and give a fixture ``step``; pytest runs the rest."""

    @pytest.fixture
    def refused(self) -> tuple[Facts, ...]:
        """Facts of models that the pass refuses."""
        return ()

    @pytest.fixture
    def model(self, step: Pass, tmp_path: Path) -> Model:
        """What the pass is run on."""
        return small_model(step.takes, tmp_path / "root")

    def place(self, step: Pass, model: Model, tmp_path: Path) -> Place:
        """Where a check works."""
        folder = tmp_path / "work"
        folder.mkdir()
        return Place(step, model, folder)

    def test_it_is_registered(self, step: Pass, model: Model, tmp_path: Path) -> None:
        is_registered(self.place(step, model, tmp_path))

    def test_it_is_frozen(self, step: Pass, model: Model, tmp_path: Path) -> None:
        is_frozen(self.place(step, model, tmp_path))

    def test_it_is_read_as_written(self, step: Pass, model: Model, tmp_path: Path) -> None:
        is_read_as_written(self.place(step, model, tmp_path))

    def test_it_is_pure_before_it_runs(self, step: Pass, model: Model, tmp_path: Path) -> None:
        is_pure_before_it_runs(self.place(step, model, tmp_path))

    def test_it_refuses_what_it_says(
        self, step: Pass, model: Model, refused: tuple[Facts, ...], tmp_path: Path
    ) -> None:
        refuses_what_it_says(self.place(step, model, tmp_path), refused)

    def test_it_keeps_its_word(self, step: Pass, model: Model, tmp_path: Path) -> None:
        keeps_its_word(self.place(step, model, tmp_path))

    def test_it_is_reproducible(self, step: Pass, model: Model, tmp_path: Path) -> None:
        is_reproducible(self.place(step, model, tmp_path))

    def test_it_leaves_nothing_when_cancelled(
        self, step: Pass, model: Model, tmp_path: Path
    ) -> None:
        leaves_nothing_when_cancelled(self.place(step, model, tmp_path))


def _read(kind: type[Pass], fields: Mapping[str, Any]) -> Pass:
    """As recipes and workers read it."""
    return kind.model_validate_json(json.dumps(fields))


def _invalid(action: Any, what: str) -> None:
    try:
        action()
    except ValidationError:
        return
    raise AssertionError(what)


def _of_another_type(value: Any) -> Any:
    """What strict types must refuse in place of a value; None where nothing is known."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return str(value)
    return 0.5 if isinstance(value, str) else None


def _declared(step: Pass, d: Description) -> list[Any]:
    facts = [TargetFacts(target="local/onnxruntime", isa=isa) for isa in ISAS]
    return [
        step_calls.effect(step, d).to_json(),
        step_calls.promised(step, d).to_json(),
        step_calls.fallbacks(step),
        step_calls.code(step),
        [step_calls.variants(step, d, each) for each in facts],
        d.to_json(),
    ]


def _refusal(step: Pass, d: Description) -> PassError | None:
    try:
        step.requires(d)
    except PassError as error:
        return error
    return None
