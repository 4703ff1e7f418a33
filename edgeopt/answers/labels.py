"""Which output labels speak of, by name, shape and kind; and what can be measured with them.

Labels are any array whose first axis is the sample: one whole number a sample (a class), masks of
them, several a sample, or real values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edgeopt.answers.outputs import Array
from edgeopt.schema.artifact import Tensor
from edgeopt.schema.errors import DataError, did_you_mean
from edgeopt.schema.quantities import find, quantities

Labels = Mapping[str, Array]  # output -> labels
CLASSES, VALUES, PLACES, SEVERAL = "classes", "values", "places", "several"


class Form(NamedTuple):
    """Kind of dtype (numpy's letter) and shape of a sample; free dimensions are None."""

    kind: str
    shape: tuple[int | None, ...]

    @property
    def long(self) -> list[int | None]:
        """Its dimensions but for those of size 1."""
        return [size for size in self.shape if size != 1]


class Given(NamedTuple):
    """Labels by name: their form, dtype and shape, and how many classes they name at least."""

    name: str
    form: Form
    classes: int
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"'{self.name}' ({self.dtype}{list(self.shape)})"


def form_of(array: Array) -> Form:
    """The form of an array's samples."""
    return Form(array.dtype.kind, tuple(array.shape[1:]))


def form_of_tensor(tensor: Tensor) -> Form:
    """The form of a model's output; codes of 8 bits stand for real values."""
    real = "float" in tensor.dtype or tensor.dtype in ("int8", "uint8")
    kind = "f" if real else {"int": "i", "uin": "u", "boo": "b"}.get(tensor.dtype[:3], "?")
    return Form(
        kind, tuple(n if isinstance(n, int) else None for n in tensor.batch_first.shape[1:])
    )


def given(name: str, arrays: Iterable[Array]) -> Given:
    """What is known of labels, over all splits that have them."""
    several = list(arrays)
    whole = [a for a in several if a.dtype.kind in "biu" and a.size]
    classes = max((int(a.max()) + 1 for a in whole), default=0)
    first = several[0]
    return Given(name, form_of(first), classes, str(first.dtype), tuple(first.shape))


def fit(labels: Form, output: Form) -> str:
    """How labels and an output fit by shape and kind; empty where they do not.

    ``classes``: one class a sample, and a score for each. ``values``: real values. ``places``: a
    class for each place of a map of scores. ``several``: a whole number for each value.
    """
    if output.kind not in "fiu":
        return ""
    if labels.kind == "f":
        return VALUES if output.kind == "f" and _alike(labels.long, output.long) else ""
    own, shape = labels.long, output.shape
    if not own:
        scores = len(shape) >= 1 and shape[0] != 1 and all(size in (1, None) for size in shape[1:])
        return CLASSES if scores and (shape[0] is not None or len(shape) == 1) else ""
    if _alike(list(labels.shape), list(shape)):
        return SEVERAL
    last, first = shape[-1:], shape[:1]
    places = list(labels.shape)
    maps = (first != (1,) and _alike(places, list(shape[1:]))) or (
        last != (1,) and _alike(places, list(shape[:-1]))
    )
    return PLACES if maps else ""


def place(labels: Given, outputs: Mapping[str, Form]) -> str | None:
    """The output that a lone array of labels speaks of; None where it fits none.

    That is the output of its own name, or else the only one that fits; of several those with as
    many scores as there are classes. Raises DataError, naming those that fit, where it is open.
    """
    if labels.name in outputs:
        return labels.name
    fitting = {name: how for name, form in outputs.items() if (how := fit(labels.form, form))}
    if len(fitting) < 2:
        return next(iter(fitting), None)
    enough = [name for name in fitting if _scores(outputs[name], fitting[name]) >= labels.classes]
    exact = [name for name in fitting if _scores(outputs[name], fitting[name]) == labels.classes]
    for names in (enough, exact):
        if len(names) == 1:
            return names[0]
    listed = " and ".join(f"'{name}'" for name in fitting)
    first = next(iter(fitting))
    raise DataError(
        f"the labels {labels} fit the outputs {listed}",
        where="data.label",
        hint=f"name the output they belong to: data.label: {{{first}: {labels.name or 'ARRAY'}}}",
    )


def placed(labels: Array | Labels | None, outputs: Mapping[str, Array], name: str = "") -> Labels:
    """Labels by output: as they are, or a lone array where it belongs. Raises DataError."""
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        for output in labels:
            check_output(output, outputs)
        return labels
    where = place(given(name, [labels]), {n: form_of(a) for n, a in outputs.items()})
    return {} if where is None else {where: labels}


def check_output(name: str, outputs: Iterable[str]) -> None:
    """Raise DataError for an output that the model does not have."""
    known = list(outputs)
    if name not in known:
        raise DataError(
            f"the model has no output '{name}'",
            where="data.label",
            hint=did_you_mean(name, known) or f"it has: {', '.join(known)}",
        )


def measured_of(labels: Form, output: Form) -> tuple[str, ...]:
    """Quantities that are measured with labels of an output where nobody says what to."""
    how = fit(labels, output)
    return tuple(q.name for q in quantities().values() if q.usual and how and q.labels == how)


def measures(quantity: str, labels: Form, output: Form) -> bool:
    """Whether a quantity, of any or no output by name, can be measured with labels of an output."""
    declared, how = find(quantity), fit(labels, output)
    return declared is not None and bool(how) and declared.labels == how


def _alike(a: list[int | None], b: list[int | None]) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(x is None or y is None or x == y for x, y in pairs)


def _scores(output: Form, how: str) -> int:
    """How many classes an output has scores for; where that is open, any number."""
    if how == CLASSES:
        return output.shape[0] or 1 << 62
    return 1 << 62
