"""What a program calls: optimize, plan, benchmark, compare, inspect, load."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from edgeopt.commands import (
    benchmark_files,
    chosen_and_reference,
    compare_files,
    compare_results,
    diagnose,
    fronts,
    inspect_model,
    job,
    laid_out,
    prunable_layers,
)
from edgeopt.commands.tools import make_environment as make_environment
from edgeopt.commands.tools import remove_environment as remove_environment
from edgeopt.commands.tools import tool_environments as tool_environments
from edgeopt.live import is_live
from edgeopt.pipeline import make_plan, run_recipe
from edgeopt.pipeline.prepare import installed_version
from edgeopt.recipe import Recipe, load_recipe, make_recipe
from edgeopt.recipe.drop import with_max_drop
from edgeopt.recipe.given import Given, recipe_for
from edgeopt.recipe.speedup import with_speedup
from edgeopt.recipe.writing import RECIPE, is_made, made_recipe, written
from edgeopt.report import draw, faults, view_names
from edgeopt.schema.artifact import Inspection
from edgeopt.schema.comparison import Comparison
from edgeopt.schema.errors import DataError, DeviceError, ModelError, StoreError, UsageError
from edgeopt.schema.event import Event
from edgeopt.schema.front import Fronts
from edgeopt.schema.plan import Plan
from edgeopt.schema.result import Result
from edgeopt.schema.runtime import runtimes
from edgeopt.schema.target import Target
from edgeopt.store import Store
from edgeopt.transport.configured import configured
from edgeopt.transport.file import devices_file
from edgeopt.transport.kinds import device_named

OnEvent = Callable[[Event], None]
LIVE = "live"  # what a result's recipe says of a function of the caller's process
RESULT, REPORT = "result.json", "report.html"


def optimize(
    model: Given | Any,
    recipe: str | Path | Recipe | None = None,
    *,
    out: str | Path | None = None,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
    bench: bool = True,
    quick: bool = False,
    race: bool = True,
    speedup: str | None = None,
    max_drop: str | None = None,
    make_environments: bool = False,
    **fields: Any,
) -> Result:
    """Make and choose the best artifact for each target.

    ``model`` is a recipe (a file, or a ``Recipe``), a model file, ``FILE.py:NAME`` of a function
    that builds a network (with ``weights=FILE``), what stands under ``model`` in a recipe, or a
    live ``torch.nn.Module``, ``keras.Model`` or ``tf.function``; ``recipe`` and ``fields`` (a
    recipe's keys) say the rest, fields winning. A model without a recipe may have an .npz archive
    or a folder of images as ``data``, with ``label`` the name of its array of labels; with ``out``
    the recipe that was made for it is written there, too. A live one takes a loader, a dataset,
    arrays or a callable, read once and on copies: the model, its gradients and mode, and all random
    states stay as they were, to the bit, without a limit of time. With ``out``, the
    result, its report and the chosen files are written there; without, ``Result.best`` lays them
    out of the store. Raises EdgeoptError for what stops the whole run; a candidate that fails only
    loses.

    ``quick`` makes every race a short one, for trying a recipe out: no times to quote. With
    ``race=False`` all is scored and nothing raced: where the objective is a time, the smallest
    that meets the constraints is chosen, and bounds that need a race are a UsageError.
    ``bench=False`` builds and checks only. ``make_environments``: tool environments that passes
    need and that are missing are made, which downloads packages; else it is a ConsentError.
    ``speedup``, such as ``"4x"``, prunes the network to the widest one that is measured to be so
    much faster on each target, and distills the source into it; both by the recipe's data.
    ``max_drop``, such as ``"1pt"``, is what the first metric may lose against the source.
    """
    folder, listener = None if out is None else Path(out), on_event or ignore
    view_names()  # what is wrong with a plug-in's is told before anything runs
    with open_store(store) as opened, _asked(model, recipe, fields, opened, listener) as given:
        bounded = with_max_drop(given, max_drop) if max_drop else given
        asked = with_speedup(bounded, speedup) if speedup else bounded
        result = run_recipe(
            asked,
            store=opened,
            out=folder,
            on_event=listener,
            bench=bench,
            quick=quick,
            race=race,
            make_environments=make_environments,
        )
        kept = partial(laid_out, opened.root)
    if folder is not None:
        (folder / REPORT).unlink(missing_ok=True)  # of an earlier result, which is gone
        save_text(draw(result, "html"), folder / REPORT)
        made = made_recipe(asked, folder)
        if made is not None:
            save_text(made, folder / RECIPE)
        elif is_made(folder / RECIPE):  # of an earlier run
            (folder / RECIPE).unlink()
    return result.lying_in(folder) if folder is not None else result.kept_by(kept)


def plan(
    model: Given | Any,
    recipe: str | Path | Recipe | None = None,
    *,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
    max_drop: str | None = None,
    **fields: Any,
) -> tuple[Plan, dict[str, Any]]:
    """What ``optimize`` would do, and an estimate of the work. Runs no pass."""
    listener = on_event or ignore
    with open_store(store) as opened, _asked(model, recipe, fields, opened, listener) as given:
        asked = with_max_drop(given, max_drop) if max_drop else given
        return make_plan(asked, store=opened, on_event=listener)


def recipe_text(
    model: str | Path,
    folder: str | Path,
    *,
    max_drop: str | None = None,
    **fields: Any,
) -> str:
    """The recipe that ``optimize`` would make of a model without one, as commented YAML to lie in
    ``folder``. Raises UsageError, ModelError, DataError."""
    asked = recipe_for(model, None, fields)
    if asked.model.path and not (asked.root / asked.model.path).exists():
        raise ModelError("no such model file", where=asked.model.path)
    return written(with_max_drop(asked, max_drop) if max_drop else asked, Path(folder))


def benchmark(
    *files: str | Path,
    targets: Sequence[str] = ("local/*",),
    data: str | Path | None = None,
    shapes: Mapping[str, int] | None = None,
    allow_fallback: bool = False,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """Race model files, each in every runtime that reads it, against the first; plain JSON types.

    ``data`` is an .npz with an array for each input of the first; random samples otherwise, for
    which ``shapes`` gives the sizes of free dimensions other than the batch, by their names or as
    INPUT:AXIS.
    ``allow_fallback`` measures and marks also what runs elsewhere than on the accelerator asked
    for, which is a PlacementError otherwise.
    """
    with open_store(store) as opened:
        return benchmark_files(
            [Path(file) for file in files],
            targets=targets,
            data=None if data is None else Path(data),
            shapes=shapes,
            allow_fallback=allow_fallback,
            store=opened,
            on_event=on_event or ignore,
        )


def compare(
    a: str | Path | Result,
    b: str | Path | Result,
    *,
    targets: Sequence[str] = ("local/*",),
    require: Sequence[str] = (),
    recipe: str | Path | Recipe | None = None,
    split: str | None = None,
    data: str | Path | None = None,
    label: str | Mapping[str, str] | None = None,
    quick: bool = False,
    rerace: bool = False,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
) -> Comparison:
    """B against the baseline A: two model files, or two results.

    Files race directly on ``targets`` and answer the same samples: those of a recipe's ``split``
    (``validation`` unless said), or of an .npz with an array for each input of A and one called
    ``label``, plain or named SPLIT.ARRAY; ``label`` may be a map of output to array. Of two results
    the chosen artifacts are compared by the figures they hold, and by the answers that the store
    keeps of them; ``rerace`` races their files now, of several targets those of the one that
    ``targets`` names.
    ``require`` holds constraints in which ``source`` means A. Raises EdgeoptError.
    """
    held = [result_of(each) for each in (a, b)]
    if all(held) and not rerace:
        names = [each.recipe_path if isinstance(each, Result) else str(each) for each in (a, b)]
        with open_store(store) as opened:
            return compare_results(held[0], held[1], (names[0], names[1]), require, opened)  # type: ignore[arg-type]
    if any(held) and not all(held):
        raise UsageError("a result can be compared with a result, a model file with a model file")
    files = [_file_of(each, result, targets) for each, result in zip((a, b), held, strict=True)]
    given = load_recipe(Path(recipe)) if isinstance(recipe, str | Path) else recipe
    with open_store(store) as opened:
        return compare_files(
            (files[0], files[1]),
            version=installed_version("edgeopt"),
            targets=targets,
            require=require,
            recipe=given,
            split=split,
            data=None if data is None else Path(data),
            label=label,
            quick=quick,
            store=opened,
            on_event=on_event or ignore,
        )


def _file_of(given: str | Path | Result, result: Result | None, targets: Sequence[str]) -> Path:
    """A model's file: as given, or what a result chose. Raises UsageError.

    Of a result with several targets it is what was chosen for the one that ``targets`` name.
    """
    if result is None:
        assert not isinstance(given, Result)
        return Path(given)
    held = [each.target for each in result.targets]
    named = held if len(held) == 1 else [target for target in held if target in targets]
    if len(named) != 1:
        raise UsageError(
            f"a result of {len(held)} targets has several chosen files: {', '.join(held)}",
            where="" if isinstance(given, Result) else str(given),
            hint=f"name one of these targets, such as {held[0]} (--target), or the two files",
        )
    return result.best(named[0]).path


def result_of(given: str | Path | Result) -> Result | None:
    """The result that is meant; None for a model file. Raises UsageError."""
    if isinstance(given, Result):
        return given
    return load(given) if is_result(given) else None


def is_result(path: str | Path) -> bool:
    """Whether a path is meant as a result's: a JSON document, or the folder of one."""
    return Path(path).suffix == ".json" or (Path(path) / RESULT).is_file()


def loaded(path: str | Path) -> Result:
    """A saved result. Raises DataError, naming the file, for one that cannot be read."""
    try:
        return load(path)
    except UsageError as error:
        raise DataError(error.what, where=error.where, hint=error.hint) from None


def front(result: str | Path | Result, objectives: Sequence[str] = ()) -> Fronts:
    """The Pareto fronts of a result (``result.json``, its folder, or a ``Result``): by
    ``objectives``, or by each target's objective and leading metric. Raises DataError for a result
    that cannot be read, UsageError for a quantity that none of its candidates has."""
    held = result if isinstance(result, Result) else loaded(result)
    return fronts(held, objectives, held.recipe_path if result is held else str(result))


def inspect(
    model: str | Path,
    *,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
) -> Inspection:
    """What is in a model file. Raises ModelError naming the file."""
    with open_store(store) as opened:
        return inspect_model(Path(model), store=opened, on_event=on_event or ignore)


def prunable(
    recipe: str | Path | Recipe,
    *,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
) -> list[dict[str, Any]]:
    """The layers of a recipe's network: how many units each could lose, or why it cannot.

    Groups of layers are tried on the recipe's samples; nothing is kept of it. Raises PassError
    for a network that cannot be traced, naming the layer, UsageError for one that is no torch
    module.
    """
    listener = on_event or ignore
    with open_store(store) as opened:
        return prunable_layers(recipe_for(recipe), store=opened, on_event=listener)


def doctor(*, store: Store | str | Path | None = None) -> dict[str, Any]:
    """What this installation can do: libraries, extras, CPU, targets, store, problems."""
    with open_store(store) as opened:
        found = diagnose(opened)
    views = [f"a view cannot be used: {' '.join(str(fault).split())}" for fault in faults()]
    return {**found, "problems": [*found["problems"], *views]}


def devices() -> list[dict[str, Any]]:
    """The devices that the devices file names, this machine first; none is asked anything."""
    file = str(devices_file())
    listed = [{"device": "local", "settings": {}, "file": ""}]
    for kind, entries in configured().items():
        for name, settings in entries.items():
            given = settings.model_dump(exclude_unset=True, mode="json")
            listed.append({"device": f"{kind}:{name}", "settings": given, "file": file})
    return listed


def probe(device: str) -> dict[str, Any]:
    """What a device's agent says of itself. Raises UsageError, DeviceError."""
    return {"device": device, **device_named(device).hello().model_dump(mode="json")}


def check(device: str, *, store: Store | str | Path | None = None) -> list[dict[str, Any]]:
    """The conformance checks on a live device. Raises UsageError, DeviceError."""
    from edgeopt.testing.devices import check_device  # loads onnx

    there = device_named(device).hello().runtimes
    known = [runtime for runtime in runtimes() if runtime in there]
    if not known:
        raise DeviceError("no runtime is installed there", where=device, hint="see docs/devices.md")
    with open_store(store) as opened:
        return check_device(Target(device=device, runtime=known[0]), opened)


def export_job(
    *files: str | Path,
    target: str,
    data: str | Path | None = None,
    processes: int = 7,
    store: Store | str | Path | None = None,
    on_event: OnEvent | None = None,
) -> bytes:
    """A zip app that measures model files on a board without a network.

    ``python3 job.pyz > result.json`` there scores all and races each against the first;
    ``import_job`` takes the result back. One ``files`` that is the folder of a result, or its
    ``result.json``, stands for the reference and the chosen model.
    """
    paths = [Path(file) for file in files]
    archive = None if data is None else Path(data)
    listener = on_event or ignore
    with open_store(store) as opened, opened.workdir() as folder:
        if len(paths) == 1 and (paths[0].is_dir() or paths[0].name == RESULT):
            paths = list(chosen_and_reference(load(paths[0]), target, opened, folder))
        return job.export_job(
            paths, target, data=archive, processes=processes, store=opened, on_event=listener
        )


def import_job(path: str | Path, *, store: Store | str | Path | None = None) -> dict[str, Any]:
    """The figures of an offline job's result, as ``benchmark`` gives them."""
    with open_store(store) as opened:
        return job.import_job(Path(path), store=opened)


def load(path: str | Path) -> Result:
    """The result of an earlier run, from its folder or its ``result.json``.

    Raises UsageError naming the file where it is missing, damaged or of another version.
    """
    path = Path(path)
    file = path / RESULT if os.path.isdir(path) else path
    try:
        result = Result.model_validate(from_json(file.read_bytes()))
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(file)) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"not a result of this version of edgeopt: '{place}': {first['msg']}"
        raise UsageError(what, where=str(file)) from None
    except ValueError as error:  # also what is nested too deeply
        raise UsageError(f"not a JSON document: {error}", where=str(file)) from None
    return result.lying_in(file.parent)


