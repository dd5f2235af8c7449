"""The command line: glue, and what is printed."""

from ablate.cli import catalogue, report, results, runs
from ablate.cli.group import main

__all__ = ["catalogue", "main", "report", "results", "runs"]
