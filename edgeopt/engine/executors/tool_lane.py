"""The lane of a tool environment: makes it when it is first needed, then runs its worker."""

from __future__ import annotations

import time
from pathlib import Path

from edgeopt.engine.executors import Tell, Told
from edgeopt.engine.executors.lanes import WorkerLane
from edgeopt.engine.executors.memory import MemoryBound
from edgeopt.engine.executors.process import WorkerProcess, foreign_environment
from edgeopt.environments import Environment
from edgeopt.environments.making import make
from edgeopt.schema.errors import ConsentError, EnvironmentMissingError
from edgeopt.schema.job import Request
from edgeopt.store import Store


class ToolLane(WorkerLane):
    """A lane whose worker is the Python of a tool environment, with the network off.

    The environment is made when it is first needed. One that could not be made is not tried
    again in this run.
    """

    def __init__(
        self,
        env: Environment,
        store: Store,
        bound: MemoryBound | None,
        log: Path,
        *,
        may_make: bool,
    ) -> None:
        command = (str(env.interpreter), "-P", "-m", "edgeopt.worker", "--offline")
        super().__init__(env.name, store, bound, command, log)
        self._env, self._may_make = env, may_make
        self._failed: EnvironmentMissingError | None = None

    def get_ready(self, request: Request, tell: Tell) -> None:
        """Make the environment. Raises ConsentError, EnvironmentMissingError."""
        if self._failed:
            raise EnvironmentMissingError(self._failed.what, hint=self._failed.hint)
        if self._env.is_made:
            return
        name = self._env.name
        if not self._may_make:
            raise ConsentError(f"the tool environment '{name}' is missing",
                               hint=f"make it: edgeopt env make {name}")  # fmt: skip
        job, began = request.job.id, time.monotonic()

        def progress(done: float, total: float, at: str) -> None:
            tell(Told(job, done=done, total=total))

        text = f"making the tool environment '{name}' (Python {self._env.python})"
        tell(Told(job, note=text))
        try:
            make(self._env, progress, self.stopped)
        except EnvironmentMissingError as error:
            self._failed = error
            raise
        tell(Told(job, note=f"made it in {time.monotonic() - began:.0f} s"))

    def started(self) -> WorkerProcess:
        """A worker that finds edgeopt, and nothing else of this Python."""
        env = foreign_environment(self._log.with_suffix(""))
        return WorkerProcess(self._command, self._name, self._log, env)