def save_text(text: str, path: Path) -> None:
    """Write a file whole or not at all. Raises StoreError naming it."""
    rough = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        rough.write_text(text, encoding="utf-8")
        rough.replace(path)
    except OSError as error:
        with suppress(OSError):
            rough.unlink(missing_ok=True)
        raise StoreError(error.strerror or str(error), where=str(path)) from None


@contextmanager
def _asked(
    model: Any,
    recipe: str | Path | Recipe | None,
    fields: Mapping[str, Any],
    store: Store,
    on_event: OnEvent,
) -> Iterator[Recipe]:
    """The recipe of a call; a live model's program lies in a folder that goes afterwards."""
    given, functions = _without_functions(fields)
    if not is_live(model):
        asked = recipe_for(model, recipe, given)
        yield asked.model_copy(update={"functions": functions}) if functions else asked
        return
    from edgeopt.live.staged import defaults, stage  # loads torch

    with store.workdir() as folder:
        staged, held = stage(model, given.pop("data", None), folder, store, on_event)
        if recipe is None:
            whole = {**defaults(staged), **given, **staged}
            yield make_recipe(whole, held=held, functions=functions)
        else:
            base = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe))
            whole = {**base.spelled(), **given, **staged}
            kept = {at: n for at, n in base.lines.items() if at.split(".")[0] not in whole}
            yield make_recipe(
                whole, root=base.root, path=base.path, lines=kept, held=held, functions=functions
            )


def _without_functions(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields with callables among ``metrics`` named only, and those callables by name."""
    given, functions = dict(fields), {}
    listed = given.get("metrics")
    for number, metric in enumerate(listed if isinstance(listed, list | tuple) else ()):
        if isinstance(metric, Mapping) and callable(metric.get("function")):
            functions[str(metric.get("name"))] = metric["function"]
            given["metrics"] = [*given["metrics"]]
            given["metrics"][number] = {**metric, "function": LIVE}
    return given, functions


def open_store(store: Store | str | Path | None) -> AbstractContextManager[Store]:
    """A store to use, closed afterwards unless it is the caller's own."""
    if isinstance(store, Store):
        return nullcontext(store)
    return Store.default() if store is None else Store(store)


def ignore(_event: Event) -> None:
    """Nobody listens."""
