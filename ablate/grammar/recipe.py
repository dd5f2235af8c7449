"""The recipe of a study, and of every setting that varies it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from functools import partial
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ablate.grammar.choices import Values, fitted
from ablate.grammar.problems import Problems, hint
from ablate.study import RECIPE_FIELDS, Recipe, Setting, Study, out_of_range
from blocks.catalogue import Option, unknown

TYPES = {int: "int", float: "float", str: "str", bool: "bool", NoneType: "none"}


def _option(name: str, hint_: Any, default: Any) -> Option:
    if get_origin(hint_) is Literal:
        return Option(name, ("str",), get_args(hint_), default=default)
    return Option(name, tuple(TYPES[kind] for kind in get_args(hint_) or (hint_,)), default=default)


OPTIONS = {f.name: _option(f.name, get_type_hints(Recipe)[f.name], f.default) for f in fields(Recipe)}


def read_recipe(given: Mapping[str, Any], slots: Collection[str], problems: Problems) -> Recipe:
    """Read the hyper-parameters that are given; the defaults stand in for what cannot be read."""
    good: dict[str, Any] = {}
    for name, value in given.items():
        place = f"recipe.{name}"
        if name not in OPTIONS:
            problems.add(place, unknown("hyper-parameter", name, RECIPE_FIELDS))
        elif place in slots:
            problems.add(place, f"given here and varied by slots.{place}: keep one")
        elif wrong := OPTIONS[name].check(value):
            problems.add(place, wrong + hint(value))
        elif wrong := out_of_range(name, value):
            problems.add(place, wrong)
        else:
            good[name] = fitted(OPTIONS[name], value)
    recipe = Recipe(**good)
    if not any(slot.startswith("recipe.") for slot in slots):
        for name, message in recipe.problems().items():
            problems.add(f"recipe.{name}", message)
    return recipe


def values_of(name: str, problems: Problems) -> Values:
    """Return what reads the choices of a slot that varies a hyper-parameter."""
    option = OPTIONS[name]
    # Nothing given means the default, which belongs into the table as the number it is.
    without_nothing = Option(name, tuple(kind for kind in option.types if kind != "none"), option.allowed)
    return Values(without_nothing, problems, partial(out_of_range, name))


def check_recipes(study: Study, settings: Iterable[Setting], problems: Problems) -> None:
    """Note what is wrong with the recipe of any setting, such as a warm-up longer than its epochs."""
    for setting in settings:
        for name, message in study.recipe_of(setting).problems().items():
            place = f"slots.recipe.{name}" if f"recipe.{name}" in setting else f"recipe.{name}"
            varied = ", ".join(f"{slot}={choice}" for slot, choice in setting.choices if slot.startswith("recipe."))
            problems.add(place, f"{message} (with {varied})" if varied else message)
