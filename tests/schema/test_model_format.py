"""What formats declare: those of edgeopt, and others that are plugged in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plugging import forget, write_metadata
from pydantic import ValidationError

from edgeopt.schema import model_format as formats
from edgeopt.schema.errors import PlanError, UsageError
from edgeopt.schema.model_format import ModelFormat, model_format, model_formats
from edgeopt.schema.runtime import GROUP, runtimes

FORM: dict[str, Any] = {
    "suffixes": [".mine"], "marker": "model.mine", "worker": "mine", "uses": ["mine"],
    "scored_by": "mine",
}  # fmt: skip
RUNTIME: dict[str, Any] = {
    "format": "mine", "rank": 95, "every": False, "distributions": ["minelib"],
    "modules": ["minelib"], "accelerators": {"cpu": {"nodes": ["CPU"]}},
}  # fmt: skip


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a format ``mine`` that declares FORM and what else is given."""
    site = tmp_path / "site"
    (site / "mine_format").mkdir(parents=True)
    (site / "mine_format" / "runtime.json").write_text(json.dumps(RUNTIME))
    monkeypatch.syspath_prepend(str(site))

    def install(**given: Any) -> None:
        (site / "mine_format" / "format.json").write_text(json.dumps({**FORM, **given}))
        shutil.rmtree(site / "mine-1.0.dist-info", ignore_errors=True)
        points = {formats.GROUP: {"mine": "mine_format"}, GROUP: {"mine": "mine_format"}}
        write_metadata(site, "mine", points)
        forget()

    yield install
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("suffix", ["onnx", ".ONNX"])
def test_a_suffix_has_its_dot_and_small_letters(suffix: str) -> None:
    with pytest.raises(ValidationError, match=f"'{suffix}' is not a suffix in lower case"):
        ModelFormat.model_validate({**FORM, "suffixes": [".fine", suffix]})


def test_no_suffix_is_of_two_formats_of_edgeopt() -> None:
    suffixes = [suffix for each in model_formats().values() for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown model format 'onx'") as caught:
        model_format("onx")
    assert caught.value.hint == "Did you mean 'onnx'?"


@pytest.mark.parametrize("name", ["onnx", "torch", "tflite"])
def test_a_source_is_scored_by_a_runtime_that_reads_it(name: str) -> None:
    assert runtimes()[formats.scored_by(name)].format == name


@pytest.mark.parametrize(
    ("names", "worker"),
    [
        (["onnx"], "onnx"),
        (["onnx", "onnx"], "onnx"),
        (["torch", "onnx"], "torch"),
        (["onnx", "torch"], "torch"),
        (["onnx", "tflite", "torch"], "litert"),
    ],
)
def test_formats_meet_in_the_worker_that_covers_them(names: list[str], worker: str) -> None:
    assert formats.worker_for(names) == worker


def test_formats_that_meet_nowhere_are_told_what_would_help(plug_in: Callable[..., None]) -> None:
    plug_in()
    with pytest.raises(PlanError, match="no worker can load both onnx and mine") as caught:
        formats.worker_for(["onnx", "mine", "onnx"])
    assert "'covers' of its format.json" in caught.value.hint
    assert "the workers are mine, onnx" in caught.value.hint
    plug_in(covers=["onnx"])
    assert formats.worker_for(["onnx", "mine"]) == "mine"


def test_a_format_whose_runtime_reads_another_is_refused(plug_in: Callable[..., None]) -> None:
    """Guards against a plan that is made and a run that then cannot score its source."""
    plug_in(scored_by="onnxruntime")
    with pytest.raises(UsageError, match="the runtime 'onnxruntime' reads onnx, not mine") as no:
        formats.model_formats()
    assert "mine_format/format.json" in no.value.what


def test_what_a_format_records_is_recorded_once(plug_in: Callable[..., None]) -> None:
    before = formats.recorded()
    assert len(before) == len(set(before)) and before[:2] == ["edgeopt", "numpy"]
    plug_in(records=["numpy", "minelib", "other"])
    after = formats.recorded()
    assert set(after) == {*before, "minelib", "other"} and len(after) == len(before) + 2
