"""What fills a slot stands in all its places: nothing that the network has by default is left in any of them."""

import pytest
import torch

from blocks.catalogue import read

CATALOGUE = read()
# Networks of every kind of block; what they hold by default is of classes that no other layer of theirs has.
NETWORKS = [
    ("convnext", {}),
    ("danet", {"depth": 8}),
    ("danet", {"depth": 14, "family": "imagenet", "width": 8}),
    ("lenet", {}),
    ("mobilenet-v2", {}),
    ("resnet", {"depth": 8}),
    ("resnet", {"depth": 14, "family": "imagenet", "width": 8}),
    ("resnext", {}),
    ("shufflenet-v1", {}),
    ("shufflenet-v2", {}),
    ("sknet", {}),
    ("sknet", {"depth": 10, "family": "imagenet", "width": 8}),
    ("swin", {}),
    ("vit", {}),
]
OTHER = {
    "norm": "rms",
    "activation": "tanh",
    "attention": "eca",
    "mlp": "gdfn",
    "pooling": "max",
    "shortcut": "average-pool",
    "downsample": "blur-pool",
    "mix": "pointwise",
}
CASES = [
    pytest.param(name, options, slot, id=f"{name}-{i}-{slot}")
    for i, (name, options) in enumerate(NETWORKS)
    for slot, default in CATALOGUE.find("network", name).slots.items()
    if slot in OTHER and default != "none"
]


def places(network, made):
    return [name for name, module in network.named_modules() if type(module) is made]


@pytest.mark.parametrize(("name", "options", "slot"), CASES)
def test_another_choice_stands_wherever_the_default_stood(name, options, slot):
    entry = CATALOGUE.find("network", name)
    default, choice = (CATALOGUE.find(slot, chosen).load() for chosen in (entry.slots[slot], OTHER[slot]))
    with torch.device("meta"):
        before = entry.load()(3, 10, **options)
        after = entry.load()(3, 10, **options, **{slot: choice})

    assert places(before, default)
    assert places(after, default) == []
    assert len(places(after, choice)) == len(places(before, default))
