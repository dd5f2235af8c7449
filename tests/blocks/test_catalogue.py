"""The catalogue: what it reads, what it refuses, what it hashes."""

import inspect
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blocks.catalogue import CatalogueError, Option, fingerprint, read, register, sources, unknown

CATALOGUE = read()
ENTRIES = [pytest.param(entry, id=f"{entry.slot}-{entry.name}") for entry in CATALOGUE.entries()]
HEADER = "from typing import Literal\n\nfrom blocks.catalogue import register\n\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes a package and returns its name and folder."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**files):
        folder = tmp_path / f"package_of_{tmp_path.name}"
        folder.mkdir()
        for name, text in {"__init__": "", **files}.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        return folder.name, folder

    return write


def test_reading_the_catalogue_and_the_package_imports_no_torch():
    code = (
        "import sys, blocks, blocks.catalogue as c; c.read().find('attention', 'se'); assert 'torch' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_reading_is_fast():
    read.cache_clear()
    start = time.perf_counter()
    read()

    assert time.perf_counter() - start < 0.5  # usually 0.05 s; the rest is for slow disks


def test_a_registered_class_is_found_under_its_slot_and_name():
    entry = CATALOGUE.find("attention", "se")

    assert (entry.module, entry.attribute) == ("blocks.attention.squeeze_excite", "SqueezeExcite")
    assert entry.summary == "Scale each channel by a gate computed from its global average."
    assert "arXiv:1709.01507" in entry.paper
    assert entry.departures.startswith("none; `bias` adds the biases")
    assert entry.options == {
        "reduction": Option("reduction", ("int",), default=16),
        "bias": Option("bias", ("bool",), default=False),
        "squeeze": Option("squeeze", ("str",), ("avg", "max"), default="avg"),
        "excite": Option("excite", ("str",), ("sigmoid", "tanh", "relu"), default="sigmoid"),
    }


def test_a_network_lists_its_slots_with_their_default_choices_and_its_numbers_as_options():
    entry = CATALOGUE.find("network", "resnet")

    assert entry.slots == {
        "attention": "none", "norm": "batch", "conv": "dense", "mix": "none", "activation": "relu",
        "shortcut": "projection", "downsample": "strided", "pooling": "average",
    }  # fmt: skip
    assert {name: option.default for name, option in entry.options.items()} == {
        "depth": 20, "width": None, "family": "cifar", "stages": None, "stem": None, "kernel": 3, "position": "standard",
    }  # fmt: skip
    assert entry.facts == {"task": "classification"}


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_read_equals_the_real_signature(entry):
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(entry.load()).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }

    assert set(parameters) == {*entry.options, *entry.slots}
    for name, option in entry.options.items():
        assert parameters[name].default == option.default
        assert option.check(option.default) is None
    for slot, name in entry.slots.items():
        assert parameters[slot].default is CATALOGUE.find(slot, name).load()


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_docstring_states_effect_shapes_paper_and_departures(entry):
    assert entry.doc == inspect.getdoc(entry.load())
    assert len(entry.summary) <= 115
    assert entry.summary.endswith(".")
    assert "→" in entry.doc
    assert "Departs from the paper: " in entry.doc
    assert entry.paper or entry.name == "none"


def test_names_are_sorted_and_pairs_cover_everything():
    assert CATALOGUE.names("shortcut") == ["average-pool", "identity", "none", "projection", "zero-pad"]
    assert CATALOGUE.names("colour") == []
    assert {slot for slot, _ in CATALOGUE.pairs()} == set(CATALOGUE.slots())
    assert ("mix", "shuffle") in CATALOGUE.pairs()
    assert [entry.name for entry in CATALOGUE.entries("mix")] == CATALOGUE.names("mix")


def test_an_unknown_name_is_answered_with_the_nearest_and_the_known_ones():
    with pytest.raises(CatalogueError) as error:
        CATALOGUE.find("shortcut", "projecton")

    known = "(known: average-pool, identity, none, projection, zero-pad)"
    message = f"unknown choice for slot 'shortcut': 'projecton'; did you mean 'projection'? {known}"
    assert str(error.value) == message
    with pytest.raises(CatalogueError, match="unknown slot: 'attenton'; did you mean 'attention'"):
        CATALOGUE.find("attenton", "se")


