"""What names and words of a result's views mean, where the views show them."""

from __future__ import annotations

import re

from edgeopt.schema.base import counted
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.result import CandidateResult, TargetResult

ADDED = "peak memory added"
THERE = "peak memory on the accelerator"
MEMORY = {  # name -> what the figure is over
    ADDED: "over what the process held just before it loaded the model, so with what the runtime "
    "loads of itself only then",
    THERE: "the most that the runtime held there",
}
ONE = "in one process, so without an interval"
RACES = {  # how a candidate was raced -> in words
    "full": "full race",
    "final": "raced afresh",
    "short": "short race",
    "count": "counted",
    "": "not raced",
}
DIRECT = "head to head"
TIED = "a tie with the chosen"  # how reasons begin, and what they hold: status words are read here
SAME_SIZE, SMALLER = ", which is of the same size", ", which is smaller"
UNPROVEN = "not proven worse"
STANDINGS = {  # status of a candidate as views show it -> what that says
    "failed": "it could not be made or run, or its answers are close to guessing",
    "infeasible": "it does not meet a constraint",
    "inconclusive": "its interval holds the bound of a constraint, so it is not known to meet it",
    "screened": "it meets the constraints on quality and size, and it was slower than another in "
    "short races: the 95% interval of their ratio lies above 1x. Each is judged for itself, so of "
    "many that are as fast, one in forty may stand here by chance",
    "unmeasured": "it was built and checked, and not measured",
    "tie": "it meets the constraints, and the chosen is not proven faster. Raced directly, the "
    "interval of their ratio holds 1, or the ratio is within 0.5% of 1; raced against the "
    "reference only, the interval holds 1 and ends where the chosen takes 2% longer or sooner, or "
    "the ratio is within 0.5% of 1, whatever its interval. Of a tie the smaller file is "
    "chosen, of files of the same size, to a hundredth of the reference's, the one that is better "
    "by the metric of this table, proven or not, unless it may take more than 2% longer than the "
    "one that led; of equal ones, the one that led. Another run may choose another of a tie. Where "
    "other figures matter, such as memory, put a constraint on them",
    "not proven": "it meets the constraints and is worse than the chosen by its figure, but the "
    "95% interval of the difference reaches to where it would be the better one; of times, by more "
    "than 2%. Another run may choose it",
    "lost": "it meets the constraints, and the chosen is better by the objective",
}
# at the head of a view; a note says more
QUICK = "quick run: short races; do not quote its times or their ratios"
UNRACED = "no race was run: no time was taken, and nothing is known of speed or memory"
MEANT = {  # the words of RACES -> what they say
    "full race": "against the reference, {how}; only the fastest in the short race get that far",
    "raced afresh": "the one that led was raced once more in full, and so was one that then took "
    "its place, {how}; processes are added to five until the interval of the ratio is within 3% to "
    "each side, or to fifteen. The chosen's time and ratio above the table, and the reference's "
    "time, are of that race alone, so that they are not just its luckiest. The one that led and "
    "the runner-up, of those that may be as fast the next by its ratio, also race head to head "
    "where the races before do not show the first to be within 2% of the best, where its fresh "
    "ratio is more than 2% above the runner-up's, or where the runner-up comes first in a tie: "
    "the faster is chosen if the interval excludes 1, else, as in every tie, the smaller file, "
    "or of the same size the one that is better by the metric of this table. All "
    "other figures in the table, the front, and what is said of those that did not race head to "
    "head are of the races before. In every race the two sides take turns, so that a slower moment "
    "slows both. Intervals hold the spread between the processes of a race, not what another "
    "minute changes of a ratio: where the chosen's two figures lie apart, rely on neither closer "
    "than that",
    "short race": "against the reference, {how}",
    "counted": "instructions of one inference, in one process with the reference",
    "not raced": "the row says why",
}
SOURCE = (
    "the model as given, in its own framework; differences in points (pt) are to its figures on "
    "the same samples"
)
CONSTRAINT = (
    "passes if the whole 95% interval meets the bound, fails if none of it does, and is "
    "inconclusive in between. It is on all samples of a split together, not on each class"
)
P50 = (
    "the median time of one inference, from handing the prepared input to the runtime's Python "
    "interface until its outputs are held: without preprocessing, and with what the interface "
    "itself takes. A ratio below 1x means faster than the reference. Each row "
    "comes from a race of its own, in which the candidate and the reference took turns: the ratio "
    "is the geometric mean over its processes. The reference takes another time in each race, so "
    "dividing the times of two rows gives another number: rank by the ratio. One thread and one "
    "sample at a time, unless the target asks for more, as ?threads=2&batch=8 does"
)
FRONT = (
    "no other candidate is as good in both the ratio and the quality and better in one, by the "
    "figures alone: their intervals may overlap"
)
SHARES = (
    "the share of weights stored in that format, and of multiply-accumulates (MACs) computed in "
    "it; float: operators computed in float32, and how many of each, under the names that the "
    "runtime gives them once it has merged some"
)
STEM = (
    "; in ONNX files, quantize-int8 keeps a small first convolution in float32 (option "
    "float_stem); float_stem=False is tried as well in runtimes that have a fast integer kernel "
    "for it on this CPU"
)
SCHEMES = {  # of quantize-int8 -> what is quantized to what
    "u8s8": "activations to uint8, weights to int8; on x86 without VNNI sums may overflow, and "
    "what that costs is in the quality measured there",
    "u8s8-reduced": "as u8s8, with weights of 7 bits, so that sums cannot overflow there",
    "u8s8-safe": "as u8s8, with coarser weights in those channels whose sums could overflow there, "
    "so that none can; it answers alike with and without VNNI",
    "s8s8": "activations and weights to int8",
    "s8s8-symmetric": "as s8s8, with zero points of 0, as GPUs have kernels for",
    "static": "activations and weights to int8; the ranges of activations are those in the "
    "calibration split",
    "performance": "activations and weights to int8 where NNCF puts quantizers",
    "mixed": "as performance, with activations to uint8",
    "int16x8": "activations to 16 bits, weights to int8",
    "dynamic": "weights to int8; activations at run time, by the range of each inference; in ONNX "
    "files of matrix products, LSTMs and lookup tables alone",
    "dynamic-reduced": "as dynamic, with weights of 7 bits, so that sums cannot overflow on x86 "
    "without VNNI",
    "weight-only": "weights to int8, widened to float32 before use",
}
AUTO = (
    "auto: those worth a race, in TFLite static and dynamic, in ONNX what the CPU multiplies fast: "
    "u8s8 and u8s8-safe on x86 with VNNI, u8s8-reduced as well without it, s8s8 and u8s8 on ARM, "
    "s8s8-symmetric on NVIDIA's GPUs; "
    "for networks whose weights are mostly in matrix products or recurrent layers, of these the "
    "first, and dynamic ones in ONNX Runtime, weight-only in OpenVINO"
)
STAGES = (
    "passes that change the network itself, by pruning or training; distill trains it with the "
    "source as its teacher. Chains that stop before one of them are tried, too, to show what each "
    "does; a network that is pruned and not trained again may be "
    "close to guessing"
)
STAGE_ROWS = (
    "time of the chain with a stage, over its time without; several stages stand in one row where "
    "the chain between them was not raced"
)
PAGE = (  # of what the page alone shows
    ("fidelity", "how near the outputs are to the source's on the same samples: the share of equal "
                 "answers (agreement), the cosine, and the signal-to-quantization-noise ratio "
                 "(SQNR). Each is the worst over outputs, and over the groups of an output's "
                 "values that have a range of their own; brackets name the one it is of, or what "
                 "was compared, such as decisions: which class or side a value falls on, of clear "
                 "ones alone, or of small leads too, down to a few steps of 8 bits; what is closer "
                 "to call does not count. Of the decisions that count the cosine is 1 less the "
                 "share that falls otherwise, or twice that share of small leads too, and the SQNR "
                 "is that share in dB"),
    ("from the store", "kept from an earlier run on this machine in which all that the job depends "
                       "on was the same: files, data, parameters, versions of libraries, and the "
                       "kind of CPU where it matters. Times are never kept"),
    ("load time", "how long the runtime takes to open the file, once in each process of the race"),
    ("placement", "how many nodes of the graph ran where, as the runtime says after running"),
)  # fmt: skip

