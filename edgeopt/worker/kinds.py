"""Which function does a job of which kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeopt.schema.job import Request
from edgeopt.store import Store
from edgeopt.worker.analyses import analyse
from edgeopt.worker.checks import check
from edgeopt.worker.handlers import Progress, load_data, open_model, run_pass

Handler = Callable[[Request, Store, Progress], tuple[str, dict[str, Any]]]

HANDLERS: dict[str, Handler] = {
    "open": open_model,
    "data": load_data,
    "pass": run_pass,
    "check": check,
    "analysis": analyse,
}
