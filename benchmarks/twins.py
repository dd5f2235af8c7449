"""Forward and backward of each block and network beside the same one of timm, on one thread of the CPU or on a GPU.

Both sides get the same input in the layout that suits each, and take turns, so that a machine that slows down slows
both. The ratio is the median over rounds of ours over theirs in the same round.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Any

import machine
import torch
from torch import Tensor, nn

from blocks import catalogue


def timm() -> Any:
    """Import timm; torchvision, which it asks for, is built for CUDA and needs operators that a CPU build lacks."""
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm  # noqa: PLC0415  # installed by `make references`

    timm.kept = library  # undone when the object goes
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
        module = module.train().to(device)
        if layout == "channels last":
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        steps.append(step(module, given))
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
    """Return the input in the layout that their block takes."""
    if layout == "maps":
        return x
    rows = x.permute(0, 2, 3, 1).contiguous()
    return rows if layout == "rows" else rows.flatten(1, 2)


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


def pairs(timm: Any) -> dict[str, Pair]:
    """List what is compared."""
    known = catalogue.read()
    layers = timm.layers

    def block(slot: str, name: str, *arguments: Any, **options: Any) -> Callable[[], nn.Module]:
        return partial(known.find(slot, name).load(), *arguments, **options)

    def network(name: str, **options: Any) -> Callable[[], nn.Module]:
        return partial(known.find("network", name).load(), 3, 1000, **options)

    def model(name: str) -> Callable[[], nn.Module]:
        return partial(timm.create_model, name)

    gelu = known.find("activation", "gelu").load()
    swin, vit, efficientnet = (
        timm.models.swin_transformer,
        timm.models.vision_transformer,
        timm.models._efficientnet_blocks,
    )
    small, large = (32, 64, 28, 28), (4, 3, 224, 224)
    return {
        "se": Pair(block("attention", "se", 64, bias=True), partial(layers.SEModule, 64, rd_channels=4)),
        "eca": Pair(block("attention", "eca", 64), partial(layers.EcaModule, 64)),
        "cbam": Pair(block("attention", "cbam", 64, bias=False), partial(layers.CbamModule, 64, rd_channels=4)),
        "coordinate": Pair(
            block("attention", "coordinate", 64, bias=False), partial(layers.CoordAttn, 64, rd_channels=8)
        ),
        "gc": Pair(block("attention", "gc", 64, reduction=8), partial(layers.GlobalContext, 64)),
        "sk": Pair(block("attention", "sk", 64), partial(layers.SelectiveKernel, 64, groups=32, rd_channels=32)),
        "non-local": Pair(block("attention", "non-local", 64), partial(layers.NonLocalAttn, 64), (32, 64, 14, 14)),
        "mhsa": Pair(
            block("attention", "mhsa", 192, heads=3),
            partial(vit.Attention, 192, 3, qkv_bias=True),
            (16, 192, 14, 14),
            "tokens",
        ),
        "window": Pair(
            block("attention", "window", 96, heads=3), partial(Windows, swin, 96, 3), (16, 96, 28, 28), "rows"
        ),
        "layer": Pair(block("norm", "layer", 64), partial(layers.LayerNorm2d, 64)),
        "group": Pair(block("norm", "group", 64), partial(layers.GroupNorm, 64, 32)),
        "batch": Pair(block("norm", "batch", 64), partial(nn.BatchNorm2d, 64)),
        "rms": Pair(block("norm", "rms", 64), partial(layers.RmsNorm2d, 64)),
        "mlp": Pair(block("mlp", "mlp", 192, gelu), partial(layers.Mlp, 192, 768), (16, 192, 14, 14), "tokens"),
        "inverted-residual": Pair(
            block("mlp", "inverted-residual", 64, gelu, expansion=6.0),
            partial(efficientnet.InvertedResidual, 64, 64, exp_ratio=6.0, act_layer=nn.GELU, noskip=True),
            small,
        ),
    }


if __name__ == "__main__":
    main()
