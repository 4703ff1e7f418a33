"""Passes in a training script's own loop: on a live module, which stays as it is."""

from __future__ import annotations

import copy
import inspect
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeopt.answers.labels import form_of_tensor, given, place
from edgeopt.formats.torch.module import run
from edgeopt.schema.artifact import Description, Signature, Tensor
from edgeopt.schema.errors import DataError, PassError

SPLITS = ("train", "calibration", "validation")
UNREAD = "test"  # no pass sees it
EVERY = 10  # of one source of samples, every tenth validates


@dataclass
class ByHand:
    """The ``PassContext`` of a pass that is called: no store, no artifact, no events."""

    seed: int
    workdir: Path
    description: Description
    given: Mapping[str, tuple[Mapping[str, Any], Any]]  # split -> (arrays by input, labels)
    source: Any  # what teaches
    taught: bool = False  # whether the caller gave it
    on_progress: Any = None
    kept: Path | None = None  # checkpoints
    training_step: Callable[..., Any] | None = None
    threads: int = 1
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def parent(self) -> Path:
        raise PassError("a live module has no artifact", hint="Call change(), not run().")

    @property
    def checkpoints(self) -> Path | None:
        """The folder that was given; without one nothing could be gone on from."""
        return self.kept

    def data(self, split: str) -> Mapping[str, Any]:
        """Arrays by model input. Raises PassError where none were given."""
        return self._of(split)[0]

    @property
    def axes(self) -> Mapping[str, int | None]:
        """Samples are on the first axis of every input."""
        return {}

    def labels(self, split: str) -> Any:
        """Labels, or None. Raises PassError where no such data were given."""
        return self._of(split)[1]

    def labelled(self, split: str) -> Mapping[str, Any]:
        """Labels by the only output that they fit, else the first. Raises as ``labels`` does."""
        labels = self.labels(split)
        outputs = [tensor.name for tensor in self.description.signature.outputs]
        if labels is None or not outputs:
            return {} if labels is None else {"": labels}
        try:
            forms = {t.name: form_of_tensor(t) for t in self.description.signature.outputs}
            output = place(given("", [labels]), forms)
        except DataError:
            output = None
        return {outputs[0] if output is None else output: labels}

    def teacher(self) -> Any:
        """The module that teaches: the one that was given for it, else the caller's as it was."""
        return self.source

    def code(self, named: str) -> tuple[Path, str]:
        """The user's code, found from where the script runs."""
        file, _, name = named.rpartition(":")
        path = Path(file).absolute()
        return path.parent, f"{path.name}:{name}"

    def progress(self, done: float, total: float | None = None, **figures: float) -> None:
        """Tell the caller, if asked to."""
        if self.on_progress:
            self.on_progress(done, total, **figures)

    def _of(self, split: str) -> tuple[Mapping[str, Any], Any]:
        if split not in self.given:
            raise PassError(
                f"no data for the split '{split}'",
                hint="Give arrays, or a mapping of splits to them, as the second argument.",
            )
        return self.given[split]


def call(
    step: Any,
    module: Any,
    data: Any,
    seed: int = 0,
    teacher: Any = None,
    progress: Any = None,
    checkpoints: Path | str | None = None,
    training_step: Callable[..., Any] | None = None,
) -> Any:
    """What ``step.change`` makes of a copy of a module, in the mode the module is in.

    ``data`` is what each split of the pass is, or a mapping of splits to it: arrays or tensors
    by input, one of them where there is one input, a pair of these and labels, or an iterable
    of such batches (a DataLoader). Of one source, every tenth sample is held back to validate
    where the pass trains. Random states of Python, NumPy and torch stay.
    """
    if training_step is not None and "training_step" not in type(step).model_fields:
        raise PassError(f"{step.name} takes no training step of your own")
    if teacher is not None and not step.teaches:
        raise PassError(f"{step.name} takes no teacher")
    module = _plain(module)
    teacher = None if teacher is None else _plain(teacher)
    with _states_kept(seed), tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        copied = _copied(module)
        names = _input_names(module)
        given = _given(data, names, step.sees)
        source = _copied(module if teacher is None else teacher)
        description = _described(copied, given, step)
        step.requires(description)
        kept = None if checkpoints is None else Path(checkpoints)
        context = ByHand(
            seed, Path(folder), description, given, source, teacher is not None, progress, kept,
            training_step,
        )  # fmt: skip
        changed, _records = step.change(copied, context)
    changed.train(module.training)
    return changed


def _copied(module: Any) -> Any:
    """A copy in evaluation mode. Raises PassError for a module that cannot be copied."""
    try:
        return copy.deepcopy(module).eval()
    except RuntimeError as error:  # a weight that was computed, as torch's first weight_norm does
        raise PassError(
            f"the module cannot be copied: {str(error).splitlines()[0]}",
            hint="Use torch.nn.utils.parametrizations in place of torch.nn.utils.weight_norm, or "
            "remove_weight_norm.",
        ) from error


def _plain(module: Any) -> Any:
    """The module that ``torch.compile`` or ``DataParallel`` holds, or the module itself."""
    kinds = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    inner = module.module if isinstance(module, kinds) else getattr(module, "_orig_mod", module)
    return inner if inner is module else _plain(inner)


