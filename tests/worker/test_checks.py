"""Promises that passes keep or break, on real samples in real workers."""

from __future__ import annotations

import json
import re

import pytest
from worker_bed import Bed

from edgeopt.schema.artifact import Signature
from edgeopt.step import APPROXIMATE, EXACT, Promise, close


def test_a_kept_promise_says_how_well(bed: Bed) -> None:
    bed.run("keep")
    exact = bed.check("keep", EXACT)
    assert exact.ok, exact.error
    assert exact.value == {
        "max_abs": 0.0,
        "max_rel": 0.0,
        "n": 6,
        "sentence": "all values equal on 6 samples; promised: equal to the bit",
    }
    bed.run("scale", factor=1.0005)
    near = bed.check("scale", close(rtol=1e-3, atol=0.0))
    assert near.ok and 0 < near.value["max_rel"] < 1e-3
    assert near.value["sentence"].endswith("; promised: within 0 + 0.001 of the largest value")
    loose = bed.check("scale", APPROXIMATE).value["sentence"]
    assert loose.startswith("outputs at most ") and " off on 6 samples, " in loose
    assert "of the largest value; " in loose, "a figure without a unit says little"
    assert "promised: finite and sound outputs, with no bound" in loose


@pytest.mark.parametrize("promise", [EXACT, close(rtol=1e-3, atol=1e-6)])
def test_a_broken_promise_names_tensor_and_sample(bed: Bed, promise: Promise) -> None:
    bed.run("scale", factor=1.1)
    error = bed.check("scale", promise).error
    assert error is not None and error["type"] == "PassError"
    assert re.match(
        r"scale broke its promise, (exact|close\(.*\)): output 'logits' differs by [\d.]+ "
        r"\(0\.1 of its largest value\) at sample \d",
        error["what"],
    )


def test_outputs_that_are_no_numbers_break_every_promise(bed: Bed) -> None:
    bed.run("poison")
    outcome = bed.check("poison", APPROXIMATE)
    assert outcome.status == "failed"
    assert "output 'logits' is NaN at sample 0 (poison)" in json.dumps(outcome.error)


def test_a_fixed_batch_answers_as_a_free_one_does(bed: Bed) -> None:
    fixed = {
        role: tuple(t.model_copy(update={"shape": (4, *t.shape[1:])}) for t in tensors)
        for role, tensors in bed.description.signature
    }
    predicted = bed.description.model_copy(
        update={
            "signature": Signature.model_validate(fixed),
            "facts": bed.description.facts | {"static-batch"},
        }
    )
    outcome = bed.run("fix-batch", effect=predicted)
    assert outcome.ok, outcome.error
    check = bed.check("fix-batch", close(rtol=1e-6, atol=0))
    assert check.ok, check.error
    assert check.value["n"] == 6


def test_outputs_of_another_shape_break_every_promise(bed: Bed) -> None:
    (y,) = bed.description.signature.outputs
    narrow = y.model_copy(update={"shape": ("batch", 2)})
    signature = bed.description.signature.model_copy(update={"outputs": (narrow,)})
    bed.run("narrow", effect=bed.description.model_copy(update={"signature": signature}))
    error = bed.check("narrow", APPROXIMATE).error
    assert error is not None
    assert error["what"] == "narrow changed output 'logits' from (6, 3) to (6, 2)"
