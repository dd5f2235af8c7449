"""One DataFrame of runs in, tables, figures and a page out.

`reports.report.report_on` compares the runs of a `reports.plan.Plan` and makes every table of it; `reports.latex` sets
them, `reports.figures` draws, `reports.page` puts all on a page. Nothing here knows where the runs come from, and nothing
writes a file.

Importing the package is cheap; pandas, SciPy and statsmodels are imported by the modules that need them.
"""

from reports.errors import ResultsError

__all__ = ["ResultsError"]
