"""Targets are reached or named as lost, and told in the recipe's order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from plans import asked, description

from edgeopt.pipeline.targets import in_order, target_group, target_groups
from edgeopt.recipe import make_recipe
from edgeopt.schema.errors import DeviceError, UnreachableError
from edgeopt.schema.result import TargetResult
from edgeopt.schema.target import parse_target

LAB = Path(__file__).parents[1] / "devices" / "lab_board.py"
LOST = "exec:lost/onnxruntime"


@pytest.fixture(autouse=True)
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``exec:lab`` answers, ``exec:lost`` does not."""
    import sys

    commands = {"lab": {"command": [sys.executable, str(LAB)]}, "lost": {"command": ["false"]}}
    (tmp_path / "devices.yaml").write_text(json.dumps({"exec": commands}))
    monkeypatch.setenv("EDGEOPT_DEVICES", str(tmp_path / "devices.yaml"))


def test_a_target_for_every_runtime_has_those_that_are_there() -> None:
    group = target_group(parse_target("exec:lab/*"))
    assert str(group) == "exec:lab/*"
    assert [str(target) for target, _ in group.members] == ["exec:lab/onnxruntime"]
    assert group.members[0][1].isa == "lab"


def test_a_runtime_that_is_asked_for_by_name_must_be_there() -> None:
    with pytest.raises(DeviceError, match="runtime 'litert' is not installed") as caught:
        target_group(parse_target("exec:lab/litert"))
    assert "installed: onnxruntime" in caught.value.hint
    assert not isinstance(caught.value, UnreachableError)


def test_what_is_out_of_reach_is_lost_beside_what_is_not() -> None:
    asked = [parse_target(text) for text in (LOST, "local/onnxruntime")]
    groups, lost = target_groups(asked)
    assert [str(group) for group in groups] == ["local/onnxruntime"]
    assert list(lost) == [LOST] and lost[LOST].where == "exec:lost"


def test_all_out_of_reach_is_an_error_also_for_every_runtime() -> None:
    for text in (LOST, "exec:lost/*"):
        with pytest.raises(UnreachableError) as caught:
            target_groups([parse_target(text)])
        assert caught.value.where == "exec:lost"


def test_results_come_in_the_recipes_order_and_the_lost_have_a_verdict() -> None:
    recipe = make_recipe(
        {"model": "m.onnx", "objective": "size",
         "targets": ["local/litert", LOST, "local/onnxruntime", "local/torch"]}
    )  # fmt: skip
    made = [
        TargetResult(target=target, objective="size", machine={}, verdict="built", sentence="")
        for target in ("local/onnxruntime", "local/litert")
    ]
    lost = {LOST: UnreachableError("no answer", where="exec:lost")}
    _, known = asked([], description("onnx"))
    known = replace(known, unreachable=lost).planned({"local/torch": "no chain"})
    found = in_order(recipe, made, known)
    names = ["local/litert", LOST, "local/onnxruntime", "local/torch"]
    assert [result.target for result in found] == names
    assert (found[3].verdict, found[3].sentence, found[3].exit_code) == ("failed", "no chain", 5)
    assert found[1].verdict == "unreachable" and not found[1].candidates
    assert found[1].sentence == "exec:lost: no answer" and found[1].exit_code != 0
    assert found[0] is made[1]
