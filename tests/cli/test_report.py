"""The command that draws a result again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_run import run
from result_sample import sample_result

from edgeopt.report import draw


@pytest.fixture
def result(tmp_path: Path) -> Any:
    made = sample_result()
    (tmp_path / "result.json").write_text(json.dumps(made.to_json()))
    return made


def test_a_result_is_drawn_again(tmp_path: Path, result: Any) -> None:
    shown = run("report", ".", cwd=tmp_path)
    assert shown.returncode == 0 and result.targets[0].target in shown.stdout
    page = run("report", "result.json", "--format", "html", cwd=tmp_path).stdout
    assert page == draw(result, "html")
    assert json.loads(run("report", ".", "--format", "json", cwd=tmp_path).stdout)
    run("report", ".", "--format", "html", "--out", "page.html", cwd=tmp_path)
    assert (tmp_path / "page.html").read_text() == page


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}', "\udcff"])
def test_a_damaged_result_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_bytes(text.encode(errors="surrogateescape"))
    done = run("report", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "result.json" in done.stderr and "Traceback" not in done.stderr
