"""The one loop: it alone knows recipe, planner, engine, bench and decision."""

from edgeopt.pipeline.compare import compare_files
from edgeopt.pipeline.compare_results import compare_results
from edgeopt.pipeline.doctor import diagnose
from edgeopt.pipeline.loop import make_plan, run_recipe
from edgeopt.pipeline.packs import chosen_and_reference, export_job, import_job
from edgeopt.pipeline.prunable import prunable_layers
from edgeopt.pipeline.single import benchmark_files, inspect_model

__all__ = [
    "benchmark_files",
    "chosen_and_reference",
    "compare_files",
    "compare_results",
    "diagnose",
    "export_job",
    "import_job",
    "inspect_model",
    "make_plan",
    "prunable_layers",
    "run_recipe",
]
