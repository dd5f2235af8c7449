"""One DataFrame of runs in, tables for the paper out.

`reports.contrasts.compare` tells noise from effect, `reports.tables.comparison_table` makes a table of it,
`reports.latex.render` its LaTeX. Nothing here knows where the runs come from, and nothing writes a file.

Importing the package is cheap; pandas, SciPy and statsmodels are imported by the modules that need them.
"""

from reports.errors import ResultsError

__all__ = ["ResultsError"]
