"""What names and words of a result's views mean, where the views show them."""

from __future__ import annotations

from edgeopt.schema.result import TargetResult

ADDED = "peak memory added"
THERE = "peak memory on the accelerator"
MEMORY = {  # name -> what the figure is over
    ADDED: "over what the process held just before it loaded the model",
    THERE: "the most that the runtime held there",
}


def memory_name(target: TargetResult) -> str:
    """What a target's ``memory.peak`` is called: it says what the figure leaves out."""
    found = (c.measurements.get("memory.peak") for c in target.candidates)
    there = any(m is not None and "on the accelerator" in m.protocol for m in found)
    return THERE if there else ADDED


def legend(target: TargetResult) -> list[tuple[str, str]]:
    """Terms of the table of candidates, each with what it means."""
    found = []
    if any("memory.peak" in c.measurements for c in target.candidates):
        name = memory_name(target)
        found.append((name, f"loading the model and 20 inferences, {MEMORY[name]}"))
    return found
