"""Comparisons: two models, or two results, side by side. A is the baseline, B is judged."""

from __future__ import annotations

from edgeopt.schema.base import Noun
from edgeopt.schema.constraint import Verdict
from edgeopt.schema.measurement import Measurement


class ComparedSide(Noun):
    """One of the two: what it is, where it ran, and its own figures."""

    name: str  # a model's path, or the chain that a result chose
    target: str  # where it ran: device and runtime
    digest: str = ""
    measurements: dict[str, Measurement] = {}


class Answers(Noun):
    """How the top classes of both differ on the same n labelled or unlabelled samples.

    ``changed`` counts samples whose top class is another; with labels, ``gained`` those that B
    alone gets right and ``lost`` those that A alone does, and ``p`` is that of McNemar's mid-p
    test. ``worst`` is the sample whose outputs lie furthest apart.
    """

    n: int
    changed: int
    worst: int
    gained: int | None = None
    lost: int | None = None
    p: float | None = None


class ComparedPair(Noun):
    """A and B on one target; ``against`` holds ``ratio.Q`` (B over A) and ``difference.Q``
    (B minus A), and B's fidelity to A."""

    target: str
    a: ComparedSide
    b: ComparedSide
    against: dict[str, Measurement] = {}
    answers: Answers | None = None
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


class Comparison(Noun):
    """The whole document. ``exit_code``: 0, or 3 failed, 4 inconclusive by ``verdicts``.

    It is 4, too, where bounds are required and a target is ``undecided``.
    """

    schema_version: int = 1
    edgeopt: str
    kind: str  # models or results
    a: str
    b: str
    samples: str = ""  # what the models were fed
    required: tuple[str, ...] = ()
    pairs: tuple[ComparedPair, ...]
    undecided: dict[str, str] = {}  # target that A alone chose for -> what became of it in B
    notes: tuple[str, ...] = ()
    exit_code: int = 0