@contextmanager
def _states_kept(seed: int) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _given(data: Any, names: list[str], wanted: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """(arrays by input, labels or None) by split."""
    if data is None:
        return {}
    if _by_split(data, names):
        if strange := [split for split in data if split not in (*SPLITS, UNREAD)]:
            known = ", ".join(SPLITS)
            raise DataError(f"no pass reads a split '{strange[0]}'", hint=f"Splits are {known}.")
        return {s: _arrays(each, names) for s, each in data.items() if s != UNREAD}
    inputs, labels = _arrays(data, names)
    if not {"train", "validation"} <= set(wanted):
        return dict.fromkeys(wanted, (inputs, labels))
    held = np.arange(len(next(iter(inputs.values())))) % EVERY == EVERY - 1
    if not held.any():
        raise DataError(f"{len(held)} samples are too few to train and to validate")
    rows = {split: held if split == "validation" else ~held for split in wanted}
    return {
        split: ({n: a[at] for n, a in inputs.items()}, None if labels is None else labels[at])
        for split, at in rows.items()
    }


def _by_split(data: Any, names: Sequence[str]) -> bool:
    """Whether a mapping is one of splits, and none of a module's inputs."""
    return isinstance(data, Mapping) and bool(set(data) & set(SPLITS) - set(names))


def _input_names(module: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind in kinds]
    if not names:
        raise PassError(
            f"{type(module).__name__}.forward() names no input",
            hint="Give its inputs names; *args and **kwargs do not tell what it takes.",
        )
    return names


def _arrays(data: Any, names: list[str]) -> tuple[dict[str, Any], Any]:
    """(arrays by input, labels or None) of one split. Raises DataError."""
    listed = isinstance(data, list) and all(isinstance(each, tuple | Mapping) for each in data)
    if listed or not (isinstance(data, Mapping | tuple | list) or hasattr(data, "shape")):
        parts = [_arrays(batch, names) for batch in _batches(data)]
        if not parts:
            raise DataError("the data holds no batch")
        inputs = {n: np.concatenate([p[0][n] for p in parts]) for n in parts[0][0]}
        labelled = all(p[1] is not None for p in parts)
        return inputs, np.concatenate([p[1] for p in parts]) if labelled else None
    labels = None
    if isinstance(data, tuple | list):
        if len(data) not in (1, 2):
            raise DataError(f"a batch of {len(data)} parts; inputs and labels were expected")
        labels = _array(data[1]) if len(data) == 2 else None
        data = data[0]
    if isinstance(data, tuple | list) and len(data) <= len(names) and all(map(_batched, data)):
        data = dict(zip(names, data, strict=False))
    if not isinstance(data, Mapping):
        data = {names[0]: data}
    if strange := [name for name in data if name not in names]:
        raise DataError(f"the module has no input '{strange[0]}'; it takes {', '.join(names)}")
    arrays = {name: _array(data[name]) for name in names if name in data}
    counts = {len(a) for a in (*arrays.values(), *([] if labels is None else [labels]))}
    if len(counts) > 1:
        raise DataError(f"inputs and labels of different lengths: {sorted(counts)}")
    return arrays, labels


def _batches(data: Any) -> Iterable[Any]:
    if not isinstance(data, Iterable) or isinstance(data, str | bytes):
        raise DataError(f"a {type(data).__name__} is not data", hint="Give arrays or batches.")
    return data


def _array(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        half = value.is_floating_point() and value.dtype.itemsize == 2
        value = (value.float() if half else value).numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"samples of different shapes: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"samples and labels are numbers, not {array.dtype}")
    if not array.ndim:
        raise DataError(
            "a single number where a batch was expected",
            hint="Give arrays whose first axis is the sample, or batches, as a DataLoader does.",
        )
    return array


def _batched(value: Any) -> bool:
    """Whether a value is the whole of one input, rather than one sample or one number."""
    return getattr(value, "ndim", 0) > 1


def _described(module: Any, given: Mapping[str, Any], step: Any) -> Description:
    """Signature as the first samples show it; the batch is free. Empty where none are needed."""
    if not given and step.sees:
        raise PassError(f"{step.name} needs samples", hint="Give them as the second argument.")
    inputs, outputs = {}, {}
    if given:
        inputs, _ = next(iter(given.values()))
        outputs = run(module, {n: a[:2] for n, a in inputs.items()}, type(module).__name__)
        if lone := next((name for name, each in outputs.items() if not each.ndim), None):
            raise PassError(
                f"output '{lone}' is a single number for the whole batch",
                hint="Give a module that answers for each sample, not one that gives its loss.",
            )
    floats = {p.dtype for p in module.parameters() if p.is_floating_point()} or {torch.float32}
    facts = {str(dtype).removeprefix("torch.") for dtype in floats}
    if any(type(each).__name__ == "FakeQuantize" for each in module.modules()):
        facts |= {"fake-quantized"}
    said = [
        tuple(
            Tensor(name=n, dtype=str(a.dtype), shape=("batch", *a.shape[1:]))
            for n, a in arrays.items()
        )
        for arrays in (inputs, outputs)
    ]
    signature = Signature(inputs=said[0], outputs=said[1])
    return Description(format="torch", signature=signature, facts=frozenset(facts))
