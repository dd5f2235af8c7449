"""What MLflow's pages say of a study and of each run, in Markdown."""

import re

from ablate.design import Plan
from ablate.study import Metric, Run, RunState, Setting, Slot, Study

MOST = 40  # settings that are listed; the plan has them all
LONGEST = 8000  # characters, MLflow's limit for a tag


def of_study(study: Study, plan: Plan, *, n_trials: int, split: str = "") -> str:
    """Say what a study asks, what it compares, on what, and how its report is made."""
    labels = [code(setting.label) for setting in plan.settings]
    more = f" and {len(labels) - MOST} more, which `plan.json` lists" if len(labels) > MOST else ""
    report = f"`ablate report {study.name}`" if re.fullmatch(r"[\w.-]+", study.name) else "`ablate report`"
    points = [
        f"**Design:** {study.design.rule}, which estimates {plan.estimand}.",
        *(f"**Slot** {code(slot.name)}**:** {_choices(slot)}." for slot in study.slots),
        f"**Settings:** {len(labels)}: {', '.join(labels[:MOST])}{more}.",
        f"**Reference:** {code(plan.reference.label)}: {_chosen(plan.reference)}.",
        f"**Seeds:** {', '.join(map(str, study.seeds))}; {n_trials} trials are planned so far.",
        f"**Metric:** {_measured(study.metric)}{''.join(f'; {_measured(metric)}' for metric in study.metrics)}.",
        f"**Network and data:** {code(study.network.label)}, {code(study.data.label)}. {_plain(split)}".rstrip(),
        *(f"**Note:** {_plain(remark)}" for remark in plan.remarks),
        f"**Report:** {report} makes it and keeps it with this run, under *Artifacts*: `report/index.html`.",
    ]
    parts = [f"**{_plain(study.question)}**" if study.question else "", study.notes.strip()]
    return _cut("\n\n".join([*filter(None, parts), "\n".join(f"- {point}" for point in points)]))


def of_run(run: Run, study: Study) -> str:
    """Say what a run is, in what it differs from the reference, and, once it has ended, how that was."""
    trial = run.trial
    differs = " and ".join(_differences(trial.setting, study.reference))
    parts = [
        f"{code(trial.setting.label)} on seed {trial.seed}",
        f"differs from the reference in {differs}" if differs else "the reference",
    ]
    said = [": ".join(parts) + "."]
    if trial.setting.salt:
        said.append("Its initial weights are drawn anew: one of an A/A pair.")
    if trial.held_out:
        said.append("Scored on the held-out part of the training images: its score selects.")
    if end := _end(run, study.metric):
        said.append(end)
    return _cut("\n".join([" ".join(said), "", *(f"- {_plain(note)}" for note in run.notes)]).strip())


def code(text: str) -> str:
    """Return text as Markdown that shows it as it is, with characters that have no sign spelt out."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _plain(text: str) -> str:
    """Return text in which nothing is Markdown or HTML."""
    marked = re.sub(r"([\\`*_\[\]|~]|^[#+>-])", r"\\\1", " ".join(text.split()))
    return marked.replace("&", "&amp;").replace("<", "&lt;")


def _choices(slot: Slot) -> str:
    listed = ", ".join(code(c.label) + (" (reference)" if c == slot.reference else "") for c in slot.choices)
    where = " and ".join(f"{code(parent)} is {' or '.join(map(code, sorted(labels)))}" for parent, labels in slot.when)
    return f"{listed}; only where {where}" if where else listed


def _chosen(setting: Setting) -> str:
    return ", ".join(f"{code(slot)} {code(choice.label)}" for slot, choice in setting.choices)


def _measured(metric: Metric) -> str:
    return f"{_plain(metric.name)}, {'higher' if metric.higher_is_better else 'lower'} is better"


def _differences(setting: Setting, reference: Setting) -> list[str]:
    ours, theirs = dict(setting.choices), dict(reference.choices)
    found = []
    for slot in dict.fromkeys((*ours, *theirs)):
        if slot not in ours:
            found.append(f"{code(slot)} (absent instead of {code(theirs[slot].label)})")
        elif slot not in theirs:
            found.append(f"{code(slot)} ({code(ours[slot].label)}; the reference has none)")
        elif ours[slot] != theirs[slot]:
            found.append(f"{code(slot)} ({code(ours[slot].label)} instead of {code(theirs[slot].label)})")
    return found


def _end(run: Run, metric: Metric) -> str:
    n_epochs = len(run.curves.get(metric.name, ()))
    after = f"after {n_epochs} epoch{'' if n_epochs == 1 else 's'} and {run.seconds:.1f} s"
    if run.state is RunState.COMPLETE:
        value = run.score(metric.name)
        shown = f"{100 * value:.2f} %" if metric.unit == "fraction" else f"{value:.4g}"
        return f"Complete {after}: {_plain(metric.name)} {shown}."
    if run.state is RunState.FAILED:
        last = run.error.strip().splitlines()[-1:]
        why = f": {code(last[0][:500])}; *Artifacts* hold its traceback" if last else ""
        return f"Failed {after}{why}."
    return {RunState.PRUNED: f"Pruned by the search {after}.", RunState.KILLED: f"Killed {after}."}.get(run.state, "")


def _cut(text: str) -> str:
    """Return as many whole lines as MLflow keeps."""
    if len(text) <= LONGEST:
        return text
    return text[: text.rfind("\n", 0, LONGEST - 2)] + "\n…"
