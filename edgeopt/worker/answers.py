"""A model with samples that it can be asked about, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.agent.errors import AgentError
from edgeopt.agent.feeds import Axes, as_fed, repeated, samples_first
from edgeopt.agent.whole import of_samples
from edgeopt.data.quantized import dequantized
from edgeopt.formats import format_named
from edgeopt.schema.artifact import Artifact, Description, Tensor
from edgeopt.schema.errors import ModelError
from edgeopt.schema.job import Arrays, Outcome, Request
from edgeopt.store import Store

if TYPE_CHECKING:
    from edgeopt.formats import Runner

POOL = 256  # samples that are looked at where the first few do not settle a question


@dataclass(frozen=True)
class Answering:
    """A loaded model and n samples by input; ``pool`` holds more, for what n cannot settle.

    Samples lie first in all of them; ``axes`` says where the model takes them if not there.
    """

    description: Description
    run: Runner
    feeds: Mapping[str, np.ndarray]
    pool: Mapping[str, np.ndarray] = field(default_factory=dict)
    axes: Axes = field(default_factory=dict)

    @property
    def tensors(self) -> Sequence[Tensor]:
        """The outputs, in the signature's order."""
        return self.description.signature.outputs

    @property
    def n(self) -> int:
        """How many samples there are."""
        return min(len(feed) for feed in self.feeds.values())

    @property
    def batch(self) -> int | None:
        """The model's fixed batch, or None where it is free."""
        return self.description.signature.batch_of(self.axes)

    def outputs(
        self, feeds: Mapping[str, np.ndarray] | None = None, size: int | None = None
    ) -> list[np.ndarray]:
        """Real values of each output, (n, ...), ``size`` samples at a time.

        A model's fixed batch wins over ``size``; the last sample fills up the last batch.
        """
        given = self.feeds if feeds is None else feeds
        n = min(len(feed) for feed in given.values())
        step = self.batch or size or n
        parts: dict[str, list[np.ndarray]] = {}
        whole = self.description.signature.whole
        axes = {tensor.name: tensor.batch_axis for tensor in self.tensors}
        for start in range(0, n, step):
            rows = np.minimum(np.arange(start, start + step), n - 1)
            batch = {name: feed[rows] for name, feed in given.items()}
            for name, output in self.run(as_fed(batch, self.axes)).items():
                placed = samples_first(output, axes.get(name, 0))
                try:
                    each = of_samples(name, placed, len(rows), whole)
                except AgentError as error:
                    raise ModelError(error.what, where=name, hint=error.hint) from error
                parts.setdefault(name, []).append(each[: n - start])
        joined = {name: np.concatenate(part) for name, part in parts.items()}
        return [dequantized(joined[tensor.name], tensor) for tensor in self.tensors]


def answering(request: Request, role: str, samples: str, store: Store) -> Answering:
    """The model of a request's role with the first samples of another. Raises ModelError."""
    outcome: Outcome = request.inputs[role]
    description = Description.model_validate(outcome.value["description"])
    folder = Path(request.workdir) / role
    store.checkout(Artifact.model_validate(outcome.value["artifact"]), folder)
    arrays = Arrays.model_validate(request.inputs[samples].value)
    n = int(request.job.params["n"])
    whole = samples_of(arrays, store)
    feeds, pool = ({name: a[:most] for name, a in whole.items()} for most in (n, POOL))
    runner = format_named(description.format).runner(folder)
    return Answering(description, runner, feeds, pool, arrays.axes)


def samples_of(arrays: Arrays, store: Store) -> dict[str, np.ndarray]:
    """The samples of a split by input, (n, ...) each; a constant is a view that repeats it."""
    whole = {name: store.get_array(ref) for name, ref in arrays.arrays.items()}
    return {
        name: repeated(array, arrays.n) if arrays.axes.get(name, 0) is None else array
        for name, array in whole.items()
    }