def test_unknown_ignores_case_shortens_long_lists_and_does_not_guess_wildly():
    assert "did you mean 'cbam'?" in unknown("choice", "CBAM", ["cbam", "se"])
    assert unknown("number", 3, []) == "unknown number: 3 (there are none)"
    assert unknown("letter", "?", "abcdefghijklmnopqrstuvw").endswith(
        "(known: " + ", ".join("abcdefghijklmnopqrst") + ", ...)"
    )


@pytest.mark.parametrize(
    ("option", "value", "answer"),
    [
        (Option("n", ("int",)), 3, None),
        (Option("n", ("int",)), "3", "expected int, not '3'"),
        (Option("n", ("int",)), True, "expected int, not True"),
        (Option("n", ("int",)), 3.0, "expected int, not 3.0"),
        (Option("n", ("int",)), [3], "expected int, not [3]"),
        (Option("n", ("int", "none")), None, None),
        (Option("n", ("int", "none")), "x", "expected int or none, not 'x'"),
        (Option("p", ("float",)), 1, None),
        (Option("p", ("float",)), False, "expected float, not False"),
        (Option("p", ("float",)), float("inf"), "expected float, not inf"),
        (Option("p", ("float",)), float("nan"), "expected float, not nan"),
        (Option("w", ("str",), ("avg", "max", "both")), "max", None),
        (
            Option("w", ("str",), ("avg", "max", "both")),
            "agv",
            "expected one of avg, max, both, not 'agv'; did you mean 'avg'?",
        ),
        (Option("w", ("int",), (1, 2)), True, "expected one of 1, 2, not True"),
        (Option("l", ("float",), is_list=True), [1, 0.5], None),
        (Option("l", ("float",), is_list=True), (0.5,), None),
        (Option("l", ("int",), is_list=True), 3, "expected a list of int, not 3"),
        (Option("l", ("int",), is_list=True), [1, "2"], "expected a list of int, not one with '2'"),
        (Option("l", ("int", "none"), is_list=True), None, None),
        (Option("l", ("int",), is_list=True, or_one=True), 3, None),
        (Option("l", ("int",), is_list=True, or_one=True), [3, 4], None),
        (Option("l", ("int",), is_list=True, or_one=True), "3", "expected int or a list, not '3'"),
        (Option("l", ("int",), is_list=True, or_one=True), True, "expected int or a list, not True"),
        (Option("l", ("int",), is_list=True, or_one=True), None, "expected int or a list, not None"),
        (Option("l", ("int", "none"), is_list=True, or_one=True), None, None),
        (
            Option("l", ("int", "none"), is_list=True, or_one=True),
            [1, None],
            "expected a list of int or none, not one with None",
        ),
    ],
)
def test_an_option_says_what_is_wrong_with_a_value(option, value, answer):
    assert option.check(value) == answer


def test_functions_and_all_annotations_a_study_can_fill_are_read(package):
    name, folder = package(
        sets=HEADER
        + """
@register("data", "one", task="classification", classes=10)
@register("data", "uno")
def one(
    place, *, n: int, p: float | None = 0.5, on: bool = True,
    mode: Literal["a", "b"] | None = None, mean: tuple[float, ...] = (0.5, -1),
    words: tuple[Literal["x", "y"], ...] = (), wide: int | tuple[int, ...] = 3,
    narrow: int | tuple[int, ...] | None = None,
) -> None:
    \"\"\"Do it.\"\"\"
"""
    )
    entry = read(name).find("data", "one")

    assert entry.facts == {"task": "classification", "classes": 10}
    assert entry.path == folder / "sets.py"
    assert entry.options == {
        "n": Option("n", ("int",), required=True),
        "p": Option("p", ("float", "none"), default=0.5),
        "on": Option("on", ("bool",), default=True),
        "mode": Option("mode", ("str", "none"), ("a", "b", None)),
        "mean": Option("mean", ("float",), is_list=True, default=(0.5, -1)),
        "words": Option("words", ("str",), ("x", "y"), is_list=True, default=()),
        "wide": Option("wide", ("int",), is_list=True, or_one=True, default=3),
        "narrow": Option("narrow", ("int", "none"), is_list=True, or_one=True),
    }
    assert entry.load().__name__ == "one"
    assert read(name).names("data") == ["one", "uno"]


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [
        ("*, n=3", "parameter 'n': it has no annotation"),
        ("*, n: list = 3", "parameter 'n': annotation 'list' is not one that a study can fill"),
        ("*, n: int = N", "parameter 'n': default 'N' is not a literal"),
        ("*, n: int = '3'", "parameter 'n': default does not fit: expected int, not '3'"),
        ("*, n: Literal['a'] | int = 3", "parameter 'n': annotation \"Literal['a'] | int\" mixes kinds"),
        ("*, n: float | tuple[int, ...] = 3", "parameter 'n': annotation 'float | tuple[int, ...]' mixes kinds"),
        ("*, norm: MakeModule = Foreign", "parameter 'norm': its default Foreign is not registered for slot 'norm'"),
        ("*, norm: MakeModule", "parameter 'norm': a slot needs a registered class as its default"),
        ("**options", "parameter 'options': `**` would swallow misspelt options"),
    ],
)
def test_a_signature_that_cannot_be_read_is_refused_with_its_place(package, signature, complaint):
    name, folder = package(wrong=f"{HEADER}@register('data', 'one')\ndef one({signature}): ...\n")

    with pytest.raises(CatalogueError) as error:
        read(name)

    assert f"{folder / 'wrong.py'}:6: one: {complaint}" in str(error.value)


