from __future__ import annotations

import pytest
import result_sample as sample

from edgeopt.views import terminal_view


def lines(drawn: str) -> list[str]:
    return [" ".join(line.split()) for line in drawn.splitlines()]


def test_the_headline_says_what_was_chosen_where_it_lies_and_why() -> None:
    shown = lines(terminal_view.draw(sample.sample_result(), "out/"))
    joined = " ".join(shown)
    assert shown[0].split()[1] == sample.TARGET and "1 thread, batch 1" in shown[0]
    assert "path out/best/local-onnxruntime/model.onnx" in joined
    assert "why export-onnx/simplify-onnx" in joined
    assert shown[-1].startswith("note: ") or "note: not planned: fp16" in joined


def test_every_target_is_drawn_and_notes_come_last() -> None:
    others = [sample.sample_target(target=f"local/{name}") for name in ("onnxruntime", "torch")]
    joined = " ".join(lines(terminal_view.draw(sample.sample_result(*others))))
    first, second, note = (joined.index(t) for t in ("local/onnxruntime", "local/torch", "note:"))
    assert first < second < note


def test_a_quick_run_says_so_in_its_headline() -> None:
    assert "quick run" in terminal_view.draw(sample.sample_result(quick=True))
    assert "quick run" not in terminal_view.draw(sample.sample_result())


def test_a_target_without_candidates_has_no_table() -> None:
    gone = sample.sample_target(
        candidates=(), chosen=None, reference="", path=None, verdict="unreachable",
        sentence="the board is gone", test={},
    )  # fmt: skip
    drawn = terminal_view.draw(sample.sample_result(gone))
    assert "the board is gone" in drawn and "candidate and reason" not in drawn


def test_lines_are_no_wider_than_asked_for_and_end_where_text_ends() -> None:
    for width in (110, 160):
        drawn = terminal_view.draw(sample.sample_result(), width=width)
        assert max(map(len, drawn.splitlines())) <= width
        assert all(line == line.rstrip() for line in drawn.splitlines())


def test_what_is_no_terminal_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal_view.show(sample.sample_result())
    assert capsys.readouterr().out == terminal_view.draw(sample.sample_result())
