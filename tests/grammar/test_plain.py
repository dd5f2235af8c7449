"""What YAML can hold and a study cannot."""


def test_a_number_too_large_to_record_is_refused(problems):
    assert problems(seeds="99999999999999999999") == ["seeds: the number is too large"]
