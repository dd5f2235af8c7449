"""`ablate report` through the command line, on real records."""

import json
import shutil
import sqlite3
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner

import ablate
from ablate import reporting
from ablate.cli import main
from ablate.errors import StoreError
from ablate.place import Place
from ablate.train import Progress

STUDY = """
name: {name}
question: Which block?
network: {{resnet: {{depth: 8, width: 16}}}}
data: {{digits: {{train: 300}}}}
slots: {{attention: [none, se, eca]}}
seeds: 3
recipe: {{epochs: {epochs}, batch: 64}}
metric: accuracy
"""


def flat(network, data, recipe, seed, resume=None):
    worth = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    for epoch in range(recipe.epochs):
        noise = 0.002 * ((7919 * seed + round(1e6 * worth)) % 5)
        yield Progress(epoch + 1, {"accuracy": 0.5 + worth + 0.1 * epoch + 0.01 * seed + noise}, {})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with the records of two studies."""
    folder = tmp_path_factory.mktemp("made")
    for name, epochs in (("first", 3), ("second", 4)):
        (folder / f"{name}.yml").write_text(STUDY.format(name=name, epochs=epochs), encoding="utf-8")
        ablate.run(folder / f"{name}.yml", train=flat, workers=0, runs=folder / "runs", quiet=True)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """Return a copy of the records, where the command line is called."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def report(*arguments):
    return CliRunner().invoke(main, ["report", *arguments])


def files(folder):
    # SQLite's own files beside a database come and go with its readers.
    found = (path for path in folder.rglob("*") if path.is_file() and "mlflow.db-" not in path.name)
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_the_table_is_printed_and_a_page_written_and_kept_in_mlflow(folder):
    result = report("first")

    assert result.exit_code == 0, result.output
    assert "first: Which block?" in result.output
    page = (folder / "runs" / "first" / "report" / "index.html").read_bytes()
    assert "wrote runs/first/report/index.html" in result.output
    client = mlflow.MlflowClient(tracking_uri=Place(folder / "runs").address)
    experiment = client.get_experiment_by_name("first")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`ablate.kind` = 'study'")
    place = parent.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    assert (folder / "runs" / "artifacts" / place / "report" / "index.html").read_bytes() == page
    kept = files(folder / "runs" / "artifacts" / place / "report")
    assert {"tables/first.tex", "tables/first.json", "tables/first-pairs.csv", "tables/tables.md"} <= set(kept)
    text = page.decode()
    assert "ablate run first.yml" in text
    assert "Had the settings finished learning?" in text
    assert str(folder) not in text


def test_the_table_alone_writes_nothing(folder):
    before = files(folder)

    result = report("first", "--table")

    assert result.exit_code == 0
    assert "Which block?" in result.output
    assert files(folder) == before


def test_two_reports_are_the_same_bytes(folder):
    for place in ("one", "two"):
        result = report("first", "--latex", f"{place}/tex", "--figures", f"{place}/fig", "--html", f"{place}/page.html")
        assert result.exit_code == 0, result.output

    names = files(folder / "one")
    assert len(names) > 20
    assert names == files(folder / "two")
    assert all((folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes() for name in names)


def test_latex_has_the_provenance_of_its_runs(folder):
    report("first", "--latex", "tex", "--style", "ieee")

    known = json.loads((folder / "tex" / "first.json").read_text(encoding="utf-8"))
    assert len(known["runs"]) == 9
    assert known["versions"]["torch"]
    assert len(known["study_sha256"]) == 64
    assert r"\usepackage[letterpaper,textwidth=516.0pt" in (folder / "tex" / "first-all.tex").read_text(
        encoding="utf-8"
    )


def test_chinese_is_spoken_on_the_terminal_and_on_the_page_and_not_in_latex(folder):
    result = report("first", "--lang", "zh", "--latex", "tex")

    assert result.exit_code == 0, result.output
    assert "均值 ± 标准差" in result.output
    page = (folder / "runs" / "first" / "report" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "% Needs \\input{ablation-preamble.tex}" in page
    assert (folder / "tex" / "first.tex").read_text(encoding="utf-8").isascii()


def test_two_studies_are_compared_over_the_settings_they_share(folder):
    result = report("--compare", "first", "second", "--csv", "both.csv", "--latex", "tex")

    assert result.exit_code == 0, result.output
    assert "second − first pp" in result.output
    assert "The studies differ for 'none', 'se' and 'eca'." in result.output
    assert "change_low" in (folder / "both.csv").read_text(encoding="utf-8")
    assert files(folder / "tex") == ["ablation-preamble.tex", "first-second.csv", "first-second.tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frist"], "unknown study: 'frist'; did you mean 'first'?"),
        (["--compare", "first", "secnd"], "unknown study: 'secnd'; did you mean 'second'?"),
        (["--compare", "first", "first"], "'first' would be compared with itself"),
        (["runs.csv"], "runs.csv holds results, and no study: name it after --from"),
        (["first", "--style", "cvrp"], "'cvrp' is not one of"),
        ([], "name a study; or two of them after --compare; or results after --from"),
        (["first", "--compare", "first", "second"], "name a study; or two of them after --compare"),
        (["first", "--metric", "loss"], "--metric goes with --from alone: a study's file says it"),
        (["first", "--lower-is-better"], "--lower-is-better goes with --from alone"),
        (["--compare", "first", "second", "--figures", "fig"], "--figures does not go with --compare"),
    ],
)
def test_what_cannot_be_reported_is_a_sentence(folder, arguments, message):
    before = files(folder)

    result = report(*arguments)

    assert result.exit_code == 2
    assert message in result.output
    assert files(folder) == before


