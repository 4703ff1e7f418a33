"""Modules that measure: what is wrong with one is a PluginError that names metric and module."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from plugging import write_metadata

from edgeopt.evaluation import compute, difference, figures, ratio
from edgeopt.evaluation.measuring import module_of
from edgeopt.schema.errors import DataError, PluginError
from edgeopt.schema.quantities import GROUP, quantities

NUMBERS = count()  # a module of a name is imported only once
RNG = np.random.default_rng(0)
SOURCE = {"a": RNG.normal(size=(20, 3)), "b": RNG.normal(size=(20, 3))}
MINE = {"a": SOURCE["a"] + 0.1, "b": SOURCE["b"] + 0.5}
LABELS = RNG.integers(0, 3, 20)
FIGURE = "Measurement(quantity=QUANTITY, value=0.5, unit='fraction', low=0.4, high=0.6)"
LABELLED = f"""\
from edgeopt.schema.errors import DataError
from edgeopt.schema.measurement import Measurement

def measure(quantity, name, output, labels):
    return {FIGURE.replace("QUANTITY", "quantity")}

def difference(quantity, name, output, source, labels):
    return {FIGURE.replace("QUANTITY", "'difference.' + quantity")}

def ratio(quantity, name, output, source, labels):
    return {FIGURE.replace("QUANTITY", "'ratio.' + quantity").replace("fraction", "x")}
"""
NEAR = """\
import numpy as np
from edgeopt.schema.measurement import Measurement

def measure(quantity, name, output, source, profile):
    value = float(np.abs(output - source).mean())
    return Measurement(quantity=quantity, value=value, unit="", low=value, high=value)
