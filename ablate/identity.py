"""What decides a trial's scores, as one hash: same identity, same scores."""

import hashlib
import inspect
import json
import pickle
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any

from ablate.design import Plan
from ablate.errors import StudyError
from ablate.study import Choice, Setting, Study, Trial
from blocks import catalogue

# The engine's own part in a score; what only watches, records or prints is left out.
ENGINE = ("build.py", "attempt.py", "seeding.py")
TRAINING = ("train.py",)


@cache
def torch_version() -> str:
    """Return torch's major and minor version, without importing it; a change of it marks runs stale."""
    return ".".join(version("torch").split("+")[0].split(".")[:2])


class Identities:
    """Gives the trials of a study their identities; what decides a setting's scores is looked at once.

    Args:
        study: the study.
        plan: its settings, for what each starts from.
        data_fingerprint: gives the hash of a data set's arrays and split; asked with `held_out=True` for trials that
            select.
        own_training: the user's training function, where there is one.
    """

    def __init__(
        self, study: Study, plan: Plan, data_fingerprint: Callable[..., str], own_training: Callable[..., Any] | None
    ) -> None:
        self._study = study
        self._plan = plan
        self._data_fingerprint = data_fingerprint
        self._training = None if own_training is None else _source_of(own_training)
        self._module = _module_file(own_training)
        self._known: dict[tuple[Setting, bool], tuple[list[Any], tuple[tuple[str, str], ...]]] = {}

    def trial(self, setting: Setting, seed: int, *, held_out: bool = False) -> Trial:
        """Return the trial of a setting and a seed."""
        decided, parts = self.decided(setting, held_out=held_out)
        words = ["held out"] if held_out else []
        return Trial(setting, seed, _hash([*decided, seed, *words]), held_out, parts)

    def decided(self, setting: Setting, *, held_out: bool = False) -> tuple[list[Any], tuple[tuple[str, str], ...]]:
        """Return everything but the seed that decides the scores of a setting, and the hashes of its parts."""
        if (setting, held_out) not in self._known:
            self._known[setting, held_out] = self._decide(setting, held_out)
        return self._known[setting, held_out]

    def _decide(self, setting: Setting, held_out: bool) -> tuple[list[Any], tuple[tuple[str, str], ...]]:  # noqa: FBT001
        study = self._study
        recipe = study.recipe_of(setting).filled()
        choice = study.data_of(setting)
        # The starting tensors come from the settings that this one is compared with: they are part of what was run.
        start = self._plan.start_of(setting)
        chain = [_network(study, other) for other in start]
        asked = {"held_out": True} if held_out else {}
        files = _sources(study, start, self._training is None)
        decided = {
            "network": [network for i, network in enumerate(chain) if i == 0 or network != chain[i - 1]],
            "recipe": sorted(vars(recipe).items()),
            "data": [choice.name, self._data_fingerprint(choice, **asked)],
            "score": [study.task, study.metric.name, study.precision],
            "source": catalogue.fingerprint(files),
            "training": self._training,
        }
        if setting.salt:
            decided["salt"] = setting.salt
        parts = {name: _hash(value)[:8] for name, value in decided.items() if name != "source"}
        parts |= {f"file {_name_of(path)}": catalogue.fingerprint([path])[:8] for path in files}
        parts |= {f"own {path.as_posix()}": catalogue.fingerprint([path])[:8] for path in self._module}
        return list(decided.values()), tuple(parts.items())


def trials(
    study: Study, plan: Plan, data_fingerprint: Callable[..., str], own_training: Callable[..., Any] | None = None
) -> tuple[Trial, ...]:
    """List the trials of a study, seed by seed, so that what is there early is already paired.

    Arguments as for `Identities`.

    Raises:
        StudyError: if two settings are decided by the same things, such as two folders with the same data.
    """
    return planned(study, plan, Identities(study, plan, data_fingerprint, own_training), study.seeds)


def planned(study: Study, plan: Plan, identities: Identities, seeds: Sequence[int]) -> tuple[Trial, ...]:
    """List the trials that the table of a plan stands on, seed by seed.

    Raises:
        StudyError: if two settings are decided by the same things, such as two folders with the same data.
    """
    first: dict[str, str] = {}
    problems = []
    for setting in plan.settings:
        same = first.setdefault(_hash(identities.decided(setting)[0]), setting.label)
        if same != setting.label:
            problems.append(
                f"{study.path}: settings {same!r} and {setting.label!r} are one: an ablation that changes nothing"
            )
    if problems:
        raise StudyError(problems)
    return tuple(
        identities.trial(setting, seed, held_out=study.held_out)
        for seed in seeds
        for setting in plan.settings
        if plan.seeds is None or seed in plan.seeds[setting.label]
    )


