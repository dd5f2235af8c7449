"""Attention in groups of pixels that look alike."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_at_least, require_divisor


@register("attention", "grouped-channel", smallest=2)
class GroupedChannelAttention(nn.Module):
    """Let channels attend to each other within groups of similar pixels, asked by them and by the most similar group.

    (batch, channels, height, width) → same shape.
    Jeong et al., Robust Adverse Weather Removal via Spectral-based Spatial Grouping, ICCV 2025, arXiv:2507.22498.
    Departs from the paper: pixels are sorted by their strongest channel, as there is no prompt from the decomposed image
    whose mask would sort and scale them; after the depthwise convolution, while in the authors' code it sees scrambled
    pixels; and a channel attends to those of its own group, while in the code to those of all groups. As in the code,
    the second path takes the queries of the similar group to the group's own keys and values; its weight starts at zero.

    The paper has as many `groups` of pixels as `heads`, 1, 2, 4 and 8 from the largest map to the smallest. Their sizes
    differ by one at most. The queries of two groups are paired in sorted order, and a pixel without a partner gets zeros.
    A single group has only itself to be similar to, and in a group of one pixel only the signs of queries and keys count.

    Raises:
        ValueError: if `heads` does not divide `channels`, `groups` is less than 1, or a map has fewer pixels.
    """

    def __init__(self, channels: int, *, heads: int = 4, groups: int = 4) -> None:
        super().__init__()
        require_divisor("grouped-channel", "heads", heads, channels)
        require_at_least("grouped-channel", "groups", groups, 1)
        self.heads = heads
        self.groups = groups
        self.project = nn.Conv2d(channels, 5 * channels, 1, bias=False)
        self.local = nn.Conv2d(5 * channels, 5 * channels, 3, padding=1, groups=5 * channels, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.within = nn.Parameter(torch.ones(channels))
        self.across = nn.Parameter(torch.zeros(channels))
        self.out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of each group."""
        cut = _Cut("grouped-channel", x, self.groups)
        tokens = cut.gather(self.local(self.project(x))).mT
        tokens = tokens.reshape(*tokens.shape[:2], 5, self.heads, -1, tokens.shape[3])
        query, key, asked, asked_key, value = tokens.unbind(2)  # (batch, groups, heads, channels/heads, places)
        other = cut.most_similar(value.sum(4).flatten(2))
        within = self._attend(query, key, value)
        across = self._attend(_rows(asked, other), asked_key, value)
        output: Tensor = self.out(cut.place(self.within * within + self.across * across))
        return output

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key = functional.normalize(query, dim=4), functional.normalize(key, dim=4)
        weights = _softmax_one(query @ key.mT * self.temperature)
        return (weights @ value).flatten(2, 3).mT  # (batch, groups, places, channels)


