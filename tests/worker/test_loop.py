"""One request, one outcome: whatever a job's code raises, and wherever it stands afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeopt.schema.errors import PassError
from edgeopt.schema.job import Job, Outcome, Request
from edgeopt.store import Store
from edgeopt.worker import kinds
from edgeopt.worker.loop import answer

Answered = Callable[..., Outcome]


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answered:
    """``answered(do, kind)``: the outcome of a job whose handler is ``do``."""
    (tmp_path / "work").mkdir()

    def run(do: Callable[..., Any], kind: str = "pass") -> Outcome:
        monkeypatch.setitem(kinds.HANDLERS, kind, do)
        job = Job.model_validate({"id": "the-job", "kind": kind, "name": "own"})
        request = Request(
            job=job, inputs={}, store=str(tmp_path / "store"), workdir=str(tmp_path / "work"),
            key="k",
        )  # fmt: skip
        return answer(request, {}, lambda *_, **__: None)

    return run


def test_what_a_job_makes_is_its_outcome(answered: Answered, tmp_path: Path) -> None:
    def do(request: Request, store: Store, progress: Any) -> Any:
        return "d", {"here": os.getcwd()}

    before = os.getcwd()
    outcome = answered(do)
    assert (outcome.status, outcome.job, outcome.key, outcome.digest) == ("ok", "the-job", "k", "d")
    assert outcome.value == {"here": str(tmp_path / "work")} and outcome.error is None
    assert os.getcwd() == before


def raises(error: BaseException) -> Callable[..., Any]:
    def do(*_: Any) -> Any:
        os.chdir("/")
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "kind", "status", "told"),
    [
        (PassError("no", where="there"), "pass", "failed", ("PassError", "no", "there")),
        (PassError("no"), "pass", "failed", ("PassError", "no", "the-job")),
        (KeyError("x"), "open", "failed", ("ModelError", "own failed: KeyError: 'x'", "the-job")),
        (ValueError(), "data", "failed", ("DataError", "own failed: ValueError", "the-job")),
        (
            SystemExit(3),
            "analysis",
            "failed",
            ("DataError", "own failed: SystemExit: 3", "the-job"),
        ),
        (MemoryError(), "pass", "memory", ("WorkerError", "ran out of memory", "the-job")),
    ],
)
def test_what_it_raises_is_an_error_of_a_kind(
    answered: Answered, error: BaseException, kind: str, status: str, told: tuple[str, ...]
) -> None:
    before = os.getcwd()
    outcome = answered(raises(error), kind)
    assert outcome.status == status and outcome.error is not None
    assert tuple(outcome.error[name] for name in ("type", "what", "where")) == told
    assert (outcome.digest, outcome.value) == ("", {})
    assert os.getcwd() == before, "the next job starts where this one did"


def test_foreign_errors_say_where_they_were_raised(answered: Answered) -> None:
    outcome = answered(raises(RuntimeError("x" * 5000)))
    assert outcome.error is not None
    assert outcome.error["hint"].startswith(f"raised in {__file__}:")
    assert outcome.error["hint"].endswith("(do)")
    assert len(outcome.error["what"]) < 2100


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "whatever"),
        RuntimeError("native code: No space left on device"),
        PassError("wrapped"),
    ],
)
def test_a_full_disk_is_the_stores_error_and_no_jobs(answered: Answered, error: Exception) -> None:
    if isinstance(error, PassError):
        error.__cause__ = OSError(errno.ENOSPC, "whatever")
    outcome = answered(raises(error))
    assert outcome.error is not None and outcome.error["type"] == "StoreError"
    assert outcome.error["what"].startswith("no room left to write")


@pytest.mark.parametrize("value", [{"x": object()}, {"x": float("nan")}])
def test_a_value_that_is_no_json_is_a_failure(answered: Answered, value: Any) -> None:
    outcome = answered(lambda *_: ("d", value))
    assert outcome.status == "failed" and outcome.digest == ""


def test_a_store_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Store] = []

    def do(request: Request, store: Store, progress: Any) -> Any:
        seen.append(store)
        return "d", {}

    monkeypatch.setitem(kinds.HANDLERS, "pass", do)
    stores: dict[str, Store] = {}
    for name in ("one", "two", "one"):
        request = Request(
            job=Job(id="j", kind="pass", name="own"), inputs={}, store=str(tmp_path / name),
            workdir=str(tmp_path),
        )  # fmt: skip
        assert answer(request, stores, lambda *_, **__: None).ok
    assert seen[0] is seen[2] is not seen[1] and len(stores) == 2
