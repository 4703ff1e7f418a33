"""What was proven of two candidates: that one is better, that they tie, or neither.

Two that raced side by side tie where the interval of their ratio holds 1, or where the ratio is
within 0.5% of it. Two that only raced against the same third are told apart by
the interval of the difference of their logarithms: it is below 0, or it ends within 2%, a tie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, hypot, log
from typing import Literal, NamedTuple

from edgeopt.decide.elimination import KNOWN, LIMIT, MOST, excess
from edgeopt.schema.legend import SAME_SIZE, SMALLER, TIED, UNPROVEN
from edgeopt.schema.measurement import WIDE, Measurement
from edgeopt.schema.quantities import find, title_of
from edgeopt.schema.shown import figure_text, interval, less_is_better, whole

TIE = 0.005  # of a ratio: below that, the smaller file wins
NAMED = 2  # rivals that a sentence names
Proof = Literal["proven", "tie", "open"]


class Rival(NamedTuple):
    """Another that meets the constraints, as seen from the chosen one."""

    name: str
    proof: Proof  # that the chosen is better
    smaller: bool | None  # whether the chosen is, by ``bulk``; None where both are of one size
    raced: bool  # whether its objective was measured at all
    beside: str = ""  # what was measured of the two, in words
    exhausted: bool = False  # both were raced in as many processes as a race takes
    no_better: str = ""  # the quantity that decides of one size: the rival's is no better


def is_raced(objective: str) -> bool:
    """Whether an objective is measured by a race, where ratios stand for it."""
    declared = find(objective)
    return declared is not None and declared.raced


def is_tie(ratio: Measurement) -> bool:
    """Whether a direct race leaves two candidates level."""
    low, high = ratio.interval
    return low <= 1.0 <= high or abs(ratio.value - 1.0) < TIE


def bulk(measured: Mapping[str, Measurement]) -> float:
    """Size as ties compare it: hundredths of the reference's, or bytes where that is unknown.

    A file that is a thousandth smaller is not worth a point of accuracy.
    """
    if "ratio.size" in measured:
        return round(measured["ratio.size"].value, 2)
    return measured["size"].value if "size" in measured else 0.0


def inverse(ratio: Measurement) -> Measurement:
    """The other over the one."""
    ends: dict[str, float | None] = {"low": None, "high": None}
    if ratio.low is not None and ratio.high is not None:
        ends = {"low": 1 / ratio.high, "high": 1 / ratio.low}
    return ratio.model_copy(update={"value": 1 / ratio.value, **ends})


def quotient(mine: Measurement, theirs: Measurement) -> Measurement:
    """One ratio over another, both measured against the same reference.

    The half-width of its interval, in logarithms, is the root of the sum of their squares.
    """
    half = hypot(*(log(m.interval[1] / m.value) for m in (mine, theirs)))
    value = mine.value / theirs.value
    marks = {*mine.marks, *theirs.marks} - {"wide"} | ({"wide"} if half > WIDE else set())
    return Measurement(
        quantity=mine.quantity,
        value=value,
        unit="x",
        low=value * exp(-half),
        high=value * exp(half),
        n=min(mine.n, theirs.n),
        protocol="quotient of the ratios to the reference",
        machine=mine.machine,
        marks=tuple(sorted(marks)),
    )


def proof(
    objective: str,
    direct: Measurement | None,
    mine: Measurement | None,
    theirs: Measurement | None,
) -> Proof:
    """Whether mine is proven better.

    ``direct`` is mine over theirs from a race side by side; without one, ``mine`` and ``theirs``
    are the figures of the objective from the same kind of race.
    """
    if direct is not None:
        return "tie" if is_tie(direct) else "proven" if direct.interval[1] < 1.0 else "open"
    if mine is None or theirs is None:
        return "open"
    apart = abs(mine.value - theirs.value)
    if apart == 0 or (is_raced(objective) and apart < TIE * abs(theirs.value)):
        return "tie"
    if is_raced(objective):
        most = excess(mine, theirs)
        return "proven" if most < 0 else "tie" if most <= LIMIT else "open"
    if less_is_better(objective, mine):
        return "proven" if mine.interval[1] < theirs.interval[0] else "open"
    return "proven" if mine.interval[0] > theirs.interval[1] else "open"


def praise(name: str, objective: str, rivals: Sequence[Rival], quick: bool = False) -> str:
    """What may be said of the chosen: that it is the best measured only where that is proven.

    The first of ``rivals`` are named, so the nearest come first. ``quick``: all of its races were
    short.
    """
    where = " in short races" if quick and is_raced(objective) else ""
    short = where and f",{where}"
    ties = [rival for rival in rivals if rival.proof == "tie"]
    level = [rival for rival in rivals if rival.proof == "open" and rival.raced]
    absent = [rival for rival in rivals if rival.proof == "open" and not rival.raced]
    if not ties and not level and not absent:
        return f"{name} is the best measured artifact by {objective}{short}"
    parts = [_tied(objective, ties, where) if ties else f"ahead by {objective}{short}"]
    if level:
        parts.append(
            f"not proven better than {_listed(level)}: {_unproven(objective, level)}"
            f"{_measured(level)}{_noisy(level)}"
        )
    if absent:
        parts.append(f"not compared with {_listed(absent)}, because time ran out")
    return f"{name} is {'; '.join(parts)}"


def _tied(objective: str, ties: Sequence[Rival], where: str) -> str:
    """Whom the chosen ties with, and what then decided."""
    sizes, no_better = {rival.smaller for rival in ties}, {rival.no_better for rival in ties}
    first = "so their order is unchanged"
    if no_better != {""} and len(no_better) == 1:
        who = "the other has no" if len(ties) == 1 else "none has a"
        first = f"and {who} better {next(iter(no_better))}"
    elif is_raced(objective):
        first = "so the one that led in the races against the reference stays first"
    every = "both" if len(ties) == 1 else "all"
    known = {True: ", and smaller", None: f"; {every} are the same size, {first}"}
    size = known.get(next(iter(sizes)), "") if len(sizes) == 1 else ""
    return f"tied with {_listed(ties)}{where}{size}{_measured(ties)}"


def _unproven(objective: str, rivals: Sequence[Rival]) -> str:
    if not is_raced(objective):
        return "their 95% intervals overlap"
    return f"the 95% interval of {'each' if len(rivals) > 1 else 'their'} ratio is not all below 1x"


def _noisy(rivals: Sequence[Rival]) -> str:
    """What keeps them from being told apart, where more processes would not have helped."""
    if not all(rival.exhausted for rival in rivals):
        return ""
    whom = "it" if len(rivals) == 1 else "these"
    return (
        f"; through the reference, this machine is too noisy to tell the chosen from {whom} within "
        f"{KNOWN:.0%} in {MOST} processes of each, as many as a race takes: 'edgeopt benchmark' "
        "races files directly"
    )


def _measured(rivals: Sequence[Rival]) -> str:
    """The figures of those that are named."""
    told = [rival.beside for rival in rivals[:NAMED] if rival.beside]
    return f" ({'; '.join(told)})" if told else ""


def beside(
    objective: str,
    direct: Measurement | None,
    mine: Measurement | None,
    theirs: Measurement | None,
) -> str:
    """What was measured of the chosen and a rival, in words; arguments as of ``proof``."""
    if direct is not None:
        return f"{whole(direct)} its {title_of(objective)} head to head"
    if mine is None or theirs is None:
        return ""
    if is_raced(objective):
        return by_reference(objective, mine, theirs, "its")
    return f"{whole(mine)} against {whole(theirs)}"


def by_reference(objective: str, mine: Measurement, theirs: Measurement, of: str) -> str:
    """One over the other, as far as their races against the reference show it.

    ``of`` is whose objective the other is, such as "the chosen's".
    """
    both = f"{whole(mine)} against {whole(theirs)}"
    known = f"{both} the reference's" if mine.unit == "x" else both
    each = f"{mine.n}" if mine.n == theirs.n else f"{mine.n} and {theirs.n}"
    over = f", in {each} processes" if max(mine.n, theirs.n) > 1 else ""
    return f"{whole(quotient(mine, theirs))} {of} {title_of(objective)}: {known}{over}"


def lost_to(
    objective: str,
    mine: Mapping[str, Measurement],
    theirs: Mapping[str, Measurement],
    direct: Measurement | None,
    proven: Proof,
) -> str:
    """Why a feasible candidate is not the chosen one.

    ``mine`` and ``theirs`` are figures of the objective from one kind of race, and sizes.
    ``direct`` is the race of the two side by side, this one over the chosen, where there was one;
    ``proven`` what is proven of the chosen.
    """
    name, ratio = title_of(objective), f"ratio.{objective}"
    if direct is not None:
        race = (
            f"raced head to head it took {figure_text(direct)} as long as the chosen (95% interval "
            f"{interval(direct)})"
        )
        return f"{TIED}{_by_size(mine, theirs)}: {race}" if proven == "tie" else race
    if is_raced(objective) and ratio in mine and ratio in theirs:
        both = by_reference(objective, mine[ratio], theirs[ratio], "the chosen's")
        least = quotient(mine[ratio], theirs[ratio]).interval[0]
        level = _level(1 / least - 1, bool(_by_size(mine, theirs)))
        why = f": it may take {1 - least:.1%} less"
    else:
        of = " the reference's" if ratio in mine else ""
        both = f"{name} {_shown(objective, mine)}{of}, the chosen's {_shown(objective, theirs)}"
        level, why = "", ", because these intervals overlap"
    if proven == "tie":
        return f"{TIED}{_by_size(mine, theirs)}{level}: {both}"
    return f"{both}; {UNPROVEN}{why}" if proven == "open" else both


def _level(longer: float, continues: bool) -> str:
    """What makes it a tie: how much longer the chosen may take, as a share."""
    if longer > KNOWN:
        return f"{' and' if continues else ', which is'} within {TIE:.1%} by its figure"
    share = f"at most {longer:.1%}" if longer >= 0.0005 else "no"
    takes = f"takes {share} longer by these races"
    return f" and {takes}" if continues else f", which {takes}"


def reference_lost_to(
    objective: str,
    mine: Mapping[str, Measurement],
    theirs: Mapping[str, Measurement],
    proven: Proof,
) -> str:
    """The same of the reference, which raced directly against the chosen."""
    race = f"the chosen takes {whole(theirs[f'ratio.{objective}'])} its {title_of(objective)}"
    if proven == "tie":
        return f"{TIED}{_by_size(mine, theirs)}: {race}"
    return race


def _by_size(mine: Mapping[str, Measurement], theirs: Mapping[str, Measurement]) -> str:
    if "size" not in mine or "size" not in theirs or bulk(mine) < bulk(theirs):
        return ""
    return SAME_SIZE if bulk(mine) == bulk(theirs) else SMALLER


def _shown(objective: str, measured: Mapping[str, Measurement]) -> str:
    measurement = measured.get(f"ratio.{objective}") or measured.get(objective)
    return whole(measurement) if measurement else "not measured"


def _listed(rivals: Sequence[Rival]) -> str:
    """``a, b and 3 more``."""
    shown, more = [rival.name for rival in rivals[:NAMED]], len(rivals) - NAMED
    if more > 0:
        shown.append(f"{more} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
