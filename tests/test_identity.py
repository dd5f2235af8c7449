"""What changes the identity of a trial, and what does not."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from ablate import config, design, identity
from ablate.errors import StudyError

TEXT = """
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, {se: {reduction: 8}}, eca]
  norm: [batch, layer]
seeds: 2
recipe: {epochs: 20, learning_rate: 0.1}
reference: {attention: none}
"""


def trials(text=TEXT, *, data="data", training=None, path="s.yml", **options):
    study = config.parse_study(text, path=Path(path), **options)
    fingerprint = data if callable(data) else lambda choice: f"{data} {dict(choice.options)['train']}"
    return identity.trials(study, design.plan(study), fingerprint, training)


def identities(*args, **options):
    return {(trial.setting.label, trial.seed): trial.identity for trial in trials(*args, **options)}


HERE = identities()


def changed(*args, **options):
    there = identities(*args, **options)
    assert HERE.keys() == there.keys()
    return {key for key in HERE if HERE[key] != there[key]}


def test_trials_come_seed_by_seed_and_all_differ():
    listed = trials()

    assert [trial.seed for trial in listed] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len({trial.identity for trial in listed}) == 8


def test_another_process_gives_the_same_identities(tmp_path):
    (tmp_path / "s.yml").write_text(TEXT, encoding="utf-8")
    code = (
        "from ablate import config, design, identity; study = config.read_study('s.yml'); "
        "print(*[t.identity for t in identity.trials(study, design.plan(study), lambda c: 'data 300')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(Path(config.__file__).parents[1]), "PYTHONHASHSEED": "7"},
    )  # fmt: skip

    assert done.stdout.split() == list(HERE.values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("depth: 8", "depth: 14"),
        ("width: 16", "width: 16, kernel: 5"),
        ("train: 300", "train: 200"),
        ("epochs: 20", "epochs: 21"),
        ("learning_rate: 0.1", "learning_rate: 0.1, momentum: 0.8"),
        ("learning_rate: 0.1", "learning_rate: 0.1, augment: flip"),
        ("seeds: 2", "seeds: 2\nmetric: balanced-accuracy"),
        ("seeds: 2", "seeds: 2\nprecision: bf16"),
    ],
)
def test_what_all_trials_share_changes_them_all(before, after):
    assert changed(TEXT.replace(before, after)) == HERE.keys()


def test_the_content_of_the_data_changes_every_trial():
    assert changed(data="other data") == HERE.keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\nslots:", "\n# a comment\nslots:"),
        ("\nnetwork", "\nquestion: Why?\nname: other\nnotes: n\ntags: {a: b}\npractical: 0.01\nnetwork"),
        ("\nseeds", "\nmetrics: [loss]\nkeep: none\nseeds"),
        ("width: 16", "width: 16, kernel: 3"),  # the default, written out
        ("epochs: 20", "epochs: 20, momentum: 0.9"),
        ("epochs: 20", "epochs: 20, batch: 64"),
        ("learning_rate: 0.1", "learning_rate: 1.0e-1"),
        ("[none, {se: {reduction: 8}}, eca]", "[eca, none, {se: {reduction: 8}}]"),
        ("{train: 300}", "{split: 0, train: 300}"),
    ],
)
def test_what_does_not_decide_scores_does_not_change_a_trial(before, after):
    assert changed(TEXT.replace(before, after)) == set()


def test_labels_and_the_place_of_the_file_do_not_change_a_trial():
    labelled = TEXT.replace("{se: {reduction: 8}}", "{se: {reduction: 8, label: mine}}")

    assert set(identities(labelled, path="elsewhere/t.yml").values()) == set(HERE.values())


def test_a_seed_keeps_its_identity_when_others_are_added_and_a_setting_when_choices_are():
    more = identities(TEXT.replace("seeds: 2", "seeds: [7, 1, 0]").replace(", eca]", ", eca, cbam]"))

    assert more.items() >= HERE.items()
    assert len(more) == 3 * 5


def test_an_option_of_a_choice_changes_its_own_trials_only():
    there = identities(TEXT.replace("reduction: 8", "reduction: 4"))

    assert {key for key in HERE if key not in there} == {
        ("attention=se(reduction=8)", 0),
        ("attention=se(reduction=8)", 1),
    }
    assert all(there[key] == HERE[key] for key in HERE.keys() & there.keys())
    assert len(set(there.values()) & set(HERE.values())) == 6


def test_the_reference_that_gives_starting_tensors_is_part_of_a_trial():
    text = TEXT.replace("reference: {attention: none}", "reference: {attention: eca}")

    assert identities(text)["attention=se(reduction=8)", 0] != HERE["attention=se(reduction=8)", 0]
    assert identities(text)["attention=none", 0] != HERE["reference", 0]
    by_option = [
        identities(TEXT.replace("none, {se: {reduction: 8}}", f"{{se: {{reduction: {n}}}}}").replace("none}", "se}"))
        for n in (4, 8)
    ]
    assert by_option[0]["attention=eca", 0] != by_option[1]["attention=eca", 0]


def test_a_slot_that_the_file_leaves_out_counts_with_its_default():
    written = TEXT.replace("  norm: [batch, layer]\n", "  norm: [batch]\n  mix: [none]\n")

    with_slot, without = identities(written), identities(TEXT.replace("  norm: [batch, layer]\n", ""))

    assert set(with_slot.values()) == set(without.values())


def test_a_varied_hyper_parameter_starts_from_the_same_tensors_in_every_design():
    slots = "  recipe.label_smoothing: {choices: [0.0, 0.1], when: {norm: layer}}\nseeds: 1"
    one = identities(TEXT.replace("seeds: 2", slots))
    both = identities(TEXT.replace("seeds: 2", slots + "\ndesign: {list: [{norm: layer}]}"))

    assert both["norm=layer", 0] == one["norm=layer", 0]
    assert one["norm=layer, recipe.label_smoothing=0.1", 0] != one["norm=layer", 0]


def test_settings_that_are_one_and_the_same_trial_are_refused():
    text = TEXT.replace("  norm: [batch, layer]", "  data.split: [0, 1]")

    with pytest.raises(StudyError, match=r"settings 'reference' and 'data\.split=1' are one: an ablation that changes"):
        trials(text)


def test_a_changed_source_of_a_used_block_changes_the_trials_that_use_it_and_words_change_none(tmp_path):
    root = Path(config.__file__).parents[1]
    for package in ("ablate", "blocks", "studies"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "s.yml").write_text(TEXT, encoding="utf-8")
    code = (
        "from ablate import config, design, identity; study = config.read_study('s.yml'); "
        "print(*[t.identity for t in identity.trials(study, design.plan(study), lambda c: 'data 300')])"
    )

    def read():
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True,
                              env={"PYTHONPATH": str(tmp_path)})  # fmt: skip
        return dict(zip(HERE, done.stdout.split(), strict=True))

    def edit(name, before, after):
        path = tmp_path / name
        source = path.read_text(encoding="utf-8")
        assert before in source
        path.write_text(source.replace(before, after, 1), encoding="utf-8")

    assert read() == HERE
    edit("blocks/attention/squeeze_excite.py", "Weigh the channels.", "Other words.")
    edit("blocks/attention/squeeze_excite.py", "        gate: Tensor", "        # why\n        gate: Tensor")
    edit("ablate/cost.py", "flops // 2", "flops // 3")
    assert read() == HERE
    edit("blocks/attention/squeeze_excite.py", ".relu()", ".relu().relu()")
    there = read()
    assert {key[0] for key in HERE if HERE[key] != there[key]} == {"attention=se(reduction=8)"}
    edit("ablate/train.py", "network.train()", "network.train(True)")
    assert {key for key in HERE if HERE[key] != read()[key]} == HERE.keys()


# A training function of the user's own


def train(network, data, recipe, seed):
    yield network, data, recipe, seed


def other_train(network, data, recipe, seed):
    yield network, data, recipe, seed + 1


def made(rate):
    def inner(network, data, recipe, seed):
        yield network, data, recipe, seed, rate

    return inner


class Trainer:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, network, data, recipe, seed):
        yield network, data, recipe, seed, self.rate

    def method(self, network, data, recipe, seed):
        yield network, self.rate


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, train),
        (train, other_train),
        (made(1), made(2)),
        (partial(train, recipe=1), partial(train, recipe=2)),
        (Trainer(1), Trainer(2)),
        (Trainer(1).method, Trainer(2).method),
        (eval("lambda *a: iter([1])"), eval("lambda *a: iter([2])")),
    ],
)
def test_another_training_function_or_another_value_bound_to_it_changes_every_trial(first, second):
    one, two = identities(training=first), identities(training=second)

    assert [key for key in one if one[key] == two[key]] == []
    assert one == identities(training=first)


def test_a_training_function_that_repeats_gives_the_same_identities():
    assert identities(training=made(1)) == identities(training=made(1))
    assert identities(training=Trainer(1)) == identities(training=Trainer(1))


def test_a_training_function_without_source_has_the_same_identity_in_every_process():
    program = """
