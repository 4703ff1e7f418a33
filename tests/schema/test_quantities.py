from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugging import write_metadata

from edgeopt.schema import quantities as known
from edgeopt.schema.errors import UsageError
from edgeopt.schema.quantities import declared, find, of_output, quantities

NAMES = st.sampled_from(sorted(quantities()))
NUMBERS = count()  # a module of a name is imported only once
OUTPUTS = st.text("abc019_./:@-", min_size=1)


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs a metric that a line of Python makes, ``GIVEN = ...``."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(given: str) -> None:
        name = f"plugged_metric_{next(NUMBERS)}"
        code = f"from edgeopt.schema.quantities import Quantity\nGIVEN = {given}\n"
        (site / f"{name}.py").write_text(code)
        write_metadata(site, name, {known.GROUP: {name: f"{name}:GIVEN"}})
        quantities.cache_clear()

    yield install
    monkeypatch.undo()
    quantities.cache_clear()


@given(NAMES, OUTPUTS, st.sampled_from(["", *known.BESIDE]))
def test_neither_an_output_nor_what_it_is_against_changes_a_quantity(
    name: str, output: str, prefix: str
) -> None:
    assert find(f"{prefix}{name}@{output}") == quantities()[name]
    assert of_output(f"{name}@{output}") == (name, output)
    assert of_output(name) == (name, "")


@pytest.mark.parametrize(
    ("name", "base"), [("top1", "top1"), ("top25@scores", "top25"), ("metric.iou", "metric.iou")]
)
def test_families_of_quantities_are_known_by_their_form(name: str, base: str) -> None:
    found = find(name)
    assert found is not None and found.name == base and found.is_metric


