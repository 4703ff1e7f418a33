"""Baselines for a program: save what was chosen, and compare later choices with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeopt import api
from edgeopt.commands import baseline_names, gate, read_baseline, save_baseline
from edgeopt.pipeline.prepare import installed_version
from edgeopt.recipe import Recipe, load_recipe
from edgeopt.schema.comparison import Comparison
from edgeopt.schema.errors import DataError
from edgeopt.schema.result import Result
from edgeopt.store import Store

FOLDER = Path("baselines")


def save(
    name: str,
    result: str | Path | Result,
    folder: str | Path = FOLDER,
    *,
    with_model: bool = False,
    force: bool = False,
    store: Store | str | Path | None = None,
) -> Path:
    """Save what a result chose as ``folder/NAME.json``; the file.

    ``with_model`` keeps the chosen files beside it, below ``folder/NAME/``. Raises UsageError for a
    name that is taken, unless ``force``, and for a result that chose nothing; StoreError where it
    cannot be written, and then nothing is.
    """
    held = result if isinstance(result, Result) else api.loaded(result)
    with api.open_store(store) as there:
        return save_baseline(name, held, Path(folder), there, with_model=with_model, force=force)


def check(
    given: str | Path | Result,
    baseline: str,
    *,
    folder: str | Path = FOLDER,
    require: Sequence[str] = (),
    target: str | None = None,
    recipe: str | Path | Recipe | None = None,
    data: str | Path | None = None,
    label: str | None = None,
    quick: bool = False,
    store: Store | str | Path | None = None,
    on_event: api.OnEvent | None = None,
) -> Comparison:
    """Compare a result, or a model file, with a saved baseline: exit codes as ``compare``'s.

    Where the baseline's model is at hand, beside it or in the store, both are raced now; saved
    times are never compared. ``require`` holds bounds in which ``baseline`` stands for its figures;
    without one on its speed, a target fails that is proven to be slower. A file answers the samples
    of ``recipe``, or of ``data``. Raises UsageError, DataError for a baseline that cannot be read
    or was changed, ModelError, DeviceError.
    """
    folder = Path(folder)
    held: Result | Path
    if isinstance(given, Result):
        held, name = given, given.recipe_path
    else:
        held, name = api.loaded(given) if api.is_result(given) else Path(given), str(given)
    samples = load_recipe(Path(recipe)) if isinstance(recipe, str | Path) else recipe
    asked = gate.Asked(
        baseline=read_baseline(baseline, folder), folder=folder, given=held, name=name,
        require=tuple(require), target=target, recipe=samples,
        data=None if data is None else Path(data), label=label, quick=quick,
    )  # fmt: skip
    with api.open_store(store) as there:
        return gate.check(
            asked, version=installed_version("edgeopt"), store=there,
            on_event=on_event or api.ignore,
        )  # fmt: skip


def listed(folder: str | Path = FOLDER) -> list[dict[str, Any]]:
    """The baselines of a folder: ``name``, ``saved``, by target what was chosen, and what is wrong
    with one that cannot be read."""
    found = []
    for name in baseline_names(Path(folder)):
        try:
            each = read_baseline(name, Path(folder))
        except DataError as error:
            found.append({"name": name, "saved": "", "targets": {}, "error": error.what})
            continue
        targets = {t.target: t.named(t.candidates[0]) for t in each.result.targets}
        found.append({"name": name, "saved": each.saved, "targets": targets, "error": ""})
    return found
