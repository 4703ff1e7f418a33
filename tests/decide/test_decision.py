from __future__ import annotations

from typing import Any, get_args

import pytest
import result_sample as sample

from edgeopt.decide.decision import EXIT, Decision, error_in_words, exit_code_of, one_line
from edgeopt.schema.result import TargetVerdict


def ended(*verdicts: Any) -> int:
    codes = {word: EXIT[word] for word in verdicts}
    return exit_code_of(
        sample.sample_target(verdict=word, exit_code=codes[word]) for word in verdicts
    )


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["chosen"], 0),
        (["chosen", "built"], 0),
        (["chosen", "unmet"], 3),
        (["inconclusive", "refused-on-test"], 3),
        (["chosen", "inconclusive", "failed"], 4),
        (["chosen", "unreachable"], 5),
        (["failed", "unreachable"], 1),
        (["failed"], 1),
    ],
)
def test_a_run_exits_by_its_worst_target(verdicts: list[str], code: int) -> None:
    assert ended(*verdicts) == code


def test_every_verdict_has_an_exit_code() -> None:
    for word in get_args(TargetVerdict):
        assert Decision(word, "").exit_code == EXIT[word]


def test_a_message_of_a_library_is_one_line() -> None:
    assert one_line(" it\n  broke\t here \n") == "it broke here"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"where": "net.py:3", "what": "it broke"}, "net.py:3: it broke"),
        ({"where": "score:validation:x", "what": "it broke"}, "it broke"),
        ({"where": "race:x:y", "what": "it broke"}, "it broke"),
        ({"what": ""}, "failed"),
    ],
)
def test_an_error_is_told_without_names_of_jobs(error: dict[str, str], told: str) -> None:
    assert error_in_words(error) == told
