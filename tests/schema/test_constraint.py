from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeopt.schema.constraint import (
    SCALES,
    Constraint,
    parse_constraint,
    prefixes,
)
from edgeopt.schema.errors import UsageError
from edgeopt.schema.quantities import declared, of_output, quantities

QUANTITY = st.one_of(
    st.sampled_from(sorted(quantities())), st.integers(1, 99).map(lambda k: f"top{k}")
)
NUMBER = st.decimals(0, 9999, places=3).map(lambda d: format(d, "f"))
SPACE = st.sampled_from(["", " ", "  "])


def op_of(quantity: str) -> str:
    return "<=" if declared(quantity).less_is_better else ">="


@given(QUANTITY, NUMBER, SPACE, st.data())
def test_an_absolute_bound_is_scaled_to_base_units(
    quantity: str, number: str, space: str, data: st.DataObject
) -> None:
    scales = {s: f for s, f in SCALES[declared(quantity).unit].items() if s != "pt"}
    suffix = data.draw(st.sampled_from(sorted(scales)))
    text = f"{quantity}{space}{op_of(quantity)}{space}{number}{space}{suffix}"
    if declared(quantity).unit == "fraction" and not suffix and float(number) > 1:
        with pytest.raises(UsageError) as caught:
            parse_constraint(text)
        assert f"'{quantity} >= {number}%'" in caught.value.hint
        return
    made = parse_constraint(text)
    assert (made.quantity, made.basis) == (quantity, "absolute")
    assert made.bound == float(number) * scales[suffix]


@given(QUANTITY, NUMBER, st.sampled_from("+-"), st.data())
def test_a_bound_on_the_difference_keeps_its_sign(
    quantity: str, number: str, sign: str, data: st.DataObject
) -> None:
    scales = SCALES[declared(quantity).unit]
    suffix = data.draw(st.sampled_from(sorted(scales)))
    assume(suffix or declared(quantity).unit != "fraction" or float(number) < 1)
    made = parse_constraint(f"{quantity} {op_of(quantity)} source {sign} {number}{suffix}")
    assert made.basis == "difference"
    assert made.bound == float(f"{sign}1") * float(number) * scales[suffix]


@given(QUANTITY, NUMBER)
def test_a_ratio_is_a_factor_of_the_source(quantity: str, number: str) -> None:
    made = parse_constraint(f"{quantity} {op_of(quantity)} {number}x source")
    assert (made.basis, made.bound) == ("ratio", float(number))


@given(QUANTITY, NUMBER)
def test_a_constraint_reads_back_from_its_text_and_its_json(quantity: str, number: str) -> None:
    made = parse_constraint(f"  {quantity} {op_of(quantity)} {number}x source ", on="local")
    assert parse_constraint(made.text, on=made.on) == made
    assert Constraint.model_validate(made.to_json()) == made


@given(st.text(max_size=40))
def test_any_text_is_a_constraint_or_a_usage_error(text: str) -> None:
    try:
        made = parse_constraint(text)
    except UsageError as error:
        assert error.exit_code == 2
    else:
        assert parse_constraint(made.text) == made


def test_the_examples_of_the_grammar() -> None:
    assert parse_constraint("accuracy >= source - 1.0pt").bound == -0.01
    assert parse_constraint("accuracy >= source").bound == 0.0
    assert parse_constraint("size <= 400 kB").bound == 400_000
    assert parse_constraint("size <= 1 KiB").bound == 1024
    assert parse_constraint("latency.p99 <= 8 ms").bound == 8.0
    assert parse_constraint("latency.p99 <= 80us").bound == pytest.approx(0.08)
    assert parse_constraint("accuracy >= 93%").bound == pytest.approx(0.93)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accuracy", "cannot read constraint 'accuracy'"),
        ("accurcy >= 0.9", "unknown quantity 'accurcy'"),
        ("top0 >= 0.9", "unknown quantity 'top0'"),
        ("accuracy <= 0.9", "use >="),
        ("size >= 400 kB", "use <="),
        ("size <= 400 KB", "unit 'KB' does not fit"),
        ("size <= 400", "a number without a unit does not fit"),
        ("size <= 8 ms", "unit 'ms' does not fit"),
        ("accuracy >= 1pt", "write 'accuracy >= source - 1pt'"),
        ("accuracy >= source - 10 ms", "unit 'ms' does not fit"),
        ("accuracy >= source * 2", "cannot read the bound 'source * 2'"),
        ("accuracy == 0.9", "cannot read constraint"),
        ("accuracy > = 0.9", "cannot read constraint"),
        ("accuracy > 90%", "a bound is <= or >="),
    ],
)
def test_errors_name_the_part_that_is_wrong(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_constraint(text, where="recipe.yaml:7")
    assert told in caught.value.what
    assert caught.value.where == "recipe.yaml:7"


def test_a_misspelt_quantity_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse_constraint("accurcy >= 0.9")
    assert caught.value.hint == "Did you mean 'accuracy'?"


@pytest.mark.parametrize(
    ("prefix", "target", "fits"),
    [
        ("local", "local/onnxruntime", True),
        ("local", "localhost/onnxruntime", False),
        ("local/onnxruntime", "local/onnxruntime", True),
        ("local/onnxruntime", "local/onnxruntime?threads=2", True),
        ("emulated", "emulated:cortex-a76/litert", True),
        ("local/onnx", "local/onnxruntime", False),
    ],
)
def test_a_prefix_ends_where_a_part_ends(prefix: str, target: str, fits: bool) -> None:
    assert prefixes(prefix, target) is fits
    assert parse_constraint("size <= 1 MB", on=prefix).applies(target) is fits


def test_a_constraint_without_on_applies_everywhere() -> None:
    assert parse_constraint("size <= 1 MB").applies("local/torch")


@pytest.mark.parametrize("text", ["accuracy >= source - 1", "macro_f1 >= source - 20"])
def test_a_difference_of_a_whole_range_lacks_its_unit(text: str) -> None:
    with pytest.raises(UsageError, match="pt' for percentage points"):
        parse_constraint(text)
    assert parse_constraint("accuracy >= source - 0.01").bound == -0.01


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("accuracy >= 90", "accuracy >= 90%"),
        ("top5 >= 99.5", "top5 >= 99.5%"),
        ("size@scores <= 1 kB", "accuracy@scores"),
        ("accuracy@ >= 90%", ""),
        ("accuracy > 90%", "write 'accuracy >= 90%'"),
        ("latency.p99<8 ms", "write 'latency.p99 <= 8 ms'"),
    ],
)
def test_what_is_meant_otherwise_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_constraint(text)
    assert hint in caught.value.hint


@given(st.text("abcXYZ019_./:-", min_size=1))
def test_a_quantity_may_name_an_output(output: str) -> None:
    for base, bound in (("accuracy", ">= source - 1pt"), ("fidelity.cosine", ">= 0.9")):
        made = parse_constraint(f"{base}@{output} {bound}")
        assert made.quantity == f"{base}@{output}"
        assert of_output(made.quantity) == (base, output)
        assert declared(made.quantity) == declared(base)
        assert parse_constraint(f"{base} {bound}").of(output).quantity == made.quantity
