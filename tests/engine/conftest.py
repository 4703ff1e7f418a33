"""An engine whose workers run the passes of ``odd_worker.py``, in real processes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeopt.engine import Engine
from edgeopt.engine.executors.local import LocalExecutor
from edgeopt.schema.event import Event
from edgeopt.schema.job import Job, Limits, Request
from edgeopt.store import Store

ODD_WORKER = (sys.executable, "-P", str(Path(__file__).with_name("odd_worker.py")))


def no_bench(
    request: Request, progress: Callable[..., None], cancelled: threading.Event
) -> tuple[str, dict[str, Any]]:
    raise AssertionError("this test benches nothing")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def make_engine(store: Store) -> Iterator[Callable[..., Engine]]:
    """``make_engine(bench=..., command=..., memory=..., **options)``; its ``events`` are kept."""
    made: list[Engine] = []

    def make(
        bench: Any = no_bench, command: tuple[str, ...] = ODD_WORKER, **options: Any
    ) -> Engine:
        memory = options.pop("memory", None)
        executor = LocalExecutor(store, bench, command=command, memory=memory)
        options.setdefault("on_event", lambda event: None)
        made.append(Engine(store, bench=bench, executor=executor, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """``make_job(id, name="echo", parents=(), **fields)``: a pass of ``odd_worker.py``."""

    def make(id: str, name: str = "echo", *parents: str, **fields: Any) -> Job:
        content = {"id": id, "kind": "pass", "name": name, "worker": "onnx"}
        content["inputs"] = {f"input {i}": parent for i, parent in enumerate(parents)}
        content.setdefault("params", {"content": id})
        if "time_s" in fields:
            fields["limits"] = Limits(time_s=fields.pop("time_s"))
        return Job.model_validate({**content, **fields})

    return make


@pytest.fixture
def events() -> list[Event]:
    return []
