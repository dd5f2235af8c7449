"""A run, a plan and what they stand on, in the plain values that the record holds."""

import json
import platform
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from ablate.design import Plan
from ablate.spool import Entry
from ablate.study import FELL_BEHIND, Run, RunState, Setting, Slot, Study, Trial
from ablate.tracking import descriptions
from ablate.tracking.rows import HELD_OUT, PARTS, TORCH, Row

STATUSES = {RunState.COMPLETE: "FINISHED", RunState.FAILED: "FAILED", RunState.RUNNING: "RUNNING"}
LIBRARIES = ("numpy", "optuna", "mlflow", "pandas", "scipy", "statsmodels", "joblib")
CIRCUMSTANCES = (
    "version.torch", "version.ablate", "version.python", "version.others", "ablate.system", "ablate.hardware",
    "mlflow.source.git.commit", "ablate.uncommitted",
)  # fmt: skip
LONGEST_TAG = 8000  # characters, MLflow's limit


def entry_of(run: Run, study: Study, circumstances: Mapping[str, str]) -> Entry:
    """Return what the record is to hold of a run; of one that is running, its curves so far."""
    trial = run.trial
    started = round(1000 * run.started)
    points = [
        (name, float(value), started, epoch)
        for name, curve in run.curves.items()
        for epoch, value in enumerate(curve, start=1)
    ]
    tags = {
        "ablate.kind": "trial", "ablate.attempt": run.attempt, "ablate.identity": trial.identity,
        "ablate.torch": TORCH, "ablate.setting": trial.setting.label, PARTS: _parts(trial), **circumstances,
    }  # fmt: skip
    if trial.held_out:
        tags[HELD_OUT] = "true"
    ended = None
    if run.state is not RunState.RUNNING:
        ended = round(1000 * run.ended) or started + round(1000 * run.seconds)
        points.append(("seconds", run.seconds, started, 0))
    if run.cost is not None:
        costs = {name: value for name, value in asdict(run.cost).items() if value is not None}
        points += [(name, float(value), started, 0) for name, value in costs.items()]
    if run.state is RunState.PRUNED:
        tags["ablate.state"] = run.state.value
    if FELL_BEHIND in run.notes:
        tags["ablate.fell-behind"] = "true"
    if run.error:
        tags["ablate.error"] = run.error.strip().splitlines()[-1][:500]
    if run.notes:
        tags["ablate.notes"] = "\n".join(run.notes)[:LONGEST_TAG]
    tags["mlflow.note.content"] = descriptions.of_run(run, study)
    files = {"weights.pt": run.weights, "traceback.txt": run.error.encode() or None}
    return Entry(
        attempt=run.attempt, name=f"{trial.setting.label} seed {trial.seed}"[:250],
        status=STATUSES.get(run.state, "KILLED"), started=started, ended=ended, tags=tags,
        params=_params(study, trial), points=tuple(points),
        files={name: content for name, content in files.items() if content is not None},
    )  # fmt: skip


def _params(study: Study, trial: Trial) -> dict[str, str]:
    """Return what MLflow shows of a trial, what tells it from others first; a slot may have one of these names."""
    chosen, seed = params_of(study, trial.setting), {"seed": str(trial.seed)}
    slots = {slot: chosen[slot] for slot, _ in trial.setting.choices}
    return {"setting": trial.setting.label} | slots | seed | chosen | seed


def params_of(study: Study, setting: Setting) -> dict[str, str]:
    """Return everything that was chosen for a setting, by its name in the study file."""
    params = {slot: choice.label for slot, choice in setting.choices}
    params |= {"network": study.network.label, "data": study.data.label, "precision": study.precision}
    given = {f"network.{k}": v for k, v in study.network.options if k not in setting}
    given |= {f"data.{k}": v for k, v in study.data.options}
    given |= {f"recipe.{k}": v for k, v in vars(study.recipe_of(setting).filled()).items()}
    return params | {name: str(value) for name, value in given.items() if name not in setting}


def _parts(trial: Trial) -> str:
    """Return the parts of a trial's identity; without the single files where MLflow would cut them off."""
    whole = json.dumps(dict(trial.parts))
    if len(whole) <= LONGEST_TAG:
        return whole
    return json.dumps({name: value for name, value in trial.parts if not name.startswith("file ")})