def test_registrations_and_files_that_cannot_be_read_are_refused_with_their_place(package):
    name, folder = package(wrong=f"{HEADER}NAME = 'one'\n\n@register('data', NAME)\ndef one(): ...\n")
    with pytest.raises(CatalogueError, match=r"wrong\.py:7: expected @register"):
        read(name)

    (folder / "wrong.py").write_text("@register(\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"wrong\.py:1: "):
        read(name)

    with pytest.raises(CatalogueError, match="no package 'not_there' to read a catalogue from"):
        read("not_there")


def test_registering_a_name_twice_is_refused_with_both_files(package):
    text = f"{HEADER}@register('data', 'one')\ndef one(): ...\n"
    name, _ = package(first=text, second=text)

    with pytest.raises(
        CatalogueError, match=r"slot 'data': 'one' is registered twice: one in .*first\.py, one in .*second\.py"
    ):
        read(name)


def test_register_returns_what_it_decorates():
    assert register("slot", "name", fact=1)(int) is int


def test_the_sources_of_a_block_are_its_own_file_and_what_it_imports():
    assert [path.name for path in sources(CATALOGUE.find("attention", "se"))] == ["squeeze_excite.py", "squeeze.py"]
    assert {path.name for path in sources(CATALOGUE.find("mix", "shuffle"))} == {"shuffle.py"}
    assert {path.name for path in sources(CATALOGUE.find("network", "resnet"))} == {
        "resnet.py", "absence.py", "activation.py", "dense.py", "start.py", "strided.py", "batch.py",
        "pooling.py", "residual.py", "slots.py", "squeeze.py", "layers.py", "widths.py",
    }  # fmt: skip


def test_an_import_from_a_package_leads_to_the_module_that_defines_the_name(package):
    name, folder = package(
        __init__="from .first import One\nfrom .second import Two\n",
        first="class One: ...\n",
        second="from . import third\nclass Two: ...\n",
        third="",
    )
    user = f"from {name} import Two\n{HEADER}@register('data', 'one')\ndef one(): ...\n"
    (folder / "user.py").write_text(user, encoding="utf-8")

    assert {path.name for path in sources(read(name).find("data", "one"))} == {"user.py", "second.py", "third.py"}


def test_a_fingerprint_sees_code_and_nothing_else(tmp_path):
    def of(text):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
        path.write_text(text, encoding="utf-8")
        return fingerprint([path])

    plain = of("def f(x):\n    return x + 1\n")

    assert plain == of('"""Module."""\n\ndef f(x):  # comment\n    """Add one."""\n    return (x+1)\n')
    assert plain != of("def f(x):\n    return x + 2\n")
    assert plain != of("def f(x, y=None):\n    return x + 1\n")


def test_a_fingerprint_is_taken_again_when_a_file_changes_and_ignores_order(tmp_path):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("x = 1\n", encoding="utf-8")
    second.write_text("x = 2\n", encoding="utf-8")
    before = fingerprint([first, second])

    assert fingerprint([second, first]) == before
    second.write_text("x = 2 + 1\n", encoding="utf-8")
    assert fingerprint([first, second]) != before
