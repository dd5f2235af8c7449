"""The house rules that a machine can check, each broken once to see that the check bites."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ablate", "blocks", "reports")

# For each contract of pyproject.toml, a file and an import that breaks it.
BREAKS = {
    "Data goes one way: higher may import lower": ("ablate/design.py", "import ablate.config"),
    "blocks and reports know nothing of ablate": ("blocks/mixing/shuffle.py", "import ablate.errors"),
    "blocks and reports know nothing of each other": ("reports/tables/comparison.py", "import blocks.catalogue"),
    "optuna in search alone": ("ablate/runner.py", "import optuna"),
    "mlflow in tracking alone": ("ablate/runner.py", "import mlflow"),
    "joblib in pool alone": ("ablate/worker.py", "import joblib"),
    "pyDOE3 in fractional alone": ("ablate/design.py", "import pyDOE3"),
    "click and rich in cli alone": ("ablate/display.py", "import rich"),
    "pydantic and yaml in config alone": ("ablate/study.py", "import yaml"),
    "torch only where networks are": ("ablate/runner.py", "import torch"),
    "pandas and scipy are for reports, and for the frame": ("blocks/mixing/shuffle.py", "import scipy"),
}


def broken_contracts(root):
    linter = "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    done = subprocess.run([sys.executable, "-c", linter], cwd=root, capture_output=True, text=True, encoding="utf-8")
    verdicts = re.findall(r"^(.+?) (KEPT|BROKEN)", done.stdout, flags=re.MULTILINE)
    assert verdicts, done.stdout + done.stderr
    return {name for name, verdict in verdicts if verdict == "BROKEN"}, {name for name, _ in verdicts}


@pytest.fixture
def checkout(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept_and_has_a_break_that_shows_it_bites(checkout):
    broken, known = broken_contracts(checkout)

    assert broken == set()
    assert known == set(BREAKS)


@pytest.mark.parametrize("contract", BREAKS)
def test_the_contract_bites(checkout, contract):
    file, line = BREAKS[contract]
    path = checkout / file
    # Inside a function, as people hide an import from a checker.
    path.write_text(path.read_text("utf-8") + f"\n\ndef _hidden():\n    {line}\n", "utf-8")

    broken, _ = broken_contracts(checkout)

    assert contract in broken


def test_no_file_has_a_name_that_says_nothing():
    names = {path.stem for package in (*PACKAGES, "tests", "benchmarks") for path in (ROOT / package).rglob("*.py")}

    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "misc"}


@pytest.mark.parametrize(
    "statement",
    ["import ablate", "import ablate.cli", "import ablate.config", "import ablate.identity", "import ablate.runner"],
)
def test_torch_mlflow_and_pandas_are_not_imported_before_they_are_needed(statement):
    code = f"{statement}; import sys; print(sorted({{'torch', 'mlflow', 'pandas', 'scipy'}} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_help_imports_none_of_the_heavy_libraries():
    code = (
        "import sys; from click.testing import CliRunner; from ablate.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(sorted({'torch', 'mlflow', 'pandas', 'optuna', 'joblib', 'pydantic', 'rich', 'numpy'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
