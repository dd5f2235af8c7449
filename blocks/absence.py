"""The choice that removes a block."""

from torch import nn

from blocks.catalogue import register


@register("activation", "none")
@register("attention", "none")
@register("mix", "none")
@register("norm", "none")
class Nothing(nn.Identity):
    """Return the input: the slot is empty.

    (batch, channels, height, width) → same shape.
    No parameters; `channels` is accepted so that it is made like every other choice.
    Departs from the paper: there is none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - the signature that every choice of its slots has
        super().__init__()