@register("attention", "grouped-spatial", smallest=2)
class GroupedSpatialAttention(nn.Module):
    """Let pixels attend to each other within groups of similar pixels, asked by them and by the most similar group.

    (batch, channels, height, width) → same shape.
    Jeong et al., Robust Adverse Weather Removal via Spectral-based Spatial Grouping, ICCV 2025, arXiv:2507.22498.
    Departs from the paper: pixels are sorted by their strongest channel, as there is no prompt from the decomposed image
    whose mask would sort and scale them. As in the authors' code, the second path takes the queries of the similar group
    to the group's own keys and values; its weight starts at zero.

    The paper has 256, 64, 16 and 4 `groups` from the largest map to the smallest. Their sizes differ by one at most. The
    queries of two groups are paired in sorted order, and a pixel without a partner asks with zeros. A single group has
    only itself to be similar to.

    Raises:
        ValueError: if `groups` is less than 1 or a map has fewer pixels.
    """

    def __init__(self, channels: int, *, groups: int = 4) -> None:
        super().__init__()
        require_at_least("grouped-spatial", "groups", groups, 1)
        self.groups = groups
        self.project = nn.Conv2d(channels, 5 * channels, 1, bias=False)
        self.local = nn.Conv2d(5 * channels, 5 * channels, 3, padding=1, groups=5 * channels, bias=False)
        self.within = nn.Parameter(torch.ones(channels))
        self.across = nn.Parameter(torch.zeros(channels))
        self.out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the pixels of each group."""
        cut = _Cut("grouped-spatial", x, self.groups)
        tokens = cut.gather(self.local(self.project(x)))
        query, key, asked, asked_key, value = tokens.chunk(5, 3)  # (batch, groups, places, channels)
        other = cut.most_similar(value.sum(2))
        within = self._attend(query, key, value, cut.is_empty)
        across = self._attend(_rows(asked, other), asked_key, value, cut.is_empty)
        output: Tensor = self.out(cut.place(self.within * within + self.across * across))
        return output

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, is_empty: Tensor) -> Tensor:
        query, key = functional.normalize(query, dim=3), functional.normalize(key, dim=3)
        scores = (query @ key.mT).masked_fill(is_empty[:, None], -torch.inf)
        return _softmax_one(scores) @ value  # (batch, groups, places, channels)


def _softmax_one(scores: Tensor) -> Tensor:
    """Return exp(s) / (1 + Σ exp(s)) over the last axis: a softmax beside one more score, which is zero."""
    return functional.pad(scores, (0, 1)).softmax(-1)[..., :-1]


def _rows(tokens: Tensor, which: Tensor) -> Tensor:
    """Return those rows of (batch, rows, ...) that (batch, n) numbers; `gather` would copy value by value."""
    first = torch.arange(len(which), device=which.device) * tokens.shape[1]
    rows = (which + first[:, None]).flatten()
    return tokens.flatten(0, 1).index_select(0, rows).reshape(*which.shape, *tokens.shape[2:])


class _Cut:
    """How the pixels of each sample, sorted by their strongest channel, are cut into groups.

    All groups have as many places as the largest; a place without a pixel holds zeros.
    """

    def __init__(self, block: str, x: Tensor, groups: int) -> None:
        self.height, self.width = x.shape[2:]
        pixels = self.height * self.width
        if pixels < groups:
            raise ValueError(
                f"{block}: groups={groups} leaves a group without a pixel, as the map is {self.height}×{self.width}; "
                f"1 to {pixels} would fit"
            )
        size, larger = divmod(pixels, groups)  # the first `larger` groups hold one pixel more
        group, place = (torch.arange(n, device=x.device) for n in (groups, size + (larger > 0)))
        rank = (group * size + group.clamp(max=larger))[:, None] + place  # (groups, places)
        self.is_empty = place >= (size + (group < larger).long())[:, None]  # (groups, places)
        order = x.detach().amax(1).flatten(1).argsort(stable=True)  # (batch, height·width)
        self.source = order[:, rank.clamp(max=pixels - 1).flatten()]  # (batch, groups·places)
        place_of_rank = self.is_empty.flatten().int().argsort(stable=True)[:pixels]
        self.target = place_of_rank[order.argsort()]  # (batch, height·width)

    def gather(self, x: Tensor) -> Tensor:
        """Return the pixels of a map as (batch, groups, places, channels)."""
        tokens = _rows(x.permute(0, 2, 3, 1).flatten(1, 2), self.source)
        return tokens.reshape(len(x), *self.is_empty.shape, -1).masked_fill(self.is_empty[:, :, None], 0)

    def place(self, groups: Tensor) -> Tensor:
        """Return (batch, groups, places, channels) as a map, each pixel where it came from."""
        tokens = _rows(groups.flatten(1, 2), self.target)
        return tokens.reshape(len(groups), self.height, self.width, -1).permute(0, 3, 1, 2)

    def most_similar(self, totals: Tensor) -> Tensor:
        """Return for each group the other one whose mean has the most similar direction; if there is none, itself.

        Args:
            totals: of the values in a group, (batch, groups, channels).
        """
        means = functional.normalize(totals.detach(), dim=2)
        itself = torch.eye(means.shape[1], dtype=torch.bool, device=means.device)
        return (means @ means.mT).masked_fill(itself, -torch.inf).argmax(2)
