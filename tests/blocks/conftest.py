"""What the tests of blocks share: reference implementations, and how a block is held equal to its twin."""

import importlib
import importlib.metadata
import os
import re

import pytest
import torch


def reference(name):
    """Return a package that blocks are compared with; it is installed by `make check`, and never by the product."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if "CI" in os.environ:
            pytest.fail(f"CI must run this: it needs {name}, see references.txt")
        pytest.skip(f"needs {name}: make references")
    return importlib.import_module(name)


@pytest.fixture(scope="session")
def torchvision():
    # Its wheel is built for CUDA and asks at import for operators that a CPU build of torch does not have.
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch.library._ablate_keeps = library  # it is undone when the object goes
    return reference("torchvision")


@pytest.fixture(scope="session")
def timm(torchvision):
    package = reference("timm")
    for name in ("layers", "models"):
        importlib.import_module(f"timm.{name}")
    return package


def _renamed(*pairs):
    """Return a translation of state dicts: every name through all substitutions (regular expression, replacement)."""

    def translate(state):
        found = {}
        for name, tensor in state.items():
            for pattern, replacement in pairs:
                name = re.sub(pattern, replacement, name)  # noqa: PLW2901
            found[name] = tensor
        return found

    return translate


@pytest.fixture(scope="session")
def renamed():
    return _renamed


def stir(module):
    """Fill every tensor with values of its own, so that no zero or one hides what it does; variances stay positive."""
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=rng, dtype=tensor.dtype)
            if name.endswith("running_var"):
                tensor.copy_(noise.abs() + 0.5)
            elif name in dict(module.named_parameters()) or name.endswith("running_mean"):
                fan_in = max(1, tensor.numel() // max(1, tensor.shape[0] if tensor.dim() else 1))
                tensor.copy_(noise / fan_in**0.5 + (1.0 if tensor.dim() == 1 and "bias" not in name else 0.0))


def first(output):
    return output[0] if isinstance(output, tuple | list) else output


def same(value):
    return value


def _assert_twins(ours, theirs, x, *, translate=same, to_theirs=same, to_ours=same, rtol=1e-9):
    """Assert that two modules with the same weights give the same outputs, gradients and buffers, in float64.

    Args:
        ours: our module; its state dict is filled from theirs.
        theirs: the reference; its tensors are filled with random values first.
        x: our input.
        translate: makes a dict of our names and shapes from one of their names and shapes; must be linear in the
            tensors (rename, reshape, permute, flip, drop, concatenate), as gradients go through it, too.
        to_theirs: makes their input from ours, such as a permutation.
        to_ours: makes our output from theirs.
        rtol: the largest difference, relative to the largest value.
    """
    ours, theirs = ours.double(), theirs.double()
    stir(theirs)
    for is_training in (False, True):
        ours.load_state_dict(translate(theirs.state_dict()), strict=True)
        for module in (ours, theirs):
            module.train(is_training)
            module.zero_grad()
        x_ours, x_theirs = (x.double().clone().requires_grad_() for _ in range(2))
        # Times one: what works in place may not write into a leaf.
        y_ours, y_theirs = first(ours(x_ours * 1)), to_ours(first(theirs(to_theirs(x_theirs * 1))))
        assert y_ours.shape == y_theirs.shape
        close(y_ours, y_theirs, rtol, "output", is_training)
        weights = torch.randn(y_ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        (y_ours * weights).sum().backward()
        (y_theirs * weights).sum().backward()
        close(x_ours.grad, x_theirs.grad, rtol, "gradient of the input", is_training)
        gradients = {
            name: torch.zeros_like(tensor) if tensor.is_floating_point() else tensor
            for name, tensor in theirs.state_dict().items()
        } | {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.grad is not None}
        expected = translate(gradients)
        scale = max((float(t.abs().max()) for t in expected.values() if t.is_floating_point()), default=0.0)
        for name, parameter in ours.named_parameters():
            got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            close(got, expected[name], rtol, f"gradient of {name}", is_training, floor=scale * 1e-3)
        buffers = translate(theirs.state_dict())
        for name, buffer in ours.named_buffers():
            if name in buffers and buffer.is_floating_point():
                close(buffer, buffers[name], rtol, f"buffer {name}", is_training)


def close(ours, theirs, rtol, what, is_training, floor=0.0):
    """Assert that the largest difference is small beside the largest value (or beside a floor, for sums that vanish)."""
    ours, theirs = ours.detach(), theirs.detach()
    difference = float((ours - theirs).abs().max()) if ours.numel() else 0.0
    scale = max(float(theirs.abs().max()) if theirs.numel() else 0.0, floor)
    mode = "in training" if is_training else "at evaluation"
    assert difference <= rtol * scale + 1e-300, f"{what} {mode}: off by {difference:.3g} beside {scale:.3g}"


@pytest.fixture(scope="session")
def assert_twins():
    return _assert_twins
