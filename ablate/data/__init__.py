"""Data sets by name: decoded once a machine, then arrays that all processes share."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ablate.data import kept
from ablate.data.files import read_bytes
from ablate.data.images import Images, standardised, stratified
from ablate.study import Choice
from blocks import catalogue
from blocks.catalogue import Entry

__all__ = ["Images", "described", "fingerprint", "forget", "load", "read_bytes", "standardised", "stratified"]


def load(choice: Choice, *, held_out: bool = False) -> Images:
    """Return a data set; the second call with the same options costs nothing, the first one on a machine decodes it.

    Args:
        choice: its name and options.
        held_out: whether to return its training part alone, split for what selects, instead of all.

    Raises:
        DataError: if its files are missing or damaged, or it has fewer images than asked for.
    """
    return _load(choice, held_out)


def fingerprint(choice: Choice, *, held_out: bool = False) -> str:
    """Return the hash of a data set's arrays and split."""
    return load(choice, held_out=held_out).fingerprint


def described(choice: Choice, *, held_out: bool = False) -> str:
    """Say in a sentence what trains, what is scored, and how the two were told apart."""
    images = load(choice, held_out=held_out)
    split = catalogue.read("blocks", "ablate.data", "ablate.tasks").find("data", str(choice.name)).facts["split"]
    given = ", ".join(f"{name}={value}" for name, value in choice.options if name != "path")
    n_train, n_scored = len(images.train_targets), len(images.test_targets)
    if held_out:
        return (
            f"Scored on a held-out fifth of the training images of {choice.name} ({given}): {n_train:,} images train, "
            f"{n_scored:,} are scored; the test part is not touched."
        )
    return f"Scored on the test part of {choice.name} ({given}), {split}: {n_train:,} images train, {n_scored:,} are scored."


def forget() -> None:
    """Let the next call read everything again, because somebody has written to the arrays."""
    _load.cache_clear()


@cache
def _load(choice: Choice, held_out: bool) -> Images:  # noqa: FBT001  # a key of the cache
    entry = catalogue.read("blocks", "ablate.data", "ablate.tasks").find("data", str(choice.name))
    options = dict(choice.options)

    def decode() -> Images:
        images: Images = entry.load()(**options)
        return images.held_out if held_out else images

    return kept.images({**_key(entry.name, options), "held_out": held_out}, _source(entry), decode)


def _key(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells data sets apart on this machine: relative paths depend on where one stands."""
    places = {"path": options.get("path"), "ABLATE_DATA": os.environ.get("ABLATE_DATA")}
    absolute = {key: str(Path(place).expanduser().resolve()) for key, place in places.items() if place is not None}
    return {"name": name, "options": sorted({**options, **absolute}.items())}


@cache
def _source(entry: Entry) -> str:
    """Return the hash of the code that decodes, as it was when this process first used it."""
    return catalogue.fingerprint(catalogue.sources(entry))
