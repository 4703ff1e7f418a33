"""The pages on adding a runtime and a format: their keys are the loader's, their example runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from plugging import HERE, LINEAR, REFERENCE

from edgeopt.formats import Declared, Format
from edgeopt.schema.base import Noun
from edgeopt.schema.declaration import keys
from edgeopt.schema.model_format import ModelFormat
from edgeopt.schema.runtime import Runtime

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    ("add-a-runtime.md", Runtime, HERE / "onnx_reference" / "runtime.json"),
    ("add-a-format.md", ModelFormat, HERE / "linear_format" / "format.json"),
]


@pytest.mark.parametrize(("page", "kind", "example"), PAGES, ids=lambda each: str(each))
def test_the_tables_hold_the_loaders_keys_and_the_example_is_the_tested_one(
    page: str, kind: type[Noun], example: Path
) -> None:
    text = (DOCS / page).read_text()
    needed, _, rest = text.partition("Keys that every declaration has:")[2].partition(
        "Keys that may be left out:"
    )
    assert re.findall(r"^\| `(\w+)`", needed, re.M) == keys(kind, required=True)
    assert re.findall(r"^\| `(\w+)`", rest, re.M) == keys(kind, required=False)
    (shown,) = re.findall(r"```json\n(.*?)```", text, re.S)
    assert json.loads(shown) == json.loads(example.read_text())
    assert set(keys(kind, required=True)) <= set(json.loads(shown))


def test_the_entry_points_and_methods_are_those_of_the_tests() -> None:
    runtime, model_format = ((DOCS / page).read_text() for page, *_ in PAGES)
    for text, points in ((runtime, REFERENCE), (model_format, LINEAR)):
        group = "edgeopt.runtimes" if points is REFERENCE else "edgeopt.formats"
        assert f'entry-points."{group}"]' in text
        for name, package in points[group].items():
            assert f'{name} = "{package}"' in text
    listed = model_format.partition("2. The code: `FORMAT`, with ")[2].partition("3. A runtime")[0]
    methods = {n for kind in (Declared, Format) for n in vars(kind) if not n.startswith("_")}
    assert set(re.findall(r"`(\w+)`", listed)) == methods


def test_the_map_leads_to_them() -> None:
    text = (DOCS / "architecture.md").read_text()
    for page, *_ in PAGES:
        assert f"({page})" in text
