"""The one loop: it alone knows recipe, planner, engine, bench and decision."""

from edgeopt.pipeline.loop import make_plan, run_recipe
from edgeopt.pipeline.single import benchmark_files, inspect_model

__all__ = ["benchmark_files", "inspect_model", "make_plan", "run_recipe"]
