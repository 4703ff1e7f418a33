"""What a program calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from result_sample import sample_result

import edgeopt
from edgeopt.schema.errors import UsageError


def test_what_is_no_result_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent"):
        edgeopt.load(tmp_path / "absent")


def test_of_a_result_of_several_targets_the_one_that_is_named_races(tmp_path: Path) -> None:
    """Guards against "KeyError: 'no target None in this result'"."""
    (one,) = (result := sample_result()).targets[:1]
    several = [one.model_copy(update={"target": f"local/{name}"}) for name in ("one", "two")]
    both = result.model_copy(update={"targets": tuple(several)})
    for targets in (("local/*",), ("local/one", "local/two"), ("local/three",)):
        with pytest.raises(UsageError, match=r"2 targets .*: local/one, local/two") as caught:
            edgeopt.compare(both, both, rerace=True, targets=targets, store=tmp_path / "store")
        assert "--target" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        edgeopt.compare(both, both, rerace=True, targets=["local/two"], store=tmp_path / "store")
    assert caught.value.where == "local/two", "it was taken, and its files were not written"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, '{"a":' * 100_000, '{"seconds": ' + "9" * 10_000 + "}", "{1: 2}", "", "null",
        '{"1": 2}', "\x00", "[" * 100_000 + "]" * 100_000,
    ],
    ids=lambda text: repr(text)[:20],
)  # fmt: skip
def test_a_document_that_is_no_result_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        edgeopt.load(path)
    assert caught.value.where == str(path) and len(str(caught.value)) < 500 + len(str(path))


BROKEN = [
    ("targets.0.test", {"measurements": {"accuracy": {"value": "<b>"}}}),
    ("targets.0.test", {"measurements": "<script>"}),
    ("targets.0.test", {"verdicts": [{"marks": 3}]}),
    ("targets.0.test", {"source": {"accuracy": None}}),
    ("targets.0.test", {"not_tested": ["a"]}),
    ("targets.0.test", {"n": "many"}),
    ("data", {"validation": {"n": "many"}}),
    ("data", {"validation": {"unshared": [True]}}),
    ("data", {"validation": []}),
]


@pytest.mark.parametrize(("place", "value"), BROKEN)
def test_a_result_that_views_cannot_show_is_the_files_fault(
    tmp_path: Path, place: str, value: object
) -> None:
    document = sample_result().to_json()
    *above, last = place.split(".")
    part = document
    for name in above:
        part = part[int(name) if name.isdigit() else name]
    part[last] = value
    (tmp_path / "result.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="not a result of this version") as caught:
        edgeopt.load(tmp_path)
    assert f"'{place}" in caught.value.what
