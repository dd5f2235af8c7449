"""The nouns of a study, as frozen values; standard library only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal

from ablate.errors import AblateError

Scalar = str | int | float | bool
Value = Scalar | None | tuple[Any, ...]

# Columns of the frame that are no scores: no metric can have one of these names.
RESERVED = ("study", "setting", "seed", "state", "params", "macs", "latency_ms", "seconds", "started", "run_id")


@dataclass(frozen=True)
class Choice:
    """One filling of a slot: a name and all its options, defaults filled in.

    Two choices are equal when they do the same, whatever their labels. A slot that takes values holds the value
    itself as `name` and has no options.
    """

    name: Value
    options: tuple[tuple[str, Value], ...] = ()
    label: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Slot:
    """A named place that can be filled in several ways.

    Attributes:
        when: for each parent slot, the labels under which this slot exists; empty for an unconditional slot.
        without: what a leave-one-out design sets it to; the first choice unless the file says otherwise.
    """

    name: str
    choices: tuple[Choice, ...]
    reference: Choice
    when: tuple[tuple[str, frozenset[str]], ...] = ()
    without: Choice | None = None

    @property
    def values(self) -> tuple[float, ...] | None:
        """The number that each choice stands for, where they differ in one number alone: its value, or an option."""
        numbers: list[dict[str, Value]] = [
            {"": choice.name} if not choice.options else {"name": choice.name, **dict(choice.options)}
            for choice in self.choices
        ]
        varied = {
            key for one in numbers for key in one.keys() | numbers[0].keys() if one.get(key) != numbers[0].get(key)
        }
        found = [number[key] for number in numbers for key in varied if key in number]
        fits = len(varied) == 1 and len(found) == len(numbers)
        if not fits or any(isinstance(value, bool) or not isinstance(value, int | float) for value in found):
            return None
        return tuple(float(value) for value in found if isinstance(value, int | float))

    def exists(self, choices: Mapping[str, Choice]) -> bool:
        """Tell whether the slot exists beside these choices."""
        return all(parent in choices and choices[parent].label in labels for parent, labels in self.when)


@dataclass(frozen=True)
class Setting:
    """One choice for every slot that exists; an absent slot is not listed.

    Attributes:
        salt: not empty for the second of an A/A pair: its initial weights are drawn anew, and shared with no other.
    """

    choices: tuple[tuple[str, Choice], ...]
    label: str = field(default="", compare=False)
    salt: str = ""

    def __getitem__(self, slot: str) -> Choice:
        return dict(self.choices)[slot]

    def __contains__(self, slot: str) -> bool:
        return slot in dict(self.choices)

    def of(self, place: str) -> dict[str, Value]:
        """Return the values that dotted slots give to `place` ("recipe" or "data")."""
        return {
            name.removeprefix(place + "."): choice.name for name, choice in self.choices if name.startswith(place + ".")
        }


@dataclass(frozen=True)
class Recipe:
    """Training hyper-parameters, fixed over a study unless a dotted slot varies one.

    Attributes:
        epochs: passes over the training images.
        batch: images a step; the last batch of an epoch may be smaller.
        learning_rate: its peak, reached after `warmup` epochs.
        momentum: for sgd only, where it is 0.9 unless given.
        warmup: epochs of linear warm-up.
        augment: `flip` mirrors half the images; `shift` moves each by up to an eighth of its side.
    """

    epochs: int = 20
    batch: int = 64
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = 0.1
    momentum: float | None = None
    weight_decay: float = 0.0005
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: int = 0
    label_smoothing: float = 0.0
    augment: Literal["none", "flip", "shift", "flip-shift"] = "none"

    def filled(self) -> "Recipe":
        """Return the recipe with the momentum that is used where none is given."""
        used = 0.9 if self.optimizer == "sgd" and self.momentum is None else self.momentum
        return replace(self, momentum=used)

    def problems(self) -> dict[str, str]:
        """Return what is wrong with the values, by field; empty if nothing is."""
        wrong = {name: said for name, value in vars(self).items() if (said := out_of_range(name, value))}
        if self.warmup > self.epochs:
            wrong["warmup"] = f"{self.warmup} is out of range: must be from 0 to the {self.epochs} epochs"
        if self.momentum is not None and self.optimizer != "sgd":
            wrong["momentum"] = f"nobody reads it: {self.optimizer} has no momentum (known for: sgd)"
        return wrong


RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (lambda n: n >= 1, "at least 1"),
    "batch": (lambda n: n >= 1, "at least 1"),
    "learning_rate": (lambda x: 0 < x < float("inf"), "a positive number"),
    "momentum": (lambda x: x is None or 0 <= x < 1, "in [0, 1)"),
    "weight_decay": (lambda x: 0 <= x < float("inf"), "0 or more"),
    "warmup": (lambda n: n >= 0, "0 or more"),
    "label_smoothing": (lambda x: 0 <= x < 1, "in [0, 1)"),
}


def out_of_range(field_: str, value: object) -> str:
    """Say what is wrong with one hyper-parameter, whatever the others are; empty if nothing is."""
    fits, range_ = RANGES.get(field_, (lambda _: True, ""))
    return "" if fits(value) else f"{value!r} is out of range: must be {range_}"


RECIPE_FIELDS = tuple(f.name for f in fields(Recipe))


@dataclass(frozen=True)
class Metric:
    """A score and what it means to be better at it; a `fraction` is shown in percent."""

    name: str
    higher_is_better: bool = True
    unit: Literal["fraction", ""] = ""


@dataclass(frozen=True)
class Search:
    """How settings are proposed, judged and confirmed.

    Attributes:
        settings: how many are proposed, the reference among them.
        sampler: what proposes them.
        prune: what ends a setting early that falls behind; `none` lets all finish.
        objectives: scores or costs (macs, params, latency_ms); the study's metric alone, or several.
        top: how many of the best are confirmed beside the reference.
        confirm_seeds: fresh seeds on which they are confirmed, none of them a seed of the search.
    """

    settings: int = 40
    sampler: Literal["tpe", "gp", "random", "qmc", "nsga2"] = "tpe"
    prune: Literal["none", "median", "hyperband", "wilcoxon"] = "none"
    objectives: tuple[str, ...] = ()
    top: int = 3
    confirm_seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Design:
    """The rule that lists settings: its name and what it was given.

    Attributes:
        steps: of a cumulative design, the choices that each step changes.
        runs: of a fractional design, how many trials it has.
    """

    rule: str = "one-at-a-time"
    slots: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    steps: tuple[tuple[tuple[str, Choice], ...], ...] = ()
    runs: int = 0
    search: Search | None = None


@dataclass(frozen=True)
class Adaptive:
    """Seeds that are added one by one until a question is settled; the study's seeds are the most there can be.

    Attributes:
        first: seeds that every setting gets before the first look.
        until: `decided` stops a setting once it is better, worse, or unlikely ever to be either; `best` once it is
            behind the leader.
        max_runs: no look is begun that would need more trials in all; None for as many as the seeds allow.
    """

    first: int = 2
    until: Literal["decided", "best"] = "decided"
    max_runs: int | None = None


@dataclass(frozen=True)
class Match:
    """Capacity matching: widths are changed until settings are as large as the reference.

    Attributes:
        by: what is made equal.
        show: `both` runs every setting as it is, too.
    """

    by: Literal["params", "macs"]
    show: Literal["matched", "both"] = "matched"


@dataclass(frozen=True)
class Study:
    """One question: network, data, slots, design, seeds, recipe and metric.

    Attributes:
        timeout: seconds after which a trial that still runs has failed.
        retries: how often a trial that raised is tried again.
        adaptive: how seeds are added; None if every setting gets all.
        calibration: pairs of labels that compute the same function: the second is run with other initial weights.
        match: how settings are made equally large; None if they are left as they are.
        select: the part of the data that selects, where anything does.
        share: whether complete runs of other studies in the same store count where they did the same.
        path: where the study was read, relative to the folder it was read from where possible; tells two studies of
            one name apart.
        text: the file as it was read.
    """

    name: str
    network: Choice
    data: Choice
    slots: tuple[Slot, ...]
    question: str = ""
    design: Design = field(default_factory=Design)
    seeds: tuple[int, ...] = tuple(range(5))
    recipe: Recipe = field(default_factory=Recipe)
    metric: Metric = field(default_factory=lambda: Metric("accuracy", unit="fraction"))
    metrics: tuple[Metric, ...] = ()
    task: str = "classification"
    practical: float | None = None
    adaptive: Adaptive | None = None
    calibration: tuple[tuple[str, str], ...] = ()
    match: Match | None = None
    select: Literal["held-out", "test"] = "held-out"
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    keep: Literal["weights", "none"] | None = None
    timeout: float | None = None
    retries: int = 0
    share: bool = True
    tags: tuple[tuple[str, str], ...] = ()
    notes: str = ""
    path: str = ""
    text: str = ""

    @property
    def selects(self) -> bool:
        """Whether settings are chosen by their scores."""
        return self.design.search is not None or (self.adaptive is not None and self.adaptive.until == "best")

    @property
    def held_out(self) -> bool:
        """Whether the scores of the table are those of the held-out part: of a race, which selects by them."""
        return self.selects and self.design.search is None and self.select == "held-out"

    @property
    def reference(self) -> Setting:
        """The setting that all others are compared with."""
        return self.complete({})

    def slot(self, name: str) -> Slot:
        """Return the slot called `name`."""
        return next(slot for slot in self.slots if slot.name == name)

    def complete(self, chosen: Mapping[str, Choice]) -> Setting:
        """Return the setting with these choices and the reference's elsewhere; slots that do not exist fall away.

        Slots stand in an order in which parents come before the slots that depend on them.
        """
        choices: dict[str, Choice] = {}
        for slot in self.slots:
            if slot.exists(choices):
                choices[slot.name] = chosen.get(slot.name, slot.reference)
        return Setting(tuple(choices.items()), label=self._label(choices))

    def setting_of(self, params: Mapping[str, str]) -> Setting | None:
        """Return the setting whose choices have these labels; None if there is none. Other params do not matter."""
        known = {slot.name: {choice.label: choice for choice in slot.choices} for slot in self.slots}
        labels = {name: label for name, label in params.items() if name in known}
        if any(label not in known[name] for name, label in labels.items()):
            return None
        setting = self.complete({name: known[name][label] for name, label in labels.items()})
        return setting if set(labels) == {name for name, _ in setting.choices} else None

    def _label(self, choices: Mapping[str, Choice]) -> str:
        """Name what differs from the reference: short, and unchanged when choices are added to the file."""
        if len(self.slots) == 1:
            return str(choices[self.slots[0].name])
        changed = [f"{name}={choice}" for name, choice in choices.items() if choice != self.slot(name).reference]
        return ", ".join(changed) or "reference"

    def recipe_of(self, setting: Setting) -> Recipe:
        """Return the recipe with the setting's dotted choices in place."""
        return replace(self.recipe, **setting.of("recipe"))  # type: ignore[arg-type]  # config has checked the types

    def data_of(self, setting: Setting) -> Choice:
        """Return the data set with the setting's dotted choices in place."""
        return replace(self.data, options=tuple({**dict(self.data.options), **setting.of("data")}.items()))


