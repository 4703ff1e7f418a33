"""What a student learns of a teacher: its outputs, its features, where it looks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional

from edgeopt.schema.errors import PassError
from edgeopt.training.calls import asked
from edgeopt.training.layers import Pair, tapped
from edgeopt.training.loop import Score
from edgeopt.training.losses import STEP, accuracies_of, all_outputs, targets_loss
from edgeopt.training.samples import Batch, Samples, derived

Kind = Literal["classes", "values", "embedding"]
Method = Literal["logits", "features", "attention"]
MOST_KNOWN = 512_000_000  # bytes of a teacher's answers that are kept rather than asked for


def kind_of(samples: Samples) -> Kind:
    """How outputs are compared unless somebody says: as classes where labels are."""
    return "classes" if samples.classes else "values"


def output_loss(student: Any, teacher: Any, kind: Kind, temperature: float = 1.0) -> Any:
    """How far (b, ...) outputs are from the teacher's, a scalar.

    ``classes``: Kullback-Leibler divergence of softened scores over the axis after the batch, the
    mean over all others, times the temperature's square (Hinton et al., arXiv:1503.02531).
    ``values``: mean square error (Ba and Caruana, arXiv:1312.6184). ``embedding``: one minus the
    cosine.
    """
    student, teacher = student.float(), teacher.float()
    if kind == "values":
        return functional.mse_loss(student, teacher)
    if kind == "embedding":
        return 1 - functional.cosine_similarity(student.flatten(1), teacher.flatten(1)).mean()
    soft = functional.log_softmax(student / temperature, 1)
    target = functional.log_softmax(teacher / temperature, 1)
    divergence = functional.kl_div(soft, target, reduction="batchmean", log_target=True)
    places = soft[:1, :1].numel()
    return divergence * (temperature**2 / places)


def answers_loss(
    student: Sequence[Any], teacher: Sequence[Any], kind: Kind, temperature: float,
    scores: Collection[int] = (0,),
) -> Any:  # fmt: skip
    """The mean over outputs; those at the positions ``scores`` are of ``kind``, others values.

    Raises PassError where there are not as many of both.
    """
    if len(student) != len(teacher):
        raise PassError(
            f"in training mode the student gives {len(student)} outputs, the teacher "
            f"{len(teacher)}",
            hint="Give a module whose outputs do not depend on its mode (auxiliary heads?), or "
            "a training_step.",
        )
    rest: Kind = "embedding" if kind == "embedding" else "values"
    gaps = [
        output_loss(a, b, kind if number in scores else rest, temperature)
        for number, (a, b) in enumerate(zip(student, teacher, strict=True))
        if a.is_floating_point()
    ]
    return sum(gaps) / len(gaps)


def attention_map(features: Any, axis: int) -> Any:
    """(b, positions) of length 1: where channels are strong (Zagoruyko and Komodakis,
    arXiv:1612.03928)."""
    return functional.normalize(features.float().square().mean(axis).flatten(1))


def distillation_loss(
    teacher: Any,
    *,
    kind: Kind,
    temperature: float,
    soft: float,
    smoothing: float,
    method: Method,
    weight: float,
    pairs: Sequence[Pair],
    seed: int,
    known: Any = None,
) -> Any:
    """The loss of ``fit`` that teaches: a module, as it may have projections to train.

    ``soft`` is the share of the teacher's outputs against the labels', ``weight`` that of
    features or attention beside both. ``known`` are the teacher's outputs for all samples, or
    None to ask it at each step, as augmented samples need.
    """
    return DistillationLoss(
        teacher, kind, temperature, soft, smoothing, method, weight, pairs,
        _projections(pairs, seed) if method == "features" else torch.nn.ModuleList(), known,
    )  # fmt: skip


def _projections(pairs: Sequence[Pair], seed: int) -> Any:
    """Linear maps of the student's channels to the teacher's, where widths differ (FitNets,
    Romero et al., arXiv:1412.6550)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived(seed, "projections", 0))
        return torch.nn.ModuleList(
            torch.nn.Identity() if pair.axis is None else torch.nn.Linear(*pair.widths)
            for pair in pairs
        )


