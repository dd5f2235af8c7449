import pandas as pd
import pytest
import statsmodels.formula.api as smf

from reports import ResultsError
from reports.elsewhere import Columns, report_from

ROWS = [
    {"method": method, "seed": str(seed), "top1": str(score)}
    for method, scores in {"base": (71.2, 70.8, 71.9), "ours": (72.4, 71.9, 72.8), "None": (70.1, 70.0, 70.9)}.items()
    for seed, score in enumerate(scores)
]


def report(rows=ROWS, columns=None, **more):
    return report_from(rows, columns or Columns(["method"], "top1", "seed"), where="r.csv", name="r", **more)


def test_rows_of_text_become_the_table_of_a_study():
    made = report(unit="%")

    assert [row[0] for row in made.table.rows] == ["base", "ours", "None"]
    assert made.table.columns[1] == "top1 %"
    assert "'ours' (+1.07 %) is better than 'base'" in made.table.notes[0]
    assert "The reference is the setting that stands first, 'base'." in made.table.notes
    assert "Read from r.csv, as it stands there." in made.table.caption


def test_the_numbers_are_those_of_statsmodels():
    frame = pd.DataFrame(ROWS).astype({"top1": float})
    fit = smf.ols("top1 ~ C(method, Treatment('base')) + C(seed)", frame).fit()

    made = report()

    assert made.table.frame["delta"][1] == pytest.approx(fit.params["C(method, Treatment('base'))[T.ours]"])
    assert made.table.frame["p"][1] == pytest.approx(fit.pvalues["C(method, Treatment('base'))[T.ours]"])


def test_labels_stay_as_they_are_written():
    rows = [{"m": label, "s": "0", "y": "1"} for label in ("010", "1e3", "NA", "nan", "True", " x")]

    assert list(report(rows, Columns(["m"], "y", "s")).plan.settings) == ["010", "1e3", "NA", "nan", "True", " x"]


def test_several_columns_name_a_setting_together_and_are_slots():
    rows = [
        {"att": a, "norm": n, "seed": str(s), "y": str(0.5 + 0.1 * (a == "se") + 0.01 * s * (n == "bn") + 0.003 * (s == 1))}
        for a in ("none", "se") for n in ("bn", "gn") for s in range(3)
    ]  # fmt: skip

    made = report(rows, Columns(["att", "norm"], "y", "seed"))

    assert made.plan.reference == "att=none, norm=bn"
    assert [table.key for table in made.tables][:2] == ["comparison", "effects"]
    assert made.tables[0].columns[:2] == ("att", "norm")


def test_a_column_of_states_is_found_and_a_failed_run_is_no_score():
    rows = [{**row, "status": "FINISHED"} for row in ROWS]
    rows[4] |= {"status": "FAILED", "top1": ""}

    made = report(rows)

    assert next(cell for cell in made.table.body if cell.header == "verdict").cells[1] == "1/3 failed"


def test_one_row_a_setting_needs_no_seed_and_gets_no_test():
    made = report(ROWS[::3], Columns(["method"], "top1"))

    assert "No seeds were given: each setting has one run." in made.table.notes
    assert made.table.notes[0].startswith("No conclusion: with one seed")


