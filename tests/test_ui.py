"""`ablate ui` on records that were moved, with a real server and a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import ablate
from ablate.train import Progress

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.slow


def flat(network, data, recipe, seed, resume=None):
    for epoch in range(recipe.epochs):
        yield Progress(epoch + 1, {"accuracy": 0.5 + 0.1 * epoch + 0.01 * seed}, {})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the address of the UI on records that were made in another folder."""
    made, moved = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("moved")
    ablate.run("tiny", train=flat, workers=0, runs=made / "runs", quiet=True)
    shutil.move(made / "runs", moved / "runs")
    port = free_port()
    command = [sys.executable, "-m", "ablate", "ui", "--port", str(port)]
    with subprocess.Popen(command, cwd=moved, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(120):
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield address
        finally:
            process.terminate()
            subprocess.run(["pkill", "-f", f"port {port}"], check=False)  # the server's own workers


def ask(server, path, body=None):
    request = urllib.request.Request(f"{server}/api/2.0/mlflow/{path}", method="POST" if body else "GET")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, json.dumps(body).encode() if body else None, timeout=30) as answer:
        return json.load(answer)


def test_the_server_shows_every_run_and_gives_its_files(server):
    experiment = ask(server, "experiments/get-by-name?experiment_name=tiny")["experiment"]
    runs = ask(server, "runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    children = [run for run in runs if any(tag["key"] == "mlflow.parentRunId" for tag in run["data"]["tags"])]
    (parent,) = [run for run in runs if run not in children]

    assert len(children) == 4
    files = ask(server, f"artifacts/list?run_id={parent['info']['run_id']}")["files"]
    assert [file["path"] for file in files] == ["plan.json", "tiny.yml"]
    with urllib.request.urlopen(
        f"{server}/get-artifact?path=tiny.yml&run_uuid={parent['info']['run_id']}", timeout=30
    ) as answer:
        assert answer.read().decode() == ablate.read_study("tiny").text


@pytest.mark.skipif(BROWSER is None and "CI" not in os.environ, reason="needs Chromium: apt-get install chromium")
def test_a_browser_shows_the_study_as_training_runs(server, tmp_path):
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-quic", f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=20000", "--dump-dom",
    ]  # fmt: skip

    done = subprocess.run(
        [BROWSER, *flags, f"{server}/#/experiments/1/runs"], capture_output=True, text=True, timeout=120, check=True
    )

    assert "Training runs" in done.stdout
    assert ">tiny<" in done.stdout
