"""Scores and races become findings: of the source, of what answers, and of what does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotRaced, NotScored, Raced, Scored, SourceScored
from edgeopt.decide.steps import Race
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.targets import target_group
from edgeopt.pipeline.work import Work
from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import DeviceError, UnreachableError
from edgeopt.schema.job import ArrayRef, Outcome
from edgeopt.schema.measurement import figure
from edgeopt.schema.target import parse_target

LAB = Path(__file__).parents[1] / "devices" / "lab_board.py"
FOUND = "found = session.run(None, {name: array[index] for name, array in feeds.items()})"
OnBoard = Callable[[str], tuple[Bench, list[Entry]]]


@pytest.fixture
def on_board(
    work: Work, entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OnBoard:
    """``on_board(code)``: bench and entries on a board that does ``code`` to what it ``found``."""

    def made(code: str) -> tuple[Bench, list[Entry]]:
        text = LAB.read_text()
        assert FOUND in text
        script = tmp_path / "board.py"
        script.write_text(text.replace(FOUND, f"{FOUND}\n        {code}"))
        command = {"lab": {"command": [sys.executable, str(script)]}}
        (tmp_path / "devices.yaml").write_text(json.dumps({"exec": command}))
        monkeypatch.setenv("EDGEOPT_DEVICES", str(tmp_path / "devices.yaml"))
        group = target_group(parse_target("exec:lab/onnxruntime"))
        ((target, facts),) = group.members
        own = facts.model_copy(update={"isa": digest_of(code)})  # the store keeps scores
        placed = [replace(entry, target=target, facts=own) for entry in entries]
        shared = (work.recipe, work.known, work.engine, work.store, work.outcomes)
        return Bench(*shared, group), placed

    return made


def test_the_source_and_each_entry_are_scored(bench: Bench, entries: list[Entry]) -> None:
    source, *scored = bench.score(entries, "validation")
    assert isinstance(source, SourceScored)
    assert source.measured["accuracy"].value == pytest.approx(0.9), "nine of ten labels"
    assert "difference.accuracy" not in source.measured
    assert [event.id for event in scored if isinstance(event, Scored)] == [e.id for e in entries]
    for event in scored[:2]:
        assert isinstance(event, Scored)
        assert event.measured["difference.accuracy"].value == 0.0
        assert set(event.placement or {}) == {"CPUExecutionProvider"}
    assert not bench.notes


def test_what_was_answered_is_kept_in_the_store(
    bench: Bench, entries: list[Entry], work: Work
) -> None:
    assert bench.kept(entries[1], "validation") == bench.kept_of_source("validation") == {}
    assert bench.sliced(entries[1], "validation") == ()
    bench.score(entries[1:2], "validation")
    mine, theirs = bench.kept(entries[1], "validation"), bench.kept_of_source("validation")
    assert list(mine) == list(theirs) == ["scores"] and mine["scores"].shape == (40, 3)
    np.testing.assert_allclose(*(work.store.get_array(refs["scores"]) for refs in (mine, theirs)))


def test_figures_by_class_and_by_column_add_up(bench: Bench, entries: list[Entry]) -> None:
    bench.score(entries, "validation")
    found = bench.sliced(entries[2], "validation")
    groups = [each.group for each in found]
    assert groups == ["class 0 (red)", "class 1 (green)", "class 2 (blue)", "colour even",
                      "colour odd"]  # fmt: skip
    for part in (found[:3], found[3:]):
        assert sum(each.n for each in part) == 40
    even, odd = found[3:]
    assert odd.figure.value > even.figure.value, "the wrong labels are at even places"


def test_an_entry_that_fails_loses_alone(bench: Bench, entries: list[Entry], work: Work) -> None:
    broken = bench.jobs.score(entries[1], "validation").id
    error = {"type": "ModelError", "what": "no such operator", "where": "", "hint": ""}
    work.outcomes[broken] = Outcome(job=broken, status="failed", error=error)
    _, *events = bench.score(entries, "validation")
    assert events[1] == NotScored("validation", entries[1].id, error)
    assert isinstance(events[0], Scored) and isinstance(events[2], Scored)


def test_an_entry_that_guesses_where_the_source_does_not_is_refused(
    bench: Bench, entries: list[Entry], work: Work
) -> None:
    bench.score(entries, "validation")
    job = bench.jobs.score(entries[1], "validation").id
    scored = work.outcomes[job]
    right = work.store.get_array(ArrayRef.model_validate(scored.value["outputs"]["scores"]))
    wrong = work.store.put_array(np.roll(right, 1, axis=1)).to_json()
    value = {**scored.value, "outputs": {"scores": wrong}}
    work.outcomes[job] = scored.model_copy(update={"value": value})
    _, _, event, _ = bench.score(entries, "validation")
    assert isinstance(event, NotScored) and event.error is not None
    assert event.error["what"].startswith("it is close to guessing: ")
    told = figure(event.measured["accuracy"].value, "fraction", 4)
    assert f"accuracy {told} on" in event.error["what"], "the figure that it was refused for"
    assert (event.error["type"], event.error["where"]) == ("PassError", job)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("found = [a[:, :2] for a in found]", "float32[2]"),
        ("found = [a[..., None] for a in found]", "float32[3, 1]"),
        ("found = [a[:, :0] for a in found]", "float32[0]"),
        ("found = [a > 0 for a in found]", "bool[3]"),
        ("found = [a.astype('int64') for a in found]", "int64[3]"),
    ],
)
def test_outputs_of_another_kind_are_the_boards_fault(
    on_board: OnBoard, code: str, answer: str
) -> None:
    bench, entries = on_board(code)
    _, event = bench.score(entries[:1], "test")
    assert isinstance(event, NotScored) and event.error is not None
    assert event.error["type"] == "DeviceError" and event.error["where"] == "exec:lab/onnxruntime"
    said = f"it answers {answer} a sample for 'scores', the source float32[3]"
    assert event.error["what"] == said
    with pytest.raises(UnreachableError, match="it answers"):
        bench.score(entries[:1], "validation")  # every single one: it is not the models


def test_outputs_of_the_same_kind_are_taken(on_board: OnBoard) -> None:
    bench, entries = on_board("found = [a.astype('float16') for a in found]")
    _, event = bench.score(entries[:1], "validation")
    assert isinstance(event, Scored) and event.measured["accuracy"].n == 40


def test_a_race_gives_figures_of_both_sides_and_their_ratio(
    bench: Bench, entries: list[Entry]
) -> None:
    race = Race(entries[1].id, entries[0].id, "short")
    event = bench.race(race, entries[1], entries[0])
    assert isinstance(event, Raced)
    assert event.first["latency.p50"].value > 0 < event.second["load_time"].value
    ratio = event.ratios["ratio.latency.p50"]
    assert ratio.unit == "x" and ratio.interval[0] < ratio.value < ratio.interval[1]
    assert set(event.placement or {}) == {"CPUExecutionProvider"}


@pytest.mark.parametrize(
    ("kind", "lost"), [("ModelError", False), ("DeviceError", False), ("UnreachableError", True)]
)
def test_a_race_that_fails_is_the_candidates_unless_the_device_is_lost(
    bench: Bench, entries: list[Entry], kind: str, lost: bool
) -> None:
    error = {"type": kind, "what": "it broke", "where": "", "hint": ""}
    race = Race(entries[1].id, entries[0].id, "short")
    needed = bench.jobs.race(race, entries[1], entries[0]).inputs["a"]
    bench.outcomes[needed] = Outcome(job=needed, status="failed", error=error)
    if lost:
        with pytest.raises(DeviceError, match="it broke"):
            bench.race(race, entries[1], entries[0])
    else:
        event = bench.race(race, entries[1], entries[0])
        assert isinstance(event, NotRaced) and event.error is not None
        assert "it broke" in event.error["what"]


def test_a_candidate_is_scored_and_raced_under_other_settings(
    bench: Bench, entries: list[Entry]
) -> None:
    under = (("opt", "basic"),)
    (entry,) = entries[:1]
    plain = bench.score([entry], "validation")
    source, scored = bench.score_under(under, [entry], "validation")
    assert isinstance(source, SourceScored) and isinstance(scored, Scored)
    assert (scored.id, scored.settings) == (entry.id, under) and plain[1] != scored
    asked = [job for job in bench.outcomes if job.startswith("score:validation:local")]
    assert any("?opt=basic" in job for job in asked) and any("?" not in job for job in asked)
    raced = bench.race(Race(entry.id, entry.id, "short", "settings", settings=under), entry, entry)
    assert isinstance(raced, Raced) and raced.race.settings == under
    machine = raced.ratios["ratio.latency.p50"].machine
    assert "local/onnxruntime?opt=basic" in machine and "against local/onnxruntime " in machine
