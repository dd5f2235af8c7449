"""A study file as a whole: what it may say, and what is said about one that cannot be meant."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate import config
from ablate.errors import StudyError

PATH = Path("studies/se.yml")
PARTS = {
    "network": "{resnet: {depth: 8, width: 16}}",
    "data": "{digits: {train: 300}}",
    "slots": "{attention: [none, se]}",
}


def text(**parts):
    """Write a study that is right but for the parts that are given; a part that is None is left out."""
    return "\n".join(f"{key}: {value}" for key, value in {**PARTS, **parts}.items() if value is not None)


def problems_in(content, **options):
    with pytest.raises(StudyError) as caught:
        config.parse_study(content, path=PATH, **options)
    return [problem.removeprefix("studies/se.yml: ") for problem in caught.value.problems]


def problems(**parts):
    return problems_in(text(**parts))


def labels(study, slot):
    return [choice.label for choice in study.slot(slot).choices]


FULL = """
question: 哪个注意力模块最有用？
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, se, eca, cbam, {coordinate: {reduction: 8}}]
  norm: [batch, none, {group: {groups: [2, 4, 8]}}, layer, instance]
  mix: {choices: [none, pointwise, {shuffle: {groups: 4}}], when: {conv: [grouped, depthwise]}, reference: none}
  conv: [dense, {grouped: {groups: [2, 4]}}, depthwise]
  kernel: [3, 5, 7]
  recipe.label_smoothing: [0.0, 0.1]
reference: {attention: none}
design: one-at-a-time
seeds: 5
recipe: {epochs: 20, batch: 64, optimizer: sgd, learning_rate: 0.1, weight_decay: 0.0005, schedule: cosine}
metric: accuracy
metrics: [loss]
practical: 0.002
"""


def test_the_study_of_the_manual_is_read():
    study = config.parse_study(FULL, path=PATH)

    assert study.name == "se"
    assert study.question == "哪个注意力模块最有用？"
    assert study.seeds == (0, 1, 2, 3, 4)
    assert labels(study, "norm") == [
        "batch", "none", "group(groups=2)", "group(groups=4)", "group(groups=8)", "layer", "instance",
    ]  # fmt: skip
    assert labels(study, "kernel") == ["3", "5", "7"]
    assert study.slot("mix").when == (("conv", frozenset({"grouped(groups=2)", "grouped(groups=4)", "depthwise"})),)
    assert [slot.name for slot in study.slots].index("conv") < [slot.name for slot in study.slots].index("mix")
    assert (study.metric.name, study.metric.higher_is_better, study.metric.unit) == ("accuracy", True, "fraction")
    assert not study.metrics[0].higher_is_better


def test_ten_mistakes_are_ten_problems_each_with_its_place_the_nearest_match_and_what_is_allowed():
    found = problems_in("""
network: {resnet: {depth: 8, width: 16.5}}
data: {digits: {trian: 300}}
slots:
  attention: [none, sse, {se: {redction: 4}}]
  atention: [none]
  norm: []
  conv: {choices: [dense, dense], when: {mix: none}}
  mix: {choices: [none, pointwise], when: {conv: dens}}
  recipe.label_smoothing: [0.0, 1.5]