"""
Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a metric whose module has some code; gives its name."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def made(code: str, near: bool = False) -> str:
        name = f"measured_{next(NUMBERS)}"
        kind = "'', 'nearness', True" if near else "'fraction', 'answers', labels='classes'"
        (site / f"{name}.py").write_text(
            "from edgeopt.schema.quantities import Quantity\n"
            f"GIVEN = Quantity('{name}', {kind}, module='{name}_module')\n"
        )
        (site / f"{name}_module.py").write_text(code)
        write_metadata(site, name, {GROUP: {name: f"{name}:GIVEN"}})
        quantities.cache_clear()
        return name

    yield made
    monkeypatch.undo()
    quantities.cache_clear()


def near(name: str, **outputs: np.ndarray) -> float:
    return compute(name, {**MINE, **outputs}, None, SOURCE).value


WRONG = [
    ("value=0.5", "value=float('nan')", "gives NaN, which cannot be compared"),
    ("value=0.5", "value=float('-inf')", "gives infinity, which cannot be compared"),
    ("low=0.4", "low=float('nan')", "gives NaN as 'low'"),
    ("high=0.6", "high=float('inf')", "gives infinity as 'high'"),
    ("low=0.4, high=0.6", "low=0.6, high=0.4", "gives 0.5 with the interval 0.6 to 0.4"),
    ("high=0.6", "high=0.45", "gives 0.5 with the interval 0.4 to 0.45"),
    ("low=0.4", "low=0.55", "gives 0.5 with the interval 0.55 to 0.6"),
    ("unit='fraction'", "unit='ms'", "gives a figure in 'ms', not in 'fraction'"),
    ("quantity=quantity", "quantity='accuracy'", "gives a figure of 'accuracy', not of"),
    ("return Meas", "return 0.5\n    return Meas", "gives a float, not a Measurement"),
    ("return Meas", "return\n    return Meas", "gives a NoneType, not a Measurement"),
    ("return Meas", "labels['x']\n    return Meas", "failed: IndexError"),
]


@pytest.mark.parametrize(("was", "becomes", "told"), WRONG)
def test_a_wrong_figure_of_labelled_answers_is_refused(
    install: Install, was: str, becomes: str, told: str
) -> None:
    assert was in LABELLED
    name = install(LABELLED.replace(was, becomes, 1))
    with pytest.raises(PluginError) as caught:
        compute(name, {"a": SOURCE["a"]}, LABELS)
    assert caught.value.what.startswith(f"'measure' of the metric {name} ({name}_module) ")
    assert told in caught.value.what and caught.value.hint


@pytest.mark.parametrize(("was", "becomes", "told"), WRONG)
def test_and_so_is_one_of_nearness(install: Install, was: str, becomes: str, told: str) -> None:
    code = LABELLED.replace("(quantity, name, output, labels)", "(quantity, name, a, labels, p)")
    code = code.replace("unit='fraction'", "unit=''")
    was, becomes = (each.replace("unit='fraction'", "unit=''") for each in (was, becomes))
    name = install(code.replace(was, becomes, 1), near=True)
    with pytest.raises(PluginError) as caught:
        near(name)
    assert caught.value.what.startswith(f"'measure' of the metric {name} ({name}_module) ")
    assert told.replace("'fraction'", "''") in caught.value.what and caught.value.hint


def test_the_line_that_fails_is_named(install: Install) -> None:
    name = install(LABELLED.replace("return Meas", "labels['x']\n    return Meas", 1))
    with pytest.raises(PluginError) as caught:
        compute(name, {"a": SOURCE["a"]}, LABELS)
    assert caught.value.hint.endswith(f"site/{name}_module.py:5 (measure)")


def test_what_is_against_the_source_is_checked_too(install: Install) -> None:
    name = install(LABELLED.replace("unit='x'", "unit='fraction'").replace("'difference.' + ", ""))
    sides = ({"a": MINE["a"]}, {"a": SOURCE["a"]}, LABELS)
    with pytest.raises(PluginError, match=f"'difference' of .* not of 'difference.{name}'"):
        difference(name, *sides)
    with pytest.raises(PluginError, match=r"'ratio' of .* a figure in 'fraction', not in 'x'"):
        ratio(name, *sides)


def test_a_value_that_rounding_puts_outside_its_interval_is_kept(install: Install) -> None:
    name = install(LABELLED.replace("high=0.6", "high=0.5 - 1e-15", 1))
    assert compute(name, {"a": SOURCE["a"]}, LABELS).value == 0.5


@pytest.mark.parametrize(
    ("code", "near", "told"),
    [
        (
            LABELLED.replace("def ratio", "def ratios"),
            False,
            "has no ratio(quantity, name, output,",
        ),
        (LABELLED.replace("def difference", "def other"), False, "has no difference(quantity"),
        (
            NEAR.replace("def measure", "def measured"),
            True,
            "has no measure(quantity, name, output",
        ),
        ("measure = 0.5", True, "has no measure("),
        (NEAR.replace(", profile", ""), True, "takes other arguments: too many positional"),
        (LABELLED.replace("source, labels", "source", 1), False, "'difference' of the metric"),
        (NEAR + "together = 3\n", True, "has no together(quantity, names, outputs, sources)"),
        ("import numpy.nowhere", True, "failed: ModuleNotFoundError: No module named 'numpy.now"),
        ("raise SystemExit(3)", True, "failed: SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_called_is_told_when_it_is_loaded(
    install: Install, code: str, near: bool, told: str
) -> None:
    name = install(code, near)
    with pytest.raises(PluginError) as caught:
        module_of(name)
    assert told in caught.value.what and f"{name}_module" in caught.value.what
    assert caught.value.hint


def test_a_module_that_is_not_there_is_told_by_its_declaration(
    install: Install, tmp_path: Path
) -> None:
    name = install(NEAR, near=True)
    (tmp_path / "site" / f"{name}_module.py").unlink()
    with pytest.raises(PluginError, match=f"its declaration names '{name}_module'"):
        module_of(name)


def test_nearness_of_two_outputs_of_one_shape_needs_nothing_more(install: Install) -> None:
    name = install(NEAR, near=True)
    found = compute(name, MINE, None, SOURCE)
    assert found.value == pytest.approx(0.5) and found.where == "output 'b'", "the worst"
    assert set(figures([name], MINE, SOURCE)) == {name, f"{name}@a", f"{name}@b"}


@pytest.mark.parametrize(("shared", "worst"), [(0.9, 0.9), (0.05, 0.5)])
def test_what_outputs_share_counts_where_it_is_worse(
    install: Install, shared: float, worst: float
) -> None:
    """Less is better, so the larger one is."""
    together = f"""
def together(quantity, names, outputs, sources):
    return Measurement(quantity=quantity, value={shared}, unit="", low={shared}, high={shared})
"""
    name = install(NEAR + together, near=True)
    assert near(name) == pytest.approx(worst)
    broken = install(NEAR + together.replace("return", "return 3 #"), near=True)
    with pytest.raises(PluginError, match=f"'together' of the metric {broken} .* gives a int"):
        near(broken)


def test_errors_of_edgeopts_own_classes_pass(install: Install) -> None:
    code = LABELLED.replace("return Meas", "raise DataError('only one class')\n    return Meas", 1)
    with pytest.raises(DataError, match="only one class"):
        compute(install(code), {"a": SOURCE["a"]}, LABELS)


def test_what_it_prints_goes_to_stderr(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards the result on stdout of ``optimize --json``; boards are measured in threads."""
    told = "print('loaded')\n" + NEAR.replace("    value =", "    print(name)\n    value =")
    name, before = install(told, near=True), sys.stdout
    threads = [threading.Thread(target=near, args=(name,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("loaded\n") and said.err.count("b\n") == 8
    assert sys.stdout is before
