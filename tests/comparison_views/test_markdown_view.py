from __future__ import annotations

from comparison_sample import sample_comparison

from edgeopt.comparison_views import markdown_view


def test_a_table_a_sentence_and_a_sign_for_each_bound() -> None:
    lines = markdown_view.draw(sample_comparison()).splitlines()
    assert lines[0] == "**A** a.onnx  " and "samples: 1,000 of d" in lines
    assert "### local/onnxruntime" in lines
    assert "| size | 1.24 MB | 312 kB | 0.25x |" in lines
    assert "- ✅ size \\<= 1 MB, so pass" in lines
    assert "- ❌ accuracy \\>= a, so fail" in lines and "- ❔ latency.p50 \\<= a, so" in "\n".join(
        lines
    )
    assert any(line.startswith("3 of 1,000 samples get a different top class") for line in lines)
    assert lines[-1] == "- files are of unlike formats"


def test_what_comes_from_outside_means_itself() -> None:
    text = markdown_view.draw(sample_comparison())
    (named,) = [line for line in text.splitlines() if line.startswith("**B**")]
    assert named.startswith("**B** \\<b\\>\\*\\_a\\_\\*\\</b\\>\\|\\\\x1b\\[31m")
    assert "\x1b" not in text and "\u202e" not in text
    two_lines = sample_comparison(b="a\n# title")
    assert "**B** a \\# title" in markdown_view.draw(two_lines)
