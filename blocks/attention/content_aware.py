"""Attention in the windows that need it, and convolution everywhere."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_at_least, require_side
from blocks.squeeze import average

REACH = 8.0  # how far a key may come from, in pixels


@register("attention", "camixer", smallest=8, stochastic=True)
class ContentAwareMixer(nn.Module):
    """Attend within the windows that a predictor finds hard, gate the others, and add a gated convolution to all.

    (batch, channels, height, width) → same shape.
    Wang et al., CAMixerSR: Only Details Need More "Attention", CVPR 2024, arXiv:2402.19289.
    Departs from the paper: the predictor sees the mean and the maximum over the channels where the paper's network gives
    it two channels computed from the image. Training draws hard or easy for each window from the predicted probabilities,
    while the authors' code takes these for logarithms, which keeps them between 0.27 and 0.73; gradients are those of the
    soft mixture, so that both ways learn from every window; and the loss that holds the share of hard windows in training
    is left out. Evaluation draws nothing: in each sample the windows with the highest scores are hard, whatever else is
    in the batch. As in the code, a key is the sum of a pixel and the one that its offset points to.

    `window` is 16 in the paper. `ratio` is the share of the windows that attend at evaluation, rounded, at least one. A
    map that is no multiple of the window is reflected at the bottom and on the right. The
    predictor has 3 hidden channels or more.

    Raises:
        ValueError: if `window` is less than 2 or `ratio` not above 0 and at most 1; from `forward`, if a map is smaller
            than the window.
    """

    def __init__(self, channels: int, *, window: int = 8, ratio: float = 0.5) -> None:
        super().__init__()
        require_at_least("camixer", "window", window, 2)
        if not 0 < ratio <= 1:
            raise ValueError(f"camixer: ratio={ratio} is no share of the windows; above 0 and at most 1 would fit")
        self.window = window
        self.ratio = ratio
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Conv2d(channels, channels, 1)
        self.predictor = _Predictor(channels, window)
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2, groups=channels),
        )
        self.act = nn.GELU()
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the pixels."""
        height, width = x.shape[2:]
        require_side("camixer", x.shape, self.window, f"window={self.window}")
        x = functional.pad(x, (0, -width % self.window, 0, -height % self.window), mode="reflect")
        value = self.value(x)
        logits, offsets, channel_gate, pixel_gate = self.predictor(x, value)
        query, moved, value, easy = (
            _windows(part, self.window) for part in (x, _warp(x, offsets), value, value * pixel_gate)
        )
        mix = self._draw if self.training else self._choose
        mixed = _map(mix(logits, query, query + moved, value, easy), x.shape)
        mixed = self.act(self.spatial(mixed)) * channel_gate + mixed
        output: Tensor = self.out(mixed[..., :height, :width])
        return output

    def _draw(self, logits: Tensor, query: Tensor, key: Tensor, value: Tensor, easy: Tensor) -> Tensor:
        """Attend in all windows and keep it where a draw says so; gradients flow as if both were mixed softly."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # noise in half the bits would be coarse
        soft = functional.gumbel_softmax(logits, dim=2)[:, :, :1, None].to(easy.dtype)  # (batch, windows, 1, 1)
        hard = (soft > 0.5).to(soft.dtype)
        difference = self._attend(query, key, value) - easy
        return easy + soft * difference + ((hard - soft) * difference).detach()

    def _choose(self, logits: Tensor, query: Tensor, key: Tensor, value: Tensor, easy: Tensor) -> Tensor:
        """Attend in the windows with the highest scores alone."""
        windows = logits.shape[1]
        scores = logits[:, :, 0] - logits[:, :, 1]
        which = scores.topk(max(1, int(windows * self.ratio + 0.5)), 1).indices
        which = which[:, :, None, None].expand(-1, -1, *query.shape[2:])  # (batch, hard windows, window², channels)
        hard = self._attend(*(part.gather(1, which) for part in (query, key, value)))
        return easy.scatter(1, which, hard)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores: Tensor = self.query(query) @ self.key(key).mT  # (batch, windows, window², window²)
        return scores.softmax(3) @ value


class _Predictor(nn.Module):
    """Predict from values and features which windows are hard, where keys come from, and two gates.

    Returns two logits for each window (batch, windows, 2), offsets in pixels (batch, 2, height, width), a gate for each
    channel (batch, channels, 1, 1) and one for each pixel (batch, 1, height, width).
    """

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        seen = channels + 4
        hidden = max(3, seen // 4)  # the norm would leave of two only which is the larger
        self.window = window
        self.reduce = nn.Conv2d(seen, hidden, 1)
        self.norm = nn.LayerNorm(hidden, eps=1e-6)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.offsets = nn.Sequential(
            nn.Conv2d(hidden, hidden // 2, 1), nn.LeakyReLU(0.1, inplace=True), nn.Conv2d(hidden // 2, 2, 1)
        )
        self.scores = nn.Sequential(nn.Linear(window**2, window), nn.LeakyReLU(0.1, inplace=True), nn.Linear(window, 2))
        self.channel_gate = nn.Linear(hidden, channels)
        self.pixel_gate = nn.Conv2d(hidden, 1, 3, padding=1)

    def forward(self, x: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predict."""
        batch, _, height, width = x.shape
        steps = torch.linspace(-1, 1, self.window, dtype=value.dtype, device=x.device)
        rows = steps.repeat(height // self.window)[:, None].expand(batch, 1, height, width)
        columns = steps.repeat(width // self.window).expand(batch, 1, height, width)
        condition = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1).to(value.dtype)
        hidden = self.reduce(torch.cat([value, condition, rows, columns], 1))
        hidden = self.act(self.norm(hidden.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        logits = self.scores(_windows(hidden.mean(1, keepdim=True), self.window)[..., 0])
        offsets = REACH * self.offsets(hidden).tanh()
        channel_gate = self.channel_gate(average(hidden)).sigmoid()[:, :, None, None]
        return logits, offsets, channel_gate, self.pixel_gate(hidden).sigmoid()


def _warp(x: Tensor, offsets: Tensor) -> Tensor:
    """Take each pixel from where its offset (right, down) in pixels points to, no further than the border."""
    height, width = x.shape[2:]
    dtype = torch.promote_types(x.dtype, torch.float32)  # half the bits would place pixels too coarsely
    offsets = offsets.to(dtype)
    across = torch.arange(width, dtype=dtype, device=x.device) + offsets[:, 0]
    down = torch.arange(height, dtype=dtype, device=x.device)[:, None] + offsets[:, 1]
    grid = torch.stack([across * (2 / (width - 1)) - 1, down * (2 / (height - 1)) - 1], 3)
    return functional.grid_sample(x.to(dtype), grid, padding_mode="border", align_corners=True).to(x.dtype)


def _windows(x: Tensor, window: int) -> Tensor:
    """Cut a map into (batch, windows, window², channels)."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // window, window, width // window, window)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, window**2, channels)


def _map(windows: Tensor, shape: torch.Size) -> Tensor:
    """Put windows back into a map of the given shape."""
    batch, channels, height, width = shape
    window = int(windows.shape[2] ** 0.5)
    x = windows.reshape(batch, height // window, width // window, window, window, channels)
    return x.transpose(2, 3).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
