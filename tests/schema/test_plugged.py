"""What other distributions plug in: found by name, loaded, and refused by name where it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import plugging
import pytest
from pydantic import ValidationError

from edgeopt.evaluation import compute
from edgeopt.report import draw as drawn
from edgeopt.schema import plugged, quantities
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import PluginError, UsageError
from edgeopt.step import registry
from edgeopt.transport.kinds import device_kind

GROUP = "edgeopt.tried"
BROKEN = "import no_such_library\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "fine_plugin.py").write_text("THING = 7\n")
    (tmp_path / "broken_plugin.py").write_text(BROKEN)
    yield tmp_path
    for name in ("fine_plugin", "broken_plugin"):
        sys.modules.pop(name, None)


def test_points_are_found_by_name_and_nothing_is_imported(site: Path) -> None:
    plugging.write_metadata(site, "one", {GROUP: {"b": "broken_plugin", "a": "fine_plugin:THING"}})
    points = plugged.points(GROUP)
    assert {name: point.value for name, point in points.items()} == {
        "a": "fine_plugin:THING",
        "b": "broken_plugin",
    }
    assert not {"broken_plugin", "fine_plugin"} & set(sys.modules)
    assert plugged.load(points["a"]) == 7


def test_a_name_of_two_distributions_is_refused(site: Path) -> None:
    plugging.write_metadata(site, "one", {GROUP: {"a": "fine_plugin"}})
    plugging.write_metadata(site, "two", {GROUP: {"a": "broken_plugin"}})
    with pytest.raises(UsageError, match=f"two distributions provide .*'a' of {GROUP}"):
        plugged.points(GROUP)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("broken_plugin", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("fine_plugin:OTHER", "AttributeError: .*OTHER"),
        ("not_there", "ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_what_cannot_be_loaded_names_its_entry_point(site: Path, value: str, message: str) -> None:
    plugging.write_metadata(site, "one", {GROUP: {"a": value}})
    with pytest.raises(UsageError, match=message) as caught:
        plugged.load(plugged.points(GROUP)["a"])
    assert caught.value.where == f"the entry point 'a' of {GROUP}"


@pytest.mark.parametrize(
    ("group", "asked"),
    [
        ("edgeopt.passes", registry),
        ("edgeopt.metrics", quantities.quantities),
        ("edgeopt.views", lambda: drawn(None, "broken")),  # type: ignore[arg-type]
        ("edgeopt.devices", lambda: device_kind("broken")),
    ],
)
def test_each_kind_of_plug_in_that_cannot_be_imported_is_a_typed_error(
    site: Path, group: str, asked: object
) -> None:
    for cached in (registry, quantities.quantities, device_kind):
        cached.cache_clear()
    plugging.write_metadata(site, "one", {group: {"broken": "broken_plugin"}})
    try:
        with pytest.raises(UsageError, match="no_such_library") as caught:
            asked()
        assert caught.value.where == f"the entry point 'broken' of {group}"
    finally:
        for cached in (registry, quantities.quantities, device_kind):
            cached.cache_clear()


def test_what_a_plug_in_raises_is_named_with_its_place(site: Path) -> None:
    (site / "fine_plugin.py").write_text("def measure():\n    return {}['x']\n")
    module = plugged.imported("fine_plugin", "the metric m")
    failed = pytest.raises(PluginError, match="measure failed: KeyError: 'x'")
    with failed as caught, plugged.calling("measure"):
        module.measure()
    assert f"{site / 'fine_plugin.py'}:2 (measure)" in caught.value.hint


def test_errors_of_edgeopt_pass_through_as_they_are() -> None:
    with pytest.raises(UsageError, match="plain"), plugged.calling("measure"):
        raise UsageError("plain")


def test_a_module_that_cannot_be_imported_is_named_with_what_needs_it(site: Path) -> None:
    with pytest.raises(PluginError, match=r"the view 'x' \(broken_plugin\) failed: Module") as no:
        plugged.imported("broken_plugin", "the view 'x'")
    assert "broken_plugin.py:1" in no.value.hint


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def draw(d): return d.lable", "failed: AttributeError: 'NoneType' object has no"),
        ("def draw(d): return b'x'", "gives a bytes, not text"),
        ("def draw(d): return None", "gives a NoneType, not text"),
        (r"def draw(d): return 'ab\udcff'", r"lone surrogate, '.udcff', as character 3"),
        ("def draw(d, width): return ''", "failed: TypeError: draw"),
    ],
)
def test_a_view_that_breaks_its_contract_is_named(site: Path, code: str, message: str) -> None:
    """Guards against "write() argument must be str" with no view in sight."""
    (site / "fine_plugin.py").write_text(code)
    plugging.write_metadata(site, "one", {"edgeopt.views": {"tried": "fine_plugin"}})
    with pytest.raises(PluginError, match=message) as caught:
        drawn(None, "tried")  # type: ignore[arg-type]
    assert "the view 'tried' (fine_plugin)" in caught.value.what


METRIC = """
from edgeopt.schema.quantities import Quantity
TRIED = Quantity("tried", "fraction", "answers", labels="values", module="measured_plugin")
"""
GIVES = {
    "": "has no measure",
    "def measure(*_): return 0.5": "gives a float, not a Measurement",
    "def measure(*_): return {}['x']": "failed: KeyError: 'x'",
    "def measure(q, *_): return M(quantity='other', value=0.5, unit='fraction')":
        "gives a figure of 'other', not of 'tried'",
    "def measure(q, *_): return M(quantity=q, value=float('nan'), unit='fraction')": "gives NaN",
}  # fmt: skip


@pytest.mark.parametrize("code", GIVES)
def test_a_metric_that_breaks_its_contract_is_named(site: Path, code: str) -> None:
    """Guards against NaN in a result, and against "no attribute 'quantity'" of nobody."""
    (site / "fine_plugin.py").write_text(METRIC)
    text = f"from edgeopt.schema.measurement import Measurement as M\n{code}\n"
    text += "difference = ratio = measure\n" if code else ""
    (site / "measured_plugin.py").write_text(text)
    plugging.write_metadata(site, "one", {"edgeopt.metrics": {"tried": "fine_plugin:TRIED"}})
    quantities.quantities.cache_clear()
    ones = np.ones((20, 1), np.float32)
    try:
        with pytest.raises(PluginError, match=GIVES[code]) as caught:
            compute("tried", {"o": ones}, {"o": ones})
        assert "the metric tried (measured_plugin)" in caught.value.what
    finally:
        quantities.quantities.cache_clear()
        sys.modules.pop("measured_plugin", None)


def test_of_a_validation_the_first_wrong_field_is_told() -> None:
    """Guards against a dump of pydantic's, which names no field of ours in its first line."""
    with pytest.raises(ValidationError) as caught:
        Tensor.model_validate({"name": "x", "shape": [1]})
    assert plugged.one_line(caught.value) == "Tensor: 'dtype': is missing"
    assert plugged.one_line(KeyError("x")) == "KeyError: 'x'"
    assert plugged.one_line(ValueError()) == "ValueError"
    assert plugged.one_line(ValueError("a\n\n  b")) == "ValueError: a b"
