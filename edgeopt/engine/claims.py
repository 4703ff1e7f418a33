"""One process for each key: what an engine works on, and what it waits for in another's hands."""

from __future__ import annotations

import time
from collections.abc import Mapping

from edgeopt.schema.job_words import job_in_words
from edgeopt.store import Store
from edgeopt.store.claims import Claim

LOOK_S = 0.25  # how often it is looked whether another process has ended
PATIENCE_S = 2.0  # before anybody is told of the wait


class Claims:
    """Claims of the jobs that an engine runs, and the time since which it waits for others.

    A job is claimed when it is started and released when it has ended, its outcome kept. Who has
    a claim waits for no other, so no two processes can wait for each other.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[str, Claim] = {}  # by job id
        self._since: dict[str, float] = {}  # job id -> time.monotonic()
        self._told: set[str] = set()

    @property
    def waits(self) -> bool:
        """Whether another process works on a job that could be started."""
        return bool(self._since)

    def take(self, id: str, key: str) -> bool:
        """Claim the key of a job; False while another process works on it. Raises StoreError."""
        claim = self._store.claim(key)
        if claim is not None:
            self._held[id] = claim
        return claim is not None

    def release(self, id: str) -> None:
        """Give up a job's claim, if there is one."""
        if claim := self._held.pop(id, None):
            claim.release()

    def awaited(self, jobs: Mapping[str, str]) -> list[tuple[str, str]]:
        """Note what is waited for now: job id -> key. Gives the waits to be told of, each once."""
        now = time.monotonic()
        self._since = {id: self._since.get(id, now) for id in jobs}
        late = [id for id, since in self._since.items() if now - since >= PATIENCE_S]
        untold = [id for id in late if id not in self._told]
        self._told.update(untold)
        return [(id, self._note(id, jobs[id])) for id in untold]

    def close(self) -> None:
        """Give up all claims."""
        for id in list(self._held):
            self.release(id)

    def _note(self, id: str, key: str) -> str:
        holder = self._store.holder(key)
        process = f" (process {holder})" if holder else ""
        return (
            f"waiting for another run of edgeopt{process}, which is working on "
            f"'{job_in_words(id)}': its outcome will be taken"
        )
