"""The table of all methods: what is counted, and what a dash says."""

from types import SimpleNamespace

import numpy as np

from crbm_lite.baselines.table import BaselineRow, comparison_table, crbm_row, floor_rows, vae_row
from crbm_lite.recordings.recording import Recording
from crbm_lite.validation.comparison import compare_moments


def correlated(seed):
    rng = np.random.default_rng(seed)
    return (rng.random((900, 8)) < np.where(rng.random((900, 1)) < 0.3, 0.6, 0.1)).astype(np.uint8)


def test_floors_have_the_means_no_covariances_and_no_nllh_above_zero():
    train, test = correlated(0), correlated(1)
    independent, shifted = floor_rows(train, test, random_state=0)
    for row in (independent, shifted):
        assert row.scores.vv.nrmse > 0.7
        assert row.scores.v.rmse < 0.05
        assert row.scores.h is None
    assert -0.02 < independent.nllh <= 0
    assert -0.02 < independent.left_out <= 0
    assert shifted.nllh is None
    assert (independent.generates, shifted.generates) == (True, False)
    again = floor_rows(train, test, random_state=0)[1]
    assert again.scores.vv.rmse == shifted.scores.vv.rmse


def test_neurons_are_shifted_within_each_stretch():
    train, test = correlated(0), correlated(1)
    recording = Recording(train, 2.5, discontinuities=np.arange(1, len(train)))
    kept = floor_rows(recording, test)[1]  # nothing to shift in stretches of one frame
    assert kept.scores.vv.rmse == compare_moments(test, train, train).vv.rmse


def test_parameters_are_the_numbers_that_are_not_zero():
    weights = np.array([[1.0, 0.0, 0.0], [0.5, -2.0, 0.0]])
    median = {"nllh": SimpleNamespace(median=0.25), "left_out": SimpleNamespace(median=0.2)}
    report = SimpleNamespace(**median)
    row = crbm_row(SimpleNamespace(weights_=weights, fields_=np.zeros(2)), report, 3.0)
    assert (row.n_parameters, row.zeros) == (3 + 2 + 4 * 2, 0.5)
    assert (row.left_out, row.nllh, row.seconds) == (0.2, 0.25, 3.0)
    vae = SimpleNamespace(sparse_weights=lambda: weights, fields=np.zeros(2))
    assert vae_row(vae, report).n_parameters == 3 + 2


def test_the_table_has_the_scores_and_a_dash_where_there_is_no_question():
    train, test = correlated(0), correlated(1)
    scores = compare_moments(test, train, train, random_state=0)  # nRMSE 0 by definition
    rows = [BaselineRow("mine", scores, -0.1234, True, 0.5, 12_345, 7.04, 0.05)]
    rows.append(BaselineRow("PCA"))
    rows.append(BaselineRow("shifted time"))
    header, mine, pca, _ = (line.split() for line in comparison_table(rows).splitlines())
    assert header[:4] == ["left", "out", "nLLH", "nRMSE:"]
    scored = ["0.050", "-0.123", "0.00", "–", "–", "0.00", "–"]
    assert mine == ["mine", *scored, "yes", "0.50", "12,345", "7.0"]
    assert pca == ["PCA", *"–––––––", "no", "–", "–", "–"]
    assert len({len(line) for line in comparison_table(rows).splitlines()}) == 1
