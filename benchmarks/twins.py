"""Forward and backward of each block and network beside the same one of timm, on one thread of the CPU or on a GPU.

Both sides get the same input, theirs as a view with the axes that it takes, and take turns, so that a machine that
slows down slows both. The ratio is the median over rounds of ours over theirs in the same round.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Any

import machine
import torch
from torch import Tensor, nn

from ablate.pool import ENVIRONMENT
from blocks import catalogue


def timm() -> Any:
    """Import timm; torchvision, which it asks for, is built for CUDA and needs operators that a CPU build lacks."""
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    import timm  # noqa: PLC0415  # installed by `make references`

    torch.library.kept = library  # type: ignore[attr-defined]  # undone when the object goes
    return timm


@dataclass(frozen=True)
class Pair:
    """A block of ours and the same of timm's.

    Attributes:
        ours: builds ours.
        theirs: builds theirs.
        shape: of our input (batch, channels, height, width).
        layout: what theirs takes: `maps` as ours, `rows` (batch, height, width, channels), or `tokens`.
    """

    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]
    shape: tuple[int, int, int, int] = (32, 64, 28, 28)
    layout: str = "maps"


def main() -> None:
    """Time all pairs, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="some of the pairs only")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if not ENVIRONMENT.items() <= os.environ.items():
        # As in ablate's workers: memory that is given back and asked for again makes the ratio of a block to itself 1.2.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})  # noqa: S606
    torch.set_num_threads(1)
    facts = machine.describe()
    machine.show(facts)
    found = {}
    print(f"{'block':24s} {'layout':13s} {'ours ms':>9s} {'timm ms':>9s}  ratio  (quartiles)")
    for name, pair in pairs(timm()).items():
        if arguments.names and name not in arguments.names:
            continue
        for layout in ("channels last", "contiguous"):
            ours, theirs = measure(pair, layout, arguments.rounds, torch.device(arguments.device))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            low, _, high = quantiles(ratios, n=4)
            found[f"{name}, {layout}"] = round(median(ratios), 3)
            print(
                f"{name:24s} {layout:13s} {median(ours):9.3f} {median(theirs):9.3f}  {median(ratios):.3f}"
                f"  ({low:.3f} to {high:.3f})",
                flush=True,
            )
    print(json.dumps({"machine": facts, "ratios": found}))


def measure(pair: Pair, layout: str, rounds: int, device: torch.device) -> tuple[list[float], list[float]]:
    """Return milliseconds of each round: (ours, theirs); one round is as many passes as take about 20 ms."""
    x = torch.randn(pair.shape, generator=torch.Generator().manual_seed(0)).to(device)
    if layout == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    sides = [(pair.ours(), x), (pair.theirs(), as_theirs(x, pair.layout))]
    steps = []
    for module, given in sides:
        placed = module.train().to(device)
        if layout == "channels last":
            placed = placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        steps.append(step(placed, given))
    for warm_up in steps:
        for _ in range(3):
            warm_up()
    passes = max(1, round(0.02 / timed(steps[0], 2, device)))
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds):
        for side in (0, 1) if round_ % 2 else (1, 0):
            times[side].append(1000 * timed(steps[side], passes, device))
    return times


def as_theirs(x: Tensor, layout: str) -> Tensor:
    """Return a view of the input with the axes that their block takes; it lies in memory as ours does."""
    if layout == "maps":
        return x
    return x.permute(0, 2, 3, 1) if layout == "rows" else x.flatten(2).transpose(1, 2)


