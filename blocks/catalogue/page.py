"""The catalogue as a page of Markdown."""

from collections.abc import Iterator

from blocks.catalogue.reader import Catalogue, Entry

# What a slot is, so that a network that lacks it is seen to lack the place.
SLOTS = {
    "network": "What is trained. Its slots are in the table above; its options can be varied like slots.",
    "attention": "Weighs or mixes features by what it finds in them. Convolutional networks have none by default and "
    "gain a block by it; in ViT and Swin it is what mixes the pixels. DANet is defined by its own.",
    "norm": "Follows every convolution, or comes before every branch. Every network has the place; LeNet leaves it empty.",
    "conv": "The k×k convolutions of the blocks, never those of stem, shortcut or attention. ViT and Swin have no k×k "
    "convolutions in their blocks; LeNet, ResNeXt and SKNet are defined by theirs, and DANet takes its ResNet as it is.",
    "mix": "Exchanges information between the groups of a grouped or depthwise convolution, right behind it. Networks "
    "whose k×k convolutions are followed by a dense layer over all channels, or are not grouped at all, need none. A shuffle "
    "only renames channels if no grouped convolution follows, or a dense one comes right before it.",
    "activation": "The non-linearity of the blocks. Every network has one; in transformers it stands in the mlp.",
    "shortcut": "What is added to a residual branch where the shape changes, and where it is kept. LeNet has no "
    "residual branches; the blocks of ConvNeXt, ViT and Swin always keep the shape, so that only the input itself fits; "
    "those of the ShuffleNets join channels where others add; DANet takes its ResNet as it is.",
    "downsample": "Halves the map at the start of a stage. ViT has one size throughout; the units of the ShuffleNets halve "
    "the map in two branches, which is their design; DANet takes its ResNet as it is.",
    "mlp": "Mixes the channels of each pixel, with or without its neighbours. Only networks whose blocks have such a "
    "branch of its own have the place.",
    "pooling": "Makes one vector of the last map, before the classifier. LeNet has layers for that, and DANet "
    "classifies pixels and averages their logits.",
}


def page(known: Catalogue) -> str:
    """Return the whole catalogue as Markdown: what fills each slot, and which slots each network has."""
    return "\n".join([*_networks(known), *(line for slot in SLOTS for line in _slot(known, slot))]).rstrip() + "\n"


def _networks(known: Catalogue) -> Iterator[str]:
    networks = known.entries("network")
    slots = [slot for slot in SLOTS if slot != "network"]
    yield "# Catalogue"
    yield ""
    yield "Made by `ablate blocks --markdown` from the source of the blocks."
    yield ""
    yield "## Slots of the networks"
    yield ""
    yield "What fills each slot unless a study says otherwise; – where a network has no such place. Choices that make no"
    yield "sense although the place exists are listed below the table, and refused in a study."
    yield ""
    yield f"| network | {' | '.join(slots)} |"
    yield f"|---|{'---|' * len(slots)}"
    for entry in networks:
        yield f"| `{entry.name}` | {' | '.join(entry.slots.get(slot, '–') for slot in slots)} |"
    yield ""
    for entry in networks:
        for slot, choices in entry.misfits.items():
            for choice, why in choices.items():
                yield f"- `{choice}` as {slot} of `{entry.name}`: {why}."
    yield ""


def _slot(known: Catalogue, slot: str) -> Iterator[str]:
    yield f"## {slot}"
    yield ""
    yield SLOTS[slot]
    yield ""
    for entry in known.entries(slot):
        yield f"- **{entry.name}**{_options(entry)}: {entry.summary}"
        if entry.paper:
            departures = "" if entry.departures in ("", "none.") else f" Departs from it: {entry.departures}"
            yield f"  {entry.paper}{departures}"
    yield ""


def _options(entry: Entry) -> str:
    def shown(value: object) -> str:
        return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    return "".join(f" `{option.name}={shown(option.default)}`" for option in entry.options.values())
