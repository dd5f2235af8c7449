"""The whole way, with real training, real processes and a real MLflow store."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch

import ablate
from ablate import attempt, data, design
from ablate.job import Job

COLUMNS = [
    "study", "setting", "slot.attention", "seed", "state", "accuracy", "balanced-accuracy", "loss", "train-loss",
    "params", "macs", "latency_ms", "seconds", "started", "run_id",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "PYTHONUTF8": "0", "COLUMNS": "120"}


def command(*arguments, folder, expect=0, **environment):
    """Run the command line as a user does, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "ablate", *arguments],
        cwd=folder, capture_output=True, env={**ENVIRONMENT, "PYTHONIOENCODING": "utf-8", **environment}, timeout=240,
    )  # fmt: skip
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    output = done.stdout.decode(encoding) + done.stderr.decode(encoding)
    assert done.returncode == expect, output
    assert expect == 1 or "Traceback" not in output
    return output


def table_of(output):
    """Return the lines of the table alone."""
    return re.search(r"\n-{20,}\n(.+?)\n\n", output, flags=re.DOTALL)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def first_run(folder):
    return command("run", "tiny", "--workers", "2", folder=folder)


@pytest.fixture(scope="module")
def client(folder, first_run):
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{(folder / 'runs' / 'mlflow.db').as_posix()}")


@pytest.fixture(scope="module")
def records(client):
    experiment = client.get_experiment_by_name("tiny")
    return client.search_runs([experiment.experiment_id])


def trials(records):
    return [record for record in records if record.data.tags["ablate.kind"] == "trial"]


def test_a_run_prints_where_the_records_are_first_and_ends_with_the_table_and_what_it_wrote(first_run, folder):
    lines = first_run.splitlines()

    assert lines[0] == f"Records: {(folder / 'runs').resolve()}"
    assert [line.split()[0] for line in table_of(first_run).splitlines()] == ["none", "se"]
    written = re.findall(r"^wrote (.+)$", first_run, flags=re.MULTILINE)
    assert len(written) == 5
    assert all((folder / path).stat().st_size > 100 for path in written)


def test_progress_is_in_plain_lines_when_the_output_is_no_terminal(first_run):
    assert re.search(r"^0/4 trials complete$", first_run, flags=re.MULTILINE)
    assert re.search(
        r"^4/4  \w+, seed \d: accuracy \d+\.\d\d % \(.+ s\); best so far \w+ ", first_run, flags=re.MULTILINE
    )


def test_a_second_run_trains_nothing_and_prints_the_same_table(first_run, folder):
    again = command("run", "tiny", folder=folder)

    assert "Nothing to train: all 4 trials are complete." in again
    assert table_of(again) == table_of(first_run)


def test_the_frame_has_the_columns_of_the_study_grammar_and_one_row_a_trial(first_run, folder):
    frame = pd.read_csv(folder / "runs" / "tiny" / "runs.csv")

    assert list(frame.columns) == COLUMNS
    assert list(zip(frame["setting"], frame["seed"], strict=True)) == [("none", 0), ("none", 1), ("se", 0), ("se", 1)]
    assert set(frame["state"]) == {"complete"}
    assert frame[COLUMNS[5:13]].notna().all(axis=None)


def test_every_run_hangs_under_the_parent_with_slots_curves_costs_versions_and_commit(records):
    (parent,) = [record for record in records if record.data.tags["ablate.kind"] == "study"]

    assert len(trials(records)) == 4
    for record in trials(records):
        tags, params, metrics = record.data.tags, record.data.params, record.data.metrics
        assert record.info.status == "FINISHED"
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert params["attention"] in {"none", "se"}
        assert params["recipe.epochs"] == "2"
        assert tags["version.torch"] == torch.__version__
        assert {"params", "macs", "latency_ms", "seconds", "accuracy", "loss"} <= set(metrics)


def test_the_curves_have_a_point_an_epoch_and_the_final_score_is_the_last(client, records):
    for record in trials(records):
        history = client.get_metric_history(record.info.run_id, "accuracy")

        assert [point.step for point in history] == [1, 2]
        assert record.data.metrics["accuracy"] == history[-1].value


def test_the_kept_weights_give_the_recorded_score(folder, records):
    study = ablate.read_study("tiny")
    plan = design.plan(study)
    job = Job(study, plan)
    first_seed = [record for record in trials(records) if record.data.params["seed"] == "0"]
    kept = sorted((folder / "runs" / "artifacts").rglob("weights.pt"))

    assert len(kept) == len(first_seed) == 2
    for record in first_seed:
        (path,) = [path for path in kept if record.info.run_id in path.parts]
        (setting,) = [s for s in plan.settings if s.label == record.data.params["attention"]]
        network = attempt.network(job, setting)
        network.load_state_dict(torch.load(io.BytesIO(path.read_bytes()), weights_only=True))
        images = data.load(study.data)
        network.eval()
        with torch.inference_mode():
            right = network(torch.from_numpy(images.test_inputs)).argmax(1).numpy() == images.test_targets
        assert right.mean() == pytest.approx(record.data.metrics["accuracy"], abs=1e-3)