@pytest.mark.parametrize("name", ["top0", "top01", "top", "topK", "metric.", "metric.a.b", "", "x"])
def test_what_only_looks_like_one_is_unknown(name: str) -> None:
    assert find(name) is None
    with pytest.raises(UsageError, match=f"unknown quantity '{name}'"):
        declared(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("size@scores", "'size@scores': size does not belong to an output"),
        ("accuracy@", "'accuracy@': no output is named"),
        ("ratio.size", "unknown quantity 'ratio.size'"),
        ("difference.accuracy", "unknown quantity 'difference.accuracy'"),
        ("acuracy@scores", "unknown quantity 'acuracy'"),
    ],
)
def test_what_a_user_cannot_ask_for_is_told_where_it_stands(name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        declared(name, where="recipe.yaml:7")
    assert caught.value.what == told
    assert caught.value.where == "recipe.yaml:7" and caught.value.hint


@pytest.mark.parametrize(
    ("name", "of_outputs", "metric", "of_machine"),
    [
        ("accuracy", True, True, False),
        ("difference.fidelity.sqnr@boxes", True, True, False),
        ("metric.iou", False, True, False),
        ("latency.p50", False, False, True),
        ("ratio.memory.peak", False, False, True),
        ("size", False, False, False),
        ("instructions.branch", False, False, False),
        ("what nobody declares", False, True, False),
    ],
)
def test_quantities_are_told_apart_by_how_they_are_come_by(
    name: str, of_outputs: bool, metric: bool, of_machine: bool
) -> None:
    assert known.is_of_outputs(name) is of_outputs
    assert known.is_metric(name) is metric
    assert known.is_of_machine(name) is of_machine


def test_times_and_sizes_compare_by_ratio_and_answers_by_difference() -> None:
    by_ratio = {name for name, each in quantities().items() if each.by_ratio}
    assert {"latency.p99", "load_time", "memory.peak", "size"} <= by_ratio
    assert by_ratio.isdisjoint({"accuracy", "mse", "fidelity.cosine", "instructions"})


def test_accuracy_is_shown_first_and_errors_before_fidelity() -> None:
    assert known.usual_metric(["fidelity.sqnr", "mse", "accuracy"]) == "accuracy"
    assert known.usual_metric(["fidelity.sqnr", "fidelity.agreement", "mse"]) == "mse"
    assert known.usual_metric(["fidelity.sqnr", "fidelity.agreement"]) == "fidelity.agreement"
    assert known.usual_metric(["macro_f1", "size"]) == "accuracy", "none that is ever first"


@pytest.mark.parametrize(
    ("name", "short", "title"),
    [
        ("latency.p50", "p50", "p50 latency"),
        ("fidelity.cosine@boxes", "cosine@boxes", "Cosine"),
        ("accuracy@scores", "accuracy@scores", "accuracy@scores"),
        ("metric.iou", "iou", "metric.iou"),
        ("unheard.of", "unheard.of", "unheard.of"),
    ],
)
def test_names_in_columns_and_lists(name: str, short: str, title: str) -> None:
    assert known.short_of(name) == short
    assert known.title_of(name) == title


def test_shares_name_the_total_that_they_are_of() -> None:
    shares = known.parts_of("instructions")
    assert shares["instructions.load_store"] == "load and store" and "instructions" not in shares
    assert known.parts_of("accuracy") == {}


def test_one_or_several_metrics_are_plugged_in(plug_in: Callable[[str], None]) -> None:
    plug_in("Quantity('iou', 'fraction', 'answers', labels='values', module='m')")
    plug_in("[Quantity('psnr', 'dB', 'nearness', module='m', rank=9), "
            "Quantity('ssim', '', 'nearness', module='m')]")  # fmt: skip
    assert {"iou", "psnr", "ssim", "accuracy"} <= set(quantities())
    assert declared("iou@boxes").labels == "values"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Quantity('a b', '', 'nearness', module='m')", "declares name 'a b'"),
        ("Quantity('a', 'm', 'nearness', module='m')", "declares unit 'm'"),
        ("Quantity('a', 'ms', 'latency', module='m')", "declares family 'latency'"),
        ("Quantity('a', '', 'answers', module='m')", "declares labels ''"),
        ("Quantity('a', '', 'nearness', module='m', labels='values')", "declares labels 'values'"),
        ("Quantity('a', '', 'nearness')", "declares module ''"),
        ("Quantity('accuracy', '', 'nearness', module='m')", "two metrics are called 'accuracy'"),
        ("['accuracy']", "gives a str, no Quantity"),
        ("None", "gives None, no Quantity"),
        ("Quantity", "gives the class Quantity, no Quantity"),
        ("__import__('json')", "gives the module 'json', no Quantity"),
        ("{'a': Quantity('a', '', 'nearness', module='m')}", "gives a dict, no Quantity"),
        ("()", "gives an empty tuple, no Quantity"),
        ("len", "gives a builtin_function_or_method, no Quantity"),
        ("Quantity(7, '', 'nearness', module='m')", "declares name 7: it must be a string"),
        ("Quantity('a', 1, 'nearness', module='m')", "declares unit 1: it must be a string"),
        ("Quantity('a', '', ['nearness'], module='m')", "declares family ['nearness']: it must"),
        (
            "Quantity('a', '', 'nearness', 'no', module='m')",
            "declares less_is_better 'no': it must be True or False",
        ),
        ("Quantity('a', '', 'nearness', title=None, module='m')", "declares title None"),
        ("Quantity('a', '', 'nearness', short=1, module='m')", "declares short 1"),
        ("Quantity('a', '', 'nearness', module=len)", "declares module <built-in function len>"),
        ("Quantity('a', '', 'nearness', module='m', usual=1)", "declares usual 1"),
        (
            "Quantity('a', '', 'nearness', module='m', rank='first')",
            "declares rank 'first': it must be a whole number",
        ),
        ("Quantity('a', '', 'nearness', module='m', rank=True)", "declares rank True"),
        ("Quantity('a', '', 'nearness', module='m', rank=-1)", "declares rank -1: it must not"),
        ("Quantity('a', '', 'nearness', module='m', raced=True)", "declares raced True"),
        ("Quantity('a', '', 'nearness', module='m', part_of='size')", "declares part_of 'size'"),
        ("Quantity('metric.a', '', 'nearness', module='m')", "that a recipe defines are called"),
        ("Quantity('difference.a', '', 'nearness', module='m')", "against the source of any"),
        ("Quantity('ratio.a', '', 'nearness', module='m')", "against the source of any"),
        ("Quantity('top5', 'fraction', 'answers', labels='classes', module='m')", "edgeopt's own"),
        ("Quantity('5th', '', 'nearness', module='m')", "no digit or '.' first"),
        ("Quantity('f1@k', '', 'nearness', module='m')", "a bound can spell letters, digits"),
    ],
)
def test_a_metric_that_is_declared_wrong_is_refused(
    plug_in: Callable[[str], None], given: str, told: str
) -> None:
    plug_in(given)
    with pytest.raises(UsageError) as caught:
        quantities()
    assert told in caught.value.what
    assert caught.value.where.startswith("the entry point 'plugged_metric_")
    assert caught.value.hint
    assert [fault.record() for fault in known.faults()] == [caught.value.record()]


def test_every_wrong_declaration_is_found(plug_in: Callable[[str], None]) -> None:
    plug_in("None")
    plug_in("Quantity('sound', '', 'nearness', module='m')")
    plug_in("1 / 0")
    first, second = known.faults()
    assert "gives None" in first.what and "ZeroDivisionError" in second.what


def test_edgeopts_own_are_known_beside_a_broken_one(plug_in: Callable[[str], None]) -> None:
    plug_in("1 / 0")
    assert known.short_of("latency.p50") == "p50" and known.title_of("size") == "size"
    assert known.usual_metric(["accuracy", "top5", "metric.iou", "size"]) == "accuracy"
    assert known.parts_of("bytes") and known.is_metric("difference.mse@o")
    with pytest.raises(UsageError, match="cannot be loaded"):
        declared("acuracy")


def test_what_a_declaration_prints_is_no_result(
    plug_in: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    plug_in("(print('hello'), Quantity('loud', '', 'nearness', module='m'))[1]")
    assert "loud" in quantities()
    assert capsys.readouterr() == ("", "hello\n")
