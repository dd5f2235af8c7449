"""What the documents show is true: studies parse, programs run, the table is the one that is printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ablate import config
from blocks import catalogue

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_study_in_the_readme_is_one(text):
    assert config.parse_study(text, path=Path("readme.yml")).slots


def test_the_readme_opens_with_the_shipped_attention_study():
    shipped = (ROOT / "studies" / "attention.yml").read_text("utf-8")

    assert blocks("yaml")[0] == re.sub(r"^#.*\n", "", shipped, flags=re.MULTILINE)
    assert len(blocks("yaml")[0].splitlines()) <= 12


@pytest.mark.parametrize("path", sorted((ROOT / "studies").rglob("*.yml")), ids=lambda path: path.stem)
def test_every_shipped_study_reads_and_says_its_question_cost_and_expectation(path):
    text = path.read_text("utf-8")

    assert config.read_study(path).question
    assert path.stem == "tiny" or ("# Cost: " in text and "# Expect: " in text)


def test_every_shipped_study_is_in_the_readme():
    listed = re.findall(r"^\| `([\w-]+)` \|", README, flags=re.MULTILINE)

    assert sorted(listed) == sorted(path.stem for path in (ROOT / "studies").rglob("*.yml"))


def test_the_page_of_the_catalogue_is_what_the_command_writes():
    assert (ROOT / "docs" / "catalogue.md").read_text("utf-8") == catalogue.page(catalogue.read())


def test_the_page_tells_of_every_slot_and_network_and_of_what_makes_no_sense():
    text = catalogue.page(catalogue.read())

    assert re.findall("^## (.+)", text, flags=re.MULTILINE)[1:] == [
        "network",
        *(slot for slot in re.findall(r"^\| network \| (.+) \|", text, flags=re.MULTILINE)[0].split(" | ")),
    ]
    assert set(catalogue.read().slots()) == set(re.findall("^## (.+)", text, flags=re.MULTILINE)[1:])
    assert (
        "- `patch-merging` as downsample of `lenet`: its own layer would take the place of both convolutions." in text
    )
    assert re.search(r"^\| `vit` \| mhsa \| layer \| – \|", text, flags=re.MULTILINE)


def test_every_command_in_the_readme_exists():
    from ablate.cli import main

    used = re.findall(r"^\$ (?:\S*/)?ablate (\w+)", README, flags=re.MULTILINE)

    assert set(used) == set(main.commands)


def test_the_training_function_of_the_readme_runs(tmp_path):
    (program,) = [text for text in blocks("python") if "def train(" in text]
    (tmp_path / "mine.py").write_text(
        program.replace('"studies/tiny.yml"', '"tiny"').replace("train=train)", "train=train, workers=0)"), "utf-8"
    )

    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")

    assert done.returncode == 0, done.stderr
    assert "4/4" in done.stdout


def test_the_table_of_the_readme_has_the_settings_costs_and_verdicts_of_its_study():
    table = re.search(r"<!-- table -->\n```text\n(.*?)```", README, flags=re.DOTALL)[1]
    study = config.read_study("attention")

    rows = [line.split() for line in table.split("\n\n")[1].splitlines()[2:]]
    assert [row[0] for row in rows] == [choice.label for choice in study.slots[0].choices]
    assert "77,754" in rows[0]


def test_no_document_of_the_project_names_a_path_of_a_machine():
    for path in [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("studies/**/*.yml")]:
        assert not re.search(r"(?<![\w.~])/(work|home|root|tmp)/", path.read_text("utf-8")), path