@pytest.mark.parametrize(
    ("change", "columns", "more", "message"),
    [
        ({}, Columns(["methd"], "top1", "seed"), {}, "r.csv: unknown column 'methd'; did you mean 'method'?"),
        ({}, Columns([], "top1", "seed"), {}, "name the columns that tell settings apart"),
        ({"top1": "71,2"}, None, {}, "r.csv, line 3, column 'top1' holds '71,2', which is no number"),
        ({"top1": "1_0"}, None, {}, "line 3, column 'top1' holds '1_0', which is no number"),
        ({"top1": "２"}, None, {}, "line 3, column 'top1' holds '２', which is no number"),
        ({"top1": "nan"}, None, {}, "line 3, column 'top1' holds 'nan'; count runs that diverged as failed (--missing"),
        ({"top1": "1e400"}, None, {}, "line 3, column 'top1' holds '1e400'; count runs that diverged as failed"),
        ({"top1": ""}, None, {}, "line 3, column 'top1' is empty, and a run without a score is not complete; name"),
        ({"seed": "1e0"}, None, {}, "line 3, column 'seed' holds '1e0'; a seed is a whole number"),
        ({"seed": "0.5"}, None, {}, "line 3, column 'seed' holds '0.5'; a seed is a whole number"),
        ({"seed": "0"}, None, {}, "r.csv, line 2, and line 3: both are complete runs of setting 'base', seed 0: keep one"),
        ({"method": ""}, None, {}, "line 3: method is empty: the score is of no setting"),
        ({"state": "meh"}, None, {}, "line 3, column 'state': unknown state 'meh'"),
        ({"State": "crashed", "status": "ok"}, None, {}, "columns State and status may both say how a run ended; name one"),
        ({}, Columns(["method", "method"], "top1", "seed"), {}, "r.csv: column 'method' is asked for twice"),
        ({}, Columns(["method"], "seed"), {}, "a score called 'seed' cannot be told from the runs' own; rename it"),
        ({}, Columns(["method"], "top1", "seed", costs={"parms": "seed"}), {}, "unknown cost 'parms'; did you mean 'params'?"),
        ({"params": "many"}, None, {}, "line 3, column 'params' holds 'many', which is no number"),
        ({}, Columns(["method"], "top1"), {}, "setting 'base', seed 0: name the column that holds the seed"),
        ({}, None, {"at": [f"run {i}" for i in range(9)], "reference": "x"}, "unknown setting 'x'"),
        ({}, None, {"reference": "bse"}, "r.csv: unknown setting 'bse'; did you mean 'base'?"),
        ({}, None, {"unit": "fraction"}, "column 'top1' holds 71.2; a fraction lies between 0 and 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_line(change, columns, more, message):
    others = {name: "" if name == "params" else "complete" for name in change if name not in ROWS[0]}
    rows = [{**row, **others} for row in ROWS]
    rows[1] |= change

    with pytest.raises(ResultsError) as caught:
        report(rows, columns, **more)

    assert message in str(caught.value)


def test_no_rows_are_no_results():
    with pytest.raises(ResultsError, match=r"r.csv: there is no run in it"):
        report([])


def verdicts(made):
    return next(column for column in made.table.body if column.header == "verdict").cells


def test_an_export_in_capitals_says_which_runs_crashed():
    rows = [{**row, "State": "Finished"} for row in ROWS]
    rows[4] |= {"State": "crashed", "top1": "99"}

    assert verdicts(report(rows))[1] == "1/3 failed"


def test_a_run_without_a_finite_score_is_a_failed_one_where_that_is_said():
    rows = [dict(row) for row in ROWS]
    rows[4]["top1"], rows[7]["top1"] = "", "NaN"

    made = report(rows, Columns(["method"], "top1", "seed", missing_is_failed=True))

    assert verdicts(made)[1:] == ("1/3 failed", "1/3 failed")


def test_rows_of_no_setting_are_counted_in_a_note():
    parent = {"method": "", "seed": "", "top1": ""}

    assert (
        "Left out, as neither a setting nor a score is noted of them: 2 runs."
        in report([parent, *ROWS, parent]).table.notes
    )
    assert len(report([parent, *ROWS]).frame) == 9


def test_settings_that_look_alike_are_not_one():
    rows = [{"a": a, "b": b, "s": str(s), "y": "1"} for s, (a, b) in enumerate([("x, b=y", ""), ("x", "y")])]

    with pytest.raises(ResultsError, match=r"line 3: two settings are called 'a=x, b=y'"):
        report(rows, Columns(["a", "b"], "y", "s"))


def test_a_reference_of_several_columns_may_be_given_without_spaces():
    rows = [{"a": a, "b": "z", "s": "0", "y": "1"} for a in ("x", "y")]

    assert report(rows, Columns(["a", "b"], "y", "s"), reference="a=y,b=z").plan.reference == "a=y, b=z"


def test_seeds_are_exact_and_whole_as_table_programs_write_them():
    rows = [{**row, "seed": {"0": "3.0", "1": "9007199254740993", "2": "-1"}[row["seed"]]} for row in ROWS]

    assert list(report(rows).frame["seed"][:3]) == [3, 9007199254740993, -1]


def test_costs_may_be_called_otherwise():
    rows = [{**row, "n_params": "1e6", "macs": ""} for row in ROWS]

    made = report(rows, Columns(["method"], "top1", "seed", costs={"params": "n_params"}))

    assert next(column for column in made.table.body if column.header == "params").cells[0] == "1,000,000"
    with pytest.raises(ResultsError, match=r"unknown column 'n_parms'; did you mean 'n_params'\?"):
        report(rows, Columns(["method"], "top1", "seed", costs={"params": "n_parms"}))


def test_no_complete_run_is_no_report():
    with pytest.raises(ResultsError, match=r"r.csv: no run is complete \(9 failed\)"):
        report([{**row, "state": "failed"} for row in ROWS])


def test_what_is_read_is_named_by_its_own_place():
    rows = [{**row, "seed": "0"} for row in ROWS]

    with pytest.raises(ResultsError, match=r"r.csv, run 0, and run 1: both are complete runs"):
        report(rows, at=[f"run {i}" for i in range(9)])
