"""The built wheel, away from the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_runs_a_shipped_study_by_name_in_an_empty_folder(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, timeout=300)

    # The wheel's packages come before the checkout's; what they depend on is this environment's.
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONIOENCODING": "utf-8"}
    code = "import ablate, blocks, reports; print(ablate.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", code], cwd=empty, env=environment, capture_output=True, text=True, check=True
    )
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "run", "tiny"], cwd=empty, env=environment, capture_output=True, text=True,
        encoding="utf-8", timeout=300,
    )  # fmt: skip

    assert Path(where.stdout.strip()).is_relative_to(site)
    assert done.returncode == 0, done.stderr
    assert "4/4" in done.stdout
    assert (empty / "runs" / "tiny" / "comparison.tex").is_file()
