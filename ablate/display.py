"""What is said on a terminal, and in characters that it can show."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from ablate.progress import Outcome, Progress
from ablate.study import Choice, Metric, RunState, Setting, Study
from blocks import catalogue

if TYPE_CHECKING:
    from ablate.forecast import Forecast
    from ablate.place import Place
    from ablate.tracking import Stale

# What a terminal without the sign reads instead; chosen so that a table keeps its meaning.
PLAIN = {
    "−": "-", "–": "-", "—": "-", "±": "+/-", "Δ": "d", "×": "x", "→": "->", "·": "*", "µ": "u", "…": "...",
    "’": "'", "“": '"', "”": '"', "†": "+", "✓": "y", "✗": "n", "²": "2", "≤": "<=", "≥": ">=", "ρ": "rho", "≈": "~",
    "σ": "sigma", "≠": "!=", "α": "alpha", "η": "eta", "★": "*", "↑": "^", "↓": "v",
}  # fmt: skip


def say(text: str, *, error: bool = False) -> None:
    """Print a line in characters that the terminal can show."""
    stream = sys.stderr if error else sys.stdout
    stream.write(printable(text, stream) + "\n")
    stream.flush()


def printable(text: str, stream: TextIO) -> str:
    """Return the text with every character that the stream cannot encode replaced by one that it can."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_plain(character, encoding) for character in text)
    return text


