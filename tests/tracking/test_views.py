"""The addresses of MLflow's pages; that they show what they should is seen in a browser, by tests/test_ui.py."""

import json
from urllib.parse import unquote

import mlflow

from ablate.tracking import Records, views


def test_the_view_of_a_study_lists_its_trials_by_its_metric_with_slots_and_seeds(place, study_of, begun, usual_text):
    study = study_of(text=f"{usual_text}metric: loss\nmetrics: [accuracy]\n")
    begun(place, study)
    experiment = mlflow.MlflowClient(tracking_uri=place.address).get_experiment_by_name("one")

    state = json.loads(experiment.tags[views.TAG])

    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`loss`", True)
    assert state["searchFilter"] == "tags.`ablate.kind` = 'trial'"
    assert state["selectedColumns"] == ["metrics.`loss`", "metrics.`accuracy`", "params.`attention`", "params.`seed`"]


def test_the_addresses_of_a_study_name_one_run_of_each_setting_for_comparison(
    place, study_of, trials_of, run_of, begun, write, in_mlflow
):
    study = study_of()
    records = begun(place, study)
    assert set(records.addresses()) == {"runs", "study"}
    write(records, study, *map(run_of, trials_of(study)))

    found = Records(place, "one").addresses()

    client, runs = in_mlflow(place)
    number = client.get_experiment_by_name("one").experiment_id
    parent = runs[0].data.tags["mlflow.parentRunId"]
    first = {run.data.params["setting"]: run.info.run_id for run in runs if run.data.params["seed"] == "0"}
    assert found["runs"] == f"#/experiments/{number}/runs?viewStateShareKey=ablate"
    assert found["study"] == f"#/experiments/{number}/runs/{parent}"
    listed = json.dumps([first["none"], first["se"]], separators=(",", ":"))
    assert unquote(found["compare"]) == f'#/compare-runs?runs={listed}&experiments=["{number}"]'
    assert "report" not in found
    records.put_report({"index.html": b"<!doctype html>"})
    assert records.addresses()["report"] == f"#/experiments/{number}/runs/{parent}/artifacts/report/index.html"


def test_where_an_older_ablate_has_set_up_no_view_the_runs_are_filtered(place, study_of, begun):
    begun(place, study_of())
    client = mlflow.MlflowClient(tracking_uri=place.address)
    number = client.get_experiment_by_name("one").experiment_id
    client.delete_experiment_tag(number, views.TAG)

    assert unquote(Records(place, "one").addresses()["runs"]).endswith(
        "/runs?searchFilter=tags.`ablate.kind` = 'trial'"
    )
