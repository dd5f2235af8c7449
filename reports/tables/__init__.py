"""Tables for the paper, made from the frame of runs."""

from reports.formats import Metric
from reports.tables.comparison import comparison_table
from reports.tables.effects import effects_table
from reports.tables.table import Table

__all__ = ["Metric", "Table", "comparison_table", "effects_table"]