def test_the_parent_keeps_the_study_file(folder, records, first_run):
    (kept,) = (folder / "runs" / "artifacts").rglob("tiny.yml")

    assert kept.read_text("utf-8") == ablate.read_study("tiny").text


def test_moved_records_still_open_and_go_on(first_run, folder, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "elsewhere" / "runs")

    report = command("report", "tiny", folder=tmp_path / "elsewhere")
    again = command("run", "tiny", folder=tmp_path / "elsewhere")

    assert table_of(report) == table_of(first_run)
    assert "Nothing to train" in again


def test_status_report_plan_and_blocks_answer(first_run, folder, tmp_path):
    status = command("status", "tiny", folder=folder)
    report = command(
        "report", "tiny", "--csv", "out/all.csv", "--markdown", "out/t.md", "--latex", "paper", folder=folder
    )
    plan = command("plan", "tiny", folder=folder)
    blocks = command("blocks", "attention", folder=folder)

    assert re.search(r"^se +2 +0 +0$", status, flags=re.MULTILINE)
    assert table_of(report) == table_of(first_run)
    assert {"out/all.csv", "out/t.md", "paper/tiny.tex"} <= set(re.findall(r"^wrote (.+)$", report, flags=re.MULTILINE))
    assert "2 settings × 2 seeds = 4 trials; 4 complete; the other 0 take about 0 s" in plan
    assert re.search(r"^se +none +78,426 +764,192", plan, flags=re.MULTILINE)
    assert "Squeeze-and-Excitation Networks, CVPR 2018" in blocks


def test_smoke_trains_one_step_of_every_setting_and_records_nothing(tmp_path):
    output = command("run", "tiny", "--smoke", folder=tmp_path)

    assert "One step of 2 settings trained, 0 failed; nothing recorded." in output
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_after_ctrl_c_the_same_command_goes_on_where_it_stopped(tmp_path):
    study = tmp_path / "interrupted.yml"
    study.write_text(
        "network: {resnet: {depth: 8, width: 16}}\ndata: {digits: {train: 300}}\nslots: {attention: [none, se]}\n"
        "seeds: 4\nrecipe: {epochs: 8}\n",
        "utf-8",
    )
    with subprocess.Popen(
        [sys.executable, "-m", "ablate", "run", study.name, "--workers", "1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if line.startswith("2/8"):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group gets it
                break
        clock = time.monotonic()
        rest = process.stdout.read()
        code = process.wait(timeout=30)

    assert code == 130, rest
    assert time.monotonic() - clock < 5
    assert "stopped; what is complete is recorded" in rest
    assert "Traceback" not in rest

    again = command("run", study.name, folder=tmp_path)
    frame = pd.read_csv(tmp_path / "runs" / "interrupted" / "runs.csv")
    n_earlier = int(re.search(r"^(\d)/8 trials complete$", again, flags=re.MULTILINE)[1])
    assert 2 <= n_earlier < 8
    assert len(re.findall(r"^\d/8  ", again, flags=re.MULTILINE)) == 8 - n_earlier
    complete = frame[frame["state"] == "complete"]
    assert not complete.duplicated(["setting", "seed"]).any()
    assert len(complete) == 8
    assert set(frame["state"]) <= {"complete", "killed"}


def test_a_chinese_study_runs_on_a_terminal_that_speaks_gbk(tmp_path):
    shutil.copy(Path(ablate.__file__).parents[1] / "studies" / "tiny.yml", tmp_path / "注意力.yml")
    text = (tmp_path / "注意力.yml").read_text("utf-8").replace("Does everything work?", "哪种注意力最好？²")
    (tmp_path / "注意力.yml").write_text(text.replace("se]", "{se: {label: 压缩激励}}]"), "utf-8")

    output = command("run", "注意力.yml", folder=tmp_path, PYTHONIOENCODING="gbk")

    assert "哪种注意力最好？2" in output
    assert [line.split()[0] for line in table_of(output).splitlines()] == ["none", "压缩激励"]


def test_ten_mistakes_are_reported_together_with_exit_code_2(tmp_path):
    (tmp_path / "wrong.yml").write_text(
        """\
network: {resnet: {depht: 8, width: sixteen}}
data: {digits: {train: 300}}
slots:
  attention: [none, sse, {se: {reduction: many}}]
  norm: []
  conv: [dense, dense]
  kernl: [3, 5]
  mix: {choices: [none, pointwise], when: {conv: [grouped]}}
reference: {attention: eca}
recipe: {epochs: 1e-3}
metrc: accuracy
""",
        "utf-8",
    )

    lines = command("run", "wrong.yml", folder=tmp_path, expect=2).strip().splitlines()

    assert len(lines) >= 10
    assert all(line.startswith("wrong.yml: ") for line in lines)
    for place in (
        "network.resnet.depht", "network.resnet.width", "slots.attention[1]", "slots.attention[2]", "slots.norm",
        "slots.conv[1]", "slots.kernl", "slots.mix.when.conv", "reference.attention", "recipe.epochs", "metrc",
    ):  # fmt: skip
        assert any(line.startswith(f"wrong.yml: {place}") for line in lines), place
    assert not (tmp_path / "runs").exists()
