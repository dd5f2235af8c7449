"""`ablate ui` on records that were moved, with a real server and a real browser."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pandas as pd
import pytest

import ablate
from ablate.place import Place
from ablate.tracking import Records
from ablate.train import Progress

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
REPORT = {"index.html": "<!doctype html><meta charset=utf-8><title>t</title><h1>注意力 &amp; &lt;b></h1>".encode()}
FOLDERS = ("report", "report/figures", "report/tables")

pytestmark = pytest.mark.slow


def flat(network, data, recipe, seed, resume=None):
    for epoch in range(recipe.epochs):
        yield Progress(epoch + 1, {"accuracy": 0.5 + 0.1 * epoch + 0.01 * seed}, {})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A folder of records that were made in another folder."""
    made, moved = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("moved")
    ablate.run("tiny", train=flat, workers=0, runs=made / "runs", quiet=True)
    Records(Place(made / "runs"), "tiny").put_report(REPORT)
    shutil.move(made / "runs", moved / "runs")
    return moved / "runs"


@pytest.fixture(scope="module")
def server(moved):
    """Yield the address of the UI on these records."""
    port = free_port()
    command = [sys.executable, "-m", "ablate", "ui", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=moved.parent, start_new_session=True, **quiet) as process:
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
            os.killpg(process.pid, signal.SIGTERM)  # the server's own workers too


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
    assert [file["path"] for file in files] == ["plan.json", "report", "tiny.yml"]
    with urllib.request.urlopen(
        f"{server}/get-artifact?path=tiny.yml&run_uuid={parent['info']['run_id']}", timeout=30
    ) as answer:
        assert answer.read().decode() == ablate.read_study("tiny").text


def test_by_the_server_a_report_is_kept_in_place_of_an_earlier_one(server, tmp_path):
    records = Records(Place(tmp_path, server), "tiny")
    parent = records.addresses()["study"].rpartition("/")[2]
    try:
        records.put_report({"index.html": b"by the server", "tables/a.tex": b"a"})
        records.put_report({"index.html": "注意力".encode(), "figures/b.svg": b"b"})

        listed = {folder: ask(server, f"artifacts/list?run_id={parent}&path={folder}") for folder in FOLDERS}
        kept = [file["path"] for found in listed.values() for file in found.get("files", []) if not file["is_dir"]]
        assert kept == ["report/index.html", "report/figures/b.svg"]
        assert "report" in records.addresses()
        address = f"{server}/get-artifact?path=report/index.html&run_uuid={parent}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.read().decode() == "注意力"
    finally:
        records.put_report(REPORT)


def test_by_the_server_a_frame_and_its_curves_are_those_of_the_tables(server, moved, tmp_path):
    served, tables = (Records(place, "tiny") for place in (Place(tmp_path, server), Place(moved)))
    frames = [records.frame()[0] for records in (served, tables)]

    pd.testing.assert_frame_equal(*frames)
    pd.testing.assert_frame_equal(served.curves(frames[0]), tables.curves(frames[1]))
    assert len(tables.curves(frames[1])) == 8
    assert served.provenance(frames[0]) == tables.provenance(frames[1])
    assert served.addresses() == tables.addresses()


@pytest.fixture(scope="module")
def browser():
    """Yield a browser without a window."""
    if BROWSER is None or DRIVER is None:
        if "CI" in os.environ:
            pytest.fail("CI must run this: it needs Chromium and its driver")
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1600,1100"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser, server, moved, tmp_path):
    """Return a function that opens one of the study's pages, waits for words in it, and returns all that it says."""
    found = Records(Place(moved), "tiny").addresses()

    def open_page(what, *words):
        browser.get("about:blank")  # else only the part after # changes, and nothing is loaded
        browser.get(f"{server}/{found[what]}")
        for _ in range(120):
            text = browser.find_element("tag name", "body").text
            if all(word in text for word in words):
                break
            time.sleep(0.25)
        browser.save_screenshot(str(tmp_path / f"{what}.png"))
        assert all(word in text for word in words), text
        return text

    return open_page


def test_the_table_of_runs_shows_trials_alone_with_score_slots_and_seed(show, browser):
    text = show("runs", "Training runs", "4 matching runs", "none seed 0", "se seed 1", "Sort: accuracy")

    heads = browser.find_elements("css selector", ".ag-header-cell[col-id]")
    shown = [head.text for head in sorted(heads, key=lambda head: head.rect["x"])]
    assert [name for name in shown if name in {"accuracy", "attention", "seed", "macs"}] == [
        "accuracy",
        "attention",
        "seed",
    ]
    cells = browser.find_elements("css selector", ".ag-row a")  # in no order of their own
    names = [cell.text for cell in sorted(cells, key=lambda cell: cell.rect["y"]) if " seed " in cell.text]
    assert [sorted(names[:2]), sorted(names[2:])] == [["none seed 1", "se seed 1"], ["none seed 0", "se seed 0"]]
    assert "Does everything work?" not in text


def test_the_page_of_a_study_says_what_it_asks_and_what_it_compares(show):
    text = show("study", "Does everything work?", "one-at-a-time", "Show more", "none seed 0")

    assert "**" not in text


def test_the_comparison_shows_what_differs_between_settings(show):
    text = show("compare", "Comparing 2 Runs from 1 Experiment", "Run details", "attention")

    assert re.search(r"^setting none se$", text, flags=re.MULTILINE)
    assert re.search(r"^attention none se$", text, flags=re.MULTILINE)
    assert re.search(r"^seed 0 0$", text, flags=re.MULTILINE)


def test_the_report_is_shown_inline(show, browser):
    show("report", "report", "index.html")

    for _ in range(120):
        if frames := browser.find_elements("tag name", "iframe"):
            break
        time.sleep(0.25)
    browser.switch_to.frame(frames[0])
    try:
        assert browser.find_element("tag name", "h1").text == "注意力 & <b>"
    finally:
        browser.switch_to.default_content()