def step(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """Return one forward and backward pass, with gradients of the input and of all parameters."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = module(leaf)
    weights = torch.randn_like(y)

    def run() -> None:
        leaf.grad = None
        module.zero_grad()
        module(leaf).backward(weights)

    return run


def timed(run: Callable[[], None], passes: int, device: torch.device) -> float:
    """Return the seconds of one pass, the mean over some."""
    wait(device)
    start = time.perf_counter()
    for _ in range(passes):
        run()
    wait(device)
    return (time.perf_counter() - start) / passes


def wait(device: torch.device) -> None:
    """Let a GPU finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Windows(nn.Module):
    """timm's attention in windows on whole maps (batch, height, width, channels): a Swin block without its other half."""

    def __init__(self, timm: Any, channels: int, heads: int, side: int, shift: int) -> None:
        super().__init__()
        self.block = timm.models.swin_transformer.SwinTransformerBlock(
            channels, (side, side), num_heads=heads, window_size=7, shift_size=shift
        )
        self.block.norm1 = self.block.norm2 = self.block.mlp = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        y: Tensor = self.block._attn(x)  # noqa: SLF001  # the only door to it
        return y


def pairs(timm: Any) -> dict[str, Pair]:
    """List what is compared: blocks at the size of a middle stage, networks at their own."""
    known = catalogue.read()
    layers, models = timm.layers, timm.models
    gelu, relu6 = (known.find("activation", name).load() for name in ("gelu", "relu6"))
    batch = known.find("norm", "batch").load()

    def block(slot: str, name: str, *arguments: Any, **options: Any) -> Callable[[], nn.Module]:
        return partial(known.find(slot, name).load(), *arguments, **options)

    def unconvolved(*_: int) -> nn.Module:
        return nn.Identity()

    def network(name: str, **options: Any) -> Callable[[], nn.Module]:
        return partial(known.find("network", name).load(), 3, 10, **options)

    def model(name: str, **options: Any) -> Callable[[], nn.Module]:
        return partial(timm.create_model, name, num_classes=10, **options)

    inverted, edge = (getattr(models._efficientnet_blocks, name) for name in ("InvertedResidual", "EdgeResidual"))  # noqa: SLF001
    heads = partial(known.find("attention", "mhsa").load(), head_channels=64)
    tokens, pixels, image = (16, 192, 14, 14), (16, 96, 28, 28), (4, 3, 128, 128)
    blocks = {
        "se": Pair(block("attention", "se", 64, bias=True), partial(layers.SEModule, 64, rd_channels=4)),
        "eca": Pair(block("attention", "eca", 64), partial(layers.EcaModule, 64)),
        "cbam": Pair(block("attention", "cbam", 64, bias=False), partial(layers.cbam.CbamModule, 64, rd_channels=4)),
        "coordinate": Pair(
            block("attention", "coordinate", 64, bias=False), partial(layers.coord_attn.CoordAttn, 64, rd_channels=8)
        ),
        "gc": Pair(
            block("attention", "gc", 64, reduction=8),
            partial(layers.GlobalContext, 64, fuse_add=True, fuse_scale=False, rd_ratio=1 / 8),
        ),
        "sk": Pair(
            block("attention", "sk", 64),
            partial(layers.SelectiveKernel, 64, groups=32, rd_channels=32, split_input=False),
        ),
        "non-local": Pair(
            block("attention", "non-local", 64),
            partial(layers.NonLocalAttn, 64, use_scale=False, rd_channels=32), (32, 64, 14, 14),
        ),
        "mhsa": Pair(
            block("attention", "mhsa", 192, heads=3),
            partial(models.vision_transformer.Attention, 192, 3, qkv_bias=True), tokens, "tokens",
        ),
        "window": Pair(block("attention", "window", 96, heads=3), partial(Windows, timm, 96, 3, 28, 0), pixels, "rows"),
        "window, shifted": Pair(
            block("attention", "window", 96, heads=3, shift=True), partial(Windows, timm, 96, 3, 28, 3), pixels, "rows"
        ),
        "batch": Pair(block("norm", "batch", 64), partial(nn.BatchNorm2d, 64)),
        "layer": Pair(block("norm", "layer", 64), partial(layers.LayerNorm2d, 64)),
        "group": Pair(block("norm", "group", 64, groups=8), partial(layers.GroupNorm, 64, 8)),
        "rms": Pair(block("norm", "rms", 64), partial(layers.RmsNorm2d, 64)),
        "mlp": Pair(block("mlp", "mlp", 192, gelu), partial(layers.Mlp, 192, 768), tokens, "tokens"),
        "inverted-residual": Pair(
            block("mlp", "inverted-residual", 64, relu6, expansion=6.0),
            partial(inverted, 64, 64, exp_ratio=6.0, act_layer=nn.ReLU6, noskip=True),
        ),
        "fused-inverted": Pair(
            block("mlp", "fused-inverted", 64, relu6), partial(edge, 64, 64, exp_ratio=4.0, act_layer=nn.ReLU6, noskip=True)
        ),
        "partial": Pair(block("conv", "partial", 64, 64, 3), partial(models.fasternet.Partial_conv3, 64, 4, "split_cat")),
        "patch-merging": Pair(
            block("downsample", "patch-merging", 96, 192, None), partial(models.swin_transformer.PatchMerging, 96, 192),
            pixels, "rows",
        ),
        "shortcut, average-pool": Pair(
            block("shortcut", "average-pool", 64, 128, 2, batch), partial(models.resnet.downsample_avg, 64, 128, 1, 2)
        ),
        "separable": Pair(block("conv", "separable", 64, 64, 3), partial(layers.SeparableConv2d, 64, 64, 3)),
        "layer-chw": Pair(block("norm", "layer-chw", 64), partial(layers.GroupNorm1, 64)),
        "blur-pool": Pair(block("downsample", "blur-pool", 64, 64, unconvolved), partial(layers.BlurPool2d, 64)),
        **{
            kind: Pair(
                block("pooling", kind, 64), partial(layers.SelectAdaptivePool2d, pool_type=theirs, flatten=True)
            )
            for kind, theirs in (("average", "avg"), ("max", "max"))
        },
        "average-max": Pair(block("pooling", "average-max", 64), partial(layers.SelectAdaptivePool2d, pool_type="avgmax", flatten=True)),
    }  # fmt: skip
    networks = {
        "resnet": Pair(network("resnet", family="imagenet", depth=26), model("resnet26"), image),
        "resnext": Pair(
            network("resnext", family="imagenet", depth=26),
            partial(models.ResNet, models.resnet.Bottleneck, (2, 2, 2, 2), num_classes=10, cardinality=32, base_width=4),
            image,
        ),
        "sknet": Pair(
            network("sknet", family="imagenet", depth=18, reduction=8, least=16, split=True), model("skresnet18"), image
        ),
        "mobilenet-v2": Pair(network("mobilenet-v2", width=1.0, stem="imagenet"), model("mobilenetv2_100"), image),
        "convnext": Pair(
            network("convnext", depths=(2, 2, 6, 2), width=40, patch=4), model("convnext_atto", conv_mlp=False), image
        ),
        "vit": Pair(
            network("vit", patch=16, width=192, depth=12, grid=8, class_token=True, attention=heads),
            model("vit_tiny_patch16_224", img_size=128), image,
        ),
        "swin": Pair(
            network("swin", depths=(2, 2, 6, 2), width=96, patch=4),
            model("swin_tiny_patch4_window7_224", drop_path_rate=0.0), (2, 3, 224, 224),
        ),
    }  # fmt: skip
    return blocks | networks


if __name__ == "__main__":
    main()
