"""Numbers as a reader of the paper sees them."""

import pytest

from reports.formats import count, fixed, magnitude, milliseconds, probability


@pytest.mark.parametrize(
    ("show", "value", "expected"),
    [
        (count, 77850, "77,850"), (count, 25_557_032, "25.6 M"), (count, None, "–"),
        (magnitude, 1.234e6, "1.23 M"), (magnitude, 999_600, "1.00 M"), (magnitude, 4.1e9, "4.10 G"),
        (magnitude, 950, "950"), (magnitude, 0, "0"), (magnitude, 3e13, "30.0 T"),
        (milliseconds, 0.84, "0.84"), (milliseconds, 12.34, "12.3"), (milliseconds, 1234.5, "1,234"),
        (probability, 0.0001, "<0.001"), (probability, 0.1324, "0.132"), (probability, 1.0, "1.000"),
    ],
)  # fmt: skip
def test_numbers_are_compact(show, value, expected):
    assert show(value) == expected


def test_differences_carry_a_sign_unless_they_round_to_nothing():
    assert [fixed(x, 2, signed=True) for x in (1.234, -1.234, -0.001, 0.0, float("nan"))] == [
        "+1.23",
        "−1.23",
        "0.00",
        "0.00",
        "–",
    ]
