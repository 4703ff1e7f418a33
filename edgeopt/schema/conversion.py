"""What became of a network whose number format was changed: how much of it, and where not."""

from __future__ import annotations

from typing import Literal

from edgeopt.schema.base import Noun

BY_FILE = "the file"
NAMED = 4  # operators that a sentence names
SEEN = 0.01  # share of the weights from which on an operator that keeps them is named


class Island(Noun):
    """Operators that compute in float32 and read from each other, between quantizers.

    ``time`` is their share of the time of one inference, 0 to 1, by the runtime's own profile.
    """

    operators: dict[str, int]
    time: float


class Conversion(Noun):
    """Shares of a network that are held and computed in fewer bits, by what a runtime executes.

    ``weights`` is the share of the parameters, by count, that the file holds so. ``macs`` is the
    share of the multiply-accumulates whose arithmetic is so, None where shapes do not tell or
    there are none; ``macs_hybrid`` is the share with int8 or int4 weights and float activations,
    which the runtime itself quantizes for the product where they are so ``as_it_runs``.
    ``bits_per_weight`` are those of the whole file, scales and all else in it included.
    ``by`` is the runtime with its version and instruction set, or ``the file`` where no runtime
    could be asked, and ``note`` says why.
    """

    form: Literal["int8", "int4", "float16"]
    weights: float
    macs: float | None = None
    macs_hybrid: float = 0.0
    as_it_runs: bool = False
    bits_per_weight: float | None = None
    float_weights: dict[str, float] = {}  # operator -> share of all parameters it has in float32
    float_operators: dict[str, int] = {}  # operator -> how many compute in float32
    islands: tuple[Island, ...] = ()  # longest first; none where the runtime gives no times
    quantizers_time: float | None = None  # share of the quantizers between them
    by: str = BY_FILE
    note: str = ""

    @property
    def sentence(self) -> str:
        """``int8: 100% of weights, 98% of MACs; float: 1 Softmax, 2 Resize``."""
        parts = [self._shares]
        if self.macs_hybrid:
            mixed = _share(self.macs_hybrid)
            flowing = "activations quantized as it runs" if self.as_it_runs else "float activations"
            parts.append(f"{mixed} of MACs with {self.form} weights and {flowing}")
        kept = [name for name, share in self.float_weights.items() if share >= SEEN]
        if kept:
            parts.append(f"{_share(1 - self.weights)} of weights stay float32: {_listed(kept)}")
        if self.macs == 0.0 and not self.macs_hybrid:
            parts.append("all MACs in float32")
        elif others := {k: n for k, n in self.float_operators.items() if k not in kept}:
            parts.append(f"float: {_listed([f'{n} {name}' for name, n in others.items()])}")
        return "; ".join(parts) + (", by the file" if self.by == BY_FILE else "")

    @property
    def islands_sentence(self) -> str:
        """``float islands: Resize, Add 12% of the time, Softmax 1%; quantizers 8%``; or nothing."""
        long = [island for island in self.islands if island.time >= SEEN]
        told = [f"{_operators(i.operators)} {_share(i.time)}" for i in long[:NAMED]]
        parts = []
        if told:
            told[0] += " of the time"
            more = f" and {len(long) - NAMED} more" if len(long) > NAMED else ""
            parts.append(f"float islands: {', '.join(told)}{more}")
        if (self.quantizers_time or 0.0) >= SEEN:
            time = "" if told else " of the time"
            parts.append(f"quantizers {_share(self.quantizers_time or 0.0)}{time}")
        return "; ".join(parts)

    @property
    def _shares(self) -> str:
        if self.weights == self.macs == 1.0 and self.form != "int4":
            return f"{self.form}: 100% of weights and MACs"
        text = f"{self.form}: {_share(self.weights)} of weights"
        if self.form == "int4" and self.bits_per_weight:
            text += f", {self.bits_per_weight:.1f} bits a weight in the file"
        if not self.macs:
            return text
        return f"{text}, {_share(self.macs)} of MACs"


def _share(share: float) -> str:
    """Whole percent; 0% and 100% only where it is none and all."""
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share >= 0.995:
        return "over 99%"
    return f"{share:.0%}" if share >= 0.005 else "under 1%"


def _operators(counts: dict[str, int]) -> str:
    names = [f"{n} {name}" if n > 1 else name for name, n in counts.items()]
    return " + ".join(names[:NAMED]) + (" + ..." if len(names) > NAMED else "")


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    listed = ", ".join(names[:NAMED])
    return f"{listed} and {more} more" if more > 0 else listed
