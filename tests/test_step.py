"""Passes: what each must declare, and how the registry names one that does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import plugging
import pytest

from edgeopt.schema.errors import PluginError, UsageError
from edgeopt.step import APPROXIMATE, EXACT, Pass, Promise, close, passes_named, registry

DECLARED = {"name": "tidy", "takes": "onnx", "gives": "onnx", "worker": "onnx"}
PLUGIN = """
from typing import ClassVar
from edgeopt.step import APPROXIMATE, Pass

class Tidy(Pass):
    name: ClassVar[str] = {name!r}
    takes: ClassVar[str] = {takes!r}
    gives: ClassVar[str] = {gives!r}
    worker: ClassVar[str] = {worker!r}
    {more}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    plugging.write_metadata(tmp_path, "tidy", {"edgeopt.passes": {"tidy": "tidy_pass"}})
    registry.cache_clear()
    yield tmp_path
    registry.cache_clear()
    sys.modules.pop("tidy_pass", None)


def written(site: Path, more: str = "pass", **changed: Any) -> None:
    (site / "tidy_pass.py").write_text(PLUGIN.format(more=more, **{**DECLARED, **changed}))


def test_a_plugged_in_pass_stands_beside_the_built_in_ones(site: Path) -> None:
    written(site)
    assert list(passes_named("tidy")) == ["onnx"]
    assert ("simplify-onnx", "onnx") in registry()


@pytest.mark.parametrize(
    ("changed", "more", "message"),
    [
        ({"name": None}, "pass", "name must be a text"),
        ({"worker": 3}, "pass", "worker must be a text"),
        ({"worker": "onxx"}, "pass", "there is no worker 'onxx'"),
        ({"takes": "onx"}, "pass", "takes: there is no model format 'onx'"),
        ({"gives": "tf"}, "pass", "gives: there is no model format 'tf'"),
        ({}, 'promise: ClassVar = "exact"', "promise must be EXACT, APPROXIMATE or close"),
        ({}, 'uses: ClassVar = "onnx"', "uses must be a tuple of texts"),
    ],
)
def test_a_wrong_declaration_names_the_class_and_the_field(
    site: Path, changed: dict[str, Any], more: str, message: str
) -> None:
    """Guards against an AttributeError far from the pass that caused it."""
    written(site, more, **changed)
    with pytest.raises(PluginError, match=message) as caught:
        registry()
    assert "tidy_pass.Tidy" in caught.value.what


def test_a_name_that_is_taken_is_told_by_both_classes(site: Path) -> None:
    written(site, name="simplify-onnx")
    with pytest.raises(UsageError, match=r"SimplifyOnnx and tidy_pass\.Tidy"):
        registry()


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        passes_named("simplify-onx", "r.yaml:3")
    assert caught.value.hint == "Did you mean 'simplify-onnx'?" and caught.value.where == "r.yaml:3"


class Plain(Pass):
    name: ClassVar[str] = "plain"
    depth: int = 3


def test_a_label_holds_what_is_not_at_its_default() -> None:
    assert Plain().label == "plain" and Plain(depth=4).label == "plain(depth=4)"


def test_a_pass_without_run_and_body_says_so() -> None:
    with pytest.raises(TypeError, match="Plain defines no run"):
        Plain().run(None, None)  # type: ignore[arg-type]


def test_promises_read_as_they_are_written() -> None:
    assert (str(EXACT), str(APPROXIMATE)) == ("exact", "approximate")
    assert str(close(1e-3, 1e-5)) == "close(rtol=0.001, atol=1e-05)"
    assert close(1e-3, 1e-5) == Promise(kind="close", rtol=1e-3, atol=1e-5)
