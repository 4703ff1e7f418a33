"""The view of docs/add-a-view.md, installed as the page says and drawn by the real command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import result_sample as sample
from plugging import install_page, ran

from edgeopt.report import COMPARISONS, RESULTS, draw, view_names
from edgeopt.schema.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "add-a-view.md"
EDGEOPT = Path(sys.executable).with_name("edgeopt")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which the page's module is installed, beside a result."""
    text = json.dumps(sample.sample_result().to_json())
    (tmp_path / "result.json").write_text(text)
    return install_page(PAGE, tmp_path / "site", "csv-view")


def drawn(site: Path, view: str) -> subprocess.CompletedProcess[str]:
    return ran(site, EDGEOPT, "report", "result.json", "--format", view)


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


def test_one_with_a_taken_name_is_told_before_anything_runs(site: Path) -> None:
    """Guards against a run that ends in exit code 2 when all is measured; help works as ever."""
    points = next(site.glob("*.dist-info/entry_points.txt"))
    points.write_text(
        "[edgeopt.views]\nhtml = csv_view\n[edgeopt.comparison_views]\njson = csv_view"
    )
    for command in (("optimize", "not-there.yaml"), ("report", "."), ("compare", "a", "b")):
        done = ran(site, EDGEOPT, *command)
        assert done.returncode == 2 and "there is already a view" in done.stderr, done.stderr
        shown = ran(site, EDGEOPT, command[0], "--help")
        assert shown.returncode == 0 and "Usage" in shown.stdout


def test_built_in_ones_are_found_by_file() -> None:
    for kind, names in ((RESULTS, {"html", "json"}), (COMPARISONS, {"json", "junit", "markdown"})):
        first, *others = view_names(kind)
        assert first == "terminal" and others == sorted(others) and names <= set(others)
    with pytest.raises(UsageError, match="unknown view 'htm'"):
        draw(sample.sample_result(), "htm")
