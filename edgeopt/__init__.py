"""edgeopt turns a trained model into the best measured artifact for each edge target."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeopt.api import benchmark, doctor, front, inspect, load, optimize, plan, prunable
    from edgeopt.recipe import Recipe
    from edgeopt.schema.artifact import Artifact, Description, Inspection
    from edgeopt.schema.constraint import Constraint, Verdict
    from edgeopt.schema.errors import (
        DataError,
        DeviceError,
        EdgeoptError,
        ModelError,
        PassError,
        PlanError,
        RecipeError,
        StoreError,
        UsageError,
        WorkerError,
    )
    from edgeopt.schema.event import Event
    from edgeopt.schema.front import Fronts
    from edgeopt.schema.measurement import Measurement
    from edgeopt.schema.plan import Plan
    from edgeopt.schema.result import Best, Result
    from edgeopt.schema.target import Target
    from edgeopt.step import Pass
    from edgeopt.store import Store

    __version__: str

_HOMES = {
    "api": (
        "benchmark", "compare", "doctor", "front", "inspect", "load", "optimize", "plan",
        "prunable",
    ),
    "recipe": ("Recipe",),
    "schema.artifact": ("Artifact", "Description", "Inspection"),
    "schema.comparison": ("Comparison",),
    "schema.constraint": ("Constraint", "Verdict"),
    "schema.errors": (
        "DataError", "DeviceError", "EdgeoptError", "ModelError", "PassError", "PlanError",
        "RecipeError", "StoreError", "UsageError", "WorkerError",
    ),
    "schema.event": ("Event",),
    "schema.front": ("Fronts",),
    "schema.measurement": ("Measurement",),
    "schema.plan": ("Plan",),
    "schema.result": ("Best", "Result"),
    "schema.target": ("Target",),
    "step": ("Pass",),
    "store": ("Store",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Artifact",
    "Best",
    "Comparison",
    "Constraint",
    "DataError",
    "Description",
    "DeviceError",
    "EdgeoptError",
    "Event",
    "Fronts",
    "Inspection",
    "Measurement",
    "ModelError",
    "Pass",
    "PassError",
    "Plan",
    "PlanError",
    "Recipe",
    "RecipeError",
    "Result",
    "Store",
    "StoreError",
    "Target",
    "UsageError",
    "Verdict",
    "WorkerError",
    "__version__",
    "benchmark",
    "compare",
    "doctor",
    "front",
    "inspect",
    "load",
    "optimize",
    "plan",
    "prunable",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: ``import edgeopt`` stays light."""
    if name == "__version__":
        from importlib.metadata import version  # slow, and few ask

        return version("edgeopt")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'edgeopt' has no attribute '{name}'")
    value = getattr(import_module(f"edgeopt.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
