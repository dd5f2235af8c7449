"""The designs: which settings a study is made of, and what their contrasts estimate."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from ablate.errors import StudyError
from ablate.study import Choice, Design, Setting, Slot, Study
from blocks.catalogue import unknown

MOST_SETTINGS = 10_000

ESTIMANDS = {
    "one-at-a-time": "the effect of changing one slot while the others stay at the reference",
    "leave-one-out": "the effect of leaving one part out of the full model while the others stay in place",
    "cumulative": "the effect of each step on the setting before it, in this order",
    "factorial": "the difference between each combination and the reference combination",
    "fractional": "the effect of each slot averaged over all combinations of the others, supposing that slots do not "
    "interact",
    "list": "the difference between each listed setting and the reference",
    "search": "the difference between each of the best settings of a search and the reference, on seeds and images "
    "that the search has not seen",
}
RULES = tuple(ESTIMANDS)


@dataclass(frozen=True)
class Plan:
    """The settings of a study in order, the reference among them, and what each is contrasted with.

    Attributes:
        against: for each setting but the reference, the label of the setting that it is compared with.
        calibration: A/A pairs, by label; their settings are among `settings`.
        seeds: for each label the seeds that it is run on; None if every setting is run on all.
        remarks: what a reader must know of the settings, such as how they were made equally large.
    """

    settings: tuple[Setting, ...]
    reference: Setting
    against: dict[str, str]
    estimand: str
    calibration: tuple[tuple[str, str], ...] = ()
    seeds: dict[str, tuple[int, ...]] | None = None
    remarks: tuple[str, ...] = ()

    def start_of(self, setting: Setting) -> tuple[Setting, ...]:
        """Return the settings whose starting tensors `setting` shares, the reference first, itself last."""
        if setting.salt:
            return (setting,)
        by_label = {other.label: other for other in self.settings}
        chain = [setting]
        while chain[0] != self.reference:
            # What a search proposes stands in no plan yet; it is compared with the reference.
            against = self.against.get(chain[0].label, self.reference.label)
            chain.insert(0, by_label[against])
        return tuple(chain)


def plan(study: Study) -> Plan:
    """List the settings of a study; of a search the reference alone, as it has found nothing yet.

    Settings that are equal after completion count once.

    Raises:
        StudyError: if the design leaves nothing to compare.
    """
    rule = study.design.rule
    if rule == "search":
        return confirmation(study, ())
    against, seeds = {}, None
    settings = {study.reference: study.reference}
    if rule == "fractional":
        from ablate.fractional import fraction  # noqa: PLC0415  # what few studies need takes a second to import

        found, seeds = fraction(study)
        settings |= {setting: setting for setting in found}
        against = {setting.label: study.reference.label for setting in found if setting != study.reference}
    for setting, partner in PAIRS[rule](study) if rule in PAIRS else ():
        if setting not in settings:
            settings[setting] = setting
            against[setting.label] = partner.label
    _check_settings(study, list(settings))
    planned = _with_twins(study, Plan(tuple(settings), study.reference, against, ESTIMANDS[rule], seeds=seeds))
    adaptive = study.adaptive
    if adaptive and adaptive.max_runs is not None and adaptive.max_runs < adaptive.first * len(planned.settings):
        least = adaptive.first * len(planned.settings)
        raise StudyError([f"seeds.max_runs: {adaptive.max_runs} trials end before the first look, which takes {least}"])
    return planned


def _check_settings(study: Study, settings: list[Setting]) -> None:
    """Refuse settings that cannot be told apart, or that leave nothing to compare."""
    labels = Counter(setting.label for setting in settings)
    if len(labels) < len(settings):
        twice = [label for label, n in labels.items() if n > 1]
        raise StudyError([f"slots: two settings would be called {label!r}: change a label" for label in twice])
    if idle := [name for name in study.design.slots if not _is_varied(name, settings)]:
        raise StudyError(
            [f"design: {name!r} has one choice, or never exists here: nothing would be crossed" for name in idle]
        )
    if len(settings) == 1 and not study.calibration:
        raise StudyError([f"design: {study.design.rule} leaves the reference alone: nothing would be compared"])


def _with_twins(study: Study, plan: Plan) -> Plan:
    """Give the second of every A/A pair initial weights of its own; one that is no setting yet becomes one."""
    settings = {setting.label: setting for setting in plan.settings}
    taken = {choice.label for slot in study.slots for choice in slot.choices}
    against, problems = dict(plan.against), []
    for i, (first, second) in enumerate(study.calibration):
        if first not in settings:
            problems.append(f"calibration[{i}][0]: {unknown('setting', first, settings)}")
        elif second == plan.reference.label or second in against.values():
            problems.append(f"calibration[{i}][1]: others are compared with {second!r}, so it must stand first")
        elif second not in settings and (second in taken or "=" in second):
            # A twin of this name would be taken for a setting that it is not.
            problems.append(
                f"calibration[{i}][1]: {unknown('setting', second, settings)}, and misleading as a twin's name"
            )
        else:
            twin = settings.get(second, settings[first])
            settings[second] = replace(twin, label=second, salt=second)
            against.setdefault(second, first)
    if problems:
        raise StudyError(problems)
    return replace(plan, settings=tuple(settings.values()), against=against, calibration=study.calibration)


def confirmation(study: Study, chosen: Iterable[Setting]) -> Plan:
    """Return what a search confirms: the reference, and what it has chosen."""
    settings = (study.reference, *(setting for setting in chosen if setting != study.reference))
    against = {setting.label: study.reference.label for setting in settings[1:]}
    return _with_twins(study, Plan(settings, study.reference, against, ESTIMANDS["search"]))


def neighbours(study: Study) -> Plan:
    """Return the settings that differ from the reference in one slot: every choice of every slot is among them."""
    return plan(replace(study, design=Design("one-at-a-time"), calibration=()))


def _is_varied(slot: str, settings: Iterable[Setting]) -> bool:
    return len({setting[slot] for setting in settings if slot in setting}) > 1


def _one_at_a_time(study: Study) -> Iterator[tuple[Setting, Setting]]:
    """Change one slot at a time; a conditional slot under every parent choice that makes it exist."""
    for slot in study.slots:
        for chosen in _activations(study, slot):
            parent = study.complete(chosen)
            if slot.when and parent != study.reference:
                yield parent, study.reference
            for choice in slot.choices:
                if choice != slot.reference:
                    yield study.complete({**chosen, slot.name: choice}), parent


def can_exist(slots: Iterable[Slot], slot: Slot) -> bool:
    """Tell whether any combination of choices makes `slot` exist."""
    return all(_activating(slots, slot).values())


def _activations(study: Study, slot: Slot) -> Iterator[dict[str, Choice]]:
    """Yield the choices of the parents, and theirs, under which `slot` exists, others at the reference."""
    activating = _activating(study.slots, slot)
    _check_number(math.prod(len(choices) for choices in activating.values()), f"slots.{slot.name}.when")
    for combination in product(*activating.values()):
        yield dict(zip(activating, combination, strict=True))


def _activating(slots: Iterable[Slot], slot: Slot) -> dict[str, list[Choice]]:
    """Return the choices of each parent, and of theirs, that make `slot` exist, in the order of the study.

    Every parent must exist too, so each condition on the way up must hold whatever the others choose.
    """
    by_name = {other.name: other for other in slots}
    allowed: dict[str, list[Choice]] = {}
    waiting = list(slot.when)
    while waiting:
        parent, labels = waiting.pop()
        if parent not in allowed:
            waiting += by_name[parent].when
        choices = allowed.get(parent, by_name[parent].choices)
        allowed[parent] = [choice for choice in choices if choice.label in labels]
    return {name: allowed[name] for name in by_name if name in allowed}


def _check_number(n: int, place: str) -> None:
    if n > MOST_SETTINGS:
        raise StudyError([f"{place}: {n:,} combinations; at most {MOST_SETTINGS:,}"])


def _factorial(study: Study) -> Iterator[tuple[Setting, Setting]]:
    """Cross the named slots, or all; cells whose condition fails collapse into one."""
    names = study.design.slots or tuple(slot.name for slot in study.slots)
    crossed = [study.slot(name) for name in names]
    _check_number(math.prod(len(slot.choices) for slot in crossed), "design")
    for combination in product(*(slot.choices for slot in crossed)):
        yield study.complete(dict(zip(names, combination, strict=True))), study.reference


def _listed(study: Study) -> Iterator[tuple[Setting, Setting]]:
    for setting in study.design.settings:
        yield setting, study.reference


def _leave_one_out(study: Study) -> Iterator[tuple[Setting, Setting]]:
    """Set each slot of the full model to what it is without."""
    full, problems = study.reference, []
    settings = []
    for slot in study.slots:
        without = slot.without or slot.choices[0]
        if slot.name not in full:
            problems.append(f"design: {slot.name!r} does not exist in the full model: nothing would be left out")
        elif without == full[slot.name]:
            problems.append(
                f"design: the full model holds {without.label!r} for {slot.name!r}, and without it would hold the same: "
                f"say another in full, or in slots.{slot.name}.without"
            )
        else:
            chosen = {**dict(full.choices), slot.name: without}
            settings.append(study.complete(chosen))
    if problems:
        raise StudyError(problems)
    yield from ((setting, full) for setting in settings)


def _cumulative(study: Study) -> Iterator[tuple[Setting, Setting]]:
    """Change one thing more in each step."""
    chosen: dict[str, Choice] = {}
    path = [study.reference]
    for i, step in enumerate(study.design.steps):
        place = f"design.cumulative[{i}]"
        chosen |= dict(step)
        setting = study.complete(chosen)
        absent = [name for name, _ in step if name not in setting]
        if absent:
            raise StudyError([f"{place}: {name!r} does not exist here: its `when` does not hold" for name in absent])
        if setting == path[-1]:
            raise StudyError([f"{place}: changes nothing: nothing would be ablated"])
        if setting in path:
            raise StudyError([f"{place}: comes back to {path[path.index(setting)].label!r}, which has been compared"])
        yield setting, path[-1]
        path.append(setting)


PAIRS = {
    "one-at-a-time": _one_at_a_time,
    "leave-one-out": _leave_one_out,
    "cumulative": _cumulative,
    "factorial": _factorial,
    "list": _listed,
}
