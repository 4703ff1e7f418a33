"""From measurements to a choice: verdicts, the Pareto front, reasons."""
