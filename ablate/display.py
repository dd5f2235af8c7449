"""What is said on a terminal, in characters that it can show."""

import sys
from typing import TextIO

from ablate.runner import Progress
from ablate.study import Metric, RunState

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
    what = f"{run.trial.setting.label}, seed {run.trial.seed}"
    if run.state is RunState.COMPLETE:
        result = f"{metric.name} {score(run.score(metric.name), metric)}"
    else:
        result = f"failed: {run.error.strip().splitlines()[-1]}"
    parts = [f"{done}  {what}: {result} ({run.seconds:.1f} s)"]
    if progress.best is not None:
        parts.append(f"best so far {progress.best[0]} {score(progress.best[1], metric)}")
    if progress.seconds_left:
        parts.append(f"{duration(progress.seconds_left)} left")
    return "; ".join(parts)