reference: {kernel: 3}
seeds: 0
metrc: accuracy
precision: no
""")

    assert found == [
        (
            "metrc: unknown key: 'metrc'; did you mean 'metric'? (known: network, data, slots, name, question, reference, "
            "design, seeds, recipe, metric, metrics, practical, calibration, match, select, device, precision, keep, timeout, retries, ...)"
        ),
        (
            "precision: unknown precision: False (known: fp32, bf16) (YAML reads no, off and false as false: "
            "put the word in quotes if it is one)"
        ),
        "network.resnet.width: expected int or none or a list, not 16.5",
        "data.digits.trian: unknown option of 'digits': 'trian'; did you mean 'train'? (known: train, split)",
        (
            "slots.atention: unknown slot of 'resnet': 'atention'; did you mean 'attention'? (known: attention, norm, "
            "conv, mix, activation, shortcut, downsample, pooling, depth, width, family, stages, stem, kernel, position); "
            "recipe.* and data.* vary the training and the data"
        ),
        (
            "slots.attention[1]: unknown choice: 'sse'; did you mean 'se'? (known: camixer, cbam, coordinate, danet, eca, "
            "gc, grouped-channel, grouped-spatial, mdta, mhsa, non-local, none, omni-kernel, safm, se, sk, window)"
        ),
        (
            "slots.attention[2].se.redction: unknown option of 'se': 'redction'; did you mean 'reduction'? "
            "(known: reduction, bias, squeeze, excite)"
        ),
        "slots.norm: the list is empty",
        "slots.conv.choices[1]: 'dense' is the same choice as slots.conv.choices[0]",
        "slots.recipe.label_smoothing[1]: 1.5 is out of range: must be in [0, 1)",
        (
            "reference.kernel: unknown slot: 'kernel' (known: attention, atention, norm, conv, mix, "
            "recipe.label_smoothing)"
        ),
        "slots.mix.when.conv: unknown choice: 'dens'; did you mean 'dense'? (known: dense)",
        "slots.conv.when: goes in a circle: conv → mix → conv",
        "seeds: 0 is out of range: from 1 to 10,000",
    ]


def test_reading_a_study_imports_no_torch():
    code = (
        "import sys; from ablate import config, design, identity; "
        "study = config.read_study('attention'); plan = design.plan(study); "
        "identity.trials(study, plan, lambda _: 'data'); "
        "assert not {'torch', 'pandas', 'mlflow', 'optuna', 'sklearn'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_study_that_comes_with_the_package_can_be_read():
    names = [path.stem for path in config.STUDIES.rglob("*.yml")]

    assert "attention" in names
    assert [config.read_study(name).name for name in names] == names


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("practical", "0", "0.0 must be positive: the smallest difference that matters"),
        ("practical", "2", "2.0 is out of range: accuracy is a fraction in [0, 1]"),
        ("practical", "1e-3", 'expected a number; given "1e-3" (YAML reads 1e-3 as text: write 1.0e-3)'),
        ("device", "gpu", "unknown device: 'gpu'; did you mean 'cpu'? (known: auto, cpu, cuda, cuda:0, mps)"),
        ("precision", "fp16", "unknown precision: 'fp16'; did you mean 'bf16'? (known: fp32, bf16)"),
        ("name", "a/b", "'a/b' cannot name a folder"),
        ("name", "con", "'con' cannot name a folder"),
        ("name", '"a\\nb"', "'a\\nb' cannot name a folder"),
        ("name", "a.", "'a.' cannot name a folder"),
        ("notes", "2020-01-01",
         "expected a word, a number, a list or keys, not 2020-01-01 (YAML reads it as a date: put it in quotes)"),
        ("budget", "{hours: 2}", "not in this version (a cap on hours and runs)"),
        ("network", "resnt", ("unknown network: 'resnt'; did you mean 'resnet'? (known: convnext, danet, lenet, "
         "mobilenet-v2, resnet, resnext, shufflenet-v1, shufflenet-v2, sknet, swin, vit)")),
        ("network", "[resnet]", 'expected a name, or one name with its options; given ["resnet"]'),
        ("network", "{}", "expected one name, not 0"),
        ("data", "digit", "unknown data set: 'digit'; did you mean 'digits'? (known: digits, fashion-mnist)"),
        ("data", None, "is missing"),
        ("slots", "{}", "there are none: nothing would be compared"),
        ("slots", "[attention]", 'expected slots, each with a list of choices; given ["attention"]'),
    ],
)  # fmt: skip
def test_other_keys_that_cannot_be_meant_are_refused(key, value, said):
    assert problems(**{key: value}) == [f"{key}: {said}"]


# YAML


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", ["expected keys such as network, data and slots, not nothing"]),
        ("- a", ['expected keys such as network, data and slots, not ["a"]']),
        ("network:\n\tresnet", ["line 2, column 1: found character '\\t' that cannot start any token"]),
        ("a: &x 1\nb: *x", ["line 2, column 4: references to anchors are not read here: write it out"]),
        ("&x [*x]", ["line 1, column 5: references to anchors are not read here: write it out"]),
        ("<<: {a: 1}", ["line 1, column 1: a key must be a plain word"]),
        ("? [a]\n: 1", ["line 1, column 3: a key must be a plain word"]),
        ("a: 1\n---\nb: 1", ["line 2, column 1: but found another document"]),
        ("a: " + "[" * 5000, ["nested too deeply"]),
        ("a: !!python/object:os.system x", [("line 1, column 4: could not determine a constructor for the tag "
                                            "'tag:yaml.org,2002:python/object:os.system'")]),
        ("a: 2020-13-45", ["no YAML: month must be in 1..12"]),
        ("a: \x07", [('no YAML: unacceptable character #x0007: special characters are not allowed in '
                     '"<unicode string>", position 3')]),
    ],
)  # fmt: skip
def test_what_is_no_yaml_or_no_study_is_said_with_its_line(content, found):
    assert problems_in(content) == found


def test_what_yaml_makes_of_things_silently_is_said_along_with_everything_else():
    found = problems_in(
        text(metrc="1", seeds="010", practical="1:30", tags="!!set {a}", question='"\\ud800"')
        + "\nno: 1\n3: 4\nseeds: 0x10\nslots: {attention: [no, se]}"
    )

    assert found[:9] == [
        "line 5, column 8: YAML reads 010 as 8: write 8, or put it in quotes",
        "line 6, column 12: YAML reads 1:30 as 90: write 90, or put it in quotes",
        "line 11, column 1: 'seeds' stands twice",
        "line 11, column 8: YAML reads 0x10 as 16: write 16, or put it in quotes",
        "line 12, column 1: 'slots' stands twice",
        "tags: expected a word, a number, a list or keys, not {'a'}",
        "question: '\\ud800' holds half a character",
        (
            "False: expected a word as key, not False (YAML reads no, off and false as false: put the word in quotes if "
            "it is one)"
        ),
        "3: expected a word as key, not 3",
    ]
    assert any(problem.startswith("slots.attention[0]: expected a name") for problem in found)
    assert any(problem.startswith("metrc: unknown key") for problem in found)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(),
    st.sampled_from(["none", "se", "grouped", "sgd", "factorial", "list", "when", "choices", "label", "reduction"]),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from([
        *config.FIELDS, "resnet", "digits", "attention", "conv", "mix", "kernel", "recipe.epochs", "data.train", "se",
        "grouped", "choices", "when", "reference", "factorial", "list", "label", "reduction", "groups", "epochs",
    ]),
    st.integers(),
    st.text(max_size=3),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
GOOD = yaml.safe_load(text())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.dictionaries(st.sampled_from(config.FIELDS), ANYTHING, max_size=4), st.dictionaries(KEYS, ANYTHING))
def test_whatever_a_file_holds_the_answer_is_a_study_or_its_problems(parts, slots):
    content = yaml.safe_dump({**GOOD, "slots": {"attention": ["none", "se"], **slots}, **parts}, allow_unicode=True)

    found = ()
    try:
        config.parse_study(content, path=PATH)
    except StudyError as error:
        found = error.problems
    assert all(problem.startswith("studies/se.yml: ") for problem in found)


# Files


def test_a_file_is_read_as_utf8_with_or_without_a_mark_and_named_by_its_stem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, mark in (("注意力.yml", b""), ("marked.yml", b"\xef\xbb\xbf")):
        (tmp_path / name).write_bytes(mark + text(question="哪个？").encode())

        study = config.read_study(name)

        assert (study.name, study.path, study.question) == (Path(name).stem, name, "哪个？")


def test_a_file_that_is_no_utf8_text_is_named(tmp_path):
    path = tmp_path / "gbk.yml"
    path.write_bytes(text(question="哪个？").encode("gbk"))

    with pytest.raises(StudyError, match=r"gbk\.yml: cannot be read as UTF-8 text"):
        config.read_study(path)


@pytest.mark.parametrize("argument", ["atention", "studies/atention.yml", "", ".", "x" * 5000, "a\0b"])
def test_a_study_that_does_not_exist_is_an_error_that_names_those_that_do(argument):
    with pytest.raises(StudyError, match=r"no such file|cannot be read"):
        config.read_study(argument)


def test_the_name_of_a_shipped_study_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert config.read_study("attention").path == "ablate:attention.yml"