class DistillationLoss(torch.nn.Module):
    """The loss of a batch: of the teacher's outputs, of labels, and of layers beside both."""

    def __init__(
        self, teacher: Any, kind: Kind, temperature: float, soft: float, smoothing: float,
        method: Method, weight: float, pairs: Sequence[Pair], projections: Any, known: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self._held = (teacher, known)  # in a tuple: neither trained nor saved
        self.kind, self.temperature, self.soft, self.smoothing = (
            kind, temperature, soft, smoothing,
        )  # fmt: skip
        self.method, self.weight, self.pairs = method, weight, pairs
        self.projections = projections

    def forward(self, module: Any, batch: Batch) -> Any:
        names = [pair.student for pair in self.pairs]
        with tapped(module, names) as mine:
            outputs = all_outputs(module(**batch.inputs))
        theirs, answers = self._taught(batch)
        scores = {t.position for t in batch.targets} or {0}
        loss = self.soft * answers_loss(outputs, answers, self.kind, self.temperature, scores)
        if batch.labels is not None and self.soft < 1:
            hard = targets_loss(outputs, batch, self.smoothing)
            loss = loss + (1 - self.soft) * hard
        for pair, projection in zip(self.pairs, self._maps(), strict=True):
            gap = self._gap(mine[pair.student], theirs[pair.teacher], pair, projection)
            loss = loss + self.weight * gap / len(self.pairs)
        figures = {} if self.kind == "embedding" else accuracies_of(outputs, batch)
        return loss, figures

    def _maps(self) -> Any:
        return self.projections if self.method == "features" else [None] * len(self.pairs)

    def _taught(self, batch: Batch) -> tuple[Mapping[str, Any], list[Any]]:
        """The teacher's layers and outputs for a batch."""
        teacher, known = self._held
        device = next(iter(batch.inputs.values())).device
        if known is not None:
            return {}, [each[batch.index].to(device) for each in known]
        names = [pair.teacher for pair in self.pairs]
        with torch.no_grad(), tapped(teacher.to(device).eval(), names) as seen:
            answers = all_outputs(asked(teacher, batch.inputs))
        return seen, answers

    def _gap(self, mine: Any, theirs: Any, pair: Pair, projection: Any) -> Any:
        axis = pair.axis
        if self.method == "attention":
            gap = attention_map(mine, pair.channels) - attention_map(theirs, pair.channels)
            return gap.square().sum(1).mean()
        if axis is not None:
            mine = projection(mine.movedim(axis, -1)).movedim(-1, axis)
        return functional.mse_loss(mine.float(), theirs.float())


def nearness(teacher: Any, samples: Samples, kind: Kind) -> Callable[[Any], Score]:
    """A ``validate`` for ``fit``: how near answers are to the teacher's."""
    known = answers_of(teacher, samples)
    scores = {t.position for t in samples.targets} or {0}

    def validate(module: Any) -> Score:
        device = next(module.parameters()).device
        answers = answers_of(module.cpu(), samples)
        module.to(device)
        gap = float(answers_loss(answers, known, kind, 1.0, scores))
        return Score(gap, False, {"validation_loss": gap})

    return validate


def known_answers(teacher: Any, samples: Samples, progress: Any) -> Any:
    """``answers_of`` all samples, or None where they would take too much memory; ``progress`` is
    told that samples are ``taught``."""
    few = samples.take(np.arange(min(2, len(samples)))).inputs
    with torch.no_grad():
        outputs = all_outputs(asked(teacher, few))
    each = sum(out.numel() // len(out) * out.element_size() for out in outputs)
    if each * len(samples) > MOST_KNOWN:
        return None
    return answers_of(teacher, samples, partial(progress, taught=len(samples)))


def answers_of(
    teacher: Any,
    samples: Samples,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Any]:
    """A module's outputs for all samples, (n, ...) each, on the CPU."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(samples), STEP):
            progress(start, len(samples))
            index = np.arange(start, min(start + STEP, len(samples)))
            parts.append(all_outputs(asked(teacher, samples.take(index).inputs)))
    return [torch.cat(each) for each in zip(*parts, strict=True)]
