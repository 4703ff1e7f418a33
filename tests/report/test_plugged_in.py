"""The view of docs/add-a-view.md, installed as the page says and drawn by the real command."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeopt.report import COMPARISONS, RESULTS, draw, view_names
from edgeopt.schema.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "add-a-view.md"
EDGEOPT = Path(sys.executable).with_name("edgeopt")
spec = importlib.util.spec_from_file_location(
    "result_sample", Path(__file__).with_name("result_sample.py")
)
assert spec and spec.loader
sample: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sample)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which the page's module is installed, beside a result."""
    text, folder = PAGE.read_text(), tmp_path / "site"
    info = folder / "csv_view-1.0.dist-info"
    info.mkdir(parents=True)
    for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL):
        (folder / name).write_text(code)
    ((group, lines),) = re.findall(r'```toml\n\[project\.entry-points\."(.*?)"\]\n(.*?)```', text,
                                   re.DOTALL)  # fmt: skip
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: csv-view\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n" + lines.replace('"', ""))
    (tmp_path / "result.json").write_text(json.dumps(sample.sample_result().to_json()))
    return folder


def drawn(site: Path, view: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [EDGEOPT, "report", "result.json", "--format", view],
        cwd=site.parent, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True,
    )  # fmt: skip


def test_the_command_offers_and_draws_it(site: Path) -> None:
    done = drawn(site, "csv")
    assert done.returncode == 0, done.stderr
    header, *rows = csv.reader(done.stdout.splitlines())
    candidates = sample.sample_result().targets[0].candidates
    assert header[0] == "target"
    assert [row[1:3] for row in rows] == [[c.status, c.label] for c in candidates]


def test_an_unknown_one_is_refused_with_those_there_are(site: Path) -> None:
    done = drawn(site, "cvs")
    assert done.returncode == 2 and "'csv'" in done.stderr


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [("def draw", "def drawn", "has no function draw"), ("csv_view", "terminal", "already")],
)
def test_a_wrong_one_is_a_typed_error(site: Path, was: str, becomes: str, told: str) -> None:
    for file in (site / "csv_view.py", next(site.glob("*.dist-info/entry_points.txt"))):
        text = file.read_text()
        file.write_text(text.replace("csv =", "terminal =") if told == "already"
                        else text.replace(was, becomes))  # fmt: skip
    done = drawn(site, "csv")
    assert done.returncode in (1, 2) and told in done.stderr and "Traceback" not in done.stderr


def test_built_in_ones_are_found_by_file() -> None:
    assert view_names(RESULTS) == ("terminal", "html", "json")
    assert view_names(COMPARISONS) == ("terminal", "json", "junit", "markdown")
    with pytest.raises(UsageError, match="unknown view 'htm'"):
        draw(sample.sample_result(), "htm")
