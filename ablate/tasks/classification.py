"""Classification: cross-entropy, flips and shifts, accuracy."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ablate.data import Images
from ablate.study import Recipe
from blocks.catalogue import register

# Test images go through the network in batches of so many pixels: on the CPU what a layer has written should still be in
# the cache when the next one reads it (measured on one core: 28×28 is fastest in batches of 64 to 125 images, 8×8 in
# batches of 500 to 1,000). An accelerator wants more at once; how much is a guess, for want of one to measure on.
CPU_PIXELS, ACCELERATOR_PIXELS, FEWEST_IMAGES = 2**16, 2**20, 32


@dataclass(frozen=True)
class Samples:
    """A data set on the device: inputs (image, channel, height, width), targets (image,)."""

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    n_classes: int

    @classmethod
    def of(cls, images: Images, device: torch.device) -> "Samples":
        """Put a data set on the device; inputs lie channels last, which convolutions are faster on.

        On the CPU, what lies so already is not copied.
        """
        inputs = (
            _channels_last(torch.from_numpy(part)).to(device) for part in (images.train_inputs, images.test_inputs)
        )
        targets = (torch.from_numpy(part).to(device) for part in (images.train_targets, images.test_targets))
        (train_inputs, test_inputs), (train_targets, test_targets) = inputs, targets
        return cls(train_inputs, train_targets, test_inputs, test_targets, images.n_classes)


def _channels_last(inputs: Tensor) -> Tensor:
    """Return the inputs channels last, with the same strides wherever they come from.

    One channel leaves its stride open, and convolutions choose their algorithm by strides.
    """
    n, channels, height, width = inputs.shape
    return inputs.permute(0, 2, 3, 1).flatten().view(n, height, width, channels).permute(0, 3, 1, 2)


def loss(logits: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
    """Return the mean cross-entropy, in nats: (batch, class), (batch,) → ()."""
    return F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)


def augment(inputs: Tensor, recipe: Recipe, rng: Generator) -> Tensor:
    """Return the batch with the recipe's augmentation, all images at once: same shape.

    `flip` mirrors each image left to right with probability one half. `shift` moves each by up to an eighth of its
    side, at least one pixel, both ways, zeros coming in.
    """
    n, _, height, width = inputs.shape
    if "flip" in recipe.augment:
        mirrored = (torch.rand(n, generator=rng) < 0.5).to(inputs.device)
        inputs = torch.where(mirrored[:, None, None, None], inputs.flip(3), inputs)
    if "shift" in recipe.augment:
        reach = max(1, height // 8)
        shifts = torch.randint(-reach, reach + 1, (2, n, 1), generator=rng).to(inputs.device)
        padded = F.pad(inputs, (reach, reach, reach, reach))
        rows = torch.arange(height, device=inputs.device) + reach + shifts[0]  # (batch, height)
        columns = torch.arange(width, device=inputs.device) + reach + shifts[1]  # (batch, width)
        images = torch.arange(n, device=inputs.device)[:, None, None]
        inputs = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return inputs


def evaluate(network: nn.Module, samples: Samples) -> dict[str, float]:
    """Return every score of the task on the test part; the network is left in evaluation mode."""
    network.eval()
    inputs = samples.test_inputs
    pixels = CPU_PIXELS if inputs.device.type == "cpu" else ACCELERATOR_PIXELS
    n_images = max(FEWEST_IMAGES, pixels // inputs[0, 0].numel())
    with torch.inference_mode():
        logits = torch.cat([network(batch) for batch in torch.split(inputs, n_images)]).float()
        return {name: score(logits, samples.test_targets) for name, score in SCORES.items()}


@register("metric", "accuracy", task="classification", better="higher", unit="fraction")
def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Return the share of images whose largest logit is their class's, in [0, 1]."""
    return (logits.argmax(1) == targets).double().mean().item()


@register("metric", "balanced-accuracy", task="classification", better="higher", unit="fraction")
def balanced_accuracy(logits: Tensor, targets: Tensor) -> float:
    """Return the mean over classes of the share of their images that are found, in [0, 1]."""
    right = (logits.argmax(1) == targets).double()
    n = torch.bincount(targets, minlength=logits.shape[1])
    found = torch.bincount(targets, weights=right, minlength=logits.shape[1])
    return (found[n > 0] / n[n > 0]).mean().item()


@register("metric", "loss", task="classification", better="lower", unit="")
def cross_entropy(logits: Tensor, targets: Tensor) -> float:
    """Return the mean cross-entropy without label smoothing, in nats."""
    return F.cross_entropy(logits, targets).item()


SCORES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "accuracy": accuracy,
    "balanced-accuracy": balanced_accuracy,
    "loss": cross_entropy,
}