def changed(trial: Trial, data: Choice, data_fingerprint: str) -> list[str]:
    """Return the files and data that are no longer what they were when the trial was planned."""
    found = []
    for name, planned_hash in trial.parts:
        kind, _, file = name.partition(" ")
        if kind == "file":
            path = _root_of(file.partition("/")[0]) / file
            if not path.is_file() or catalogue.fingerprint([path])[:8] != planned_hash:
                found.append(file)
        elif kind == "own":  # a worker of this machine has imported it
            if Path(file).is_file() and catalogue.fingerprint([Path(file)])[:8] != planned_hash:
                found.append(file)
        elif kind == "data" and _hash([data.name, data_fingerprint])[:8] != planned_hash:
            found.append(f"the data of {data.label}")
    return found


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


def _sources(study: Study, settings: tuple[Setting, ...], our_training: bool) -> tuple[Path, ...]:  # noqa: FBT001
    """Return the files of the modules that are used."""
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    network = known.find("network", str(study.network.name))
    used = {network, known.find("data", str(study.data.name))}
    if our_training:
        used.add(known.find("metric", study.metric.name))
    for setting in settings:
        used |= {known.find(slot, str(choice.name)) for slot, choice in setting.choices if slot in network.slots}
    files = {path for entry in used for path in catalogue.sources(entry)}
    files |= {Path(__file__).with_name(name) for name in (*ENGINE, *(TRAINING if our_training else ()))}
    return tuple(sorted(files))


def _name_of(path: Path) -> str:
    """Return the path of a module's file from its package on, such as blocks/attention/cbam.py."""
    top = next((parent for parent in path.parents if not (parent.parent / "__init__.py").is_file()), path.parent)
    return path.relative_to(top.parent).as_posix()


@cache
def _root_of(package: str) -> Path:
    spec = find_spec(package)
    places = (spec.submodule_search_locations if spec else None) or ["."]
    return Path(next(iter(places))).parent


def _source_of(function: Callable[..., Any], seen: frozenset[int] = frozenset()) -> list[Any]:
    """Return what tells training functions apart: source, values bound to it, and globals of its module that it reads.

    What it calls in other modules is no part of this.
    """
    if id(function) in seen:
        return []
    seen |= {id(function)}
    if isinstance(function, partial):
        return [_source_of(function.func, seen), _bound([function.args, sorted(function.keywords.items())], seen)]
    if not inspect.isroutine(function):  # an object that can be called
        return [_source_of(type(function).__call__, seen), _bound(getattr(function, "__dict__", {}), seen)]
    code = getattr(function, "__code__", None)
    closure = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    defaults = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    owner = getattr(getattr(function, "__self__", None), "__dict__", {})
    read = {
        name: value
        for name, value in getattr(function, "__globals__", {}).items()
        if code is not None and name in _names(code) and _is_own(value, function)
    }
    return [_text(function), *(_bound(value, seen) for value in (closure, defaults, owner, sorted(read.items())))]


def _module_file(function: Callable[..., Any] | None) -> list[Path]:
    """Return the file that workers import a function from; none where it travels by value, as from a notebook."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    path = getattr(module, "__file__", None)
    return [Path(path)] if path and module is not sys.modules.get("__main__") and Path(path).suffix == ".py" else []


def _names(code: CodeType) -> set[str]:
    """Return the names that a function and the functions inside it look up."""
    inner = (_names(value) for value in code.co_consts if isinstance(value, CodeType))
    return set(code.co_names).union(*inner)


def _is_own(value: Any, function: Callable[..., Any]) -> bool:
    """Tell whether a global is a value, or a function or class of the same module; others are not looked into."""
    if inspect.isroutine(value) or inspect.isclass(value):
        return getattr(value, "__module__", None) == getattr(function, "__module__", "")
    return not inspect.ismodule(value)


def _text(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    try:
        return textwrap.dedent(inspect.getsource(code if code is not None else function))
    except (OSError, TypeError):
        return _code(code) if code else f"{type(function).__module__}.{type(function).__qualname__}"


def _code(code: CodeType) -> str:
    """Return what a compiled function does as text; the code of functions inside it in place of their addresses."""
    constants = [_code(value) if isinstance(value, CodeType) else _constant(value) for value in code.co_consts]
    return repr([code.co_code.hex(), constants, code.co_names])


def _constant(value: Any) -> str:
    """Write a constant; a set in one order, which it has not by itself from one process to the next."""
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _bound(value: Any, seen: frozenset[int]) -> Any:
    """Return a bound value as JSON can hold it; of what cannot be pickled its type, as its address says nothing."""
    if isinstance(value, list | tuple):
        return [_bound(item, seen) for item in value]
    if isinstance(value, dict):
        return [[str(key), _bound(item, seen)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return ["set", sorted(json.dumps(_bound(item, seen)) for item in value)]
    if inspect.isclass(value):
        methods = [method for _, method in sorted(vars(value).items()) if inspect.isfunction(method)]
        return [_text(value), *(_source_of(method, seen) for method in methods)]
    if value is None or isinstance(value, str | int | float):
        return value
    if inspect.isroutine(value) or isinstance(value, partial):
        return _source_of(value, seen)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        return [kind, hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()]
    except Exception:  # noqa: BLE001  # objects raise what they like when they cannot be pickled
        return kind


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
