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
        ({"top1": "nan"}, None, {}, "line 3, column 'top1' holds 'nan'; a run that diverged is a failed one"),
        ({"top1": ""}, None, {}, "line 3, column 'top1' is empty, and a run without a score is not complete; name"),
        ({"seed": "0.5"}, None, {}, "line 3, column 'seed' holds '0.5'; a seed is a whole number"),
        ({"seed": "0"}, None, {}, "lines 2 and 3 are both complete runs of setting 'base', seed 0"),
        ({"method": ""}, None, {}, "line 3: method is empty: no setting"),
        ({"state": "meh"}, None, {}, "line 3, column 'state': unknown state 'meh'"),
        ({}, None, {"reference": "bse"}, "r.csv: unknown setting 'bse'; did you mean 'base'?"),
        ({}, None, {"unit": "fraction"}, "column 'top1' holds 71.2; a fraction lies between 0 and 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_line(change, columns, more, message):
    rows = [{**row, **({"state": "complete"} if "state" in change else {})} for row in ROWS]
    rows[1] |= change

    with pytest.raises(ResultsError) as caught:
        report(rows, columns, **more)

    assert message in str(caught.value)


def test_no_rows_are_no_results():
    with pytest.raises(ResultsError, match=r"r.csv: there is no run in it"):
        report([])
