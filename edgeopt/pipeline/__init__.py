"""The optimize run: it alone knows recipe, planner, engine, bench and decision."""

from edgeopt.pipeline.loop import make_plan, run_recipe

__all__ = ["make_plan", "run_recipe"]
