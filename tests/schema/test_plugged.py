"""What other distributions plug in: found by name, loaded, and refused by name where it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import plugging
import pytest

from edgeopt.report import draw as drawn
from edgeopt.schema import plugged, quantities
from edgeopt.schema.errors import UsageError
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
