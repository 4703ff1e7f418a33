"""What a pass of another's code says of itself: refused by its name where it is of no use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import plugging
import pytest
from pydantic import ValidationError, field_validator

from edgeopt import step_calls
from edgeopt.schema.artifact import Description, Signature
from edgeopt.schema.errors import PassError, PluginError
from edgeopt.schema.target import TargetFacts
from edgeopt.step import APPROXIMATE, Pass

ONNX = Description(format="onnx", signature=Signature(inputs=(), outputs=()), facts=frozenset())
FACTS = TargetFacts(target="local/onnxruntime", isa="x86_64-avx2")
ASKED: dict[str, Callable[[Pass], Any]] = {
    "effect": lambda step: step_calls.effect(step, ONNX),
    "variants": lambda step: step_calls.variants(step, ONNX, FACTS),
    "promised": lambda step: step_calls.promised(step, ONNX),
    "fallbacks": step_calls.fallbacks,
    "open_of": lambda step: step_calls.open_of(type(step), {}),
    "requires": lambda step: step_calls.requires(step, ONNX),
    "code": step_calls.code,
    "sees": step_calls.sees,
    "libraries": step_calls.uses,
    "label": step_calls.label,
}


class Sound(Pass):
    name: ClassVar[str] = "sound"
    takes: ClassVar[str] = "onnx"
    gives: ClassVar[str] = "onnx"
    depth: int = 1


def saying(method: str, answer: Any) -> Pass:
    """A pass whose method of that name gives the answer, or raises it."""

    def said(*_: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    asked = ("code", "label", "sees", "libraries")
    kinds: dict[str, Any] = {"open_of": classmethod, **dict.fromkeys(asked, property)}
    return type("Odd", (Sound,), {method: kinds.get(method, lambda x: x)(said)})()


@pytest.mark.parametrize("method", ASKED)
def test_a_sound_pass_is_asked_and_answers(method: str) -> None:
    answers = {"effect": ONNX, "variants": (Sound(),), "promised": APPROXIMATE, "label": "sound"}
    empty = {"fallbacks": (), "code": (), "sees": (), "libraries": ()}
    empty |= {"open_of": None, "requires": None}
    assert ASKED[method](Sound()) == {**answers, **empty}[method]


@pytest.mark.parametrize("method", ASKED)
def test_what_a_method_raises_is_named_with_it(method: str) -> None:
    with pytest.raises(PluginError, match="KeyError: 'k'") as caught:
        ASKED[method](saying(method, KeyError("k")))
    assert method in caught.value.what and ".Odd)" in caught.value.what
    assert "test_step_calls.py:" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("effect", None, "gives a NoneType, not a Description"),
        ("effect", ONNX.model_copy(update={"format": "tflite"}), "predicts a model in tflite"),
        ("variants", None, "gives a NoneType, not a tuple of Odd"),
        ("variants", [1], "gives a list with 1, not a tuple of Odd"),
        ("variants", (Sound(),), "not a tuple of Odd"),
        ("fallbacks", "no", "gives a str, not a tuple of Odd"),
        ("promised", "exact", "gives a str, not a Promise"),
        ("code", None, "gives a NoneType, not a tuple of str"),
        ("code", (3,), "gives a tuple with 3"),
        ("sees", "calibration", "gives a str, not a tuple of str"),
        ("sees", ("test",), "names 'test', which its splits leave out"),
        ("libraries", (3,), "gives a tuple with 3"),
        ("label", 3, "gives a int, not a str"),
        ("open_of", True, "gives a bool, not a Open"),
        ("requires", False, "gives a bool, not None"),
    ],
)
def test_an_answer_of_another_kind_is_refused(method: str, answer: Any, told: str) -> None:
    """Guards against "'NoneType' object has no attribute" far from the pass that caused it."""
    with pytest.raises(PluginError, match=told) as caught:
        ASKED[method](saying(method, answer))
    assert method in caught.value.what and "the pass sound" in caught.value.what


def test_a_refusal_of_its_own_passes_through() -> None:
    with pytest.raises(PassError, match="too wide"):
        ASKED["requires"](saying("requires", PassError("too wide")))


class Checked(Sound):
    @field_validator("depth")
    @classmethod
    def _fits(cls, depth: int) -> int:
        return {1: depth}[depth]


def test_fields_are_read_and_a_validator_that_breaks_is_named() -> None:
    assert step_calls.read(Checked, {"depth": 1}) == Checked()
    with pytest.raises(ValidationError):
        step_calls.read(Checked, {"dept": 1})
    with pytest.raises(PluginError, match="reading the fields of the pass sound"):
        step_calls.read(Checked, {"depth": 2})


def test_the_key_holds_the_version_of_what_brings_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against an old outcome that is taken for a new version of a pass."""
    assert step_calls.uses(Sound()) == ()
    own = type("Own", (Sound,), {"__module__": "tidy_pass.made", "uses": ("onnx",)})()
    monkeypatch.syspath_prepend(str(tmp_path))
    plugging.write_metadata(tmp_path, "tidy", {"edgeopt.passes": {"tidy": "tidy_pass:Tidy"}})
    assert step_calls.uses(own) == ("onnx", "tidy")
