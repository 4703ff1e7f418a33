from __future__ import annotations

import pytest
from comparison_sample import sample_comparison

from edgeopt.comparison_views import terminal_view


def test_both_sides_the_table_and_every_verdict_are_shown() -> None:
    drawn = terminal_view.draw(sample_comparison())
    lines = [" ".join(line.split()) for line in drawn.splitlines()]
    assert lines[0] == "A a.onnx" and "samples: 1,000 of d" in lines
    assert "size 1.24 MB 312 kB 0.25x" in lines
    assert "pass: size <= 1 MB, so pass" in lines and "fail: accuracy >= a, so fail" in lines
    assert "note: p99 of few inferences" in lines
    assert lines[-1] == "note: files are of unlike formats"
    assert all(line == line.rstrip() for line in drawn.splitlines())


def test_a_terminal_never_gets_control_characters() -> None:
    drawn = terminal_view.draw(sample_comparison())
    assert "\x1b" not in drawn and "\u202e" not in drawn
    assert "\\x1b[31m" in drawn


def test_it_is_printed_as_it_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    terminal_view.show(sample_comparison(b="b.onnx"))
    shown = capsys.readouterr().out
    assert "fail: accuracy >= a, so fail" in shown and "312 kB" in shown