def test_a_study_without_a_complete_run_says_what_is_running(folder):
    with sqlite3.connect(folder / "runs" / "mlflow.db") as database:
        database.execute("UPDATE runs SET status = 'RUNNING' WHERE name LIKE 'none%'")
        database.execute("UPDATE runs SET status = 'FAILED' WHERE name LIKE 'se %' OR name LIKE 'eca %'")
    database.close()

    result = report("first", "--latex", "tex")

    assert result.exit_code == 2
    assert (
        "no run of study 'first' is complete (running: 'none' seed 0, 'none' seed 1 and 'none' seed 2; 6 failed)"
        in result.output
    )
    assert not (folder / "tex").exists()


def test_a_file_in_the_place_of_a_folder_is_a_sentence_and_leaves_nothing_half_written(folder):
    (folder / "taken").write_text("mine", encoding="utf-8")

    result = report("first", "--html", "taken/index.html")

    assert result.exit_code == 2
    assert "taken/index.html cannot be written" in result.output
    assert (folder / "taken").read_text(encoding="utf-8") == "mine"
    assert not list(folder.rglob("*.part"))


def test_a_store_that_is_no_database_is_a_sentence(folder):
    (folder / "runs" / "mlflow.db").write_bytes(b"not a database at all" * 100)

    result = report("first")

    assert result.exit_code == 2
    assert "cannot be read or written" in result.output or "file is not a database" in result.output


def test_a_server_that_is_away_is_a_sentence(folder):
    result = report("first", "--tracking", "http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "cannot be reached" in result.output


def test_a_character_without_a_font_stops_the_figures_and_nothing_else(folder):
    text = (
        (folder / "first.yml")
        .read_text(encoding="utf-8")
        .replace("name: first", "name: third")
        .replace("seeds: 3", "seeds: 3\ncalibration: [[none, '\U00012000']]")
    )
    Path("third.yml").write_text(text, encoding="utf-8")
    ablate.run("third.yml", train=flat, workers=0, runs=folder / "runs", quiet=True)

    figures = report("third", "--figures", "fig")
    page = report("third")

    assert figures.exit_code == 2
    assert "no installed font has" in figures.output
    assert not (folder / "fig").exists()
    assert page.exit_code == 0


def test_a_locked_store_is_a_sentence(folder):
    owner = sqlite3.connect(folder / "runs" / "mlflow.db", isolation_level=None)
    owner.execute("PRAGMA locking_mode=EXCLUSIVE")
    owner.execute("BEGIN EXCLUSIVE")
    owner.execute("UPDATE runs SET name = name")
    try:
        result = report("first")
    finally:
        owner.close()

    assert result.exit_code == 2
    assert "cannot be reached: " in result.output
    assert "database is locked" in result.output
    assert not (folder / "runs" / "first" / "report").exists()


def test_a_disk_that_takes_no_more_leaves_the_old_file_and_no_half_of_the_new_one(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    path = tmp_path / "page.html"
    path.write_text("old", encoding="utf-8")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(StoreError, match=r"page.html cannot be written: File too large"):
            reporting.write(path, "new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert path.read_text(encoding="utf-8") == "old"
    assert files(tmp_path) == ["page.html"]
