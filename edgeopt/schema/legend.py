"""What names and words of a result's views mean, where the views show them."""

from __future__ import annotations

from edgeopt.schema.result import CandidateResult, TargetResult

ADDED = "peak memory added"
THERE = "peak memory on the accelerator"
MEMORY = {  # name -> what the figure is over
    ADDED: "over what the process held just before it loaded the model",
    THERE: "the most that the runtime held there",
}
RACES = {  # how a candidate was raced -> in words
    "full": "full race",
    "final": "raced afresh",
    "short": "short race",
    "count": "counted",
    "": "not raced",
}
DIRECT = "head to head"
QUICK = "quick run: short races, no times to quote"  # at the head of a view; a note says more
MEANT = {  # the words of RACES -> what they say
    "full race": "against the reference, {how}; only the fastest in the short race get that far",
    "raced afresh": "in full a second time, {how}; the figures are of this race alone, so that the "
    "winner's are not the luckiest of several",
    "short race": "against the reference, {how}",
    "counted": "instructions of one inference, in one process with the reference",
    "not raced": "for the reason in the row",
}
TERMS = (
    ("source", "the model as given, in its own framework; differences in points (pt) are to its "
               "figures"),
    ("reference", "the source converted to the target's format in float32, and nothing else; every "
                  "other candidate races against it"),
)  # fmt: skip
P50 = (
    "the median time of one inference; its ratio is to the reference's in the same race, and less "
    "than 1x is faster"
)
SHARES = (
    "the share of weights that the file holds so, and of multiply-accumulates (MACs) that the "
    "runtime computes so; float: operators that it computes in float32"
)
STAGES = (
    "passes that change the network itself, by pruning or training. Chains without the later ones "
    "are tried, too, to show what each does; a network that is pruned and not trained again may be "
    "close to guessing"
)


def memory_name(target: TargetResult) -> str:
    """What a target's ``memory.peak`` is called: it says what the figure leaves out."""
    found = (c.measurements.get("memory.peak") for c in target.candidates)
    there = any(m is not None and "on the accelerator" in m.protocol for m in found)
    return THERE if there else ADDED


def races(candidate: CandidateResult) -> list[str]:
    """How a candidate was raced; nothing of the reference, which is in every race, nor where
    the reason beside it says all."""
    if candidate.raced is None or candidate.reference or candidate.status == "unmeasured":
        return []
    direct = candidate.against_chosen is not None
    return [RACES[candidate.raced], *([DIRECT] if direct else [])]


def legend(target: TargetResult) -> list[tuple[str, str]]:
    """Terms of the table of candidates, each with what it means."""
    found = list(TERMS)
    if target.speed == "latency.p50":
        found.append(("p50", P50))
    if any(c.conversion for c in target.candidates):
        found.append(("int8, float16", SHARES))
    if target.stages:
        found.append(("stages", STAGES))
    found += [(word, MEANT[word].format(how=_processes(target, kind)))
             for kind, word in RACES.items()
             if any(word in races(c) for c in target.candidates)]  # fmt: skip
    if any(DIRECT in races(c) for c in target.candidates):
        found.append((DIRECT, "also raced directly against the chosen; all others are "
                              "compared with it through the reference"))  # fmt: skip
    if any("memory.peak" in c.measurements for c in target.candidates):
        name = memory_name(target)
        raced = (c for c in target.candidates if f"ratio.{target.speed}" in c.measurements)
        some = any("memory.peak" not in c.measurements for c in raced)
        only = "; taken of the finalists only" if some else ""
        found.append((name, f"loading the model and 20 inferences, {MEMORY[name]}{only}"))
    return found


def _processes(target: TargetResult, kind: str) -> str:
    """In how many processes the races of a kind ran."""
    ratio = f"ratio.{target.speed}"
    counts = [c.measurements[ratio].n for c in target.candidates
              if c.raced == kind and ratio in c.measurements and not c.reference]  # fmt: skip
    if not counts:
        return "in fresh processes"
    low, high = min(counts), max(counts)
    return f"in {low if low == high else f'{low} to {high}'} fresh processes"
