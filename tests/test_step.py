"""Passes: what each must declare, and how the registry names one that does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import plugging
import pytest

from edgeopt.recipe import Step
from edgeopt.schema.errors import PluginError, UsageError
from edgeopt.step import (
    APPROXIMATE,
    EXACT,
    Pass,
    Promise,
    close,
    pass_taking,
    passes_named,
    registry,
)

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


def test_a_worker_finds_the_very_passes_that_the_registry_has(site: Path) -> None:
    """Guards the short way to one pass, by the name of its module, against a name that differs."""
    written(site)
    assert ("tidy", "onnx") in registry()
    for (name, takes), kind in registry().items():
        assert pass_taking(name, takes) is kind
    assert pass_taking("tidy", "tflite") is None


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
        ({}, "uses: ClassVar = (1,)", "uses must be a tuple of texts"),
        ({}, 'splits: ClassVar = ("tests",)', "splits must be a tuple of texts, of calibration"),
        ({}, 'limit_s: ClassVar = "ten"', "limit_s must be a number of seconds"),
        ({}, "limit_s: ClassVar = float('nan')", "limit_s must be a number of seconds"),
        ({}, 'version: ClassVar = "2a"', "version must be a whole number"),
        ({}, "stage: ClassVar = None", "stage must be True or False"),
        ({}, "body: ClassVar = 3", "body must be a text"),
        ({}, "promises: ClassVar = 'exact'", "nobody reads 'promises': did you mean 'promise'"),
        ({}, "isa_matter: ClassVar = True", "nobody reads 'isa_matter'"),
        ({}, "def require(self, d): ...", "nobody calls 'require': did you mean 'requires'"),
        ({}, "version: int = 2", "version is a field of it"),
        ({"name": "none"}, "pass", "a pass cannot be called 'none'"),
        ({"name": "one_of"}, "pass", "a pass cannot be called 'one_of'"),
        ({"name": "a/b"}, "pass", "a pass cannot be called 'a/b'"),
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
    assert caught.value.where == "the entry point 'tidy' of edgeopt.passes"


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("tidy_pass:X", "X = 3", "'tidy_pass:X' is no class of a Pass of edgeopt.step: 3"),
        ("tidy_pass:run", "def run(): pass", "'tidy_pass:run' is no class of a Pass"),
        ("tidy_pass:Tidy", "class Tidy: pass", "'tidy_pass:Tidy' is a class that is no Pass"),
        ("tidy_pass", "from edgeopt.step import Pass", "neither 'tidy_pass' nor a module below"),
    ],
)
def test_an_entry_point_that_names_no_pass_is_named(
    site: Path, value: str, code: str, message: str
) -> None:
    """Guards against a pass that is silently not there, and "vars() argument must have"."""
    (site / "tidy_pass.py").write_text(code)
    (site / "tidy-1.0.dist-info" / "entry_points.txt").write_text(f"[edgeopt.passes]\nx = {value}")
    with pytest.raises(PluginError, match=message) as caught:
        registry()
    assert caught.value.where == "the entry point 'x' of edgeopt.passes"


def test_a_package_gives_the_passes_of_its_submodules(site: Path) -> None:
    """Guards against passes that a package imports from its own modules, silently not found."""
    written(site)
    package = site / "tidy_package"
    package.mkdir()
    (site / "tidy_pass.py").rename(package / "made.py")
    (package / "__init__.py").write_text("from tidy_package.made import Pass, Tidy\nAlso = Tidy\n")
    point = "[edgeopt.passes]\nx = tidy_package\ny = tidy_package.made:Tidy\n"
    (site / "tidy-1.0.dist-info" / "entry_points.txt").write_text(point)
    try:
        assert passes_named("tidy")["onnx"].__module__ == "tidy_package.made"
    finally:
        for name in ("tidy_package", "tidy_package.made"):
            sys.modules.pop(name, None)


def test_a_base_without_a_name_is_no_pass(site: Path) -> None:
    more = "class More(Base, Tidy):\n    name: ClassVar[str] = 'more'"
    written(site, more=f"pass\n\nclass Base(Pass): pass\n{more}")
    assert "onnx" in passes_named("more")


def test_what_is_wrong_with_a_plug_in_is_not_blamed_on_a_recipe(site: Path) -> None:
    written(site, worker="onxx")
    with pytest.raises(PluginError, match="there is no worker") as caught:
        Step.model_validate("simplify-onnx")
    assert "edgeopt.passes" in caught.value.where
    sys.modules.pop("tidy_pass")
    (site / "tidy_pass.py").write_text("import no_such_library\n")
    with pytest.raises(UsageError, match="no_such_library"):
        Step.model_validate("simplify-onnx")


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