@dataclass(frozen=True)
class Trial:
    """A setting and a seed: what to execute.

    Attributes:
        identity: hash of everything that decides the scores.
        held_out: whether it is scored on a held-out part of the training data instead of the test part: its score
            selects, and no table shows it.
        parts: what the identity is made of, name and short hash, so that a difference can be named.
    """

    setting: Setting
    seed: int
    identity: str
    held_out: bool = False
    parts: tuple[tuple[str, str], ...] = field(default=(), compare=False)


class RunState(StrEnum):
    """How an attempt at a trial stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    KILLED = "killed"


# A note: a search has seen enough of a setting after this trial, and does not try its other seeds.
FELL_BEHIND = "its setting fell behind: other seeds of it are not tried"


@dataclass(frozen=True)
class Run:
    """One attempt at a trial.

    Attributes:
        curves: for each score, its value after each epoch, in the order of the epochs.
        started: seconds since 1970.
        ended: likewise; of a run that goes on from an earlier attempt the two are less than `seconds` apart.
        seconds: how long it took, earlier attempts that it goes on from included.
        attempt: names this attempt; one attempt is one record.
        cost: what the setting costs.
        notes: what happened to it on the way, such as "went on from epoch 12".
        weights: the final weights as bytes, where they are kept.
    """

    trial: Trial
    state: RunState
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    error: str = ""
    attempt: str = ""
    cost: "Cost | None" = None
    notes: tuple[str, ...] = ()
    weights: bytes | None = None

    def score(self, metric: str) -> float:
        """Return the score of the last epoch.

        Raises:
            AblateError: if the run has no such score.
        """
        if self.state is not RunState.COMPLETE or metric not in self.curves:
            raise AblateError(f"setting {self.trial.setting.label!r}, seed {self.trial.seed}: no score {metric!r}")
        return self.curves[metric][-1]


@dataclass(frozen=True)
class Cost:
    """What a setting costs for one input.

    Attributes:
        params: trainable parameters.
        macs: multiply-accumulates of convolutions and matrix products.
        latency_ms: milliseconds of one forward pass of one input on an idle machine; None until measured.
    """

    params: int
    macs: int
    latency_ms: float | None = None
