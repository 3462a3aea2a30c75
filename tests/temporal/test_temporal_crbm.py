"""The temporal model on sequences of a known one, its files, its limits, and bad input."""

import numpy as np
import pytest
from sklearn.base import clone

from crbm_lite import CRBM, Recording
from crbm_lite.core.spikes import SpikesError
from crbm_lite.model.files import ModelFileError
from crbm_lite.temporal.controls import shuffled_in_blocks
from crbm_lite.temporal.scores import lagged_covariances, likelihood_gain
from crbm_lite.temporal.temporal_crbm import TemporalCRBM
from crbm_lite.temporal.windows import cut_windows
from crbm_lite.training.hyperparameters import HyperparameterError
from tests.temporal.sequences import N, draw, log_probability, parameters, parameters_of

LENGTH, RATE = 20, 2.5
STILL = {"learning_rate": 1e-12, "final_learning_rate": 1e-12}


def true_parameters():
    p = parameters()
    p["weights"] = 1.5 * p["weights"]
    p["couplings"] = np.array([[0.8, -0.7], [0.7, 0.6]])
    p["potential"] = np.array([[4.0, 2.0], [4.0, 2.0], [-3.0, 0.0], [3.0, 0.0]])
    return p


def recording_of(frames, **more):
    cuts = np.arange(LENGTH, len(frames), LENGTH)
    return Recording(frames, RATE, discontinuities=cuts, **more)


@pytest.fixture(scope="module")
def data():
    """Parameters of the truth, and two recordings of it."""
    p, rng = true_parameters(), np.random.default_rng(0)
    return p, recording_of(draw(p, 400, LENGTH, rng)), recording_of(draw(p, 100, LENGTH, rng))


@pytest.fixture(scope="module")
def static(data):
    p = data[0]
    return CRBM.from_parameters(p["weights"], p["fields"], *p["potential"])


@pytest.fixture(scope="module")
def temporal(data, static):
    settings = {"l1": 0.0, "n_updates": 200, "random_state": 0, "progress": False}
    return TemporalCRBM(static, **settings).fit(data[1])


def exact_mean(p, recording):
    windows = cut_windows(recording.n_frames, recording.discontinuities)
    return log_probability(p, recording.spikes.astype(float), windows) / recording.n_frames


def test_couplings_come_back_and_predict_as_the_truth_does(data, temporal):
    p, _, test = data
    assert np.abs(temporal.couplings_ - p["couplings"]).max() < 0.1
    truth, found = exact_mean(p, test), exact_mean(parameters_of(temporal), test)
    without = exact_mean(p | {"couplings": 0 * p["couplings"], "offset": np.zeros(2),
                              "initial": np.zeros(2)}, test)  # fmt: skip
    assert truth - without > 0.05 and truth - found < 0.1 * (truth - without)


def test_the_gain_is_that_of_the_enumeration(data, static, temporal):
    _, _, test = data
    gain = likelihood_gain(temporal, test, random_state=0)
    found = parameters_of(temporal)
    nothing = found | {"couplings": 0 * found["couplings"], "offset": np.zeros(2),
                       "initial": np.zeros(2)}  # fmt: skip
    frames = test.spikes.astype(float)
    exact = np.full(test.n_frames, np.nan)
    for start in range(0, test.n_frames, LENGTH):
        part = frames[start : start + LENGTH]
        for t in (8, 15):
            now = [log_probability(p, part[:n], cut_windows(n)) for p in (found, nothing)
                   for n in (t + 1, t)]  # fmt: skip
            exact[start + t] = (now[0] - now[1]) - (now[2] - now[3])
    known = ~np.isnan(exact)
    off = (gain.per_frame - exact)[known]
    assert np.abs(off).mean() < 0.2 and abs(off.mean()) < 0.03
    assert gain.interval[0] < gain.mean < gain.interval[1]
    assert np.isnan(gain.per_frame[[0, 4, 20]]).all() and not np.isnan(gain.per_frame[5])


def test_all_parameters_find_the_truth_from_a_cruder_crbm(data, temporal):
    p, train, test = data
    off = CRBM.from_parameters(0.7 * p["weights"], 0.7 * p["fields"], *p["potential"])
    settings = {"l1": 0.0, "n_updates": 350, "random_state": 0, "progress": False}
    couplings = TemporalCRBM(off, **settings).fit(train)
    joint = TemporalCRBM(off, trains="all", **settings).fit(train)
    truth = exact_mean(p, test)
    short = [truth - exact_mean(parameters_of(m), test) for m in (couplings, joint)]
    assert short[0] > 0.05
    assert short[1] < 0.25 * short[0]
    variance = joint.units.mean(joint.without_past().hidden_input(test)).var(axis=0)
    assert (np.abs(joint.offset_) == 0).all() and (variance < 1.5).all()


def test_a_penalty_too_large_leaves_the_crbm(data, static):
    _, train, test = data
    settings = {"l1": 9.0, "n_updates": 30, "random_state": 0, "progress": False}
    alone = TemporalCRBM(static, **settings).fit(train)
    assert (alone.couplings_ == 0).all()
    free = TemporalCRBM(static, l1_diagonal=0.0, **settings).fit(train).couplings_
    assert (np.diag(free) != 0).all() and (free[~np.eye(2, dtype=bool)] == 0).all()
    drive = alone.filter(test).drive
    assert np.ptp(drive[1:LENGTH], axis=0) == pytest.approx([0, 0])  # one offset, no past
    silent = TemporalCRBM(static, **settings | STILL).fit(train)
    h = silent.mean_h_given_past(test)
    np.testing.assert_allclose(h, static.mean_h_given_v(test), atol=1e-8)


