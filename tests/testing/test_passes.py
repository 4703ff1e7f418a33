"""The kit of passes finds each fault by the check that it belongs to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from edgeopt.schema.artifact import Description
from edgeopt.schema.target import TargetFacts
from edgeopt.step import APPROXIMATE, EXACT, Pass, PassContext, registry
from edgeopt.testing import passes
from edgeopt.testing.models import small_model


class OnnxPass(Pass):
    """What the faulty passes share; without a name it is none."""

    takes = gives = worker = "onnx"
    promise = EXACT
    number: int = 1

    def run(self, model: Any, ctx: PassContext) -> Any:
        return model


def changed(model: Any, by: float) -> Any:
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor) + np.float32(by)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


class Predicts(OnnxPass):
    name = "predicts-another"

    def effect(self, d: Description) -> Description:
        return d.model_copy(update={"facts": d.facts | {"int8"}})


class Promises(OnnxPass):
    name = "promises-too-much"

    def run(self, model: Any, ctx: PassContext) -> Any:
        return changed(model, 0.1)


class Writes(OnnxPass):
    name = "writes-in-its-parent"

    def run(self, model: Any, ctx: PassContext) -> Any:
        (ctx.parent / "notes").write_text("mine")
        return model


class Varies(OnnxPass):
    name = "varies"
    promise = APPROXIMATE

    def run(self, model: Any, ctx: PassContext) -> Any:
        return changed(model, int.from_bytes(os.urandom(2), "big") / 1e6)


class Converts(OnnxPass):
    name = "converts"
    model_config = {"strict": False}


class Thaws(OnnxPass):
    name = "thaws"
    model_config = {"frozen": False}


class Takes(OnnxPass):
    """It takes what it should refuse."""

    name = "takes-all"


class Unlabelled(OnnxPass):
    name = "unlabelled"

    @property
    def label(self) -> str:
        return self.name


class Open(OnnxPass):
    name = "never-concrete"

    def variants(self, d: Description, t: TargetFacts) -> tuple[Any, ...]:
        return (self.model_copy(update={"number": self.number + 1}),)


FAULTY_PASSES: list[tuple[type[Pass], Callable[[passes.Place], str], str]] = [
    (Predicts, passes.keeps_its_word, "not what it predicted"),
    (Promises, passes.keeps_its_word, "broke its promise, exact"),
    (Writes, passes.keeps_its_word, "changed the folder of its parent: 'notes' is new"),
    (Varies, lambda place: str(differing(place)), "differ"),
    (Converts, passes.is_frozen, "field 'number' takes '2' for 2"),
    (Thaws, passes.is_frozen, "field 'number' can be set"),
    (
        Takes,
        lambda place: passes.refuses_what_it_says(place, (frozenset({"int8"}),)),
        "not refused",
    ),
    (Unlabelled, passes.is_read_as_written, "does not tell number=2"),
    (Open, passes.is_pure_before_it_runs, "is not concrete"),
    (Takes, passes.is_registered, "the registry has None"),
]


def differing(place: passes.Place) -> None:
    """Two runs in this process: a worker would not know a pass of this file."""
    beds = [place.bed(name) for name in ("first", "second")]
    made = [bed.artifact_of(bed.run(bed.job())) for bed in beds]
    assert made[0] == made[1], "equal seeds differ"


@pytest.mark.parametrize(
    ("kind", "check", "said"), FAULTY_PASSES, ids=lambda v: getattr(v, "__name__", None)
)
def test_a_faulty_pass_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Pass],
    check: Callable[[passes.Place], str],
    said: str,
) -> None:
    if check is not passes.is_registered:
        monkeypatch.setitem(registry(), (kind.name, kind.takes), kind)
    folder = tmp_path / "work"
    folder.mkdir()
    place = passes.Place(kind(number=2), small_model("onnx", tmp_path / "root"), folder)
    with pytest.raises((AssertionError, passes.EdgeoptError), match=said):
        check(place)
