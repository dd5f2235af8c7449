"""From a setting to its network, and settings that compute the same."""

import copy
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
import torch
from torch import nn

from ablate import build, config, design, worker
from ablate.job import Job
from blocks import catalogue
from blocks.attention import SqueezeExcite

CATALOGUE = catalogue.read()
NETWORK = CATALOGUE.find("network", "resnet")


def job(slots, *, network="{resnet: {depth: 4, width: 8, stages: 1}}", rule="one-at-a-time", data="digits"):
    text = f"network: {network}\ndata: {{{data}: {{train: 100}}}}\nslots: {slots}\ndesign: {rule}\n"
    study = config.parse_study(text, path=Path("s.yml"))
    return Job(study, design.plan(study))


def problems(slots, **options):
    return worker.inspect(job(slots, **options)).problems


def test_a_setting_becomes_the_network_that_it_names():
    made = job("{attention: [none, {se: {reduction: 4}}], kernel: [3, 5], norm: [batch, layer]}", rule="factorial")
    setting = made.plan.settings[-1]

    network = build.network(made.study, setting, in_channels=1, n_classes=7)

    assert setting.label == "attention=se(reduction=4), kernel=5, norm=layer"
    (attention,) = (module for module in network.modules() if isinstance(module, SqueezeExcite))
    assert attention.squeeze.out_features == 2
    assert network.stages[0][0].conv1.kernel_size == (5, 5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 7)


def test_a_network_argument_that_is_a_slot_comes_from_the_setting():
    made = job("{depth: [4, 6], width: [8, 16]}", network="{resnet: {stages: 1}}")
    networks = {
        s.label: build.network(made.study, s, in_channels=1, n_classes=7) for s in made.plan.settings
    }  # fmt: skip

    assert {label: (len(n.stages[0]), n.head.in_features) for label, n in networks.items()} == {
        "reference": (1, 8), "depth=6": (2, 8), "width=16": (1, 16),
    }  # fmt: skip


