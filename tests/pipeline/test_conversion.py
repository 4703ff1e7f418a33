"""What passes converted, told by the runtime that runs the file, or by the file itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeopt.decide.entry import Entry
from edgeopt.pipeline.conversion import ELSEWHERE, conversions, conversions_of, job_for
from edgeopt.pipeline.work import Work
from edgeopt.schema.job import Outcome
from edgeopt.schema.target import TargetFacts, parse_target

FACTS = TargetFacts(target="t", isa="x86_64-avx2", runtime_version="1.2")


def test_only_what_changed_number_formats_is_asked_of_its_runtime(
    work: Work, entries: list[Entry]
) -> None:
    found = conversions(work, entries)
    assert list(found) == [entries[2].id]
    told = found[entries[2].id]
    facts = entries[2].facts
    assert told.by == f"onnxruntime {facts.runtime_version} on {facts.isa}"
    assert (told.form, told.weights, told.note) == ("int8", 1.0, "")
    assert [each for each in work.outcomes if each.startswith("conversion:")], (
        "counted with the rest"
    )


def test_elsewhere_the_file_tells(work: Work, entries: list[Entry]) -> None:
    there = replace(entries[2], target=parse_target("ssh:board/onnxruntime"))
    told = conversions(work, [there])[there.id]
    assert (told.note, told.form, told.weights) == (ELSEWHERE, "int8", 1.0)
    assert "onnxruntime" not in told.by


def test_a_runtime_that_fails_costs_no_candidate(work: Work, entries: list[Entry]) -> None:
    entry = entries[2]
    job = job_for(entry.plan.job, entry.described, entry.target, entry.facts)
    error = {"type": "WorkerError", "what": "the worker died", "where": "", "hint": ""}

    class Fragile:
        """The engine, but that its worker dies of one job."""

        def run(self, jobs: list, known: dict) -> dict:
            ended = work.engine.run([each for each in jobs if each.id != job.id], known)
            lost = Outcome(job=job.id, status="crashed", error=error)
            return ended | {each.id: lost for each in jobs if each.id == job.id}

    told = conversions(replace(work, engine=Fragile()), [entry])[entry.id]  # type: ignore[arg-type]
    assert told.note == "onnxruntime could not be asked: the worker died"
    assert told.weights == 1.0


@pytest.mark.parametrize(
    ("target", "runtime", "note"),
    [
        ("local/onnxruntime", "onnxruntime", ""),
        ("local/onnxruntime?threads=4&batch=2", "onnxruntime", ""),
        ("local/onnxruntime:cuda", "", ELSEWHERE),
        ("emulated:cortex-a53/onnxruntime", "", ELSEWHERE),
    ],
)
def test_only_this_machines_cpu_is_asked(
    entries: list[Entry], target: str, runtime: str, note: str
) -> None:
    job = job_for("made", entries[2].described, parse_target(target), FACTS)
    assert (job.params["runtime"], job.params["note"]) == (runtime, note)
    assert job.inputs == {"model": "made"} and job.worker == "onnx"


def test_an_opened_model_is_asked_of_each_runtime_that_reads_it(work: Work) -> None:
    assert conversions_of(work.engine, work.outcomes["source"]) == (), "it is float32"
    job = "simplify-onnx/quantize-int8(scheme=s8s8)"
    runtimes = [told.by.split()[0] for told in conversions_of(work.engine, work.outcomes[job])]
    assert "onnxruntime" in runtimes and len(set(runtimes)) == len(runtimes)
