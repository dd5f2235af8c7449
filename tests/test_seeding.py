"""One seed gives every network the reference's starting tensors, and changes nobody's distribution."""

import random
from functools import partial
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from ablate import seeding
from ablate.seeding import initialise
from blocks import catalogue

CATALOGUE = catalogue.read()
RESNET = CATALOGUE.find("network", "resnet")
CHOICES = [(slot, name) for slot in RESNET.slots for name in CATALOGUE.names(slot)]


def resnet(*, kernel=3, **fillings):
    """Return what builds a small network with these choices by slot."""
    blocks = {slot: CATALOGUE.find(slot, name).load() for slot, name in fillings.items()}
    return partial(RESNET.load(), 1, 3, depth=6, width=32, stages=2, kernel=kernel, **blocks)


def vit(*, mlp):
    """Return what builds a network that has the slot which residual networks lack."""
    return partial(
        CATALOGUE.find("network", "vit").load(), 1, 3, width=32, depth=1, mlp=CATALOGUE.find("mlp", mlp).load()
    )


def kernel_of(*names):
    """Return the kernel of convolutions one of which may take no other."""
    return min(CATALOGUE.find("conv", name).facts.get("kernel", 3) for name in names)


def tensors(network):
    return dict(network.named_parameters()) | dict(network.named_buffers())


def assert_equal(first, second):
    assert list(first) == list(second)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def fit_together(*names):
    """Tell whether one network can have either choice: a convolution of kernel 1 only and one that needs 3 do not."""
    kernel = kernel_of(*names)
    try:
        with torch.device("meta"):
            for name in names:
                resnet(kernel=kernel, conv=name)()
    except ValueError:
        return False
    return True


SWAPS = [
    (slot, *pair)
    for slot in RESNET.slots
    for pair in permutations(CATALOGUE.names(slot), 2)
    if slot != "conv" or fit_together(*pair)
] + [("mlp", *pair) for pair in permutations(CATALOGUE.names("mlp"), 2)]


def is_drawn(tensor):
    """Tell whether a tensor has more than one value: what its author starts at zero or one stays there."""
    return bool(tensor.ne(tensor.flatten()[0]).any())


@pytest.mark.parametrize(("slot", "reference", "other"), SWAPS)
def test_swapping_a_slot_changes_no_other_tensor(slot, reference, other):
    kernel = kernel_of(reference, other) if slot == "conv" else 3
    names = (reference, other)
    chain = [vit(mlp=name) if slot == "mlp" else resnet(kernel=kernel, **{slot: name}) for name in names]
    start, swapped = tensors(initialise(chain[:1], 3)), tensors(initialise(chain, 3))
    shared = [name for name in start if name in swapped and start[name].shape == swapped[name].shape]

    assert {"head.weight", "head.bias"} <= set(shared)
    assert any(name.startswith("stem.") for name in shared)
    differing = [name for name in shared if not torch.equal(start[name], swapped[name])]
    assert [name for name in differing if is_drawn(start[name]) and is_drawn(swapped[name])] == []


@pytest.mark.parametrize(("slot", "name"), CHOICES)
def test_the_global_random_state_has_no_part_in_a_network_and_is_left_alone(slot, name):
    kernel = kernel_of(name) if slot == "conv" else 3
    chain = [resnet(kernel=kernel), resnet(kernel=kernel, **{slot: name})]
    torch.manual_seed(1)
    first = tensors(initialise(chain, 0))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = tensors(initialise(chain, 0))

    assert_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize(("slot", "name"), CHOICES)
def test_every_tensor_has_its_authors_distribution_over_fifty_seeds(slot, name):
    kernel = kernel_of(name) if slot == "conv" else 3
    build = resnet(kernel=kernel, **{slot: name})
    chain = [resnet(kernel=kernel), build]
    ours, authors = [], []
    for seed in range(50):
        ours.append(tensors(initialise(chain, seed)))
        torch.manual_seed(1000 + seed)
        authors.append(tensors(build()))

    for key in authors[0]:
        mine = torch.stack([draw[key].detach().double() for draw in ours])
        theirs = torch.stack([draw[key].detach().double() for draw in authors])
        if theirs.std(0).max() == 0:
            assert torch.equal(mine, theirs), f"{key} is not drawn and must stay as it is built"
            continue
        # Each mean has a standard error of std / √n, and each standard deviation one of at most std / √n for the flat
        # and bell-shaped draws that initialisation uses: five of them for a difference of two, over 600 tensors.
        error = theirs.std() * (2 / mine.numel()) ** 0.5
        assert abs(mine.mean() - theirs.mean()) < 5 * error, key
        assert abs(mine.std() - theirs.std()) < 5 * error, key
        assert mine.std(0).min() > 0, f"{key} is the same for all seeds somewhere"


