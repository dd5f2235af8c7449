"""All files for a paper: every table with its figures and where they come from, and the sentence on methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reports.formats import counted, listed, percent
from reports.frame import complete
from reports.latex.escape import escape, key
from reports.latex.preamble import PREAMBLE
from reports.latex.render import HEAD, render
from reports.sentences import METHODS
from reports.styles import style_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.report import Report
    from reports.tables import Table


def documents(report: Report, *, style: str = "cvpr") -> dict[str, str]:
    """Return the files by name: the preamble, and of each table LaTeX, figures and provenance; methods; and a document.

    The main table has the name of the study, the others that and their kind. `STUDY-all.tex` shows them all.

    Raises:
        ResultsError: if there is no such style.
    """
    made, name = style_of(style), key(report.plan.study)
    files = {"ablation-preamble.tex": PREAMBLE}
    for table in report.tables:
        own = stem(report, table)
        files[f"{own}.tex"] = render(table, style=made, label=f"tab:{own}")
        files[f"{own}.csv"] = table.frame.to_csv(index=False, lineterminator="\n")
        files[f"{own}.json"] = provenance(report, table)
    files[f"{name}-methods.tex"] = methods(report)
    lines = [
        f"% pdflatex {name}-all.tex shows every table; the paper inputs the preamble and the tables that it needs.",
        made.begin,
        r"\input{ablation-preamble.tex}",
        r"\begin{document}",
        *(rf"\input{{{stem(report, table)}.tex}}" for table in report.tables),
        r"\clearpage",
        rf"\input{{{name}-methods.tex}}",
        r"\end{document}",
    ]
    return files | {f"{name}-all.tex": "\n".join(lines) + "\n"}


def stem(report: Report, table: Table) -> str:
    """Return what the files of a table are called."""
    name = key(report.plan.study)
    return name if table.key == report.table.key else f"{name}-{table.key}"


def provenance(report: Report, table: Table) -> str:
    """Return where a table's figures come from, as JSON."""
    known, plan = report.provenance, report.plan
    rows = complete(report.frame if report.slots is None or table.key != "effects" else report.slots.runs)
    runs = [] if "run_id" not in rows.columns else sorted(
        [str(setting), int(seed), str(run)]
        for setting, seed, run in zip(rows["setting"], rows["seed"], rows["run_id"], strict=True)
    )  # fmt: skip
    found = {
        "study": plan.study,
        "table": table.key,
        "metric": plan.metric.name,
        "reference": plan.reference,
        "level": plan.level,
        "n": {str(setting): int(n) for setting, n in rows["setting"].value_counts().items()},
        "correction": plan.correction if report.analysis is None else report.analysis.comparison.correction,
        "study_sha256": known.study_hash,
        "commits": list(known.commits),
        "uncommitted": known.uncommitted,
        "versions": {name: list(values) for name, values in known.versions.items()},
        "hardware": list(known.hardware),
        "commands": list(known.commands),
        "runs": runs,
    }
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def methods(report: Report) -> str:
    """Return what a reproducibility checklist asks for, of this study, as far as it is known."""
    said = " ".join(_said(report))
    return f"{HEAD}\n{escape(said, breaks=True)}\n"


def _said(report: Report) -> Iterator[str]:
    plan, known = report.plan, report.provenance
    n = len(complete(report.frame))
    per_setting = {len(seeds) for seeds in plan.seeds.values()}
    seeds = (
        counted(max(per_setting, default=0), "seed")
        if len(per_setting) == 1
        else f"{min(per_setting, default=0)} to {max(per_setting, default=0)} seeds"
    )
    trained = f"{counted(len(plan.settings), 'setting')} of '{plan.study}' {'has' if len(plan.settings) == 1 else 'have'} {seeds}"
    # What a seed fixes is known of runs that were made here.
    ours = (
        "; a seed fixes initial weights, data order and augmentation, and is the same for all settings that it is used for"
        if known.study_hash
        else ""
    )
    yield f"{trained} ({counted(n, 'complete run')}){ours}."
    if plan.scored_on:
        yield plan.scored_on
    if report.analysis is not None and report.analysis.comparison.tested:
        comparison = report.analysis.comparison
        method = (
            "a sequential rule for all looks"
            if comparison.correction == "sequential"
            else f"{METHODS[comparison.correction]} method"
        )
        variance = (
            "variances moderated towards the pooled one"
            if comparison.moderated
            else "the residual variance pooled over settings"
        )
        yield (
            f"Differences are paired by seed; intervals are {percent(plan.level)} t-intervals from {variance}; p-values are two-sided "
            f"and corrected over {counted(comparison.n_tests, 'comparison')} by {method}; ± is one standard deviation over seeds."
        )
    failed = report.frame[report.frame["state"] == "failed"]
    yield (
        f"{counted(len(failed), 'run')} failed and {'is' if len(failed) == 1 else 'are'} not scored."
        if len(failed)
        else "No run failed."
    )
    if known.hardware:
        yield f"Trained on {listed(list(known.hardware))}."
    if known.versions:
        yield f"Software: {', '.join(f'{name} {listed(list(values))}' for name, values in known.versions.items())}."
    if known.commits:
        yield f"Source: commit {listed([commit[:10] for commit in known.commits])}{', with uncommitted changes' if known.uncommitted else ''}."