ROUNDS = (  # of short races, unless the run is a quick one
    "; the one that leads, and those than which it may take more than 2% longer, take more "
    "processes, until one is known to be within 2% of the best. The interval of the ratio comes "
    "of the spread of all these races together, but for those whose own is proven larger (F test "
    "at 99%): the interval of such a one comes of its own alone, and the others' without it"
)

TRIED = (
    "the same artifact raced against itself with one setting of its runtime changed: of the best "
    "three, those whose runtime has a setting that may be faster on this CPU with such a file; all "
    "others run as edgeopt opens that runtime (run with). The ratio is "
    "of its time with the setting over that without; the setting is kept only if that is proven "
    "to be below 0.98x and the answers meet the constraints"
)


def memory_name(target: TargetResult) -> str:
    """What a target's ``memory.peak`` is called: it says what the figure leaves out."""
    peaks = (c.measurements.get("memory.peak") for c in target.candidates)
    there = any(m is not None and "on the accelerator" in m.protocol for m in peaks)
    return THERE if there else ADDED


def standing(candidate: CandidateResult) -> str:
    """The status of a candidate as views show it: of those that lost, whether that is proven."""
    if candidate.status != "lost":
        return candidate.status
    if candidate.reason.startswith(TIED):
        sizes = {SAME_SIZE: "tie, same size", SMALLER: "tie, larger"}
        rest = candidate.reason.removeprefix(TIED)
        return next((word for said, word in sizes.items() if rest.startswith(said)), "tie")
    return "not proven" if UNPROVEN in candidate.reason else "lost"


def races(candidate: CandidateResult) -> list[str]:
    """How a candidate was raced; nothing of the reference, which is in every race, nor where
    the reason beside it says all."""
    if candidate.raced is None or candidate.reference or candidate.status == "unmeasured":
        return []
    direct = candidate.against_chosen is not None
    first = [RACES["short"]] if candidate.before else []
    return [*first, RACES[candidate.raced], *([DIRECT] if direct else [])]


