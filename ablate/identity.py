"""What decides a trial's scores, as one hash: same identity, same scores."""

import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ablate.design import Plan
from ablate.study import Choice, Setting, Study, Trial
from blocks import catalogue

# The engine's own part in a score; what only watches, records or prints is left out.
ENGINE = ("build.py", "seeding.py", "train.py")


def torch_version() -> str:
    """Return torch's major and minor version, without importing it; a change of it marks runs stale."""
    return ".".join(version("torch").split("+")[0].split(".")[:2])


def trials(
    study: Study, plan: Plan, data_fingerprint: Callable[[Choice], str], own_training: Callable[..., Any] | None = None
) -> tuple[Trial, ...]:
    """List the trials of a study, seed by seed, so that what is there early is already paired.

    Args:
        study: the study.
        plan: its settings.
        data_fingerprint: gives the hash of a data set's arrays and split.
        own_training: the user's training function, where there is one.
    """
    decided = {setting: _decided(study, plan, setting, data_fingerprint, own_training) for setting in plan.settings}
    return tuple(
        Trial(setting, seed, _hash([*decided[setting], seed])) for seed in study.seeds for setting in plan.settings
    )


def _decided(
    study: Study,
    plan: Plan,
    setting: Setting,
    data_fingerprint: Callable[[Choice], str],
    own_training: Callable[..., Any] | None,
) -> list[Any]:
    """Return everything but the seed that decides the scores of a setting."""
    recipe = study.recipe_of(setting)
    data = study.data_of(setting)
    # The starting tensors come from the settings that this one is compared with: they are part of what was run.
    chain = [_network(study, other) for other in plan.start_of(setting)]
    return [
        chain,
        sorted(vars(recipe).items()),
        [data.name, data_fingerprint(data)],
        [study.task, study.metric.name, study.precision],
        _source(study, plan.start_of(setting)) if own_training is None else [_source_of(own_training)],
    ]


def _network(study: Study, setting: Setting) -> list[Any]:
    """Return the network with every slot resolved: what is not in the setting is the network's default."""
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    entry = known.find("network", str(study.network.name))
    options = dict(study.network.options)
    resolved: dict[str, Any] = {}
    for slot, default in entry.slots.items():
        if slot in setting:
            resolved[slot] = [setting[slot].name, sorted(setting[slot].options)]
        else:
            defaults = known.find(slot, default).options
            resolved[slot] = [default, sorted((name, option.default) for name, option in defaults.items())]
    for name in entry.options:
        resolved[name] = setting[name].name if name in setting else options[name]
    return [entry.name, sorted(resolved.items())]


def _source(study: Study, settings: tuple[Setting, ...]) -> str:
    """Return the hash of the modules that are used, by their syntax trees without docstrings."""
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    network = known.find("network", str(study.network.name))
    used = {network, known.find("data", str(study.data.name)), known.find("metric", study.metric.name)}
    for setting in settings:
        used |= {known.find(slot, str(choice.name)) for slot, choice in setting.choices if slot in network.slots}
    files = {path for entry in used for path in catalogue.sources(entry)}
    files |= {Path(__file__).with_name(name) for name in ENGINE}
    return catalogue.fingerprint(tuple(sorted(files)))


@cache
def _source_of(function: Callable[..., Any]) -> str:
    """Return the hash of a training function's source, or of its code where there is no source to read."""
    try:
        return _hash(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        code = function.__code__
        return _hash([code.co_code.hex(), repr(code.co_consts), code.co_names])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]
