"""`scheme: auto` beside the step that a recipe would name, the recipe's other steps unchanged.

    python benchmarks/auto_schemes.py FOLDER RECIPE [RECIPE ...]

Each step ``quantize-int8`` that names a scheme or an engine is put beside ``{scheme: auto}`` in its
place; where a recipe says ``auto`` itself, beside the plain static schemes by name. Both recipes
run whole. The two choices are raced directly where one runtime reads both; else each keeps the
ratio to the reference that its own run measured. Prints a row for each recipe. Leave the machine
alone meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgeopt
from edgeopt.recipe import load_recipe
from edgeopt.schema.result import CandidateResult, Result

STEP = "quantize-int8"
AUTO: dict[str, Any] = {STEP: {"scheme": "auto"}}
STATIC: list[Any] = [{STEP: {"scheme": "u8s8-reduced"}}, {STEP: {"scheme": "static"}}]
NEARNESS = ("accuracy", "fidelity.cosine", "fidelity.agreement")


def is_auto(step: Any) -> bool:
    """Whether it is ``quantize-int8: {scheme: auto}``, or the step without a word."""
    fields = step.get(STEP) if isinstance(step, dict) else None
    return step == STEP or (fields is not None and fields.get("scheme", "auto") == "auto"
                            and "engine" not in fields)  # fmt: skip


def is_named(step: Any) -> bool:
    """Whether it is a ``quantize-int8`` that says how."""
    return isinstance(step, dict) and STEP in step and not is_auto(step)


def changed(passes: list[Any], asked: Callable[[Any], bool], instead: list[Any]) -> list[Any]:
    """The passes with each step that is asked for replaced, every one once."""
    found: list[Any] = []
    for step in passes:
        kept: list[Any] = []
        for option in options_of(step):
            kept += [each for each in (instead if asked(option) else [option]) if each not in kept]
        found.append({"one_of": kept} if len(kept) > 1 else kept[0])
    return found


def both_ways(passes: list[Any]) -> tuple[list[Any], list[Any]]:
    """With the steps by name, and with ``auto``."""
    if any(is_named(option) for step in passes for option in options_of(step)):
        return passes, changed(passes, is_named, [AUTO])
    return changed(passes, is_auto, STATIC), passes


def options_of(step: Any) -> list[Any]:
    """Those of a ``one_of``, or the step alone."""
    return step["one_of"] if isinstance(step, dict) and "one_of" in step else [step]


def chosen(result: Result) -> CandidateResult:
    """Of its one target. Raises SystemExit where nothing was chosen."""
    (target,) = result.targets
    if target.chosen is None:
        raise SystemExit(f"{result.recipe_path}: {target.status}: {target.reason}")
    return target.candidate(target.chosen)


def direct(a: Path, b: Path, one: CandidateResult, other: CandidateResult, recipe: Path) -> str:
    """p50 of b over a with its interval, or both ratios to the reference."""
    if one.artifact and other.artifact and one.artifact.digest == other.artifact.digest:
        return "the same file"
    if one.target == other.target:
        (pair,) = edgeopt.compare(
            a / "result.json", b / "result.json", rerace=True, targets=[other.target], recipe=recipe
        ).pairs
        found = pair.against["ratio.latency.p50"]
        return f"{found.value:.3f}x ({found.low:.3f} to {found.high:.3f}x)"
    ratios = [each.measurements["ratio.latency.p50"] for each in (other, one)]
    return " against ".join(f"{r.value:.3f}x ({r.low:.3f} to {r.high:.3f}x)" for r in ratios)


def main() -> None:
    """Run each recipe both ways and print its row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("recipes", nargs="+", type=Path)
    asked = parser.parse_args()
    print("| recipe | by name | auto | p50, auto over by name | nearness, by name and auto |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for recipe in asked.recipes:
        passes = both_ways(list(load_recipe(recipe).spelled()["passes"]))
        a, b = (asked.folder / recipe.stem / name for name in ("by-name", "auto"))
        found = [chosen(edgeopt.optimize(recipe, out=out, passes=each, targets=["local/*"]))
                 for out, each in zip((a, b), passes, strict=True)]  # fmt: skip
        held = [each.measurements for each in found]
        metric = next(name for name in NEARNESS if all(name in each for each in held))
        near = f"{metric} {' and '.join(f'{each[metric].value:.4f}' for each in held)}"
        labels = [f"{each.label} in {each.target}" for each in found]
        cells = (recipe.stem, *labels, direct(a, b, found[0], found[1], recipe), near)
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