def legend(target: TargetResult) -> list[tuple[str, str]]:
    """Terms of the table of candidates, each with what it means."""
    terms = [("source", SOURCE), *_reference(target)]
    if any(c.verdicts for c in target.candidates):
        terms.append(("constraint", CONSTRAINT))
    words = {standing(c).partition(",")[0] for c in target.candidates}
    terms += [(word, meaning) for word, meaning in STANDINGS.items() if word in words]
    if target.speed == "latency.p50":
        terms.append(("p50", P50))
    if any(c.on_front for c in target.candidates):
        terms.append(("front", FRONT))
    return [*terms, *_passes(target), *_races(target), *_memory(target)]


def _reference(target: TargetResult) -> list[tuple[str, str]]:
    """Which artifact it is, why that one, and whether it is one of the candidates."""
    if not target.reference:
        return []
    reference = target.candidate(target.reference)
    known = list(target.machine.get("runtimes", ()))
    why = f", in {reference.runtime}" if reference.runtime else ""
    if len(known) > 1:
        why += f", the first of {', '.join(known)} that reads the conversion"
    own = sum(c.status != "reference" for c in target.candidates)
    among = (
        f"none of the {counted(own, 'candidate')}, because no chain of the recipe ends there"
        if reference.status == "reference"
        else f"one of the {counted(own, 'candidate')}, because a chain of the recipe ends there"
    )
    return [(
        "reference", f"the source converted in float32, and nothing else: {reference.label}{why}. "
        f"It is {among}; every candidate that is raced races against it, and ratios (x) are to it "
        "where nothing else is said: they do not compare with ratios to another reference",
    )]  # fmt: skip


def _passes(target: TargetResult) -> list[tuple[str, str]]:
    """What passes did: number formats, schemes, stages."""
    terms = []
    if any(c.conversion for c in target.candidates):
        spared = any(c.conversion and c.conversion.float_operators for c in target.candidates
                     if c.artifact and c.artifact.format == "onnx")  # fmt: skip
        terms.append(("int8, float16", SHARES + (STEM if spared else "")))
    labels = " ".join(c.label for c in target.candidates)
    named = dict.fromkeys(re.findall(r"scheme=([\w-]+)", labels))
    schemes = [f"{name}: {SCHEMES[name]}" for name in SCHEMES if name in named]
    if schemes:
        terms.append(("scheme", f"what quantize-int8 quantizes. {AUTO}; {'; '.join(schemes)}"))
    return [*terms, *([("stages", STAGES)] if target.stages else [])]


def _races(target: TargetResult) -> list[tuple[str, str]]:
    terms = [(word, MEANT[word].format(how=_processes(target, kind)))
             for kind, word in RACES.items()
             if any(word in races(c) for c in target.candidates)]  # fmt: skip
    if any(c.raced == "final" for c in target.candidates):
        terms = [(word, meaning + ROUNDS * (word == RACES["short"])) for word, meaning in terms]
    if any(DIRECT in races(c) for c in target.candidates):
        direct = [c.against_chosen for c in target.candidates
                  if c.against_chosen and not c.reference]  # fmt: skip
        terms.append((DIRECT, f"also raced directly against the chosen, {_counts(direct)}; all "
                              "others are compared with it through the reference"))  # fmt: skip
    if any(c.tried for c in target.candidates):
        terms.append(("tried with NAME=VALUE", TRIED))
    return terms


def _memory(target: TargetResult) -> list[tuple[str, str]]:
    if not any("memory.peak" in c.measurements for c in target.candidates):
        return []
    name = memory_name(target)
    raced = (c for c in target.candidates if f"ratio.{target.speed}" in c.measurements)
    some = any("memory.peak" not in c.measurements for c in raced)
    only = (
        "; measured of three: the one that led and the next two by the objective, those first that "
        "may be as good; of all that may win where a bound is on it; and of the reference beside "
        "each of them, of which the last figure stands here"
    ) * some
    rough = "; it compares files in one runtime, and runtimes roughly" * (name == ADDED)
    return [(name, f"loading the model and 20 inferences, {MEMORY[name]}, {ONE}{rough}{only}")]


def _processes(target: TargetResult, kind: str) -> str:
    """In how many processes the races of a kind ran, and how many inferences each timed."""
    ratio = f"ratio.{target.speed}"
    raced = [c for c in target.candidates if ratio in c.measurements and not c.reference]
    ratios = [c.measurements[ratio] for c in raced if c.raced == kind]
    if kind == "short":
        ratios += [c.before[ratio] for c in raced if ratio in c.before]
    return _counts(ratios)


def _counts(ratios: list[Measurement]) -> str:
    """Over how many processes figures are, and of how many inferences."""
    if not ratios:
        return "in fresh processes"
    text = f"in {_range([each.n for each in ratios])} fresh processes"
    timed = [each.timed for each in ratios if each.timed]
    return text + (
        f", in each at least {min(timed):,} timed inferences of each of the two, in turns of about "
        "the same time, of at most 400 inferences"
        if timed
        else ""
    )


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
