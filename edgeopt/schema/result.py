"""The Result: the only truth of a run. Every report is a view of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    PrivateAttr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from edgeopt.schema.artifact import Artifact, Description
from edgeopt.schema.base import Noun
from edgeopt.schema.constraint import Verdict
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import UsageError
from edgeopt.schema.feeding import Input, Output
from edgeopt.schema.job import ArrayRef
from edgeopt.schema.measurement import Measurement
from edgeopt.schema.parity import Parity
from edgeopt.schema.quantities import usual_metric

CandidateStatus = Literal[
    "chosen",
    "lost",
    "infeasible",
    "inconclusive",
    "failed",
    "screened",
    "unmeasured",
    "reference",  # measured against, and no choice of the recipe's
]
Raced = Literal[  # the race against the reference that a candidate's times are of
    "",  # none
    "short",
    "full",
    "final",  # in full once more, as the winner or runner-up
    "count",  # on a device without time
]
TargetVerdict = Literal[
    "chosen",
    "unmet",
    "inconclusive",
    "refused-on-test",
    "built",
    "unreachable",
    "failed",  # its reference could not be made or scored, or every candidate failed
]
Scores = dict[str, dict[str, ArrayRef]]  # split -> output, in the signature's order -> raw values


class PassRecord(Noun):
    """One step of a chain: what ran and what its check said."""

    label: str
    name: str
    params: dict[str, Any] = {}
    job: str
    artifact: str = ""
    seconds: float = 0.0
    cached: bool = False
    promise: str = ""
    check: dict[str, Any] = {}
    found: dict[str, Any] = {}  # what the pass tells beside its artifact
    error: dict[str, str] | None = None


class SettingsTrial(Noun):
    """What came of one candidate under other settings of its target than it was chosen with."""

    settings: dict[str, str]
    ratio: Measurement | None = None  # of its time under them over that without
    verdicts: tuple[Verdict, ...] = ()  # on the constraints, by its answers under them
    taken: bool = False
    reason: str  # why they were taken, or were not

    @property
    def name(self) -> str:
        """``int8=allowed&opt=extended``."""
        return "&".join(f"{name}={value}" for name, value in self.settings.items())


class CandidateResult(Noun):
    """One candidate with all that was measured of it and why it stands where it stands."""

    id: str
    chain: tuple[PassRecord, ...]
    label: str
    target: str = ""  # where it runs: one of those that a target such as local/* stands for
    settings: dict[str, str] = {}  # of the target: those found by measuring, to be shipped with
    tried: tuple[SettingsTrial, ...] = ()  # settings that were raced for it
    status: CandidateStatus
    reason: str
    reference: bool = False
    artifact: Artifact | None = None
    description: Description | None = None
    measurements: dict[str, Measurement] = {}  # quantity -> figure; "ratio.latency.p50" too
    before: dict[str, Measurement] = {}  # of one raced afresh: figures of its race before that
    verdicts: tuple[Verdict, ...] = ()
    unjudged: tuple[str, ...] = ()  # bounds whose quantity was not measured of it
    scores: Scores = {}  # what it answered, as kept in the store
    raced: Raced | None = None  # None: the result does not say
    against_chosen: Measurement | None = None  # this over the chosen, where the two raced directly
    placement: dict[str, int] = {}
    conversion: Conversion | None = None  # where a pass changed the number format
    parity: tuple[Parity, ...] = ()  # with the host, or of the host with another CPU
    on_front: bool = False
    path: str | None = None  # of its files, where they were written

    @property
    def comparable(self) -> dict[str, Measurement]:
        """Its figures, those of races from the kind of race that all candidates had."""
        return {**self.measurements, **self.before}

    @property
    def runtime(self) -> str:
        """The runtime of its target."""
        return re.split(r"[:?]", self.target.rpartition("/")[2])[0]


class SliceFigure(Noun):
    """The first metric on the samples of one class, or of one value of a metadata column."""

    column: str  # "class", or the name of the column
    value: str
    name: str = ""  # of the class, where the recipe or the data names classes
    n: int
    figure: Measurement
    difference: Measurement | None = None  # to the source, on the same samples

    @property
    def group(self) -> str:
        """``class 6 (Shirt)``."""
        return f"{self.column} {self.value}" + (f" ({self.name})" if self.name else "")


class StageFigure(Noun):
    """The speed of a chain with a stage over that of the same chain without it."""

    stage: str  # label of the pass that changes the network
    form: str  # "float32", "float16", "int8" or "int4": what the chains end in
    before: str  # candidate ids
    after: str
    ratio: Measurement  # after over before, of what stands for speed

    @property
    def slows(self) -> bool:
        """Whether it is proven to make the network slower in this form."""
        return self.ratio.interval[0] > 1.0

    @property
    def word(self) -> str:
        """``faster``, ``slower`` or ``as fast``, as far as the interval proves."""
        if self.slows:
            return "slower"
        return "faster" if self.ratio.interval[1] < 1.0 else "as fast"


class Tested(BaseModel):
    """What a result says of the test split, and views read; there may be more."""

    n: int = 0
    measurements: dict[str, Measurement] = {}
    source: dict[str, Measurement] = {}
    verdicts: tuple[Verdict, ...] = ()
    not_tested: str = ""
    error: dict[str, Any] = {}


class SplitData(BaseModel):
    """What a result says of the samples of a split, and views read; there may be more."""

    n: int = 0
    digest: str = ""
    unshared: tuple[str, ...] = ()


def _as_written(kind: type[BaseModel]) -> WrapValidator:
    """A part of a document that stays as it is written, if it has the form of ``kind``."""

    def checked(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        kind.model_validate(value)
        return handler(value)

    return WrapValidator(checked)


TestFacts = Annotated[dict[str, Any], _as_written(Tested)]
SplitFacts = Annotated[dict[str, Any], _as_written(SplitData)]


class TargetResult(Noun):
    """What was decided for one target."""

    target: str
    objective: str
    metric: str = ""  # the quantity shown first: what is bounded, sought, listed or usual
    machine: dict[str, Any]
    reference: str = ""  # candidate id
    source: dict[str, Measurement] = {}
    candidates: tuple[CandidateResult, ...] = ()
    chosen: str | None = None
    path: str | None = None  # of the chosen files, relative to the result's folder
    verdict: TargetVerdict
    sentence: str
    nearest_miss: str | None = None  # candidate id
    test: TestFacts = {}  # split "test": measurements, verdicts, or why not tested
    slices: dict[str, tuple[SliceFigure, ...]] = {}  # split -> of the chosen, or nearest miss
    stages: tuple[StageFigure, ...] = ()  # what each stage did to speed
    inputs: tuple[Input, ...] = ()  # how the chosen, or nearest miss, is fed
    outputs: tuple[Output, ...] = ()  # and what it answers
    exit_code: int = 0

    @model_validator(mode="after")
    def _metric_of_old(self) -> Self:
        """Results of schema version 1 do not say what they show first."""
        if not self.metric:
            known = dict.fromkeys(name for c in self.candidates for name in c.measurements)
            object.__setattr__(self, "metric", usual_metric(known))
        return self

    @property
    def speed(self) -> str:
        """The quantity that stands for speed: p50 latency, or instructions on a device
        without time."""
        known = {name for c in self.candidates for name in c.measurements}
        counted = "instructions" in known and "latency.p50" not in known
        return "instructions" if counted else "latency.p50"

    @property
    def compared(self) -> tuple[CandidateResult, ...]:
        """The one shown, chosen or nearest miss, and the reference, where they differ."""
        shown = self.chosen or self.nearest_miss or self.reference
        ids = dict.fromkeys((shown, self.reference))
        return tuple(self.candidate(id) for id in ids if id)

    def named(self, candidate: CandidateResult) -> str:
        """A candidate's chain, and its runtime where there is a choice of them."""
        several = len({c.runtime for c in self.candidates}) > 1
        return f"{candidate.runtime}: {candidate.label}" if several else candidate.label

    def candidate(self, id: str) -> CandidateResult:
        """The candidate of that id. Raises KeyError."""
        for candidate in self.candidates:
            if candidate.id == id:
                return candidate
        raise KeyError(id)


