"""Reports on results that others made, through the command line: files, a real MLflow store, real Optuna storages."""

import contextlib
import gc
import hashlib
import json
import re
import sqlite3
from pathlib import Path

import mlflow
import optuna
import pandas as pd
import pytest
from click.testing import CliRunner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import ablate
from ablate import elsewhere
from ablate.cli import main
from ablate.errors import AblateError
from ablate.place import Place
from ablate.train import Progress

SCORES = {"base": (71.2, 70.8, 71.9), "ours": (72.4, 71.9, 72.8), "other": (70.1, 70.0, 70.9)}


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Return a function that calls `ablate report --from` and returns the result."""
    monkeypatch.chdir(tmp_path)

    def call(source, *more, settings="method", seed="seed", metric="top1"):
        given = ["--setting-columns", settings, "--metric", metric, *(["--seed-column", seed] if seed else [])]
        return CliRunner().invoke(main, ["report", "--from", source, *given, *more])

    yield call
    gc.unfreeze()  # the command freezes what it leaves behind, as its process ends with it


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that reads a source, with `runs/` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda source, uri=None, **more: elsewhere.read(source, Place(Path("runs"), uri), **more)


def written(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return name


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.csv"
    lines = [f"{method},{seed},{score}" for method, scores in SCORES.items() for seed, score in enumerate(scores)]
    path.write_text("\n".join(["method,seed,top1", *lines]) + "\n", encoding="utf-8-sig")
    return path


def test_a_file_gives_the_table_the_page_and_latex(invoke, table, tmp_path):
    result = invoke("runs.csv", "--unit", "%", "--latex", "paper")

    assert result.exit_code == 0, result.output
    assert "'ours' (+1.07 %) is better than 'base'" in result.output
    assert (tmp_path / "runs-report" / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert r"\label{tab:runs}" in (tmp_path / "paper" / "runs.tex").read_text(encoding="utf-8")


def test_tabs_and_json_lines_say_the_same(invoke, table, tmp_path):
    expected = invoke("runs.csv", "--table").output.replace("runs.csv", "F")
    rows = [line.split(",") for line in table.read_text(encoding="utf-8-sig").splitlines()]
    (tmp_path / "runs.tsv").write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8")
    objects = [{"method": m, "seed": int(s), "top1": float(y)} for m, s, y in rows[1:]]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, objects)), encoding="utf-8")

    assert invoke("runs.tsv", "--table").output.replace("runs.tsv", "F") == expected
    assert invoke("runs.jsonl", "--table").output.replace("runs.jsonl", "F") == expected


def counting(network, data, recipe, seed, resume=None):
    size = sum(p.numel() for p in network.parameters())
    yield Progress(1, {"accuracy": 0.5 + size / 1e6 + 0.01 * seed + 0.002 * (seed * size % 5)}, {})


def test_what_a_study_exports_gives_its_own_figures_again(invoke, tmp_path):
    made = ablate.run("tiny", train=counting, workers=0, runs=tmp_path / "runs", quiet=True)
    made.frame.to_csv(tmp_path / "all.csv", index=False)

    result = invoke("all.csv", "--csv", "again.csv", "--unit", "fraction", settings="setting", metric="accuracy")

    assert result.exit_code == 0, result.output
    row = re.search(r"^se .*$", str(made), flags=re.MULTILINE)[0]
    assert re.sub(r"\s+", " ", row) in re.sub(r"[^\S\n]+", " ", result.output)
    assert len(pd.read_csv(tmp_path / "again.csv")) == 4


def test_the_experiment_of_a_study_gives_its_own_figures_again(invoke, tmp_path):
    made = ablate.run("tiny", train=counting, workers=0, runs=tmp_path / "runs", quiet=True)
    names = {"settings": "params.attention", "seed": "params.seed", "metric": "metrics.accuracy"}

    result = invoke("mlflow:tiny", "--unit", "fraction", "--table", "--cost-columns", "params=metrics.params", **names)

    assert result.exit_code == 0, result.output
    row = re.search(r"^se .* 78,426", str(made), flags=re.MULTILINE)[0]
    assert re.sub(r"\s+", " ", row) in re.sub(r"[^\S\n]+", " ", result.output)
    assert "Left out, as neither a setting nor a score is noted of them: 1 run." in result.output


def test_where_it_was_read_is_said_without_its_address(invoke, table, tmp_path):
    result = invoke(str(tmp_path / "runs.csv"))

    assert result.exit_code == 0, result.output
    page = (tmp_path / "runs-report" / "index.html").read_text(encoding="utf-8")
    assert "Read from runs.csv, as it stands there." in page
    assert str(tmp_path) not in page


def test_a_run_without_a_score_is_failed_only_where_that_is_asked_for(invoke, tmp_path):
    written(tmp_path, "r.csv", "method,seed,top1\na,0,1\nb,0,\n")

    refused, counted = invoke("r.csv", "--table"), invoke("r.csv", "--table", "--missing", "failed")

    assert (refused.exit_code, counted.exit_code) == (2, 0)
    assert "r.csv, line 3, column 'top1' is empty" in refused.output
    assert "1/1 failed" in counted.output


def test_less_is_better_where_optuna_minimized(invoke, tmp_path):
    source, study = optuna_study(tmp_path, "journal", direction="minimize")
    scored(study)

    output = invoke(source, "--table", metric="value").output

    assert "'other' (−0.97) is better than 'base'" in output
    assert "lower is better" in output


def test_any_experiment_of_mlflow(invoke, tmp_path):
    uri = f"sqlite:///{tmp_path.as_posix()}/other.db"
    client = mlflow.MlflowClient(tracking_uri=uri)
    number = client.create_experiment("mine")
    for method, scores in SCORES.items():
        for seed, score in enumerate(scores):
            run = client.create_run(number)
            client.log_param(run.info.run_id, "method", method)
            client.log_param(run.info.run_id, "seed", seed)
            client.log_metric(run.info.run_id, "top1", 1.0, step=0)
            client.log_metric(run.info.run_id, "top1", score, step=1)
            client.set_terminated(run.info.run_id)
    gone = client.create_run(number)
    client.set_terminated(gone.info.run_id, "FAILED")
    client.delete_run(gone.info.run_id)
    names = {"settings": "params.method", "seed": "params.seed", "metric": "metrics.top1"}

    result = invoke("mlflow:mine", "--tracking", uri, "--table", **names)

    assert result.exit_code == 0, result.output
    assert "'ours' (+1.07) is better than 'base'" in result.output
    missing = invoke("mlflow:mien", "--tracking", uri, "--table", **names)
    assert missing.exit_code == 2
    assert "unknown experiment: 'mien'; did you mean 'mine'?" in missing.output


def optuna_study(tmp_path, kind, *, direction="maximize", name="mine"):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    source = f"sqlite:///{tmp_path.as_posix()}/o.db" if kind == "sqlite" else "journal.log"
    storage = source if kind == "sqlite" else JournalStorage(JournalFileBackend(str(tmp_path / source)))
    return f"optuna:{source}", optuna.create_study(storage=storage, study_name=name, direction=direction)


def scored(study):
    for method, scores in SCORES.items():
        for seed, score in enumerate(scores):
            study.enqueue_trial({"method": method}, user_attrs={"seed": seed, "score": score})
    study.optimize(
        lambda trial: (trial.suggest_categorical("method", list(SCORES)), trial.user_attrs["score"])[1], n_trials=9
    )


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_any_study_of_optuna(invoke, tmp_path, kind):
    source, study = optuna_study(tmp_path, kind)
    scored(study)

    result = invoke(source, "--table", metric="value")

    assert result.exit_code == 0, result.output
    assert "'ours' (+1.07) is better than 'base'" in result.output
    other = invoke(source, "--study-name", "mien", "--table", metric="value")
    assert other.exit_code == 2
    assert "unknown Optuna study: 'mien'; did you mean 'mine'?" in other.output


def test_every_end_of_a_trial_and_the_direction_are_those_of_optuna(read, tmp_path):
    source, study = optuna_study(tmp_path, "journal", direction="minimize")
    for state, value in [("COMPLETE", 0.25), ("PRUNED", None), ("FAIL", None)]:
        trial = study.ask({"lr": optuna.distributions.CategoricalDistribution([0.1, None])})
        study.tell(trial, value, state=optuna.trial.TrialState[state])
    study.enqueue_trial({"lr": None})

    found = read(source)

    assert [row["state"] for row in found.rows] == ["COMPLETE", "PRUNED", "FAIL", "WAITING"]
    assert [row["value"] for row in found.rows] == ["0.25", "", "", ""]
    assert found.rows[3]["lr"] == ""
    assert found.at == ["trial 0", "trial 1", "trial 2", "trial 3"]
    assert found.minimized == {"value"}


def test_two_things_of_one_name_in_a_trial_are_refused(read, tmp_path):
    source, study = optuna_study(tmp_path, "journal")
    trial = study.ask({"seed": optuna.distributions.IntDistribution(0, 3)})
    trial.set_user_attr("seed", 7)
    study.tell(trial, 1.0)

    with pytest.raises(AblateError, match="trial 0 of Optuna has two things called 'seed'"):
        read(source)


def test_of_several_studies_one_must_be_named(read, tmp_path):
    optuna_study(tmp_path, "sqlite", name="b")
    source, _ = optuna_study(tmp_path, "sqlite", name="a")

    with pytest.raises(AblateError, match=r"name one of its studies: (a, b|b, a)"):
        read(source)
    assert read(source, study="a").where == "optuna:a"


def theirs(tmp_path, name):
    """Return the address of a database with a rollback journal, as SQLite has it unless told, which nobody has open."""
    folder = tmp_path / "theirs"
    folder.mkdir(exist_ok=True)
    with (
        contextlib.closing(sqlite3.connect(tmp_path / name)) as source,
        contextlib.closing(sqlite3.connect(folder / name)) as copy,
    ):
        source.backup(copy)
        assert copy.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    return f"sqlite:///{(folder / name).as_posix()}"


def test_what_is_read_stays_as_it_is(read, tmp_path):
    scored(optuna_study(tmp_path, "sqlite")[1])
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path.as_posix()}/m.db").create_experiment("mine")
    study, runs = theirs(tmp_path, "o.db"), theirs(tmp_path, "m.db")
    before = contents(tmp_path / "theirs")

    assert len(read(f"optuna:{study}").rows) == 9
    assert read("mlflow:mine", runs).rows == []
    assert contents(tmp_path / "theirs") == before


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("mlflow:mine", None),
        ("mlflow:mine", "sqlite:///absent.db"),
        ("optuna:sqlite:///absent.db", None),
        ("optuna:sqlite:////no/such/folder/x.db", None),
        ("optuna:absent.log", None),
    ],
)
def test_a_store_that_is_not_there_is_not_made(read, tmp_path, source, uri):
    with pytest.raises(AblateError, match=r"does not exist|is no file"):
        read(source, uri)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_a_sentence(read, tmp_path):
    written(tmp_path, "x.db", "no database, but text that is long enough for one" * 10)

    with pytest.raises(AblateError, match=r"the store sqlite:///x\.db cannot be read: file is not a database"):
        read("optuna:sqlite:///x.db")


def test_a_password_is_never_said(read):
    with pytest.raises(AblateError) as caught:
        read("optuna:mysqll://me:secret@host/db")

    assert str(caught.value).startswith("mysqll://host/db cannot be read by Optuna: ")
    assert "secret" not in str(caught.value)


def test_lines_are_those_of_the_file(read, tmp_path):
    table = read(written(tmp_path, "a.csv", 'm,y\r\n"two\r\nlines",1\r\n\r\nb\u2028c,2\r\nd\x0be,3\r\n'))
    objects = read(written(tmp_path, "a.jsonl", '{"m": "a\u2028b"}\n\n{"y": null, "m": ["é", 1]}\n'))

    assert list(zip(table.at, table.rows, strict=True)) == [
        ("line 2", {"m": "two\r\nlines", "y": "1"}),
        ("line 5", {"m": "b\u2028c", "y": "2"}),
        ("line 6", {"m": "d\x0be", "y": "3"}),
    ]
    assert list(zip(objects.at, objects.rows, strict=True)) == [
        ("line 1", {"m": "a\u2028b", "y": ""}),
        ("line 3", {"m": '["é", 1]', "y": ""}),
    ]


def test_cells_of_any_length_are_read_and_columns_without_a_name_are_not(read, tmp_path):
    found = read(written(tmp_path, "w.csv", f",m,,\n0,{'x' * 200_000},,\n"))

    assert [list(row) for row in found.rows] == [["m"]]
    assert len(found.rows[0]["m"]) == 200_000


def test_a_name_is_fit_for_a_file_and_no_folder_is_told(read, tmp_path):
    uri = f"sqlite:///{tmp_path.as_posix()}/other.db"
    mlflow.MlflowClient(tracking_uri=uri).create_experiment("../me/50% *")
    (tmp_path / "deep").mkdir()
    table = tmp_path / written(tmp_path, "deep/my runs.csv", "m\n")

    assert (read("mlflow:../me/50% *", uri).name, read(str(table)).name) == ("me-50%", "my runs")
    assert read(str(table), name="a/b").name == "a-b"
    assert read(str(table)).where == "my runs.csv"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "absent.csv cannot be read: No such file or directory; unknown file: 'absent.csv'; did you mean 'absen.csv'?"),
        ("runs.xlsx", b"x", "runs.xlsx: a file of results ends in .csv, .tsv or .jsonl"),
        ("gbk.csv", "方法,seed,top1\n".encode("gbk"), "gbk.csv is no UTF-8: byte 0 is 0xb7"),
        ("short.csv", b"method,seed,top1\na,0\n", "short.csv, line 2: 2 cells under 3 headers"),
        ("twice.csv", b"method,seed,seed\na,0,1\n", "twice.csv has two columns 'seed'"),
        ("empty.csv", b"", "empty.csv: there is no run in it"),
        ("open.csv", b'method,seed,top1\na,0,1\n"b,0,1\n', "open.csv, line 3: unexpected end of data"),
        ("bad.jsonl", b"\n{\n", "bad.jsonl, line 2 is no JSON"),
        ("deep.jsonl", b"[" * 100_000, "deep.jsonl, line 1 is no JSON"),
        ("again.jsonl", b'{"a": 1, "a": 2}\n', "again.jsonl, line 1 is no JSON: it has a name twice"),
        ("list.jsonl", b"[1]\n", "list.jsonl, line 1 is no object of names and values"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_sentence_and_leaves_nothing(invoke, tmp_path, name, content, message):
    if content is None:
        (tmp_path / "absen.csv").touch()
    else:
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.iterdir())

    result = invoke(name, "--latex", "paper")

    assert result.exit_code == 2
    assert message in result.output
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("source", ["optuna:none.log", "optuna:mysqll://x/y", "optuna:sqlite:////no/such/folder/x.db"])
def test_a_storage_that_cannot_be_read_is_a_sentence(invoke, source):
    result = invoke(source, metric="value")

    assert result.exit_code == 2
    assert re.search(r"is no file|cannot be read by Optuna|does not exist", result.output)


def test_columns_must_be_named(invoke, table):
    result = CliRunner().invoke(main, ["report", "--from", "runs.csv"])

    assert result.exit_code == 2
    assert "--from needs --setting-columns and --metric" in result.output


def test_a_study_and_other_results_at_once_are_refused():
    result = CliRunner().invoke(main, ["report", "attention", "--from", "runs.csv"])

    assert result.exit_code == 2
    assert "name a study; or two of them after --compare; or results after --from" in result.output