def _plain(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return PLAIN.get(character, "?")
    return character


def score(value: float, metric: Metric) -> str:
    """Write a score as people read it: a fraction in percent."""
    return f"{100 * value:.2f} %" if metric.unit == "fraction" else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Write a time as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def line(progress: Progress, metric: Metric) -> str:
    """Say how far a study is, in one line."""
    run = progress.run
    done = f"{progress.n_complete}/{progress.n_planned}"
    if run is None:
        return f"{done} trials complete"
    if run.state is RunState.COMPLETE:
        result = f"{metric.name} {score(run.score(metric.name), metric)}"
    elif run.state is RunState.PRUNED:
        result = "pruned: it fell behind"
    else:
        result = f"failed: {run.error.strip().splitlines()[-1]}"
    where = " (held out)" if run.trial.held_out else ""
    what = f"{run.trial.setting.label}, seed {run.trial.seed}{where}"
    parts = [f"{done}  {what}: {result} ({run.seconds:.1f} s)"]
    parts += run.notes
    if progress.best is not None:
        parts.append(f"best so far {progress.best[0]} {score(progress.best[1], metric)}")
    if progress.seconds_left:
        parts.append(f"{duration(progress.seconds_left)} left")
    return "; ".join(parts)


def stale(runs: "Sequence[Stale]") -> Iterator[str]:
    """Say which earlier runs do not count any more, and why: one line a reason."""
    by_reason: dict[str, list[str]] = {}
    for run in runs:
        by_reason.setdefault("; ".join(run.reasons), []).append(f"{run.setting}, seed {run.seed}")
    for reason, trials in by_reason.items():
        some = ", ".join(trials[:2]) + (", ..." if len(trials) > 2 else "")
        yield f"{len(trials)} earlier {'run is' if len(trials) == 1 else 'runs are'} stale ({some}): changed: {reason}"


def concerns(study: Study, place: "Place", outcome: Outcome) -> Iterator[str]:
    """Say what a user must know of a study that has been run."""
    folder = place.folder_of(study.name)
    if outcome.failed:
        n = len(outcome.failed)
        yield f"{n} {'trial' if n == 1 else 'trials'} failed; see: ablate status {study.name}"
    if outcome.n_waiting:
        yield (
            f"{place.address} is away: {outcome.n_waiting} runs wait in {(folder / 'spool').as_posix()}; "
            "the same command records them when it is back"
        )
    if outcome.is_edited:
        yield f"{study.path} was edited while it ran: what ran is what it said before; the same command runs the rest"
    if outcome.n_restarted:
        n = outcome.n_restarted
        yield (
            f"{n} {'trial' if n == 1 else 'trials'} that had begun started again, as checkpoints are missing in "
            f"{(folder / 'checkpoints').as_posix()}; what is recorded is right"
        )


def ahead(study: Study, forecast: "Forecast", workers: int) -> Iterator[str]:
    """Say what a study would train, and how long it would take."""
    yield f"Study {study.name}: {study.question}".rstrip(": ")
    yield f"Network {_described(study.network)}; data {_described(study.data)}; metric {study.metric.name}."
    left = [f"{name} {default}" for name, default in _defaults(study).items()]
    yield f"Slots left at the network's default: {', '.join(left) or 'none'}."
    given = {f"recipe.{name}" for name in study.reference.of("recipe")}
    recipe = (f"{k} {v}" for k, v in vars(study.recipe).items() if v is not None and f"recipe.{k}" not in given)
    yield f"Recipe: {', '.join(recipe)}."
    yield f"Design {study.design.rule}: {forecast.plan.estimand}."
    beside = "compared with" if forecast.plan.seeds is None else "seeds"
    rows = [("setting", beside, "parameters", "MACs", "activations", "s/trial", "waiting")]
    for setting in forecast.plan.settings:
        cost = forecast.costs[setting.label]
        scale = forecast.networks[setting.label].scale
        waiting = sum(trial.setting == setting for trial in forecast.waiting)
        rows.append(
            (setting.label, _beside(forecast, setting), f"{cost.params:,}",
             f"{cost.macs:,}", f"{scale[0]:.2g} to {scale[1]:.2g}" if scale else "?", f"{forecast.seconds[setting.label]:.1f}", f"{waiting}/{_n_seeds(study, forecast, setting)}")
        )  # fmt: skip
    yield f"\n{columns(rows)}\n"
    yield "Activations: the smallest and the largest root mean square of a layer's output with initial weights."
    yield from forecast.plan.remarks
    for first, second in forecast.plan.calibration:
        yield f"'{second}' starts from other initial weights than '{first}' and computes the same: an A/A check."
    yield from (note for network in forecast.networks.values() for note in network.notes)
    with_workers = f"with {workers} {'worker' if workers == 1 else 'workers'}, by a timed probe"
    time = f"about {duration(60 * forecast.minutes(workers))} {with_workers}"
    search = study.design.search
    if search is not None:
        yield (
            f"Above, each choice alone. The search proposes {search.settings} settings on {len(study.seeds)} seeds, scored "
            f"on held-out training images, and confirms {search.top} of them and the reference on "
            f"{len(search.confirm_seeds)} others: at most {forecast.n_searched} trials, {time}."
        )
        return
    n = len(forecast.plan.settings)
    blocks = forecast.plan.seeds is not None
    yield (
        f"{n} settings {f'in {len(study.seeds)} blocks, one a seed:' if blocks else f'× {len(study.seeds)} seeds ='} "
        f"{len(forecast.trials)} trials; "
        f"{len(forecast.trials) - len(forecast.waiting)} complete; the other {len(forecast.waiting)} take {time}."
    )
    if study.adaptive is not None:
        rule = study.adaptive
        most = f", and ends before it takes more than {rule.max_runs} trials" if rule.max_runs else ""
        yield (
            f"That is the most. The study begins with {rule.first} seeds, {rule.first * n} trials, and adds seeds for "
            f"settings that are not {'decided' if rule.until == 'decided' else 'out of the race'} yet{most}."
        )
    yield from forecast.estimable
    yield forecast.sensitivity
    yield from stale(forecast.stale)


def _beside(forecast: "Forecast", setting: Setting) -> str:
    """Return what a setting is compared with; of settings that have seeds of their own these."""
    if forecast.plan.seeds is not None:
        return ", ".join(map(str, forecast.plan.seeds[setting.label]))
    return forecast.plan.against.get(setting.label, "(reference)")


def _n_seeds(study: Study, forecast: "Forecast", setting: Setting) -> int:
    return len(study.seeds if forecast.plan.seeds is None else forecast.plan.seeds[setting.label])


def _defaults(study: Study) -> dict[str, str]:
    """Return the slots of the network that the study does not name, with what fills them."""
    slots = catalogue.read("blocks", "ablate.data", "ablate.tasks").find("network", str(study.network.name)).slots
    return {name: default for name, default in slots.items() if name not in {slot.name for slot in study.slots}}


def _described(choice: Choice) -> str:
    options = ", ".join(f"{name} {_value(value)}" for name, value in choice.options if value is not None)
    return f"{choice.label} ({options})" if options else str(choice.label)


def entries(known: "catalogue.Catalogue", slots: Iterable[str]) -> Iterator[str]:
    """Say what may fill each slot, with paper and options."""
    for slot in slots:
        yield slot
        for entry in known.entries(slot):
            options = ", ".join(f"{o.name}={'?' if o.required else _value(o.default)}" for o in entry.options.values())
            yield f"  {entry.name}{f'({options})' if options else ''}"
            yield f"      {entry.summary}"
            if entry.paper:
                yield f"      {entry.paper}"
            for name, default in entry.slots.items():
                misfits = ", ".join(f"{choice} ({why})" for choice, why in entry.misfits.get(name, {}).items())
                yield f"      {name}: {default}, or any other choice{f' but {misfits}' if misfits else ''}"


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def columns(rows: "Sequence[tuple[str, ...]]") -> str:
    """Align rows of text; the first column to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = [all(not row[i][:1].isdigit() for row in rows[1:]) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) if flush else c.rjust(w) for c, w, flush in zip(row, widths, left, strict=True)).rstrip()
        for row in rows
    )
