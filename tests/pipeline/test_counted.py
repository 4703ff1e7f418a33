"""Where nothing is timed: the host's figures, as far as a few samples there agree with it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import NotScored, Scored
from edgeopt.pipeline.counted import CountedBench, is_timed
from edgeopt.pipeline.measure import Bench
from edgeopt.pipeline.remote import twin
from edgeopt.pipeline.targets import target_group
from edgeopt.pipeline.work import Work
from edgeopt.schema.job import Outcome
from edgeopt.schema.target import TargetGroup, parse_target

LAB = Path(__file__).parents[1] / "devices" / "lab_board.py"
KEPT = "parts.append([part[: first + count - at] for part in found])"
TURNED = "parts.append([part[: first + count - at, ::-1] for part in found])"
FEW = 5


@pytest.fixture(params=["as the host", "turned"])
def turned(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "turned")


@pytest.fixture
def counted(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turned: bool
) -> CountedBench:
    """A board of a few samples and no time, which answers as the host or turns its scores round."""
    text = LAB.read_text()
    assert KEPT in text
    script = tmp_path / "board.py"
    script.write_text(text.replace(KEPT, TURNED) if turned else text)
    command = {"lab": {"command": [sys.executable, str(script)]}}
    (tmp_path / "devices.yaml").write_text(json.dumps({"exec": command}))
    monkeypatch.setenv("EDGEOPT_DEVICES", str(tmp_path / "devices.yaml"))
    ((target, facts),) = target_group(parse_target("exec:lab/onnxruntime")).members
    slow = {"isa": f"slow-{turned}".lower(), "quantities": ("instructions", "size"),
            "samples_max": FEW}  # fmt: skip
    group = TargetGroup(asked=target, members=((target, facts.model_copy(update=slow)),))
    shared = (work.recipe, work.known, work.engine, work.store, work.outcomes)
    return CountedBench(*shared, group)


@pytest.fixture
def there(counted: CountedBench, entries: list[Entry]) -> list[Entry]:
    ((target, facts),) = counted.group.members
    return [replace(entry, target=target, facts=facts) for entry in entries]


def test_figures_are_the_hosts_where_the_device_agrees_with_it(
    counted: CountedBench, there: list[Entry], bench: Bench, entries: list[Entry], turned: bool
) -> None:
    assert is_timed(bench.group) and not is_timed(counted.group)
    _, on_host = bench.score(entries[1:2], "validation")
    _, reference, event = counted.score(there[:2], "validation")
    assert isinstance(event, Scored) and isinstance(on_host, Scored) and event.parity is not None
    found = event.measured["accuracy"]
    assert event.parity.n == FEW and event.parity.holds is not turned
    if turned:
        assert found.n == FEW and found.value < on_host.measured["accuracy"].value
        assert found.protocol.endswith(f"; measured on {FEW} samples on exec:lab")
        (note,) = counted.notes
        assert note.endswith(f"; its quality is measured on those {FEW} samples there")
    else:
        assert found.value == on_host.measured["accuracy"].value and found.n == 40
        assert f"{FEW} outputs on exec:lab agree" in found.protocol
        assert not counted.notes
    assert isinstance(reference, Scored) and reference.parity is None, "it is no choice"
    assert reference.measured["accuracy"].protocol.endswith("; measured on the host")


def test_slices_and_answers_are_the_hosts_or_none(
    counted: CountedBench, there: list[Entry], turned: bool
) -> None:
    assert counted.sliced(there[1], "validation") == ()
    counted.score(there[1:2], "validation")
    sliced, kept = counted.sliced(there[1], "validation"), counted.kept(there[1], "validation")
    if turned:
        assert (sliced, kept) == ((), {})
    else:
        assert sum(each.n for each in sliced if each.column == "class") == 40
        assert kept["scores"].shape == (40, 3)


def test_parity_is_told_of_the_validation_split_alone(
    counted: CountedBench, there: list[Entry]
) -> None:
    _, event = counted.score(there[1:2], "test")
    assert isinstance(event, Scored) and event.parity is None


@pytest.mark.parametrize("place", ["there", "host"])
def test_what_fails_on_either_side_is_not_scored(
    counted: CountedBench, there: list[Entry], place: str
) -> None:
    entry = there[1]
    jobs = {
        "there": counted.jobs.score(entry, "validation", first=FEW).id,
        "host": counted.jobs.score(twin(entry), "validation").id,
    }
    error = {"type": "ModelError", "what": f"it broke {place}", "where": "", "hint": ""}
    counted.outcomes[jobs[place]] = Outcome(job=jobs[place], status="failed", error=error)
    _, reference, event = counted.score(there[:2], "validation")
    assert event == NotScored("validation", entry.id, error)
    assert isinstance(reference, Scored)
