"""Tables on a real terminal: a pseudo-terminal of a given width."""

import os
import re
import subprocess
import sys

import pytest

from ablate.cli.terminal import panels

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
termios = pytest.importorskip("termios", reason="Windows has no pseudo-terminals")

SHOW = """
from reports.tables import Table
import pandas as pd
from reports.tables.table import Column
from ablate.cli import terminal
table = Table(
    key="comparison", title="attention", question="Which block?", caption="What it means.", legend="Bold: the best.",
    body=(
        Column("attention", ["none", "se", "[red]x[/]"], kind="words"),
        Column("accuracy %", ["90.30 ± 0.64", "91.30 ± 0.20", "–"], kind="score", emphasis={1: "best"}),
        Column("Δ pp", ["reference", "+1.00", "−2.00"], kind="difference", emphasis={1: "better", 2: "worse"}),
        Column("params", ["77,754", "78,426", "78,000"], group="cost"),
    ),
    reference_row=0, notes=("'se' is better.",), frame=pd.DataFrame(),
)
terminal.show_tables([table])
"""


def shown(width, **env):
    """Run the script on a terminal of so many columns and return what it printed."""
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (40, width))
    given = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(
        [sys.executable, "-c", SHOW],
        stdin=child,
        stdout=child,
        stderr=child,
        env=given | {"TERM": "xterm-256color"} | env,
    ) as process:
        os.close(child)
        found = b""
        while True:
            try:
                chunk = os.read(parent, 65536)
            except OSError:  # the other end has closed
                break
            if not chunk:
                break
            found += chunk
        process.wait(timeout=30)
    os.close(parent)
    return found.decode("utf-8")


def plain(text):
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]


def test_what_stands_out_is_coloured_and_a_name_is_no_markup():
    text = shown(100)

    assert "\x1b[1m91.30 ± 0.20\x1b[0m" in text
    assert "\x1b[32m    +1.00\x1b[0m" in text
    assert "\x1b[31m    −2.00\x1b[0m" in text
    assert any(line.startswith("[red]x[/]") for line in plain(text))
    assert "Bold: the best." in text


def test_a_narrow_terminal_gets_the_columns_in_parts_that_repeat_the_names():
    lines = plain(shown(40))

    assert [line for line in lines if line.startswith("attention ")] == [
        "attention    accuracy %       Δ pp",
        "attention  params",
    ]
    assert all(len(line) <= 40 for line in lines)
    assert "se         91.30 ± 0.20      +1.00" in lines
    assert "se         78,426" in lines


def test_no_color_is_respected():
    assert not re.search(r"\x1b\[3[0-7]m", shown(100, NO_COLOR="1"))


def test_a_terminal_without_unicode_reads_plain_signs():
    text = shown(100, PYTHONIOENCODING="ascii")

    assert "90.30 +/- 0.64" in text
    assert "-2.00" in text
    assert "?" not in text.replace("Which block?", "")


@pytest.mark.parametrize(("width", "expected"), [(200, [[0, 1, 2, 3]]), (1, [[0, 1], [0, 2], [0, 3]])])
def test_every_column_stands_in_one_part(width, expected):
    scope = {}
    exec(SHOW.replace("terminal.show_tables([table])", ""), scope)  # the table alone

    assert panels(scope["table"], width) == expected
