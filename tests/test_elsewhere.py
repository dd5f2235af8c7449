"""Reports on results that others made, through the command line: files, a real MLflow store, real Optuna storages."""

import json
import re

import mlflow
import optuna
import pandas as pd
import pytest
from click.testing import CliRunner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import ablate
from ablate.cli import main
from ablate.train import Progress

SCORES = {"base": (71.2, 70.8, 71.9), "ours": (72.4, 71.9, 72.8), "other": (70.1, 70.0, 70.9)}


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Return a function that calls `ablate report --from` and returns the result."""
    monkeypatch.chdir(tmp_path)

    def call(source, *more, settings="method", seed="seed", metric="top1"):
        given = ["--setting-columns", settings, "--metric", metric, *(["--seed-column", seed] if seed else [])]
        return CliRunner().invoke(main, ["report", "--from", source, *given, *more])

    return call


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


def flat(network, data, recipe, seed, resume=None):
    yield Progress(1, {"accuracy": 0.5 + 0.01 * seed + 0.001 * sum(p.numel() for p in network.parameters()) / 1e3}, {})


def test_what_a_study_exports_gives_its_own_figures_again(invoke, tmp_path):
    made = ablate.run("tiny", train=flat, workers=0, runs=tmp_path / "runs", quiet=True)
    made.frame.to_csv(tmp_path / "all.csv", index=False)

    result = invoke("all.csv", "--csv", "again.csv", "--unit", "fraction", settings="setting", metric="accuracy")

    assert result.exit_code == 0, result.output
    row = re.search(r"^se .*$", str(made), flags=re.MULTILINE)[0]
    assert re.sub(r"\s+", " ", row) in re.sub(r"[^\S\n]+", " ", result.output)
    assert len(pd.read_csv(tmp_path / "again.csv")) == 4


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


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_any_study_of_optuna(invoke, tmp_path, kind):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    source = f"sqlite:///{tmp_path.as_posix()}/o.db" if kind == "sqlite" else "journal.log"
    storage = source if kind == "sqlite" else JournalStorage(JournalFileBackend(str(tmp_path / source)))
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.set_user_attr("who", "me")
    for method, scores in SCORES.items():
        for seed, score in enumerate(scores):
            study.enqueue_trial({"method": method}, user_attrs={"seed": seed, "score": score})
    study.optimize(
        lambda trial: (trial.suggest_categorical("method", list(SCORES)), trial.user_attrs["score"])[1], n_trials=9
    )

    result = invoke(f"optuna:{source}", "--table", metric="value")

    assert result.exit_code == 0, result.output
    assert "'ours' (+1.07) is better than 'base'" in result.output
    other = invoke(f"optuna:{source}", "--study-name", "mien", "--table", metric="value")
    assert other.exit_code == 2
    assert "unknown Optuna study: 'mien'; did you mean 'mine'?" in other.output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "absent.csv cannot be read: No such file or directory; unknown file: 'absent.csv'; did you mean 'absen.csv'?"),
        ("runs.xlsx", b"x", "runs.xlsx: a file of results ends in .csv, .tsv or .jsonl"),
        ("gbk.csv", "方法,seed,top1\n".encode("gbk"), "gbk.csv is no UTF-8: byte 0 is 0xb7"),
        ("short.csv", b"method,seed,top1\na,0\n", "short.csv, line 2: 2 cells under 3 headers"),
        ("twice.csv", b"method,seed,seed\na,0,1\n", "twice.csv has two columns 'seed'"),
        ("empty.csv", b"", "empty.csv: there is no run in it"),
        ("bad.jsonl", b"{\n", "bad.jsonl, line 1 is no JSON"),
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
    assert re.search(r"is no file|cannot be read by Optuna", result.output)


def test_columns_must_be_named(invoke, table):
    result = CliRunner().invoke(main, ["report", "--from", "runs.csv"])

    assert result.exit_code == 2
    assert "--from needs --setting-columns and --metric" in result.output


def test_a_study_and_other_results_at_once_are_refused():
    result = CliRunner().invoke(main, ["report", "attention", "--from", "runs.csv"])

    assert result.exit_code == 2
    assert "name a study; or two of them after --compare; or results after --from" in result.output
