"""The fault campaign: a short one, and that it finds bugs. `make faults` runs the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="SIGKILL and /proc as Linux has them"),
]


def campaign(*options):
    """Run a campaign, and return its exit code and what it printed."""
    script = Path(__file__).parent / "campaign.py"
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, timeout=900)
    return done.returncode, done.stdout + done.stderr


def test_random_kills_lose_nothing_and_double_nothing():
    code, output = campaign("--kills", "25", "--each", "1")

    assert code == 0, output
    assert "every trial exactly once, bit-equal to an undisturbed run; nothing lost, nothing left over" in output


@pytest.mark.parametrize(
    ("bug", "phases", "kills", "says"),
    [
        ("in-place", "checkpoint", 20, "was found damaged"),
        ("position", "step", 4, "its curves are not those of an undisturbed run"),
        ("spool", "record", 8, "runs that had ended and are not in MLflow"),
    ],
    ids=["a checkpoint written in place", "random numbers of the beginning", "a spool emptied too early"],
)
def test_a_campaign_against_a_bug_fails_and_says_how(bug, phases, kills, says):
    code, output = campaign("--bug", bug, "--phases", phases, "--kills", str(kills), "--each", "0", "--seed", "2")

    assert code == 1, output
    assert says in output
