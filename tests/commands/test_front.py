"""The Pareto front of a kept result, in figures, as a table and as a picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from result_sample import candidate, measured, sample_result, sample_target

import edgeopt
from edgeopt.commands.front import fronts
from edgeopt.report.front_plot import front_svg
from edgeopt.schema.errors import DataError, UsageError

EDGEOPT = Path(sys.executable).with_name("edgeopt")
OTHER = "local/openvino"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EDGEOPT_STORE": str(folder / "store")}
    command = [str(EDGEOPT), "front", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_the_front_holds_what_keeps_all_bounds_and_nothing_beats() -> None:
    (found,) = fronts(sample_result()).targets
    assert found.axes == ("ratio.latency.p50", "accuracy")
    assert [point.chosen for point in found.points] == [True, False, False]
    assert [point.figures["ratio.latency.p50"].value for point in found.points] == [
        0.412,
        0.971,
        1.31,
    ]
    assert found.compared == 4, "neither the reference, refused, failed nor without a race"
    why = " ".join(found.left_out.values())
    assert "does not surely hold accuracy >= source - 1.0pt" in why
    assert "failed" in why and "has no latency.p50" in why
    assert found.hypervolume is not None and 0 < found.hypervolume < 1


def test_axes_are_asked_for_and_unknown_ones_named() -> None:
    (found,) = fronts(sample_result(), ["size", "latency.p50", "macro_f1"]).targets
    assert found.axes == ("size", "ratio.latency.p50", "macro_f1")
    sizes = [point.figures["size"].value for point in found.points]
    assert sizes == sorted(sizes)
    with pytest.raises(UsageError, match="unknown quantity 'sise'"):
        fronts(sample_result(), ["sise"])
    with pytest.raises(UsageError, match="no candidate of local/onnxruntime has 'mse'"):
        fronts(sample_result(), ["mse"])


def test_one_artifact_for_all_targets_costs_what_it_loses_on_each() -> None:
    """The artifact that is best on neither may be the best for both."""
    chains = (("a",), ("b",), ("c",))
    speeds = {"local/onnxruntime": (0.4, 0.5, 1.0), OTHER: (1.0, 0.5, 0.4)}
    targets = [
        sample_target(
            target=target, reference="", chosen=None, path=None, verdict="built", test={},
            candidates=[
                candidate("lost", labels, "", measurements=measured((speed, 0.01), 0.0, 1e5))
                for labels, speed in zip(chains, ratios, strict=True)
            ],
        )
        for target, ratios in speeds.items()
    ]  # fmt: skip
    found = fronts(sample_result(*targets))
    first, *others = found.for_all
    assert first.label == "b" and {row.label for row in others} == {"a", "c"}
    assert first.costs == pytest.approx({"local/onnxruntime": 1.25, OTHER: 1.25})
    assert first.cost == pytest.approx(1.25)
    by_size = fronts(sample_result(*targets), ["accuracy", "size"]).for_all
    assert {row.cost for row in by_size} == {1.0}
    lost = sample_target(target=OTHER, candidates=(), chosen=None, verdict="unreachable", test={})
    assert not fronts(sample_result(targets[0], lost)).for_all, "one of the targets is not known"


def test_the_picture_has_a_mark_for_each_point_of_a_front() -> None:
    found = fronts(sample_result())
    picture = ElementTree.fromstring(front_svg(found))
    marks = [each for each in picture.iter() if each.tag.endswith("circle")]
    assert len(marks) == len(found.targets[0].points)


def test_the_command_prints_a_table_json_and_a_picture(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(sample_result().to_json()))
    done = run(tmp_path, "result.json", "--plot", "front.svg")
    assert done.returncode == 0, done.stderr
    assert "3 of 4 on the front" in done.stdout and "chosen" in done.stdout
    ElementTree.parse(tmp_path / "front.svg")
    told = run(tmp_path, ".", "--objective", "size", "--objective", "accuracy", "--json")
    axes = json.loads(told.stdout)["targets"][0]["axes"]
    assert told.returncode == 0 and axes == ["size", "accuracy"]
    assert run(tmp_path, "absent.json").returncode == 1
    assert run(tmp_path, "result.json", "--objective", "sise").returncode == 2


def test_the_program_reads_a_file_or_takes_a_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(sample_result().to_json()))
    by_file, held = edgeopt.front(tmp_path), edgeopt.front(sample_result())
    assert by_file.targets == held.targets
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(DataError):
        edgeopt.front(tmp_path)
