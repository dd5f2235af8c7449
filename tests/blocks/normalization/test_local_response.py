"""Local response normalisation."""

import pytest
import torch
from torch import nn

from blocks.normalization.local_response import LocalResponseNorm

X = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 30


@pytest.mark.parametrize(
    "options", [{}, {"size": 3, "alpha": 0.1, "beta": 0.5, "k": 1.0}, {"size": 1}, {"size": 9, "beta": 1.0}]
)
def test_each_value_is_divided_as_the_paper_writes(options):
    n, alpha, beta, k = ({"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0} | options).values()
    y = LocalResponseNorm(8, **options)(X)

    for b in range(2):
        for c in range(8):
            for i in range(3):
                for j in range(4):
                    neighbours = range(max(0, c - n // 2), min(7, c + n // 2) + 1)
                    squares = sum(float(X[b, other, i, j]) ** 2 for other in neighbours)
                    expected = float(X[b, c, i, j]) / (k + alpha * squares) ** beta
                    assert y[b, c, i, j].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [3, 5])
def test_it_equals_torchs_whose_alpha_is_divided_by_the_size(size, memory_format):
    x = X.contiguous(memory_format=memory_format)
    theirs = nn.LocalResponseNorm(size, alpha=1e-3 * size, beta=0.75, k=2.0)

    y, expected = LocalResponseNorm(8, size=size, alpha=1e-3)(x), theirs(x)

    torch.testing.assert_close(y, expected, rtol=1e-9, atol=0)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(LocalResponseNorm(8, alpha=0.01), X[:1, :, :2, :2].clone().requires_grad_())


def test_there_are_no_weights():
    assert list(LocalResponseNorm(8).parameters()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "local-response: size=4 has no middle channel; 3 or 5 would fit"),
        ({"alpha": -1.0}, "local-response: alpha=-1.0 is too small; 0 or more would fit"),
        ({"beta": -1.0}, "local-response: beta=-1.0 is too small; 0 or more would fit"),
        ({"k": 0.0}, "local-response: k=0.0 would divide zeros by zero; above 0 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LocalResponseNorm(8, **options)
