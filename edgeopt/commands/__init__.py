"""What edgeopt does besides an optimize run: benchmark, compare, inspect, doctor and more."""

from edgeopt.commands.baseline import baseline_names, read_baseline, save_baseline
from edgeopt.commands.benchmark import benchmark_files
from edgeopt.commands.chosen import laid_out
from edgeopt.commands.compare.files import compare_files
from edgeopt.commands.compare.results import compare_results
from edgeopt.commands.doctor import diagnose
from edgeopt.commands.front import fronts
from edgeopt.commands.inspection import inspect_model
from edgeopt.commands.job import chosen_and_reference, export_job, import_job
from edgeopt.commands.prunable import prunable_layers

__all__ = [
    "baseline_names",
    "benchmark_files",
    "chosen_and_reference",
    "compare_files",
    "compare_results",
    "diagnose",
    "export_job",
    "fronts",
    "import_job",
    "inspect_model",
    "laid_out",
    "prunable_layers",
    "read_baseline",
    "save_baseline",
]
