"""Files held against the oldest version of their runtime: loaded there, and asked for answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from edgeopt.decide.entry import Entry
from edgeopt.decide.events import Compared, NotScored
from edgeopt.environments import Environment, floor_environment
from edgeopt.environments.making import make
from edgeopt.pipeline.parity import compared
from edgeopt.pipeline.remote import host_in_parity
from edgeopt.pipeline.target_run import TargetRun
from edgeopt.pipeline.work import Work
from edgeopt.schema.errors import DeviceError, PassError
from edgeopt.schema.floor import Floor
from edgeopt.schema.job import Job
from edgeopt.schema.target import Target
from edgeopt.transport.kinds import device_named

SPLIT, SAMPLES = "validation", 16


def hold_to_floors(work: Work, runs: Iterable[TargetRun]) -> None:
    """Let candidates fail that the oldest version that the recipe asks for does not run, or that
    answer otherwise there; what answers as here has that told.

    Makes the environment where it is missing. Raises EnvironmentMissingError.
    """
    for run in runs:
        for name, floor in work.recipe.floors.items():
            entries = [
                each
                for each in run.entries
                if each.target.runtime == name and each.artifact is not None
                and not run.ledger[each.id].error
            ]  # fmt: skip
            if entries:
                _hold(work, run, floor, entries)


def _hold(work: Work, run: TargetRun, floor: Floor, entries: Sequence[Entry]) -> None:
    env = floor_environment(floor)
    work.tell("phase", f"Holding {len(entries)} artifacts against {floor}")
    _made(work, env)
    device = device_named(f"environment:{env.name}")
    there = Target(device=device.name, runtime=floor.runtime)
    facts = device.facts(there)
    here = {e.id: host_in_parity(e) for e in entries}
    old = {id: replace(e, target=there, facts=facts) for id, e in here.items()}
    jobs = run.bench.jobs

    def asked(entry: Entry) -> Job:
        return jobs.score(entry, SPLIT, first=SAMPLES)

    both = [*here.values(), *old.values()]
    work.run([*jobs.all_tensors(here.values(), SPLIT), *map(asked, both)])
    for entry in entries:
        mine, theirs = (work.outcomes[asked(side[entry.id]).id] for side in (here, old))
        if not theirs.ok:
            error = theirs.error or {"what": theirs.status}
            told = DeviceError(
                f"{floor}, the oldest that it must run in, does not: {error['what']}",
                hint="ask for a later version under 'runtime', or for another form",
            )
            run.ledger.fold(NotScored(SPLIT, entry.id, told.record()))
        elif mine.ok:
            parity = compared(
                run.bench.figures.outputs(mine, entry.described),
                run.bench.figures.outputs(theirs, entry.described),
                str(floor),
                f"{floor.runtime} {entry.facts.runtime_version}",
            )
            run.ledger.fold(Compared(entry.id, parity))
            if not parity.holds:
                run.ledger.fold(NotScored(SPLIT, entry.id, PassError(parity.sentence).record()))


def _made(work: Work, env: Environment) -> None:
    """Make the environment where it is missing; consent was asked for before anything was built."""
    if not env.is_made:
        work.tell("note", f"making the tool environment '{env.name}' (Python {env.python})")
        make(env, lambda _done, _total, _at: None)
