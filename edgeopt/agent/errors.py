"""The one error of the agent: it crosses to the host as JSON."""

from __future__ import annotations

from typing import Dict


class AgentError(Exception):
    """What failed, where, what to do next; ``kind`` is the host's class of error."""

    def __init__(self, kind: str, what: str, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.where = where
        self.hint = hint

    def record(self) -> Dict[str, str]:
        """The JSON form that the host reads."""
        return {"type": self.kind, "what": self.what, "where": self.where, "hint": self.hint}


def one_line(error: BaseException, limit: int = 600) -> str:
    """Class and message of any exception on one line, cut to ``limit`` characters."""
    text = " ".join(str(error).split())
    return "{}: {}".format(type(error).__name__, text)[:limit]
