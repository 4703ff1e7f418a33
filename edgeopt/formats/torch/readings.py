"""How a network takes its samples, where only running it can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from edgeopt.formats.torch import module
from edgeopt.models.layout import image_layout
from edgeopt.models.samples import COUNT, alike, touching
from edgeopt.schema.artifact import BATCH
from edgeopt.schema.errors import ModelError

Said = Mapping[str, Any]
BATCHES = (2, 3)  # two counts of samples, so that no batch is taken for channels
MOST_TRIED = 64  # readings of all inputs together
MOST_TOLD = 3  # of those that failed
HINT = (
    "data.layout states the layout of images in the file (NHW, NCHW or NHWC); without it, arrays "
    "are tried unchanged, then as images"
)


class Found(NamedTuple):
    """The reading that was taken, and what else the network runs on.

    ``inputs``: ``{"shape", "dtype", "layout"}`` by input, the batch first; ``also``: by input the
    array's layout in which the network runs as well, and answers otherwise.
    """

    inputs: dict[str, dict[str, Any]]
    outputs: list[str]
    also: dict[str, str]


def first_that_runs(network: nn.Module, samples: Mapping[str, Said], where: str) -> Found:
    """The first reading of the samples with which a network runs, for 2 samples and for 3.

    Samples lie on the first axis, or on another one where they touch each other on the first, or
    nothing runs, and on that other axis they do not.

    ``samples`` by input: ``{"shape", "dtype", "layout"}``, the shape without the batch, and under
    ``else`` further ones with ``read``, the array's layout. Raises ModelError with the network's
    own words for what was tried where none runs.
    """
    failed: list[ModelError] = []
    for choice in islice(_choices(samples), MOST_TRIED):
        inputs = {name: _with_batch(said) for name, said in choice.items()}
        try:
            outputs = _outputs(network, inputs, where)
        except ModelError as error:
            failed.append(error)
            continue
        if _touching(network, inputs, where) and (moved := _elsewhere(network, samples, where)):
            return moved
        return Found(_kept(inputs), outputs, _also(network, samples, choice, where))
    if moved := _elsewhere(network, samples, where):
        return moved
    messages = list(dict.fromkeys(error.what for error in failed))
    if len(failed) == 1:
        raise failed[0]
    what = "; ".join(messages[:MOST_TOLD]) + ("; ..." if len(messages) > MOST_TOLD else "")
    raise ModelError(what, where=where, hint=HINT)


def _outputs(network: nn.Module, inputs: Mapping[str, Said], where: str) -> list[str]:
    """Names of the outputs of both counts of samples. Raises ModelError."""
    ran = [module.run(network, module.example(inputs, n), where) for n in BATCHES]
    return list(ran[0])


def _kept(inputs: Mapping[str, Said]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: said[key] for key in said if key != "constant"} for name, said in inputs.items()
    }


def _elsewhere(network: nn.Module, samples: Mapping[str, Said], where: str) -> Found | None:
    """The arrays as they are, with the samples on another axis than the first of each input."""
    most = max(len(said["shape"]) for said in samples.values())
    for axis in range(1, most):
        inputs = {name: _with_batch(said, axis) for name, said in samples.items()}
        try:
            outputs = _outputs(network, inputs, where)
        except ModelError:
            continue
        if not _touching(network, inputs, where):
            return Found(_kept(inputs), outputs, {})
    return None


def _touching(network: nn.Module, inputs: Mapping[str, Said], where: str) -> bool:
    """Whether samples change each other's answers; False where that cannot be tried."""
    fed = module.example(inputs, COUNT)
    axes = {
        name: said["shape"].index(BATCH) for name, said in inputs.items() if BATCH in said["shape"]
    }
    moving = {name: array for name, array in fed.items() if name in axes}

    def run(feeds: Mapping[str, Any]) -> Mapping[str, Any]:
        return module.run(network, {**fed, **feeds}, where)

    try:
        return touching(
            run,
            {n: a.shape for n, a in moving.items()},
            {n: str(a.dtype) for n, a in moving.items()},
            axes,
        )
    except ModelError:  # of numbers that were drawn
        return False


def _choices(samples: Mapping[str, Said]) -> Iterator[dict[str, Said]]:
    """One reading for each input, those that are nearest to the arrays as they are first."""
    each: list[Sequence[Said]] = [(said, *said.get("else", ())) for said in samples.values()]
    places = sorted(product(*(range(len(ways)) for ways in each)), key=lambda at: (sum(at), at))
    for at in places:
        yield {name: ways[place] for name, ways, place in zip(samples, each, at, strict=True)}


def _also(
    network: nn.Module, samples: Mapping[str, Said], taken: Mapping[str, Said], where: str
) -> dict[str, str]:
    """Layouts of arrays that were taken as they are in which the network answers otherwise."""
    layouts = {}
    for name, said in taken.items():
        others = [other for other in samples[name].get("else", ()) if other.get("read")]
        if said.get("read") or not others or said["dtype"] != others[0]["dtype"]:
            continue
        inputs = {each: _with_batch(other) for each, other in taken.items()}
        feeds = module.example(inputs, BATCHES[0])
        array = np.random.default_rng(0).random(feeds[name].shape, np.float32)
        moved = array[:, np.newaxis] if array.ndim == 3 else array.transpose(0, 3, 1, 2)
        try:
            here = module.run(network, {**feeds, name: array}, where)
            there = module.run(network, {**feeds, name: np.ascontiguousarray(moved)}, where)
        except ModelError:
            continue
        if not all(alike(here[output], there[output]) for output in here):
            layouts[name] = str(others[0]["read"])
    return layouts


def _with_batch(said: Said, axis: int = 0) -> dict[str, Any]:
    if "constant" in said:
        return {key: said[key] for key in ("shape", "dtype", "layout", "constant")}
    axis = min(axis, len(said["shape"]))
    shape = [*said["shape"][:axis], BATCH, *said["shape"][axis:]]
    layout = "" if axis else said.get("layout") or image_layout(shape)
    return {"shape": shape, "dtype": said["dtype"], "layout": layout}
