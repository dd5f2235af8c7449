"""What every network in the catalogue keeps to, whatever fills its slots; a new one is tested with no new line."""

import re
from contextlib import suppress
from functools import partial

import pytest
import torch
from torch import nn

from ablate import cost
from ablate.seeding import initialise
from blocks.absence import Nothing
from blocks.catalogue import read

CATALOGUE = read()
NETWORKS = CATALOGUE.entries("network")
# Options that make a choice fit where its defaults do not, such as 32 groups for the 6 channels of LeNet.
FITTING = {
    "group": {"groups": 2}, "grouped": {"groups": 2}, "sk": {"groups": 2}, "se": {"reduction": 2}, "cbam": {"reduction": 2},
    "gc": {"reduction": 2}, "danet": {"reduction": 2}, "window": {"window": 2, "heads": 2}, "camixer": {"window": 2},
    "mhsa": {"heads": 2}, "safm": {"levels": 2}, "partial": {"share": 2}, "grouped-channel": {"heads": 2, "groups": 2},
    "grouped-spatial": {"groups": 2},
}  # fmt: skip
every_network = pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry.name)
# Of a tensor's name the part by which a slot's places go, followed by a number where a block has several.
PLACES = {
    "attention": "attention", "norm": "norm", "conv": "conv", "mix": "mix", "activation": "act|activation", "mlp": "mlp",
    "shortcut": "shortcut", "downsample": "conv|downsample", "pooling": "pool",
}  # fmt: skip


def fitting(entry, slot):
    """Return the choices that make sense in a network."""
    return [name for name in CATALOGUE.names(slot) if name not in entry.misfits.get(slot, {})]


every_place = pytest.mark.parametrize(
    ("entry", "slot"), [pytest.param(e, slot, id=f"{e.name}-{slot}") for e in NETWORKS for slot in e.slots]
)
every_filling = pytest.mark.parametrize(
    ("entry", "slot", "name"),
    [
        pytest.param(entry, slot, name, id=f"{entry.name}-{slot}-{name}")
        for entry in NETWORKS
        for slot in entry.slots
        for name in fitting(entry, slot)
    ],
)


def images(*, channels=3, batch=2, side=32):
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(1))


def fillings(slot, name):
    """Return what fills a slot: with its defaults, and with options that fit narrow layers and small maps."""
    choice = CATALOGUE.find(slot, name).load()
    return [choice, *([partial(choice, **FITTING[name])] if name in FITTING else [])]


def makers(entry, slot, name):
    """Return what builds networks with a slot filled; a convolution of one kernel only has the network's set to it."""
    kernel = {k: v for k, v in CATALOGUE.find(slot, name).facts.items() if k == "kernel"}
    return [partial(entry.load(), 3, 10, **kernel, **{slot: filling}) for filling in fillings(slot, name)]


def filled(entry, slot, name, x):
    """Return a network that takes the input, the slot filled with the first options that fit."""
    for make in makers(entry, slot, name):
        try:
            torch.manual_seed(0)
            network = make()
            network.eval()(x)
        except ValueError as error:
            refusal = error
        else:
            return network
    raise refusal


@every_network
def test_images_of_any_number_of_channels_become_logits_of_any_number_of_classes(entry):
    for channels, n_classes, batch in ((3, 10, 2), (1, 7, 1)):
        network = entry.load()(channels, n_classes).eval()

        assert network(images(channels=channels, batch=batch)).shape == (batch, n_classes)


@every_network
def test_the_default_is_small_enough_for_brief_training(entry):
    network = entry.load()(3, 10)

    assert cost.macs(network, (3, 32, 32)) < 100e6
    assert cost.parameters(network) < 3e6


@every_network
def test_the_layout_in_memory_changes_nothing(entry):
    torch.manual_seed(0)
    network, x = entry.load()(3, 10).eval(), images()
    expected = network(x)

    last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))

    torch.testing.assert_close(last, expected, rtol=1e-3, atol=1e-4)


@every_network
def test_a_saved_state_gives_the_same_logits_again(entry):
    network, other, x = entry.load()(3, 10), entry.load()(3, 10), images()
    network(x)  # moves running averages

    other.load_state_dict(network.state_dict())

    assert torch.equal(network.eval()(x), other.eval()(x))


@every_network
def test_samples_do_not_see_each_other_at_evaluation(entry):
    network, x = entry.load()(3, 10).eval(), images()
    changed = torch.stack([x[0], torch.full_like(x[1], 10.0)])

    torch.testing.assert_close(network(x)[0], network(changed)[0], rtol=1e-4, atol=1e-4)


@every_network
@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "elu"])
def test_an_activation_in_place_overwrites_nothing_that_is_still_needed(entry, activation):
    def answer(*, in_place):
        slots = {"activation": CATALOGUE.find("activation", activation).load(), "norm": Nothing}
        torch.manual_seed(0)
        network = (
            entry.load()(3, 10, **slots).double().eval()
        )  # no norm puts fresh tensors between, and nothing is dropped
        for module in network.modules():
            if hasattr(module, "inplace"):
                module.inplace = in_place
        x = images().double().requires_grad_()
        y = network(x)
        y.square().sum().backward()
        return y, x.grad

    torch.testing.assert_close(answer(in_place=True), answer(in_place=False))


@every_filling
def test_every_filling_trains_and_all_parameters_get_finite_gradients(entry, slot, name):
    x = images()
    network = filled(entry, slot, name, x).train()

    nn.functional.cross_entropy(network(x), torch.tensor([0, 1])).backward()

    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@every_place
