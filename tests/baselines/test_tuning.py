"""Cross-validation over contiguous blocks."""

import numpy as np
import pytest

from crbm_lite.baselines import tuning
from crbm_lite.baselines.glm import sweep_l2
from crbm_lite.baselines.graphical_lasso import sweep_alpha
from crbm_lite.baselines.ising import sweep_ising_l2
from crbm_lite.baselines.pca import sweep_components
from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.recordings.recording import Recording


def test_every_block_is_held_out_once_and_never_fitted():
    v = np.zeros((11, 11), dtype=np.uint8)
    np.fill_diagonal(v, 1)  # frame t is recognised by its only active neuron
    held = []

    def score(fitted, held_out):
        there, here = set(fitted.nonzero()[1]), held_out.nonzero()[1]
        assert there == set(range(11)) - set(here)
        assert (np.diff(here) == 1).all()
        held.extend(here)
        return [1.0]

    cross_validate(v, ("a",), score, n_folds=3)
    assert held == list(range(11))


def test_borders_of_blocks_move_to_where_time_jumps():
    """No block holds the end of one trial and the beginning of the next."""
    v = np.zeros((100, 100), dtype=np.uint8)
    np.fill_diagonal(v, 1)
    trials = Recording(v, rate_hz=2.0, discontinuities=[15, 31, 70, 92])
    held = []
    cross_validate(trials, ("a",), lambda a, b: held.append(b.nonzero()[1]) or [1.0], n_folds=3)
    assert [(block[0], block[-1]) for block in held] == [(0, 30), (31, 69), (70, 99)]


@pytest.mark.parametrize(
    "sweep",
    [lambda v: sweep_components(v, (1,)), lambda v: sweep_l2(v, (1.0,)),
     lambda v: sweep_alpha(v, (0.1,)), lambda v: sweep_ising_l2(v, (0.1,))],
)  # fmt: skip
def test_every_rival_is_told_of_the_jumps(sweep, monkeypatch):
    seen = []
    monkeypatch.setattr(tuning, "borders_at_jumps",
                        lambda bounds, jumps: seen.append(list(jumps)) or bounds)  # fmt: skip
    v = (np.random.default_rng(0).random((90, 4)) < 0.4).astype(np.uint8)
    sweep(Recording(v, rate_hz=2.0, discontinuities=[40, 70]))
    assert seen == [[40, 70]]


def test_the_best_has_the_highest_mean_and_an_edge_is_told():
    sweep = Sweep((1, 2, 3), np.array([[9.0, 5.0, 0.0], [0.0, 5.0, 4.0]]))
    np.testing.assert_allclose(sweep.mean, [4.5, 5.0, 2.0])
    assert (sweep.best, sweep.at_edge) == (2, False)
    edge = Sweep((1, 2, 3), np.array([[0.0, np.nan, 1.0]]))
    assert (edge.best, edge.at_edge) == (3, True)


def test_bad_arguments_are_named():
    v = np.eye(4)
    with pytest.raises(ValueError, match="values is empty"):
        cross_validate(v, (), lambda a, b: [])
    for n_folds in (1, 5):
        with pytest.raises(ValueError, match=f"n_folds is {n_folds}"):
            cross_validate(v, (1,), lambda a, b: [0.0], n_folds)
    with pytest.raises(ValueError, match=r"returned shape \(2,\)"):
        cross_validate(v, (1,), lambda a, b: [0.0, 1.0], 2)
