"""The page, from a report and its figures."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import sentences
from reports.figures import save
from reports.formats import counted, one_line, sentence
from reports.frame import failed_seeds
from reports.language import LANGUAGES, speaking, tr
from reports.page.answer import answer
from reports.page.grid import grid, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jinja2 import Template

    from reports.figures import Drawing
    from reports.report import Report

HERE = Path(__file__).parent
SCREEN = 190  # pixels an inch of a figure


def page(report: Report, drawings: Sequence[Drawing], *, latex: Mapping[str, str], lang: str = "en") -> str:
    """Return the page as HTML.

    Args:
        report: in the language of the page.
        drawings: its figures, in the same language.
        latex: the source of each table by its key.
        lang: of all other words.

    Raises:
        ResultsError: if the page is not known in that language.
    """
    from markupsafe import Markup  # noqa: PLC0415  # Jinja's own, and imported with it

    script, style = ((HERE / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    with speaking(lang):
        said, warned = [*map(one_line, answer(report))], [*map(one_line, _warnings(report))]
        plan, failures = report.plan, list(_failures(report))
        words = {
            "ascending": tr("Sorted by {column}, ascending", column="{column}"), "descending": tr("Sorted by {column}, descending", column="{column}"),
            "none": tr("In the original order"), "copy": tr("Copy"), "copied": tr("Copied"), "failed": tr("Could not copy"),
        }  # fmt: skip
        return _template().render(
            lang=LANGUAGES[lang], tr=tr, study=one_line(plan.study), question=one_line(plan.question),
            style=Markup(style), style_hash=_digest(style),  # noqa: S704  # our own file
            script=Markup(script), script_hash=_digest(script),  # noqa: S704  # our own file
            words=Markup(json.dumps(words, ensure_ascii=True, sort_keys=True).replace("<", "\\u003c")),  # noqa: S704  # no end tag left
            warnings=warned, answer=said,
            tables=[
                grid(table, latex=latex.get(table.key, ""), notes=() if table.key == "comparison" else table.notes)
                for table in report.tables
            ],
            drawings=[_picture(one) for one in drawings],
            failures=failures, n_failed=counted(len(failures), "run"),
            verdicts={
                "best": tr("best"), "second": tr("second best"),
                "better": tr("better"), "worse": tr("worse"), "unsure": tr("inconclusive"),
            },
            noticed=[note for note in _noticed(report) if note not in said and note not in warned],
            commands="\n".join(map(one_line, report.provenance.commands)), facts=list(_facts(report)),
            study_file=printable("\n".join(report.provenance.study_file.expandtabs(8).splitlines())),
            **_settings(report),
        )  # fmt: skip


def _digest(text: str) -> str:
    """Return what a page's policy calls a script or a style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  # what only pages need

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    return environment.get_template("page.html.jinja")


def _picture(drawing: Drawing) -> dict[str, Any]:
    # Text stays text: whoever reads the page may have fonts that are not here.
    svg = printable(save(drawing, "svg", text=True).decode())
    svg = re.sub(r"'DejaVu Sans'", "'DejaVu Sans', Verdana, Arial", svg)
    width, height = drawing.figure.get_size_inches()
    return {
        "key": drawing.key, "title": drawing.title, "alt": drawing.alt, "caption": drawing.caption,
        "width": round(width * SCREEN), "height": round(height * SCREEN),
        "source": f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}",
    }  # fmt: skip


def _warnings(report: Report) -> Iterator[str]:
    """Yield what no reader may miss."""
    analysis = report.analysis
    if analysis is not None:
        yield from sentences.alarms(analysis.comparison, analysis.plan.metric, analysis.decimals)
    yield from (sentence(mark) for mark in report.plan.marks)


def _noticed(report: Report) -> Iterator[str]:
    if report.analysis is not None:
        yield from report.table.notes
    if report.found:
        yield one_line(report.found)


def _failures(report: Report) -> Iterator[str]:
    for setting, seeds in failed_seeds(report.frame).items():
        for seed in seeds:
            error = report.errors.get((setting, seed))
            yield one_line(tr("'{setting}', seed {seed}", setting=setting, seed=seed) + (f": {error}" if error else ""))


def _settings(report: Report) -> dict[str, Any]:
    """Return the settings as a tree: the reference, what is changed, and to what."""
    plan = report.plan
    settings = plan.choices or {label: {} for label in plan.settings}
    reference = settings.get(plan.reference, {})
    branches: dict[str, list[str]] = {}
    for label, choices in settings.items():
        if label == plan.reference:
            continue
        changed = {slot: name for slot, name in choices.items() if reference.get(slot) != name}
        branch = ", ".join(changed) or tr("nothing")
        is_told = all(name in label for name in changed.values())
        leaf = label if is_told else f"{label}: {', '.join(changed.values())}"
        branches.setdefault(one_line(branch), []).append(one_line(leaf))
    root = {
        "label": one_line(plan.reference),
        "choices": one_line(", ".join(f"{slot} {name}" for slot, name in reference.items())),
    }
    return {"root": root, "branches": list(branches.items()), "n_settings": len(settings)}


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    known = report.provenance
    if known.study_hash:
        yield tr("study file, SHA-256"), one_line(known.study_hash)
    if known.commits:
        yield (
            tr("commit"),
            one_line(", ".join(known.commits)) + (f" ({tr('with uncommitted changes')})" if known.uncommitted else ""),
        )
    if known.hardware:
        yield tr("hardware"), one_line(", ".join(known.hardware))
    for name, values in known.versions.items():
        yield one_line(name), one_line(", ".join(values))