def test_filling_a_slot_leaves_the_names_and_shapes_of_everything_else(entry, slot):
    with torch.device("meta"):
        before = shapes(entry.load()(3, 10))
        changes = {name: shapes(fitted(entry, slot, name)[1]) for name in fitting(entry, slot)}
    for name, after in changes.items():
        differing = {tensor for tensor in before.keys() | after.keys() if before.get(tensor) != after.get(tensor)}
        # All but patch merging hold the network's own convolution under the same name, and where it is between blocks its
        # kernel is its stride.
        is_held = slot == "downsample" and "patch-merging" not in (name, entry.slots[slot])
        place = "downsample" if is_held else PLACES[slot]

        assert [tensor for tensor in differing if not is_in(place, tensor)] == []
        assert not is_held or before.keys() == after.keys()
        assert slot in ("norm", "activation") or not any(t.startswith(("stem", "last", "head")) for t in differing)


@every_network
def test_a_kernel_is_that_of_the_blocks_alone(entry):
    if "kernel" not in entry.options:
        return
    with torch.device("meta"):
        before, after = (shapes(entry.load()(3, 10, kernel=kernel)) for kernel in (3, 5))
    differing = {tensor for tensor in before if before[tensor] != after[tensor]}

    assert before.keys() == after.keys()
    assert differing
    assert [tensor for tensor in differing if not is_in(PLACES["conv"], tensor)] == []
    assert not any(tensor.startswith(("stem", "last")) for tensor in differing)


every_network_of_stages = pytest.mark.parametrize(
    ("entry", "option"),
    [
        pytest.param(entry, name, id=entry.name)
        for entry in NETWORKS
        for name in ("width", "widths")
        if name in entry.options and entry.options[name].is_list
    ],
)


@every_network_of_stages
def test_a_network_with_the_widths_that_it_has_is_the_same_network(entry, option):
    torch.manual_seed(0)
    network = entry.load()(3, 10)
    torch.manual_seed(0)
    same = entry.load()(3, 10, **{option: network.widths})

    assert same.widths == network.widths
    assert shapes(same) == shapes(network)
    assert all(torch.equal(tensor, same.state_dict()[name]) for name, tensor in network.state_dict().items())


@every_network_of_stages
def test_one_stage_can_be_made_wider_and_every_tensor_keeps_its_name(entry, option):
    network = entry.load()(3, 10)
    widths = (*network.widths[:-1], 2 * network.widths[-1])
    wider = entry.load()(3, 10, **{option: widths}).eval()

    assert wider.widths == widths
    assert wider.state_dict().keys() == network.state_dict().keys()
    assert cost.parameters(wider) > cost.parameters(network)
    assert {n: s for n, s in shapes(wider).items() if n.startswith("stem")} == {
        n: s for n, s in shapes(network).items() if n.startswith("stem")
    }
    assert wider(images()).shape == (2, 10)


@every_network_of_stages
def test_widths_are_one_number_for_each_stage_and_at_least_one(entry, option):
    with torch.device("meta"):
        widths = entry.load()(3, 10).widths
    for wrong in (widths[1:], (*widths, 2 * widths[-1]), ()):
        message = rf": {option}={re.escape(str(list(wrong)))} has {len(wrong)} numbers; {len(widths)} would fit"
        with pytest.raises(ValueError, match=message):
            entry.load()(3, 10, **{option: wrong})
    with pytest.raises(ValueError, match=f"{option}=0 is too small; "):
        entry.load()(3, 10, **{option: (0, *widths[1:])})


@pytest.mark.slow
@every_filling
def test_filling_a_slot_changes_no_tensor_that_both_networks_have(entry, slot, name):
    make, _ = fitted(entry, slot, name)
    reference = partial(entry.load(), 3, 10)
    start = initialise([reference], 0).state_dict()
    changed = initialise([reference, make], 0).state_dict()
    shared = [key for key in start if key in changed and start[key].shape == changed[key].shape]

    assert [
        key for key in shared if not torch.equal(start[key], changed[key]) and is_drawn(start[key], changed[key])
    ] == []
    assert {key for key in start if key.startswith("head.")} <= set(shared)


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def is_in(place, tensor):
    return any(re.fullmatch(rf"({place})\d?", part) for part in tensor.split("."))


def is_drawn(*tensors):
    """Tell whether all tensors are drawn: what its author starts at zero or one stays there."""
    return all(tensor.numel() == 1 or tensor.ne(tensor.flatten()[0]).any() for tensor in tensors)


def fitted(entry, slot, name):
    """Return what builds a network with a slot filled, by options that fit narrow layers where they are needed, and it."""
    for make in reversed(makers(entry, slot, name)):
        with suppress(ValueError):
            return make, make()
    raise AssertionError(f"{name} fits no {slot} of {entry.name}")


MISFITS = [(entry, slot, name) for entry in NETWORKS for slot, names in entry.misfits.items() for name in names]


@pytest.mark.parametrize(("entry", "slot", "name"), MISFITS, ids=lambda value: getattr(value, "name", value))
def test_a_misfit_cannot_be_run_or_takes_away_what_every_other_choice_keeps(entry, slot, name):
    x = images()
    try:
        misfit = filled(entry, slot, name, x)
    except ValueError:
        return
    others = [other for other in CATALOGUE.names(slot) if other not in entry.misfits[slot]]
    kept = set.intersection(*(set(filled(entry, slot, other, x).state_dict()) for other in others))

    assert kept - set(misfit.state_dict())


@every_network
def test_what_a_network_says_of_its_slots_is_in_the_catalogue(entry):
    for slot, choices in entry.misfits.items():
        assert slot in entry.slots
        assert set(choices) <= set(CATALOGUE.names(slot))
        assert entry.slots[slot] not in choices
