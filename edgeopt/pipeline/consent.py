"""Tool environments that a plan needs: named before anything is built, made only with consent."""

from __future__ import annotations

from collections.abc import Iterable

from edgeopt.environments import Environment, environments, floor_environment
from edgeopt.recipe import Recipe
from edgeopt.schema.errors import ConsentError
from edgeopt.schema.job import Job


def needed_environments(jobs: Iterable[Job], recipe: Recipe | None = None) -> list[Environment]:
    """The tool environments that jobs run in, and those that files are held against, each once."""
    workers = {job.worker for job in jobs}
    found = [env for name, env in environments().items() if name in workers]
    return found + [floor_environment(each) for each in (recipe.floors if recipe else {}).values()]


def missing(jobs: Iterable[Job], recipe: Recipe | None = None) -> list[Environment]:
    """Those of them that are not made."""
    return [env for env in needed_environments(jobs, recipe) if not env.is_made]


def described(env: Environment) -> str:
    """An environment and what making it takes, in words."""
    takes = f"Python {env.python}, {len(env.pins)} packages, in {env.folder}"
    return f"'{env.name}' ({env.purpose}; {takes})"


def check_consent(jobs: Iterable[Job], recipe: Recipe | None = None) -> None:
    """Raise ConsentError, naming them, where tool environments are missing."""
    if absent := missing(jobs, recipe):
        several = "tool environments" if len(absent) > 1 else "the tool environment"
        makes = " && ".join(f"edgeopt env make {env.name}" for env in absent)
        raise ConsentError(
            f"this needs {several} {' and '.join(map(described, absent))}, which nobody has made "
            "yet",
            hint=f"make it with '{makes}', or say --yes (make_environments=True)",
        )
