"""What a network costs: parameters, multiply-accumulates, latency."""

import time
from collections.abc import Mapping, Sequence
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def parameters(network: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def macs(network: nn.Module, shape: Sequence[int]) -> int:
    """Count the multiply-accumulates of convolutions and matrix products for one input of `shape`.

    Norms, activations, pooling and element-wise products are not counted, as is customary; the two matrix products of
    attention are. The network may lie on the meta device; nothing is computed there.
    """
    device = next(network.parameters()).device
    network.eval()
    # Attention in one fused operation would count as nothing on a CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(torch.empty((1, *shape), device=device))
    flops: int = counter.get_total_flops()
    return flops // 2


def latencies(networks: Mapping[str, nn.Module], example: Tensor, *, rounds: int = 30) -> dict[str, float]:
    """Time one forward pass of each network in milliseconds, the median over rounds.

    The networks take turns within each round, so that a machine that slows down slows all of them.

    Args:
        networks: in evaluation mode, on the device of the example.
        example: one input (1, channels, height, width).
        rounds: how often each is timed, after three rounds that are not counted.
    """
    seconds: dict[str, list[float]] = {label: [] for label in networks}
    with torch.inference_mode():
        for round_ in range(3 + rounds):
            for label, network in networks.items():
                _wait(example.device)
                start = time.perf_counter()
                network(example)
                _wait(example.device)
                if round_ >= 3:
                    seconds[label].append(time.perf_counter() - start)
    return {label: 1000 * median(times) for label, times in seconds.items()}


def _wait(device: torch.device) -> None:
    """Let the device finish, so that the clock sees its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
