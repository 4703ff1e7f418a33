"""The one door to all that is not loaded before a command needs it: ``lazy.api.optimize(...)``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeopt import api as api
    from edgeopt import baselines as baselines
    from edgeopt import listeners as listeners
    from edgeopt import step as step
    from edgeopt import store as store
    from edgeopt.devices.emulated import building as building
    from edgeopt.listeners import log as log
    from edgeopt.listeners import progress as progress
    from edgeopt.recipe import writing as writing
    from edgeopt.report import front_plot as front_plot
    from edgeopt.report import layout as layout
    from edgeopt.schema import base as base
    from edgeopt.schema import errors as errors
    from edgeopt.schema import measurement as measurement
    from edgeopt.schema import quantities as quantities
    from edgeopt.schema import shown as shown
    from edgeopt.schema import target as target

_HOMES = {
    "api": "edgeopt.api",
    "base": "edgeopt.schema.base",
    "baselines": "edgeopt.baselines",
    "building": "edgeopt.devices.emulated.building",
    "errors": "edgeopt.schema.errors",
    "front_plot": "edgeopt.report.front_plot",
    "layout": "edgeopt.report.layout",
    "listeners": "edgeopt.listeners",
    "log": "edgeopt.listeners.log",
    "measurement": "edgeopt.schema.measurement",
    "progress": "edgeopt.listeners.progress",
    "quantities": "edgeopt.schema.quantities",
    "shown": "edgeopt.schema.shown",
    "step": "edgeopt.step",
    "store": "edgeopt.store",
    "target": "edgeopt.schema.target",
    "writing": "edgeopt.recipe.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(_HOMES[name])
