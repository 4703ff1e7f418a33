"""A device is asked what the host is asked, and what differs is told."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotScored, Scored
from edgeopt.pipeline.remote import (
    RemoteBench,
    host_in_parity,
    in_parity,
    is_remote,
    named,
    twin,
)
from edgeopt.pipeline.targets import target_group
from edgeopt.pipeline.work import Work
from edgeopt.schema.job import Outcome
from edgeopt.schema.target import TargetFacts, TargetGroup, parse_target

LAB = Path(__file__).parents[1] / "devices" / "lab_board.py"
KEPT = "parts.append([part[: first + count - at] for part in found])"
SPOILT = "parts.append([part[: first + count - at] + 0.5 * (at == 0) for part in found])"


@pytest.fixture(params=["as the host", "spoilt"])
def spoilt(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "spoilt")


@pytest.fixture
def board(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: bool) -> RemoteBench:
    """A board that answers as the host does, or is off in its first batch."""
    text = LAB.read_text()
    assert KEPT in text
    script = tmp_path / "board.py"
    script.write_text(text.replace(KEPT, SPOILT) if spoilt else text)
    command = {"lab": {"command": [sys.executable, str(script)]}}
    (tmp_path / "devices.yaml").write_text(json.dumps({"exec": command}))
    monkeypatch.setenv("EDGEOPT_DEVICES", str(tmp_path / "devices.yaml"))
    group = target_group(parse_target("exec:lab/onnxruntime"))
    ((target, facts),) = group.members
    facts = facts.model_copy(update={"isa": f"lab-{spoilt}".lower()})  # the store keeps scores
    group = TargetGroup(asked=target, members=((target, facts),))
    shared = (work.recipe, work.known, work.engine, work.store, work.outcomes)
    return RemoteBench(*shared, group)


@pytest.fixture
def there(board: RemoteBench, entries: list[Entry]) -> list[Entry]:
    """The entries on the board."""
    ((target, facts),) = board.group.members
    return [replace(entry, target=target, facts=facts) for entry in entries]


def test_what_differs_from_the_host_is_a_finding_and_a_note(
    board: RemoteBench, there: list[Entry], spoilt: bool
) -> None:
    _, *events = board.score(there[:2], "validation")
    for entry, event in zip(there[:2], events, strict=True):
        assert isinstance(event, Scored) and event.parity is not None
        assert (event.parity.device, event.parity.n) == ("exec:lab", 40)
        assert event.parity.holds is not spoilt
        notes = [note for note in board.notes if note.startswith(f"{entry.plan.label} ")]
        assert notes == ([f"{entry.plan.label} {event.parity.sentence}"] if spoilt else [])


def test_only_the_validation_split_is_compared(board: RemoteBench, there: list[Entry]) -> None:
    _, event = board.score(there[:1], "test")
    assert isinstance(event, Scored) and event.parity is None and not board.notes


def test_a_host_that_fails_is_a_note_and_no_loss(board: RemoteBench, there: list[Entry]) -> None:
    job = board.jobs.score(twin(there[0]), "validation", first=256).id
    error = {"type": "ModelError", "what": "out of luck", "where": "", "hint": ""}
    board.outcomes[job] = Outcome(job=job, status="failed", error=error)
    _, event, other = board.score(there[:2], "validation")
    assert isinstance(event, Scored) and event.parity is None
    assert board.notes[0] == "source was not compared with the host: out of luck"
    assert isinstance(other, Scored) and other.parity is not None


def test_what_did_not_answer_is_not_compared(board: RemoteBench, there: list[Entry]) -> None:
    job = board.jobs.score(there[0], "validation").id
    error = {"type": "ModelError", "what": "out of luck", "where": "", "hint": ""}
    board.outcomes[job] = Outcome(job=job, status="failed", error=error)
    _, event, _ = board.score(there[:2], "validation")
    assert isinstance(event, NotScored)
    assert board.jobs.score(twin(there[0]), "validation", first=256).id not in board.outcomes


@pytest.mark.parametrize(
    ("target", "host", "name"),
    [
        ("ssh:board/onnxruntime?threads=2", "local/onnxruntime?threads=2", "ssh:board"),
        ("emulated:cortex-a53/onnxruntime", "local/onnxruntime", "emulated:cortex-a53"),
        ("local/onnxruntime:cuda?batch=4", "local/onnxruntime?batch=4",
         "local/onnxruntime:cuda?batch=4"),
    ],
)  # fmt: skip
def test_a_twin_is_the_same_file_on_the_hosts_cpu(
    entries: list[Entry], target: str, host: str, name: str
) -> None:
    asked = parse_target(target)
    entry = replace(entries[0], target=asked)
    found = twin(entry)
    assert str(found.target) == host == found.facts.target
    assert (found.plan, found.artifact) == (entry.plan, entry.artifact)
    assert named(asked) == name


@pytest.mark.extras
@pytest.mark.parametrize("setting", ["mode=compiled", "precision=fp16", "precision=bf16"])
def test_the_hosts_own_answers_are_eager_and_in_float32(entries: list[Entry], setting: str) -> None:
    asked = parse_target(f"local/torch?{setting}")
    assert str(twin(replace(entries[0], target=asked)).target) == "local/torch"


def test_any_member_elsewhere_makes_a_target_remote() -> None:
    def group(*targets: str) -> TargetGroup:
        members = tuple((parse_target(text), TargetFacts(target=text, isa="x")) for text in targets)
        return TargetGroup(asked=members[0][0], members=members)

    assert not is_remote(group("local/onnxruntime", "local/litert?threads=2"))
    assert is_remote(group("local/onnxruntime", "local/litert:gpu"))
    assert is_remote(group("local/torch?precision=bf16"))
    assert is_remote(group("exec:lab/onnxruntime"))


@pytest.mark.extras
@pytest.mark.parametrize(
    ("target", "on_host", "compared"),
    [
        ("exec:lab/onnxruntime?int8=allowed", "local/onnxruntime?int8=allowed", ""),
        ("exec:lab/openvino", "local/openvino", "?dynamic_quant=0"),
        ("local/torch:cuda?precision=bf16", "local/torch", ""),
    ],
)
def test_the_host_answers_under_the_settings_that_mean_the_same(
    entries: list[Entry], target: str, on_host: str, compared: str
) -> None:
    entry = replace(entries[0], target=parse_target(target))
    assert str(twin(entry).target) == on_host
    assert str(host_in_parity(entry).target) == on_host + compared
    assert str(in_parity(entry).target) == target + compared


def test_a_setting_of_a_runtime_leaves_a_target_on_this_machine() -> None:
    place = parse_target("local/onnxruntime?int8=allowed&opt=extended")
    group = TargetGroup(asked=place, members=((place, TargetFacts(target=str(place), isa="i")),))
    assert not is_remote(group)
