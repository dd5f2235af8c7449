"""What is said on a terminal, in characters that it can show."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from ablate.progress import Progress
from ablate.study import Metric, RunState

if TYPE_CHECKING:
    from ablate.tracking import Stale

# What a terminal without the sign reads instead; chosen so that a table keeps its meaning.
PLAIN = {
    "−": "-", "–": "-", "—": "-", "±": "+/-", "Δ": "d", "×": "x", "→": "->", "·": "*", "µ": "u", "…": "...",
    "’": "'", "“": '"', "”": '"', "†": "+", "✓": "y", "✗": "n", "²": "2", "≤": "<=", "≥": ">=", "ρ": "rho", "≈": "~",
    "σ": "sigma", "≠": "!=", "α": "alpha",
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