exec(compile("def f(a):\\n    g = lambda x: [y for y in x]\\n    return g(a)", "<no file>", "exec"))
from ablate.identity import _source_of
print(_source_of(f))
"""
    answers = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }

    assert len(answers) == 1
    assert "0x" not in answers.pop()


def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            yield from (factor * score for score in function(*arguments))

        return wrapper

    return decorate


def with_config(network, data, recipe, seed, resume=None, *, config=None):
    yield config


def outer(value):
    def inner():
        return value

    def training(network, data, recipe, seed, resume=None):
        yield inner()

    return training


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            partial(with_config, config=SimpleNamespace(rate=0.1)),
            partial(with_config, config=SimpleNamespace(rate=0.5)),
        ),
        (outer(0.1), outer(0.7)),
        (scaled(1)(with_config), scaled(3)(with_config)),
    ],
    ids=["an object bound to it", "a closure of a function it calls", "a decorator around it"],
)
def test_what_a_training_function_reads_indirectly_tells_it_apart(first, second):
    assert identity._source_of(first) != identity._source_of(second)
    assert identity._source_of(first) == identity._source_of(first)


def test_a_global_that_a_training_function_reads_tells_it_apart(monkeypatch):
    before = identity._source_of(reads_a_global)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 0.7)

    assert identity._source_of(reads_a_global) != before


RATE = 0.1


def reads_a_global(network, data, recipe, seed, resume=None):
    yield RATE


def test_blocks_count_under_a_training_function_of_the_users_own_too(monkeypatch):
    hashed = []
    monkeypatch.setattr(identity.catalogue, "fingerprint", lambda paths: hashed.append({p.name for p in paths}) or "")

    identities(training=train)

    together = [names for names in hashed if len(names) > 1]  # each file is also hashed alone, to name what changes
    assert len(together) == 4
    assert all({"resnet.py", "seeding.py", "build.py"} <= names for names in together)
    assert not any("train.py" in names for names in hashed)
    assert sum("squeeze_excite.py" in names for names in together) == 1


def test_a_score_of_the_users_own_needs_no_entry_in_the_catalogue():
    text = TEXT + "metric: {psnr: {better: higher}}\n"

    assert len(identities(text, training=train, own_training=True)) == 8


def test_the_version_of_torch_is_known_without_importing_it():
    assert identity.torch_version().count(".") == 1


def test_a_class_of_the_same_file_is_part_of_a_training_function(tmp_path):
    text = "class Head:\n    scale = {}\n\ndef train(network, data, recipe, seed):\n    yield Head.scale\n"

    def identity_of(scale):
        path = tmp_path / f"mine{scale}.py"
        path.write_text(text.format(scale), "utf-8")
        spec = importlib.util.spec_from_file_location("mine", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["mine"] = module
        try:
            spec.loader.exec_module(module)
            return identities(training=module.train)
        finally:
            del sys.modules["mine"]

    assert identity_of(1) != identity_of(2)
    assert identity_of(1) == identity_of(1)


def test_a_set_that_a_training_function_reads_has_one_identity_in_every_process():
    program = (
        "from ablate import identity\n"
        "KINDS = {'flip', 'shift', 'crop', 'none'}\n"
        "exec(\"def train(network): return network in {'a', 'b', 'c', 'd'} or KINDS\")\n"
        "print(identity._source_of(train))\n"
    )

    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip

    assert len(said) == 1


def test_the_twin_of_a_setting_is_another_trial_and_leaves_the_others_what_they_were():
    with_twin = identities(TEXT + "calibration: [[reference, control]]\n")

    assert with_twin["control", 0] not in HERE.values()
    assert {key: with_twin[key] for key in HERE} == HERE


def test_a_race_is_run_on_held_out_images_and_its_trials_are_others():
    def known(choice, **part):
        return f"data {dict(choice.options)['train']} {part}"

    raced, fixed = (
        trials(TEXT.replace("seeds: 2", seeds), data=known) for seeds in ("seeds: {to: 3, until: best}", "seeds: 3")
    )

    assert all(trial.held_out for trial in raced)
    assert not {trial.identity for trial in raced} & {trial.identity for trial in fixed}