class CurvePoint(Noun):
    """One network that a search tried: how much of it was kept, and how it did."""

    target: str
    fraction: float  # of the multiply-accumulates that were asked to be kept
    ratio: float | None = None  # of time or instructions to the reference's
    offered: bool | None = None  # faster than every wider one, beyond the noise
    margin: float | None = None  # to the nearest constraint, relative to its bound
    holds: bool | None = None
    hopeless: bool = False  # given up after a first part of its training
    taken: bool = False

    @property
    def word(self) -> str:
        """What became of it."""
        if self.taken:
            return "taken"
        if self.hopeless:
            return "given up early"
        if self.holds is not None:
            return "holds" if self.holds else "does not hold"
        return "no faster than a wider one" if self.offered is False else "offered"


class JobLists(Noun):
    """Ids of the jobs of a run by what became of them."""

    ran: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class Best(Noun):
    """What was chosen for a target: where its files lie, and all that was measured of it."""

    path: Path  # the model file, or its folder where it has several files
    target: str  # where it runs: device and runtime
    candidate: CandidateResult


class Result(Noun):
    """A whole run: what was asked, what was measured, what was chosen."""

    schema_version: int = 2
    edgeopt: str
    started: str  # ISO 8601, UTC
    seconds: float
    quick: bool = False  # raced in short only: a note says what that leaves out
    unraced: bool = False  # chosen by scores and sizes only: no time was taken
    recipe: dict[str, Any]
    recipe_path: str = ""
    source: dict[str, Any]  # artifact, description, user code digests
    data: dict[str, SplitFacts] = {}  # split -> n, digest, labels
    classes: dict[str, tuple[str, ...]] = {}  # output -> the name of each class, from 0
    versions: dict[str, str] = {}
    jobs: JobLists = JobLists()
    targets: tuple[TargetResult, ...]
    search: tuple[CurvePoint, ...] = ()  # what was tried where the recipe left a fraction open
    notes: tuple[str, ...] = ()
    exit_code: int = 0

    _folder: Path | None = PrivateAttr(None)  # where it lies; no part of the document
    _kept: Callable[[Artifact], Path] | None = PrivateAttr(None)  # where it was written nowhere

    def lying_in(self, folder: Path | None) -> Self:
        """The same result, whose chosen files are looked for below ``folder``."""
        placed = self.model_copy()
        placed._folder = folder
        return placed

    def kept_by(self, files: Callable[[Artifact], Path]) -> Self:
        """The same result, written nowhere: ``files`` lays a chosen artifact out."""
        placed = self.model_copy()
        placed._kept = files
        return placed

    def best(self, target: str | None = None) -> Best:
        """What was chosen for a target, or for the only one.

        Of a run without ``out`` the files are laid out of the store into a folder that goes with
        the process. Raises UsageError where nothing was chosen or kept, KeyError for an unknown
        target, StoreError where the store has lost the files.
        """
        target_result = self.target(target)
        if target_result.chosen is None or target_result.verdict != "chosen":
            raise UsageError(
                f"nothing was chosen: {target_result.sentence}", where=target_result.target
            )
        candidate = target_result.candidate(target_result.chosen)
        if target_result.path is not None and self._folder is not None:
            path = self._folder / target_result.path
        elif self._kept is not None and candidate.artifact is not None:
            path = self._kept(candidate.artifact)
        else:
            raise UsageError(
                "the chosen files were not written",
                where=target_result.target,
                hint="pass out=FOLDER",
            )
        return Best(
            path=path,
            target=candidate.target or target_result.target,
            candidate=candidate,
        )

    def target(self, target: str | None = None) -> TargetResult:
        """The result for a target, or for the only one. Raises KeyError."""
        if target is None and len(self.targets) == 1:
            return self.targets[0]
        for target_result in self.targets:
            if target_result.target == target:
                return target_result
        known = ", ".join(t.target for t in self.targets)
        raise KeyError(f"no target {target!r} in this result; it has: {known}")
