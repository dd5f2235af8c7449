"""A table as text and as Markdown."""

import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "show"),
    [("attention.txt", lambda t: t.to_text()), ("attention.md", lambda t: t.to_markdown())],
)
def test_table_is_the_golden_file(table, five_blocks, name, show):
    """Run with UPDATE_GOLDEN=1 to write the files anew, then read them."""
    shown = show(table(five_blocks, practical=0.005))
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(shown, encoding="utf-8")

    assert shown == (GOLDEN / name).read_text(encoding="utf-8")


def test_a_typical_table_fits_a_terminal(table, five_blocks):
    lines = table(five_blocks).to_text().splitlines()

    assert max(map(len, lines)) <= 110


def test_caption_and_notes_wrap_at_the_width_asked_for(table, five_blocks):
    shown = table(five_blocks)

    prose = [
        line for line in shown.to_text(60).splitlines() if not line.startswith((*five_blocks, "attention  ", "--"))
    ]

    assert max(map(len, prose)) <= 60


def test_markdown_escapes_what_would_break_the_table(table):
    shown = table({"none": [0.9, 0.91], "a|b *c*_d <e>": [0.9, 0.92]}).to_markdown()

    assert r"| a\|b \*c\*\_d \<e> |" in shown


def test_chinese_labels_are_aligned_by_the_columns_they_take(table):
    lines = table({"none": [0.9, 0.91], "注意力": [0.9, 0.92]}).to_text().splitlines()
    none, chinese = (next(line for line in lines if line.startswith(start)) for start in ("none", "注意力"))

    assert none.index("±") == chinese.index("±") + 3


def test_every_other_table_in_markdown_is_the_golden_file(crossed):
    shown = "\n".join(table.to_markdown() for table in crossed().tables)

    assert shown == (GOLDEN / "crossed.md").read_text(encoding="utf-8")
