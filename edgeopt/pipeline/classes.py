"""Names of classes, by the output whose scores they name: for views, and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from edgeopt.answers.labels import CLASSES, fit, form_of_tensor
from edgeopt.data.sources.folder import class_names
from edgeopt.pipeline.labelled import told_of
from edgeopt.recipe import Recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.errors import DataError
from edgeopt.schema.job import Arrays
from edgeopt.store import Store

Names = Mapping[str, tuple[str, ...]]  # output -> the name of each class, from 0


def classes_of(
    recipe: Recipe,
    raw: Mapping[str, Arrays],
    source: Description,
    labelled: Mapping[str, str],
    store: Store,
) -> Names:
    """The names that a recipe gives, or else those of the folders that its images lie in.

    Names of a recipe without a map are for every output whose labels are classes, or, without
    labels, for those with a score for each sample and name. Raises DataError, at the recipe's
    line, for a file that cannot be read, an output that is not there, and where an output has not
    as many scores as there are names.
    """
    spec = recipe.data
    assert spec is not None
    scores = _scores(raw, source, labelled, store)
    if spec.classes is None:
        folder = recipe.root / spec.source
        named = class_names(folder) if not recipe.held and folder.is_dir() else ()
        return dict.fromkeys(scores if labelled and named else (), named)
    if isinstance(spec.classes, Mapping):
        classes = {output: _read(recipe, names) for output, names in spec.classes.items()}
    else:
        names = _read(recipe, spec.classes)
        classes = dict.fromkeys(
            [o for o, n in scores.items() if labelled or n == len(names)], names
        )
    if not classes:
        raise _error(recipe, "no output has a score for each of the classes that it names")
    for output, names in classes.items():
        count = scores.get(output, 0)
        if output not in scores:
            raise _error(recipe, f"'{output}' is not an output with a score for each class")
        if count is not None and count != len(names):
            raise _error(
                recipe, f"names {len(names)} classes, output '{output}' has {count} scores"
            )
    return classes


def _scores(
    raw: Mapping[str, Arrays], source: Description, labelled: Mapping[str, str], store: Store
) -> dict[str, int | None]:
    """How many scores each output has that answers by class; None where the shape leaves it open.

    Where there are labels, only those whose labels are classes.
    """
    forms = {tensor.name: form_of_tensor(tensor) for tensor in source.signature.outputs}
    if not labelled:
        return {o: form.shape[0] for o, form in forms.items() if len(form.shape) == 1}
    counts = {}
    for output, array in labelled.items():
        own = told_of(array, raw, store)
        if output in forms and fit(own.form, forms[output]) == CLASSES:
            counts[output] = forms[output].shape[0]
    return counts


def _read(recipe: Recipe, names: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names themselves, or those of a text file: one a line. Raises DataError."""
    if not isinstance(names, str):
        return names
    try:
        text = (recipe.root / names).read_text(encoding="utf-8")
    except OSError as error:
        raise _error(recipe, f"cannot read '{names}': {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise _error(recipe, f"'{names}' is not a UTF-8 text file") from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _error(recipe: Recipe, what: str) -> DataError:
    return DataError(
        f"data.classes: {what}",
        where=recipe.line("data", "classes"),
        hint="give a name for each score, in their order, or a map of model output to names",
    )
