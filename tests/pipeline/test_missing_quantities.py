"""What a device cannot measure is refused before any work, with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeopt.pipeline.missing_quantities import (
    check_quantities,
    check_unraced,
    objective_of,
    unraced_notes,
)
from edgeopt.recipe import load_recipe
from edgeopt.schema.errors import UsageError
from edgeopt.schema.target import TargetFacts, TargetGroup, parse_target

HAS = {"local": ("latency", "memory", "load_time", "size"), "emulated": ("instructions", "size")}
RECIPE = """\
model: m.onnx
targets: [{targets}]
objective: {objective}
constraints:
  - size <= 1 MB
  - {constraint}
"""


def check(folder: Path, targets: str, constraint: str, objective: str = "size") -> None:
    text = RECIPE.format(targets=targets, constraint=constraint, objective=objective)
    (folder / "recipe.yaml").write_text(text)
    recipe = load_recipe(folder / "recipe.yaml")
    groups = []
    for target in recipe.parsed_targets():
        has = HAS[target.device.partition(":")[0]]
        facts = TargetFacts(target=str(target), isa="x", quantities=has)
        groups.append(TargetGroup(asked=target, members=((target, facts),)))
    check_quantities(recipe, groups)


EMULATED = '"emulated:cortex-a53/litert"'


@pytest.mark.parametrize("quantity", ["latency.p50 <= 1 ms", "memory.peak <= 1 MB"])
def test_what_emulation_lacks_is_refused_with_its_line(tmp_path: Path, quantity: str) -> None:
    with pytest.raises(UsageError, match="does not measure") as caught:
        check(tmp_path, EMULATED, quantity)
    assert caught.value.where.endswith("recipe.yaml:6")
    assert caught.value.exit_code == 2


def test_counts_are_refused_where_there_is_time(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="local does not measure instructions"):
        check(tmp_path, "local/onnxruntime", "instructions <= 0.5x source")


def test_a_constraint_bound_to_another_target_is_none_of_this_ones(tmp_path: Path) -> None:
    latency = "{on: local, require: latency.p50 <= 1 ms}"
    check(tmp_path, f"local/litert, {EMULATED}", latency)
    check(tmp_path, EMULATED, "instructions <= 5 M")


def test_an_objective_that_is_lacking_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the objective is latency\.p50") as caught:
        check(tmp_path, EMULATED, "size <= 2 MB", objective="latency.p50")
    assert caught.value.where.endswith("recipe.yaml:3")


def test_the_default_objective_is_what_the_device_has(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"model: m.onnx\ntargets: [local/litert, {EMULATED}]\n")
    recipe = load_recipe(tmp_path / "r.yaml")
    found = [recipe.objective_for(target) for target in recipe.parsed_targets()]
    assert found == ["latency.p50", "instructions"]
    assert parse_target("emulated:cortex-a53/litert").device == "emulated:cortex-a53"


@pytest.mark.parametrize(
    "bound",
    [
        "latency.p99 <= 8 ms",
        "latency.p50 <= 0.7x source",
        "load_time <= 1 s",
        "memory.peak <= 1 MB",
    ],
)
def test_a_bound_that_needs_a_race_is_refused_without_races_with_its_line(
    tmp_path: Path, bound: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.format(targets="local/onnxruntime", objective="size", constraint=bound)
    )
    with pytest.raises(UsageError, match="needs a race") as caught:
        check_unraced(load_recipe(tmp_path / "recipe.yaml"))
    assert caught.value.where.endswith("recipe.yaml:6") and "--no-race" in caught.value.hint


@pytest.mark.parametrize("bound", ["size <= 0.5x source", "fidelity.cosine >= 0.9"])
def test_other_bounds_need_no_race(tmp_path: Path, bound: str) -> None:
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.format(targets="local/onnxruntime", objective="size", constraint=bound)
    )
    check_unraced(load_recipe(tmp_path / "recipe.yaml"))


@pytest.mark.parametrize(("bench", "quick"), [(False, False), (True, True)])
def test_no_races_exclude_quick_races_and_no_scores(
    tmp_path: Path, bench: bool, quick: bool
) -> None:
    (tmp_path / "recipe.yaml").write_text("model: m.onnx\n")
    with pytest.raises(UsageError, match="exclude each other"):
        check_unraced(load_recipe(tmp_path / "recipe.yaml"), bench=bench, quick=quick)


@pytest.mark.parametrize(
    ("objective", "chooses"),
    [("latency.p50", "size"), ("instructions", "size"), ("memory.peak", "size"),
     ("size", "size"), ("fidelity.sqnr", "fidelity.sqnr")],
)  # fmt: skip
def test_without_races_the_size_stands_for_an_objective_that_needs_one(
    tmp_path: Path, objective: str, chooses: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(f"model: m.onnx\nobjective: {objective}\n")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    (target,) = recipe.parsed_targets()
    assert objective_of(recipe, target, raced=False) == chooses
    assert objective_of(recipe, target, raced=True) == objective
    (note,) = unraced_notes(recipe)
    assert ("the smallest" in note) == (objective != chooses) and "no time was taken" in note
