import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.fit import correlation, fit_seeds, score_matrix


def cells(rng, *, k, n, share=1.0):
    """Return settings × seeds of random scores, some cells missing."""
    scores = rng.normal(0.9, 0.01, (k, n)) + rng.normal(0, 0.02, n)
    scores[rng.random((k, n)) > share] = np.nan
    return pd.DataFrame(scores, index=[f"s{i}" for i in range(k)]).dropna(how="all")


def least_squares(scores):
    """Fit the model by statsmodels, with one column per setting and per seed."""
    y = scores.to_numpy()
    setting, seed = np.nonzero(np.isfinite(y))
    design = np.hstack([np.eye(y.shape[0])[setting], np.eye(y.shape[1])[seed]])
    return sm.OLS(y[setting, seed], design).fit(method="pinv")


def test_golden_numbers_worked_by_hand():
    # With the settings eliminated the normal equations of the seeds have the eigenvectors u = (1, 0, -1) and
    # v = (1, -2, 1), with 3/2 and 5/2; their right side is -3u + v/2, so the seeds' effects are -2u + v/5.
    fit = fit_seeds(pd.DataFrame([[0.0, 3.0, np.nan], [np.nan, 1.0, 4.0], [0.0, 0.0, 3.0]], index=["a", "b", "c"]))

    assert fit.seeds == pytest.approx([-1.8, -0.4, 2.2])
    assert fit.value(fit.weights("a", "c")) == pytest.approx(1.6)
    assert fit.unit_variance(fit.weights("a", "c")) == pytest.approx(1 / 2 + 1 / 3 + 1 / 10)
    assert (fit.df, fit.sd**2) == (2, pytest.approx(2.4 / 2))


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
@pytest.mark.parametrize("seed", range(10))
def test_random_unbalanced_designs_agree_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    scores = cells(rng, k=6, n=5, share=0.7)
    expected = least_squares(scores)
    _, n = scores.shape

    fit = fit_seeds(scores)

    assert fit.df == expected.df_resid
    assert fit.sd == pytest.approx(math.sqrt(expected.mse_resid), rel=1e-9)
    pairs = [(one, other) for one in scores.index for other in scores.index if one < other]
    contrasts = [fit.weights(*pair) for pair in pairs]
    estimable = [w for w in contrasts if fit.estimable(w)]
    full = np.array([[*w, *np.zeros(n)] for w in estimable])
    assert [fit.value(w) for w in estimable] == pytest.approx(list(full @ expected.params), rel=1e-9, abs=1e-12)
    unit = full @ expected.normalized_cov_params @ full.T
    assert fit.unit_covariance(np.array(estimable)) == pytest.approx(unit, rel=1e-9, abs=1e-9)
    assert [fit.unit_variance(w) for w in estimable] == pytest.approx(list(np.diag(unit)), rel=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_a_contrast_is_estimable_if_it_lies_in_the_row_space(seed):
    rng = np.random.default_rng(seed)
    scores = cells(rng, k=5, n=5, share=0.35)
    there = np.isfinite(scores.to_numpy())
    setting, seeds = np.nonzero(there)
    design = np.hstack([np.eye(len(scores))[setting], np.eye(5)[seeds]])

    fit = fit_seeds(scores)

    for one in scores.index:
        for other in scores.index:
            row = np.array([*fit.weights(one, other), *np.zeros(5)]) if one != other else np.zeros(len(scores) + 5)
            rank = np.linalg.matrix_rank(np.vstack([design, row]))
            assert fit.estimable(row[: len(scores)]) == (rank == np.linalg.matrix_rank(design))
    assert fit.df == len(setting) - np.linalg.matrix_rank(design)


def test_a_balanced_difference_is_that_of_the_means_to_the_last_bit():
    scores = cells(np.random.default_rng(3), k=4, n=7)

    fit = fit_seeds(scores)

    assert fit.value(fit.weights("s2", "s0")) == fit.means[2] - fit.means[0]
    assert fit.unit_variance(fit.weights("s2", "s0")) == pytest.approx(2 / 7)


def test_no_scores_have_no_degrees_of_freedom():
    fit = fit_seeds(pd.DataFrame(np.zeros((0, 0))))

    assert (fit.df, fit.sd) == (0, 0.0)


def test_a_setting_without_scores_is_not_estimable():
    fit = fit_seeds(pd.DataFrame([[0.9, 0.8], [np.nan, np.nan]], index=["a", "b"]))

    assert not fit.estimable(fit.weights("a", "b"))


def test_the_matrix_is_sorted_and_leaves_out_what_it_is_told(runs):
    frame = runs({"none": [0.9, ..., 0.7], "b": [0.5, None], "a": [0.1, 0.2]})

    matrix = score_matrix(frame.iloc[::-1], "accuracy", without=["b"])

    assert list(matrix.index) == ["a", "none"]
    assert list(matrix.columns) == [0, 1, 2]
    assert matrix.loc["none"].tolist() == pytest.approx([0.9, np.nan, 0.7], nan_ok=True)
    assert list(score_matrix(frame, "accuracy", without=(), seeds=[2, 0]).columns) == [2, 0]


def test_correlation_is_that_of_the_mean_squares():
    scores = cells(np.random.default_rng(4), k=3, n=6)
    y = scores.to_numpy()
    seeds = 3 * y.mean(axis=0).var(ddof=1)
    error = ((y - y.mean(0) - y.mean(1, keepdims=True) + y.mean()) ** 2).sum() / 10

    assert correlation(scores) == pytest.approx((seeds - error) / (seeds + 2 * error))
    assert correlation(scores.iloc[:1]) is None
    assert correlation(scores * 0 + 0.9) is None
