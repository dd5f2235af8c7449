"""The catalogue as a page of Markdown."""

from collections.abc import Iterator

from blocks.catalogue.reader import Catalogue, Entry

# What a slot is, so that a network that lacks it is seen to lack the place.
SLOTS = {
    "network": "What is trained. Its slots are listed below; its options can be varied like slots.",
    "attention": "Weighs or mixes features by what it finds in them. Convolutional networks have none by default and "
    "gain a block by it; in ViT and Swin it is what mixes the pixels.",
    "norm": "Follows every convolution, or comes before every branch. Every network has the place; LeNet leaves it empty.",
    "conv": "The k×k convolutions of the blocks, never those of stem, shortcut or attention. Networks without k×k "
    "convolutions in their blocks (ViT, Swin) have no such place, nor have those that are defined by theirs (ResNeXt, SKNet).",
    "mix": "Exchanges information between the groups of a grouped or depthwise convolution, right behind it. It mixes "
    "nothing if no convolution is grouped, and a shuffle only renames channels if no grouped convolution follows.",
    "activation": "The non-linearity of the blocks. Every network has one; in transformers it stands in the MLP.",
    "shortcut": "What is added to a residual branch where the shape changes, and where it is kept. Only networks whose "
    "blocks are sums and may change the shape have the place.",
    "downsample": "Halves the map at the start of a stage. ViT has one size throughout, so there is no such place.",
    "mlp": "Mixes the channels of each pixel, with or without its neighbours. Networks of blocks that end in an MLP have it.",
    "pooling": "Makes one vector of the last map, before the classifier.",
}


def page(known: Catalogue) -> str:
    """Return the whole catalogue as Markdown: what fills each slot, and which slots each network has."""
    return "\n".join([*_networks(known), *(line for slot in SLOTS for line in _slot(known, slot))]) + "\n"


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
            yield f"  {entry.paper}"
    yield ""


def _options(entry: Entry) -> str:
    def shown(value: object) -> str:
        return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    return "".join(f" `{option.name}={shown(option.default)}`" for option in entry.options.values())