def test_free_running_has_the_covariances_of_the_data_at_every_lag(data, temporal):
    _, train, _ = data
    v = temporal.sample(LENGTH, 400, random_state=1).reshape(-1, N)
    own = lagged_covariances(v, 3, np.arange(LENGTH, len(v), LENGTH))
    wanted = lagged_covariances(train.spikes, 3, train.discontinuities)
    np.testing.assert_allclose(own, wanted, atol=0.025)
    assert np.abs(wanted[1]).max() > 0.04


def test_windows_do_not_cross_a_jump_of_time(data, temporal):
    _, _, test = data
    other = test.spikes.copy()
    other[:LENGTH] = 1 - other[:LENGTH]
    changed = temporal.mean_h_given_past(recording_of(other))
    same = np.isclose(changed, temporal.mean_h_given_past(test)).all(axis=1)
    assert same[LENGTH:].all() and not same[:LENGTH].any()


def test_files_keep_everything(data, temporal, tmp_path):
    _, _, test = data
    temporal.save(tmp_path / "model.h5")
    again = TemporalCRBM.load(tmp_path / "model.h5")
    for name in ("couplings_", "offset_", "initial_drive_", "mean_h_", "weights_", "fields_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(temporal, name))
    assert again.rate_hz_ == RATE and again.get_params()["l1"] == 0.0
    np.testing.assert_array_equal(again.history_.update, temporal.history_.update)
    np.testing.assert_array_equal(again.mean_h_given_past(test), temporal.mean_h_given_past(test))
    assert again.without_past() is again.static_
    with pytest.raises(ModelFileError, match="not a crbm_lite model"):
        CRBM.load(tmp_path / "model.h5")


def test_files_keep_a_jointly_trained_model(data, static, tmp_path):
    _, train, test = data
    joint = TemporalCRBM(static, trains="all", n_updates=3, progress=False).fit(train)
    joint.save(tmp_path / "model.h5")
    again = TemporalCRBM.load(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.weights_, joint.weights_)
    assert not np.array_equal(again.weights_, again.static_.weights_)
    np.testing.assert_array_equal(again.mean_h_given_past(test), joint.mean_h_given_past(test))


def test_the_same_seed_gives_the_same_couplings(data, static):
    settings = {"n_updates": 10, "random_state": 3, "progress": False}
    first, second = (TemporalCRBM(static, **settings).fit(data[1]) for _ in range(2))
    np.testing.assert_array_equal(first.couplings_, second.couplings_)


def test_an_untrained_crbm_is_trained_first(data):
    temporal = TemporalCRBM(
        CRBM(2, l1=0.0, n_updates=50, progress=False, random_state=0), n_updates=5, progress=False
    )
    fitted = clone(temporal).fit(data[1])
    assert fitted.static_.weights_.shape == (N, 2) and not hasattr(temporal.model, "weights_")


def test_bad_input_is_named(data, static, temporal):
    _, train, test = data
    v = test.spikes
    for wrong, error, message in (
        (v, ValueError, "ndarray: give a Recording"),
        (Recording(v, 5.0), ValueError, "rate_hz is 5 for the recording and 2.5 for the model"),
        (Recording(v[:, :4], RATE), SpikesError, "4 features"),
        (Recording(v[:1], RATE), ValueError, "no two of the 1 frames"),
        (Recording(v[:4], RATE, discontinuities=[1, 2, 3]), ValueError, "no two of the 4 frames"),
    ):
        with pytest.raises(error, match=message):
            temporal.mean_h_given_past(wrong)
    for n_draws in (0, 1.5, "10"):
        with pytest.raises(ValueError, match=f"n_draws is {n_draws!r}: give an integer"):
            temporal.mean_v_given_past(test, n_draws=n_draws)
    with pytest.raises(ValueError, match="longest stretch has 4 frames"):
        likelihood_gain(temporal, Recording(v[:4], RATE))
    for wrong in ({"block": 0}, {"n_temperatures": 0}, {"n_replicas": 1.5}):
        ((name, value),) = wrong.items()
        with pytest.raises(ValueError, match=f"{name} is {value}: give an integer of 1 or more"):
            likelihood_gain(temporal, test, **wrong)
    with pytest.raises(ValueError, match="block is 1: give 2 frames or more"):
        shuffled_in_blocks(test, 1)
    for wrong, message in (
        ({"window": 1}, "window is 1: give an integer of 2 or more"),
        ({"trains": "some"}, "trains is 'some'"),
        ({"l1": -1.0}, "l1 is -1.0"),
        ({"n_updates": 2.5}, "n_updates is 2.5"),
        ({"min_effective_share": 0.0}, "min_effective_share is 0.0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"l1": "auto"}, "l1 is 'auto': give 0 or a positive number"),
        ({"l1_diagonal": np.inf}, "l1_diagonal is inf"),
        ({"final_learning_rate": None}, "final_learning_rate is None: give a positive number"),
    ):
        with pytest.raises(HyperparameterError, match=message):
            TemporalCRBM(static, **wrong).fit(train)
    with pytest.raises(HyperparameterError, match="give a CRBM"):
        TemporalCRBM("model").fit(train)
    with pytest.raises(ValueError, match="no two of the 1 frames"):
        TemporalCRBM(static).fit(Recording(v[:1], RATE))
    with pytest.raises(HyperparameterError, match="n_frames is 0"):
        temporal.sample(0)