def test_seeds_differ_and_a_seed_repeats():
    first, again, other = (tensors(initialise([resnet()], seed)) for seed in (0, 0, 1))

    assert_equal(first, again)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_tensors_travel_along_a_chain_from_the_setting_compared_with():
    start = tensors(initialise([resnet()], 0))
    middle = tensors(initialise([resnet(), resnet(attention="se")], 0))
    last = tensors(initialise([resnet(), resnet(attention="se"), resnet(attention="se", conv="depthwise")], 0))

    assert torch.equal(last["stages.0.0.attention.squeeze.weight"], middle["stages.0.0.attention.squeeze.weight"])
    assert torch.equal(last["head.weight"], start["head.weight"])
    assert last["stages.0.0.conv1.weight"].shape != start["stages.0.0.conv1.weight"].shape


class Tied(nn.Module):
    """Two layers that are one."""

    def __init__(self, *, extra=False):
        super().__init__()
        self.extra = nn.Linear(4, 4) if extra else nn.Identity()
        self.encode = nn.Linear(4, 4, bias=False)
        self.decode = nn.Linear(4, 4, bias=False)
        self.decode.weight = self.encode.weight


def test_tied_weights_stay_tied_and_shared():
    start = initialise([Tied], 0)
    network = initialise([Tied, partial(Tied, extra=True)], 0)

    assert network.decode.weight is network.encode.weight
    assert torch.equal(network.encode.weight, start.encode.weight)


class Pretrained(nn.Module):
    """A body whose weights are loaded, and a head that is drawn."""

    def __init__(self, body):
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.body.load_state_dict({"weight": torch.full((4, 4), body), "bias": torch.arange(4.0)})
        self.head = nn.Linear(4, 2)


def test_pretrained_weights_survive_each_in_its_own_network():
    start = initialise([partial(Pretrained, 1.0)], 0)
    other = initialise([partial(Pretrained, 1.0), partial(Pretrained, 2.0)], 0)
    drawn = initialise([lambda: nn.ModuleDict({"body": nn.Linear(4, 4)}), partial(Pretrained, 2.0)], 0)

    assert torch.equal(other.body.weight, torch.full((4, 4), 2.0))
    assert torch.equal(other.body.bias, torch.arange(4.0))
    assert torch.equal(other.head.weight, start.head.weight)
    assert torch.equal(drawn.body.weight, torch.full((4, 4), 2.0))


class ZeroGamma(nn.Module):
    """A branch that begins as nothing."""

    def __init__(self, *, zero):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        if zero:
            nn.init.zeros_(self.norm.weight)


def test_a_branch_that_starts_at_zero_starts_at_zero_and_one_at_one_starts_at_one():
    zero, one = partial(ZeroGamma, zero=True), partial(ZeroGamma, zero=False)

    assert not initialise([one, zero], 0).norm.weight.any()
    assert (initialise([zero, one], 0).norm.weight == 1).all()
    assert torch.equal(initialise([zero, one], 0).conv.weight, initialise([zero], 0).conv.weight)


class DrawsElsewhere(nn.Module):
    """Weights from NumPy and a choice from Python, as in many a published network."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(np.random.normal(size=(3, 3))))  # noqa: NPY002
        self.order = random.sample(range(100), 5)
        attention = nn.MultiheadAttention(4, 2)
        self.attention = nn.utils.parametrizations.weight_norm(attention, "in_proj_weight")


def test_draws_from_numpy_and_python_and_unusual_parameters_follow_the_seed():
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    first = initialise([DrawsElsewhere], 0)
    numpys, pythons = np.random.random(), random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)

    assert (numpys, pythons) == (np.random.random(), random.random())  # noqa: NPY002
    second = initialise([DrawsElsewhere], 0)
    assert_equal(tensors(first), tensors(second))
    assert first.order == second.order
    assert not torch.equal(first.weight, initialise([DrawsElsewhere], 1).weight)


def test_the_global_state_is_left_alone_also_when_a_network_cannot_be_built():
    random.seed(1)
    before = random.getstate()

    with pytest.raises(ValueError, match="depth=5"):
        initialise([partial(RESNET.load(), 1, 3, depth=5)], 0)

    assert random.getstate() == before


def test_purposes_and_seeds_have_streams_of_their_own():
    streams = [(seed, *words) for seed in range(20) for words in ((), ("order",), ("order", 1), ("augmentation", 1))]

    assert len({seeding.derive(*stream) for stream in streams}) == len(streams)
    assert all(0 <= seeding.derive(*stream) < 2**63 for stream in streams)
    assert seeding.derive(0, "order", 1) == 1332101017241992705  # a record of runs outlives a version of Python
    draws = [torch.rand(3, generator=seeding.generator(*stream)) for stream in streams[:2]]
    assert not torch.equal(*draws)


def test_a_twin_starts_from_weights_of_its_own_and_the_same_ones_every_time():
    build = resnet()
    plain, twin, again = (tensors(initialise([build], 3, salt=salt)) for salt in ("", "control", "control"))

    assert any(not torch.equal(tensor, twin[name]) for name, tensor in plain.items())
    assert all(torch.equal(twin[name], again[name]) for name in twin)