def reasons(row: Row, trial: Trial, study: Study) -> tuple[str, ...]:
    """Say why an earlier run of a trial does not count any more."""
    found = []
    if (theirs := row.tags.get("ablate.torch")) != TORCH:
        found.append(f"torch {theirs} → {TORCH}")
    before, now = json.loads(row.tags.get(PARTS, "{}")), dict(trial.parts)
    logged, wanted = row.params, params_of(study, trial.setting)
    slots = {slot.name for slot in study.slots}
    for name in sorted(before.keys() | now.keys(), key=lambda name: (name.startswith("file "), name)):
        if before.get(name) == now.get(name) or not before or name.startswith("own "):
            continue
        if name.startswith("file "):
            found.append(f"source of {name.removeprefix('file ')}")
            continue
        changed = [
            f"{key.removeprefix(f'{name}.')} {logged.get(key, 'none')} → {wanted.get(key, 'none')}"
            for key in sorted(logged.keys() | wanted.keys())
            if (key == name or key.startswith(f"{name}.") or (name == "network" and key in slots))
            and logged.get(key) != wanted.get(key)
        ]
        found.append(f"{name}: {', '.join(changed)}" if changed else name)
    return tuple(found) or ("what decided its scores: its record does not say which part",)


def planned(
    study: Study, plan: Plan, trials: Iterable[Trial], selection: Iterable[Trial], split: str
) -> dict[str, Any]:
    """Return what a report needs to know of a plan."""
    search = study.design.search
    chosen, names = list(selection), [slot.name for slot in study.slots]
    # Settings that were made equally large have a width of their own.
    more = {name: None for setting in plan.settings for name, _ in setting.choices if name not in names}
    return {
        "study": study.name,
        "question": study.question,
        "notes": study.notes,
        "design": study.design.rule,
        "slots": [*names, *more],
        "factors": [_factor(slot) for slot in study.slots],
        "settings": _settings(plan.settings),
        "reference": plan.reference.label,
        "against": plan.against,
        "estimand": plan.estimand,
        "calibration": plan.calibration,
        "adaptive": {**asdict(study.adaptive), "last": len(study.seeds)} if study.adaptive else None,
        "selects": study.selects,
        "select": study.select,
        "split": split,
        "remarks": plan.remarks,
        "seeds": list(search.confirm_seeds if search else study.seeds),
        "metric": asdict(study.metric),
        "metrics": [asdict(metric) for metric in study.metrics],
        "practical": study.practical,
        "share": study.share,
        "trials": _listed(trials),
        "search": asdict(search) if search else None,
        "selection": _listed(chosen),
        "selected": _settings(trial.setting for trial in chosen),
    }


def _factor(slot: Slot) -> dict[str, Any]:
    return {
        "name": slot.name,
        "levels": [choice.label for choice in slot.choices],
        "reference": slot.reference.label,
        "when": {parent: sorted(labels) for parent, labels in slot.when},
        "values": slot.values,
    }


def _settings(settings: Iterable[Setting]) -> dict[str, dict[str, str]]:
    return {setting.label: {name: choice.label for name, choice in setting.choices} for setting in settings}


def _listed(trials: Iterable[Trial]) -> list[Sequence[str | int]]:
    return [[trial.setting.label, trial.seed, trial.identity] for trial in trials]


def circumstances(hardware: str) -> dict[str, str]:
    """Return what runs stand on: libraries, Python, system, hardware and commit."""
    others = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    found = {
        "version.torch": version("torch"), "version.ablate": version("ablate"),
        "version.python": platform.python_version(), "version.others": others,
        "ablate.system": platform.platform(), "ablate.host": platform.node(),
    }  # fmt: skip
    if hardware:
        found["ablate.hardware"] = hardware
    if commit := _git("rev-parse", "HEAD"):
        found["mlflow.source.git.commit"] = commit
        found["ablate.uncommitted"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return found


def stood_on(tags: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """Return what runs stand on, given what their tags say: the reverse of `circumstances`, for several runs."""
    versions: dict[str, set[str]] = {}
    for key, values in tags.items():
        name = key.removeprefix("version.")
        if name == "others":
            for library, _, number in (one.partition(" ") for value in values for one in value.split(", ")):
                versions.setdefault(library, set()).add(number)
        elif name != key:
            versions.setdefault(name, set()).update(values)
    return {
        "commits": sorted(tags.get("mlflow.source.git.commit", ())),
        "uncommitted": "true" in tags.get("ablate.uncommitted", ()),
        "versions": {name: sorted(versions[name]) for name in sorted(versions)},
        "hardware": sorted(tags.get("ablate.hardware", ())),
        "systems": sorted(tags.get("ablate.system", ())),
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