def test_slots_of_the_training_and_the_data_do_not_change_the_network():
    made = job("{recipe.epochs: [1, 2], data.split: [0, 1]}")

    shapes = [
        [tuple(p.shape) for p in build.network(made.study, s, in_channels=1, n_classes=7).parameters()]
        for s in made.plan.settings
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_a_setting_starts_from_the_networks_it_is_compared_with():
    made = job("{conv: [dense, depthwise], mix: {choices: [none, pointwise], when: {conv: depthwise}}}")
    chain = build.starts(made.study, made.plan, made.plan.settings[-1], in_channels=1, n_classes=7)

    kinds = [(type(n.stages[0][0].conv1).__name__, type(n.stages[0][0].mix1).__name__) for n in (b() for b in chain)]
    assert kinds == [
        ("DenseConvolution", "Nothing"), ("DepthwiseConvolution", "Nothing"),
        ("DepthwiseConvolution", "PointwiseConvolution"),
    ]  # fmt: skip


# An ablation that changes nothing


@pytest.mark.parametrize(
    ("slots", "first", "second"),
    [
        ("{conv: [dense, {grouped: {groups: 1}}]}", "dense", "grouped(groups=1)"),
        ("{mix: [none, {shuffle: {groups: 8}}]}", "none", "shuffle(groups=8)"),
        ("{mix: [none, {shuffle: {groups: 1}}]}", "none", "shuffle(groups=1)"),
        ("{norm: [layer-chw, {group: {groups: 1}}]}", "layer-chw", "group(groups=1)"),
        ("{norm: [{instance: {affine: true}}, {group: {groups: 8}}]}", "instance(affine=true)", "group(groups=8)"),
        ("{conv: [{grouped: {groups: 8}}, depthwise]}", "grouped(groups=8)", "depthwise"),
        ("{attention: [none, {eca: {kernel: 3}}, eca]}", "eca(kernel=3)", "eca"),
        ("{conv: [{grouped: {groups: 1}}, {grouped: {groups: 2}}, dense]}", "grouped(groups=1)", "dense"),
    ],
)
def test_two_settings_that_compute_the_same_network_are_refused(slots, first, second):
    assert problems(slots) == (
        (
            f"settings {first!r} and {second!r} compute the same network, if need be with their channels in another "
            "order: an ablation that changes nothing; leave one of them out"
        ),
    )


@pytest.mark.parametrize(
    ("network", "slots"),
    [
        ("{resnet: {depth: 4, width: 8, stages: 1, kernel: 1}}", "{conv: [dense, linear]}"),
        ("{vit: {width: 8, depth: 1}}", "{mlp: [mlp, {mlp: {pointwise: conv}}], attention: [none]}"),
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{shortcut: [projection, identity]}"),
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{position: [standard, pre]}"),
        ("{resnet: {depth: 4, width: 32, stages: 1}}", "{norm: [group, {group: {per_group: 1}}]}"),
    ],
)
def test_what_makes_no_difference_in_this_network_is_found(network, slots):
    (found,) = problems(slots, network=network)

    assert "compute the same network, if need be with their channels in another order: an ablation" in found


def test_a_pair_that_is_the_same_is_found_under_other_choices_too():
    found = problems("{conv: [dense, {grouped: {groups: 1}}], attention: [none, eca]}", rule="factorial")

    assert len(found) == 2


def honest(slot):
    """Return pairs of choices of a slot, each with options that fit maps of eight and four pixels; 3×3 convolutions."""
    fitting = {"window": "{window: {window: 4}}", "safm": "{safm: {levels: 2}}", "camixer": "{camixer: {window: 4}}"}
    names = [name for name in CATALOGUE.names(slot) if CATALOGUE.find(slot, name).facts.get("kernel", 3) == 3]
    return list(combinations([fitting.get(name, name) for name in names], 2))


@pytest.mark.parametrize(
    ("slot", "first", "second"), [(slot, *pair) for slot in NETWORK.slots for pair in honest(slot)]
)
def test_two_choices_of_the_catalogue_are_two_networks(slot, first, second):
    network = "{resnet: {depth: 6, width: 32, stages: 2}}"
    around = "conv: [grouped], " if slot == "mix" else ""  # a shuffle between dense convolutions only renames channels

    assert problems(f"{{{around}{slot}: [{first}, {second}]}}", network=network) == ()


@pytest.mark.parametrize(
    "slots",
    [
        "{attention: [{cbam: {reduction: 4, order: [channel-first, spatial-first]}}]}",
        "{attention: [{cbam: {reduction: 4, pool: [both, avg, max]}}]}",
        "{attention: [{eca: {kernel: [3, 5]}}]}",
        "{norm: [{group: {groups: [2, 4]}}]}",
        "{conv: [grouped], mix: [none, {shuffle: {groups: [2, 4]}}]}",
        "{kernel: [3, 5]}",
        "{recipe.label_smoothing: [0.0, 0.1], recipe.augment: [none, flip]}",
        "{data.split: [0, 1]}",
    ],
)
def test_choices_with_equal_tensors_that_compute_something_else_are_no_pair(slots):
    assert problems(slots) == ()


class Branch(nn.Module):
    """A branch that starts at nothing, of one of two kinds."""

    def __init__(self, *, sigmoid):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(3))
        self.head = nn.Linear(3, 2)
        self.sigmoid = sigmoid

    def forward(self, x):
        x = x.mean((2, 3))
        return self.head(x + self.gain * (x.sigmoid() if self.sigmoid else x.relu()))


def builders(networks):
    return {label: partial(copy.deepcopy, network) for label, network in networks.items()}


def test_a_branch_that_starts_at_nothing_cannot_hide_what_it_does():
    networks = {"sigmoid": Branch(sigmoid=True), "relu": Branch(sigmoid=False), "again": Branch(sigmoid=False)}
    x = torch.randn(2, 3, 4, 4)
    for network in networks.values():
        network.load_state_dict(networks["relu"].state_dict())

    assert torch.equal(networks["sigmoid"](x), networks["relu"](x)), "as they are built, they cannot be told apart"
    assert build.inert_pairs(builders(networks), (3, 4, 4)) == [("relu", "again")]


# A permutation of channels


@pytest.mark.parametrize(
    ("network", "slots"),
    [
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{mix: [none, shuffle]}"),
        ("{resnet: {depth: 6, width: 8, stages: 2}}", "{mix: [none, {shuffle: {groups: 4}}]}"),
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{mix: [{shuffle: {groups: 2}}, {shuffle: {groups: 4}}]}"),
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{norm: [layer], activation: [prelu], mix: [none, shuffle]}"),
        ("{resnet: {depth: 6, width: 8, stages: 1}}", "{conv: [depthwise], shortcut: [none], mix: [none, shuffle]}"),
        ("{resnext: {depth: 5, stages: 1}}", "{mix: [none, shuffle]}"),
        ("{mobilenet-v2: {depths: [1, 2]}}", "{mix: [none, shuffle]}"),
        ("{shufflenet-v2: {depths: [1, 1]}}", "{mix: [none, shuffle]}"),
    ],
)
def test_a_shuffle_that_only_renames_channels_changes_nothing(network, slots):
    (found,) = problems(slots, network=network)

    assert "compute the same network" in found


