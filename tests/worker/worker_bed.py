"""The opened model and its tensors, and what passes make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeopt.data.tensors import bind
from edgeopt.engine import Engine
from edgeopt.schema.artifact import Description
from edgeopt.schema.job import Arrays, Job, Outcome
from edgeopt.step import Promise

SplitJob = Callable[[str, str], Job]


class Bed:
    """The opened model and its tensors, and what passes make of them."""

    def __init__(self, engine: Engine, open_job: Job, split_job: SplitJob) -> None:
        self.engine = engine
        first = [
            open_job,
            split_job("calibration", "train[:8]"),
            split_job("validation", "validation"),
        ]
        self.known = engine.run(first, {})
        assert all(outcome.ok for outcome in self.known.values()), self.known
        self.description = Description.model_validate(self.known["open"].value["description"])
        self.known.update(
            engine.run([self.tensors(role) for role in ("calibration", "validation")], self.known)
        )

    def tensors(self, role: str) -> Job:
        raw = Arrays.model_validate(self.known[f"data:{role}"].value)
        bound = bind(
            raw,
            inputs={"x": "x"},
            preprocess=[],
            layout=None,
            signature=self.description.signature,
        )
        return Job(
            id=f"tensors:{role}",
            kind="data",
            name="tensors",
            params={"bind": bound},
            inputs={"raw": f"data:{role}"},
        )

    def run(
        self,
        name: str,
        *,
        effect: Description | None = None,
        seed: int = 0,
        run: str = "",
        **fields: Any,
    ) -> Outcome:
        predicted = (effect or self.description).to_json()
        job = Job(
            id=f"pass:{name}",
            kind="pass",
            name=name,
            worker="onnx",
            params={"takes": "onnx", "fields": fields, "labels": {"y": "y"}},
            inputs={
                "parent": "open",
                "calibration": "tensors:calibration",
                "labels:calibration": "data:calibration",
                "teacher": "open",
            },
            key={"seed": seed, "run": run},
            where={"predicted": predicted},
        )
        self.known.pop(job.id, None)
        self.known[job.id] = self.engine.run([job], self.known)[job.id]
        return self.known[job.id]

    def check(self, name: str, promise: Promise) -> Outcome:
        samples = {"samples": "tensors:validation", "child_samples": "tensors:validation"}
        job = Job(
            id=f"check:{name}",
            kind="check",
            name=name,
            worker="onnx",
            params={"promise": promise.to_json(), "n": 6},
            inputs={"parent": "open", "child": f"pass:{name}", **samples},
        )
        return self.engine.run([job], self.known)[job.id]
