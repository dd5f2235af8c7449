"""Studies that are right but for the part under test."""

from pathlib import Path

import pytest

from ablate import config
from ablate.errors import StudyError

PATH = Path("studies/se.yml")
PARTS = {
    "network": "{resnet: {depth: 8, width: 16}}",
    "data": "{digits: {train: 300}}",
    "slots": "{attention: [none, se]}",
}


@pytest.fixture(scope="session")
def text():
    """Return a function that writes a study that is right but for the parts given; a part that is None is left out."""

    def write(**parts):
        return "\n".join(f"{key}: {value}" for key, value in {**PARTS, **parts}.items() if value is not None)

    return write


@pytest.fixture(scope="session")
def read(text):
    """Return a function that reads a study of such parts."""
    return lambda **parts: config.parse_study(text(**parts), path=PATH)


@pytest.fixture(scope="session")
def problems_in():
    """Return a function that lists what is wrong with the text of a study; keywords are those of `parse_study`."""

    def problems(content, **options):
        with pytest.raises(StudyError) as caught:
            config.parse_study(content, path=PATH, **options)
        return [problem.removeprefix("studies/se.yml: ") for problem in caught.value.problems]

    return problems


@pytest.fixture(scope="session")
def problems(text, problems_in):
    """Return a function that lists what is wrong with a study of such parts."""
    return lambda **parts: problems_in(text(**parts))
