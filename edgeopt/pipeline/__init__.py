"""The one loop: it alone knows recipe, planner, engine, bench and decision."""

from edgeopt.pipeline.doctor import diagnose
from edgeopt.pipeline.loop import make_plan, run_recipe
from edgeopt.pipeline.single import benchmark_files, inspect_model

__all__ = ["benchmark_files", "diagnose", "inspect_model", "make_plan", "run_recipe"]
