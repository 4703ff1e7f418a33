"""What is behind an error of torch's exporters."""

from __future__ import annotations


def root_cause(error: BaseException) -> BaseException:
    """The error that all others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def batch_hint(cause: BaseException) -> str:
    """What to do where ``forward`` fixes the batch; nothing where something else is wrong."""
    if "batch" in str(cause) and "constrain" in str(cause).lower():
        return "forward() fixes the batch: write x.shape[0] rather than len(x) or a number."
    return ""
