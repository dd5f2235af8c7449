"""Seeds, as a number or a list."""

import pytest


def test_seeds_are_a_number_or_a_list(read):
    assert read(seeds="3").seeds == (0, 1, 2)
    assert read(seeds="[3, 7, 11]").seeds == (3, 7, 11)


@pytest.mark.parametrize(
    ("seeds", "found"),
    [
        ("{from: 2, to: 7, until: decided}", ["seeds: adaptive seeds are not in this version; give a number or a list"]),
        ("[1, -1, 1]", ["seeds[1]: -1 is out of range: from 0 to 4294967295", "seeds[2]: 1 stands twice in [1, -1, 1]"]),
        ("[1, a, 2.5]", ['seeds[1]: expected a whole number; given "a"',
                         "seeds[2]: expected a whole number; given 2.5"]),
        ("[]", ["seeds: the list is empty"]),
        ("1000000000", ["seeds: 1000000000 is out of range: from 1 to 10,000"]),
        ("2.0", ["seeds: expected a number of seeds or a list of them; given 2.0"]),
    ],
)  # fmt: skip
def test_seeds_that_cannot_be_meant_are_refused(problems, seeds, found):
    assert problems(seeds=seeds) == found