@pytest.mark.parametrize(
    ("network", "slots"),
    [
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{conv: [grouped], mix: [none, shuffle]}"),
        ("{resnet: {depth: 4, width: 8, stages: 1}}", "{conv: [depthwise], mix: [none, shuffle]}"),
        ("{resnet: {depth: 6, width: 8, stages: 1}}", "{conv: [grouped], shortcut: [none], mix: [none, shuffle]}"),
        ("{shufflenet-v1: {depths: [2, 2]}}", "{mix: [none, shuffle]}"),
        ("{shufflenet-v2: {depths: [2, 1]}}", "{mix: [none, shuffle]}"),
    ],
)
def test_a_shuffle_that_something_around_it_can_tell_is_no_renaming(network, slots):
    assert problems(slots, network=network) == ()


class Add(nn.Module):
    """Add to what a sequence makes its input."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = nn.Sequential(*steps)

    def forward(self, x):
        return x + self.steps(x)


class Reorder(nn.Module):
    """Give channels another order."""

    def __init__(self, *order):
        super().__init__()
        self.order = list(order)

    def forward(self, x):
        return x[:, self.order]


class Fixed(nn.Module):
    """Scale each channel by a number that nothing trains."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.arange(8.0).view(-1, 1, 1))

    def forward(self, x):
        return x * self.scale


class Sort(nn.Module):
    """Order channels by their mean: another order for another image."""

    def forward(self, x):
        return x[:, x.mean((0, 2, 3)).argsort()]


def conv(groups=1):
    return nn.Conv2d(8, 8, 3, padding=1, groups=groups)


SHUFFLE = 0, 4, 1, 5, 2, 6, 3, 7
GROUPS = 2, 3, 0, 1, 4, 5, 7, 6  # keeps pairs together
CYCLE = 1, 2, 3, 4, 5, 6, 7, 0
INSIDE = 1, 0, 2, 3, 4, 5, 7, 6  # keeps pairs in their places


@pytest.mark.parametrize(
    ("before", "order", "after"),
    [
        (lambda: [conv(4)], SHUFFLE, lambda: [conv()]),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.BatchNorm2d(8), nn.GELU(), conv(8), nn.MaxPool2d(2), conv()]),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.ReLU(True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)]),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.Softmax(1), Reorder(*GROUPS), conv()]),
        (lambda: [conv(), conv(8)], SHUFFLE, lambda: [conv(4)]),
        (lambda: [conv(), conv(8)], SHUFFLE, lambda: [nn.PReLU(8), conv(8), Reorder(*GROUPS), Add(conv())]),
        (lambda: [conv(), nn.BatchNorm2d(8), nn.PReLU(8)], SHUFFLE, lambda: [conv(4)]),
        (lambda: [conv(), Reorder(*CYCLE), conv(8)], SHUFFLE, lambda: [conv(4)]),
        (lambda: [conv(4)], SHUFFLE, lambda: [conv(8), Reorder(*CYCLE), conv()]),
        (lambda: [conv(4)], GROUPS, lambda: [conv(4), conv()]),
        (lambda: [conv(), conv(4)], GROUPS, lambda: [Add(conv(4))]),
        (lambda: [conv(4)], INSIDE, lambda: [Add(conv(4))]),
    ],
)
def test_a_permutation_beside_what_takes_up_its_names_changes_nothing(before, order, after):
    networks = {mix: nn.Sequential(*before(), mix, *after()) for mix in (nn.Identity(), Reorder(*order))}

    assert build.inert_pairs(builders(networks), (8, 6, 6)) == [tuple(networks)]


