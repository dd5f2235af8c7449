"""What a study is scored by."""

import re
from typing import Any, Literal, cast

from ablate.grammar.problems import Problems, shown
from ablate.study import RESERVED, Metric
from blocks.catalogue import Catalogue, unknown


def read_metric(
    place: str, given: str | dict[str, Any], *, task: str, own_training: bool, catalogue: Catalogue, problems: Problems
) -> Metric:
    """Read a metric: a name, or {name: {better: higher}} for a score of a training function of the user's own."""
    if isinstance(given, str):
        known = [e.name for e in catalogue.entries("metric") if e.facts["task"] == task]
        if given not in known:
            own = "; a score of your own training function says which way is better: {psnr: {better: higher}}"
            problems.add(place, unknown("metric", given, known) + own)
            return Metric(given)
        facts = catalogue.find("metric", given).facts
        return Metric(given, facts["better"] == "higher", cast("Literal['fraction', '']", facts["unit"]))
    name, details = next(iter(given.items()), ("", None))
    if len(given) != 1 or not isinstance(details, dict):
        problems.add(place, f"expected {{name: {{better: higher}}}}; given {shown(given)}")
        return Metric(name)
    for key in details:
        if key not in ("better", "unit"):
            problems.add(f"{place}.{name}.{key}", unknown("key", key, ["better", "unit"]))
    better, unit = details.get("better"), details.get("unit", "")
    if "better" not in details:
        problems.add(f"{place}.{name}.better", "is missing: higher or lower")
    elif better not in ("higher", "lower"):
        problems.add(f"{place}.{name}.better", unknown("direction", better, ["higher", "lower"]))
    if unit not in ("", "fraction"):
        problems.add(f"{place}.{name}.unit", unknown("unit", unit, ["fraction"]))
    if not re.fullmatch(r"[\w .:/-]+", name) or name in RESERVED:
        problems.add(
            place, f"a score cannot be called {name!r}: letters, digits and _-./: only, no column of the frame"
        )
    if name in catalogue.names("metric"):
        problems.add(place, f"{name!r} is known already: write its name alone")
    elif not own_training:
        problems.add(place, f"{name!r} needs a training function of your own: ablate.run(study, train=...)")
    return Metric(name, better == "higher", cast("Literal['fraction', '']", unit))


def check_practical(practical: float | None, metric: Metric, problems: Problems) -> None:
    """Note a smallest difference that matters which cannot be one."""
    if practical is not None and practical <= 0:
        problems.add("practical", f"{practical} must be positive: the smallest difference that matters")
    elif practical is not None and metric.unit == "fraction" and practical >= 1:
        problems.add("practical", f"{practical} is out of range: {metric.name} is a fraction in [0, 1]")
