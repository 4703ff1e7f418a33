"""What is shared by the parts of a run: jobs that ended are not run again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from edgeopt.pipeline.work import Work
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job


def test_only_what_has_no_outcome_runs(work: Work) -> None:
    known = work.known.raw_jobs["validation"]
    before = work.outcomes[known]
    fresh = Job(id="fresh", kind="data", name="overlap", params={}, inputs={"validation": known},
                where={"trained_on": ""})  # fmt: skip
    broken = Job(id=known, kind="data", name="nonsense")
    work.run([broken, fresh])
    assert work.outcomes[known] is before, "it ended before"
    assert work.outcomes["fresh"].ok
    assert work.outcomes["fresh"].value["pairs"] == []


def test_what_is_told_is_an_event_of_a_known_kind(work: Work) -> None:
    heard: list[Event] = []
    told = replace(work, on_event=heard.append)
    told.tell("phase", "Looking")
    told.tell("note", "nothing there")
    assert [(event.what, event.text) for event in heard] == [
        ("phase", "Looking"),
        ("note", "nothing there"),
    ]
    with pytest.raises(ValidationError):
        told.tell("whisper", "psst")