@pytest.mark.parametrize(
    ("before", "order", "after"),
    [
        (lambda: [conv(4)], SHUFFLE, lambda: [conv(4)]),
        (lambda: [conv(4)], SHUFFLE, lambda: [conv(8), conv(4)]),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.GroupNorm(4, 8), conv()]),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.LocalResponseNorm(3), conv()]),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.Flatten(2), nn.Linear(36, 5)]),
        (lambda: [conv(4)], SHUFFLE, lambda: [Add(conv())]),
        (lambda: [conv(4)], SHUFFLE, lambda: [Fixed(), conv()]),
        (lambda: [conv(), nn.GroupNorm(4, 8)], SHUFFLE, lambda: [conv(4)]),
        (lambda: [conv(4)], GROUPS, list),
        (lambda: [conv(4)], SHUFFLE, lambda: [nn.PixelShuffle(2), nn.Conv2d(2, 3, 1)]),
        (lambda: [conv(4)], INSIDE[::-1], lambda: [Add(conv(4))]),
    ],
)
def test_a_permutation_whose_names_something_knows_changes_the_network(before, order, after):
    networks = {mix: nn.Sequential(*before(), mix, *after()) for mix in (nn.Identity(), Reorder(*order))}

    assert build.inert_pairs(builders(networks), (8, 6, 6)) == []


def test_a_permutation_in_a_branch_is_told_by_the_sum_unless_a_dense_convolution_makes_the_branch():
    def found(*steps):
        networks = {mix: Add(*steps, mix) for mix in (nn.Identity(), Reorder(*SHUFFLE))}
        return len(build.inert_pairs(builders(networks), (8, 6, 6)))

    assert (found(conv()), found(conv(), conv(8)), found(conv(), nn.ReLU(True)), found(conv(4))) == (1, 1, 1, 0)


def test_permutations_that_cannot_be_undone_are_compared_as_they_are():
    reorder, written_otherwise = Reorder(*SHUFFLE), Reorder(*SHUFFLE)
    written_otherwise.inner = nn.Identity()  # no leaf: nothing that is followed
    there_and_back = nn.Sequential(Reorder(*CYCLE), Reorder(*CYCLE[-2:], *CYCLE[:-2]))

    def found(first, second, *after):
        networks = {mix: nn.Sequential(conv(4), mix, *after) for mix in (first, second)}
        return len(build.inert_pairs(builders(networks), (8, 6, 6)))

    assert (found(reorder, written_otherwise, conv(4)), found(reorder, written_otherwise, conv())) == (1, 1)
    assert (found(nn.Identity(), there_and_back, conv(4)), found(reorder, there_and_back, conv(4))) == (1, 0)


def test_a_parameter_that_is_given_to_a_module_does_not_hinder():
    class Place(nn.Module):
        def __init__(self):
            super().__init__()
            self.place, self.drop = nn.Parameter(torch.zeros(8, 6, 6)), nn.Dropout(0.5)

        def forward(self, x):
            return x + self.drop(self.place)

    networks = {mix: nn.Sequential(conv(), mix, Place(), conv()) for mix in (nn.Identity(), Reorder(*SHUFFLE))}

    assert build.inert_pairs(builders(networks), (8, 6, 6)) == [tuple(networks)]


def test_an_order_that_depends_on_the_image_is_no_permutation():
    networks = {mix: nn.Sequential(conv(), mix, conv()) for mix in (nn.Identity(), Sort())}

    assert build.inert_pairs(builders(networks), (8, 6, 6)) == []


def test_a_convolution_that_is_used_twice_cannot_take_up_the_names_of_one_use():
    shared = conv()
    networks = {mix: nn.Sequential(conv(4), shared, mix, shared) for mix in (nn.Identity(), Reorder(*SHUFFLE))}

    assert build.inert_pairs(builders(networks), (8, 6, 6)) == []


def test_looking_for_pairs_leaves_the_global_random_state_alone():
    networks = {"a": Branch(sigmoid=True), "b": Branch(sigmoid=False)}
    before = torch.get_rng_state()

    build.inert_pairs(builders(networks), (3, 4, 4))

    assert torch.equal(torch.get_rng_state(), before)


def test_every_setting_that_cannot_be_built_is_named_with_the_blocks_own_words():
    found = problems(
        "{norm: [batch, {group: {groups: [3, 5]}}], kernel: [3, 4], attention: [none, {se: {reduction: 99}}]}"
    )

    assert found == (
        (
            "setting 'norm=group(groups=3)' cannot be built: group: groups=3 does not divide 8 channels; "
            "1, 2, 4, 8 would fit"
        ),
        (
            "setting 'norm=group(groups=5)' cannot be built: group: groups=5 does not divide 8 channels; "
            "1, 2, 4, 8 would fit"
        ),
        "setting 'kernel=4' cannot be built: dense: kernel=4 has no middle pixel; 3 or 5 would fit",
        (
            "setting 'attention=se(reduction=99)' cannot be built: se: reduction=99 leaves no unit for 8 channels; "
            "1 to 8 would fit"
        ),
    )
