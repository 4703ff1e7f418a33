"""The loop that every training pass runs: steps, checkpoints, validation, and nothing by chance.

What a step does depends on the seed and its number alone: the order of the samples, their
augmentation, the random state that dropout draws from and the learning rate are derived, and the
rest (weights, optimizer, average) is in the checkpoint. A run that was killed at any step and
goes on from its checkpoint therefore ends with the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from edgeopt.schema.base import digest_of
from edgeopt.schema.errors import PassError
from edgeopt.training import checkpoints as saved
from edgeopt.training.augment import augmented
from edgeopt.training.average import average_of
from edgeopt.training.objective import (
    channels_last,
    lay_back,
    lay_out,
    objective_of,
    weights_digest,
)
from edgeopt.training.optimizers import optimizer_of
from edgeopt.training.precision import precision_on
from edgeopt.training.samples import Batch, Samples
from edgeopt.training.schedule import learning_rate
from edgeopt.training.states import determined, seed_step
from edgeopt.training_pass import TrainingSettings

Loss = Callable[[Any, Batch], Any]  # (module, batch) -> loss, or (loss, {figure: value})


class Progress(Protocol):
    """Is told how far training is, in steps."""

    def __call__(self, done: float, total: float | None = None, **figures: float) -> None: ...


class Score(NamedTuple):
    """What validation says of a module; ``figures`` are shown, ``value`` decides."""

    value: float
    more_is_better: bool
    figures: Mapping[str, float] = {}


class Fitted(NamedTuple):
    """What came of training; the module itself holds the weights."""

    steps: int
    epochs: float
    best: float | None  # on validation
    history: tuple[dict[str, float], ...]  # an entry an epoch
    resumed_from: int  # step; 0 for a run from the start
    stopped_early: bool


def fit(
    module: Any,
    samples: Samples,
    loss: Loss,
    settings: TrainingSettings,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoints: Path | str | None = None,
    mark: str = "",
    validate: Callable[[Any], Score] | None = None,
    before_step: Callable[[Any, int, int], None] | None = None,
    accelerator: Any = None,
) -> Fitted:
    """Train ``module`` in place; it ends in evaluation mode, on the CPU.

    ``loss(module, batch)`` gives the scalar to lower, or it and figures to tell of. Where it is a
    module itself, its parameters are trained beside. ``checkpoints`` is a folder: training goes on
    from what it finds there of the same settings, seed, first weights, samples and ``mark``, which
    stands for all else that the loss depends on. ``validate(module)`` is asked after each epoch.
    ``before_step(module, step, total)`` is called in training mode. ``accelerator`` (of
    accelerate) shares each batch between its processes, which must divide it.

    Raises PassError where the loss is no finite number, naming the step; the last checkpoint,
    whose weights are finite, stays. Raises it, too, for patience without ``validate``.
    """
    if settings.patience and validate is None:
        raise PassError("patience needs something to validate by", hint="Give validate=.")
    masks = any(t.labels.dtype.kind in "iub" and t.labels.ndim > 1 for t in samples.targets)
    if masks and (settings.shift or settings.mirror):
        raise PassError("shift and mirror move images and not the labels of their places")
    with determined(settings):
        folder = None if checkpoints is None else Path(checkpoints)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        run = _Run(module, samples, loss, settings, seed, folder, accelerator, mark)
        run.resume()
        while run.step < run.total and not run.stopped:
            run.one_step(before_step)
            figures = run.figures()
            if run.step % run.per_epoch == 0 or run.step == run.total:
                figures |= run.end_epoch(validate)
            if run.step % settings.checkpoint_every == 0 or run.step == run.total or run.stopped:
                run.save()
            if progress:
                progress(run.step, run.total, **figures)
        return run.finished()


class _Run:
    """The state of one call of ``fit``."""

    def __init__(
        self, module: Any, samples: Samples, loss: Loss, settings: TrainingSettings, seed: int,
        folder: Path | None, accelerator: Any, mark: str,
    ) -> None:  # fmt: skip
        self.module, self.samples, self.settings, self.seed = module, samples, settings, seed
        self.folder, self.accelerator = folder, accelerator
        self.device = accelerator.device if accelerator else torch.device(settings.device)
        self.rank = accelerator.process_index if accelerator else 0
        self.ranks = accelerator.num_processes if accelerator else 1
        if settings.batch % self.ranks:
            raise PassError(
                f"{self.ranks} processes cannot share a batch of {settings.batch} evenly",
                hint="Take a batch that is a multiple of the processes.",
            )
        self.per_epoch = samples.steps_per_epoch(settings.batch)
        self.total = settings.steps or settings.epochs * self.per_epoch
        module.to(self.device)
        self.channels_last = lay_out(module, samples)
        self.objective = objective_of(module, loss).to(self.device)
        self.runs = accelerator.prepare_model(self.objective) if accelerator else self.objective
        trained = [p for p in self.objective.parameters() if p.requires_grad]
        if not trained:
            raise PassError("the module has no parameter to train")
        self.optimizer = optimizer_of(trained, settings)
        self.trained = trained
        self.average = average_of(module, settings.ema) if settings.ema else None
        self.precision = precision_on(self.device.type, settings)
        half = self.precision == "float16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        self.step = self.first = 0
        self.stopped, self.waited = False, 0
        self.best: float | None = None
        self.best_state: dict[str, Any] = {}
        self.history: list[dict[str, float]] = []
        self.sums: dict[str, float] = {}  # of the figures of this epoch's steps
        self.counted = 0
        self.mark = self._mark(mark)
        self.started = time.monotonic()

    def _mark(self, beside: str) -> str:
        """What a checkpoint must have been made with."""
        said = {**self.settings.model_dump(mode="json"), "precision": self.precision}
        first = weights_digest(self.objective)
        return digest_of([said, self.seed, self.samples.digest(), self.ranks, first, beside])

    # one step

    def one_step(self, before_step: Callable[[Any, int, int], None] | None) -> None:
        """Forward, backward, update. Raises PassError for a loss that is no number."""
        step, settings = self.step, self.settings
        seed_step(self.seed, step, self.rank)
        self.objective.train()
        if before_step:
            before_step(self.module, step, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, step, self.total)
        kind = getattr(torch, self.precision)
        mixed = self.precision != "float32"
        with torch.autocast(self.device.type, kind if mixed else torch.bfloat16, enabled=mixed):
            returned = self.runs(self._batch(step))
        loss, figures = returned if isinstance(returned, tuple) else (returned, {})
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value} at step {step}")
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if settings.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.trained, settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.module)
        self.step += 1
        self.counted += 1
        for name, figure in {"loss": value, **figures}.items():
            number = figure.detach() if isinstance(figure, torch.Tensor) else figure
            self.sums[name] = self.sums.get(name, 0.0) + float(number)

    def _batch(self, step: int) -> Batch:
        """This process's part of the step's samples."""
        index = self.samples.at_step(self.seed, step, self.settings.batch)
        batch = self.samples.take(index, step)
        inputs = augmented(batch.inputs, self.settings, self.seed, step)
        mine = slice(self.rank, None, self.ranks)
        parts = {name: x[mine] if x.ndim else x for name, x in inputs.items()}
        placed = {name: x.to(self.device) for name, x in parts.items()}
        if self.channels_last:
            placed = {name: channels_last(x) for name, x in placed.items()}
        targets = tuple(t._replace(labels=t.labels[mine].to(self.device)) for t in batch.targets)
        first = targets[0].labels if targets else None
        return Batch(placed, first, batch.index[mine], step, targets)

    def figures(self) -> dict[str, float]:
        """The epoch, means over it so far, and seconds left at the pace since the start."""
        pace = (time.monotonic() - self.started) / max(1, self.step - self.first)
        means = {name: value / self.counted for name, value in self.sums.items()}
        epoch, epochs = (math.ceil(step / self.per_epoch) for step in (self.step, self.total))
        left = pace * (self.total - self.step)
        return {"epoch": float(epoch), "epochs": float(epochs), **means, "left_s": left}

    def _diverged(self, what: str) -> PassError:
        kept = saved.saved_step(self.folder)
        last = f"The checkpoint of step {kept} is kept in {self.folder}. " if kept else ""
        return PassError(
            f"{what} (epoch {self.step / self.per_epoch:.2f})",
            hint=f"{last}Lower lr, or set clip.",
        )

    # an epoch's end

    def end_epoch(self, validate: Callable[[Any], Score] | None) -> dict[str, float]:
        """Validate, note how far it came, and stop where patience ends."""
        entry = {name: value / self.counted for name, value in self.sums.items()}
        self.sums, self.counted = {}, 0
        figures: dict[str, float] = {}
        if validate:
            self.module.eval()
            agreed = self._agreed(validate(self._judged()))
            figures = {name: float(value) for name, value in agreed.figures.items()}
            score = Score(float(agreed.value), bool(agreed.more_is_better), figures)
            self._judge(score)
        self.history.append({"step": float(self.step), **entry, **figures})
        return figures

    def _judged(self) -> Any:
        """The module that is validated, and kept in the end."""
        return self.module if self.average is None else self.average.module.eval()

    def _judge(self, score: Score) -> None:
        sign = 1 if score.more_is_better else -1
        better = self.best is None or sign * score.value > sign * self.best
        if better:
            self.best, self.waited = score.value, 0
            if self.settings.patience:
                state = self._judged().state_dict()
                self.best_state = {name: value.detach().clone() for name, value in state.items()}
        else:
            self.waited += 1
        self.stopped = bool(self.settings.patience) and self.waited >= (self.settings.patience or 0)

    def _agreed(self, score: Score) -> Score:
        """The first process's word, which all follow."""
        if self.ranks == 1:
            return score
        from accelerate.utils import broadcast_object_list  # needed by several processes alone

        return Score(*broadcast_object_list([tuple(score)])[0])

    # checkpoints

    def save(self) -> None:
        """Write a checkpoint, unless a weight is no number. Raises PassError then."""
        for name, value in self.module.state_dict().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise self._diverged(f"'{name}' is not finite after step {self.step - 1}")
        if self.folder is None or self.rank:
            return
        saved.write(self.folder, {
            "mark": self.mark, "step": self.step, "objective": self.objective.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "best": self.best, "best_state": self.best_state, "waited": self.waited,
            "stopped": self.stopped, "history": self.history, "sums": self.sums,
            "counted": self.counted,
        })  # fmt: skip

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if it is of this very run."""
        state = saved.read(self.folder, self.mark)
        if state is None:
            return
        self.objective.load_state_dict(state["objective"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        for name in ("step", "best", "best_state", "waited", "stopped", "history", "sums"):
            setattr(self, name, state[name])
        self.counted = state["counted"]
        self.first = self.step

    def finished(self) -> Fitted:
        """Put the weights that are kept into the module."""
        if self.best_state:
            self.module.load_state_dict(self.best_state)
        elif self.average is not None:
            self.module.load_state_dict(self.average.module.state_dict())
        if self.ranks > 1:
            for value in self.module.state_dict().values():
                torch.distributed.broadcast(value, 0)
        if self.channels_last:
            lay_back(self.module)
        self.module.cpu().eval()
        return Fitted(
            steps=self.step,
            epochs=self.step / self.per_epoch,
            best=self.best,
            history=tuple(self.history),
            resumed_from=self.first,
            stopped_early=self.stopped,
        )
