"""A trained model is found again exactly when it is the same run."""

import threading
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from crbm_lite import CRBM, Recording
from crbm_lite.model.cache import cached_fit, model_key

HYPER = {"n_hidden": 2, "l1": 0.001, "n_updates": 20, "batch_size": 20, "n_chains": 10}
MODEL = CRBM(**HYPER, n_gibbs=2, init="random", random_state=0, progress=False)


@pytest.fixture(scope="module")
def spikes():
    rng = np.random.default_rng(0)
    on = rng.random((60, 1)) < 0.5
    return (rng.random((60, 6)) < np.where(on, 0.7, 0.1)).astype(np.uint8)


@pytest.fixture(autouse=True)
def short_runs_do_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def count_fits(monkeypatch):
    calls = []
    fit = CRBM.fit
    monkeypatch.setattr(CRBM, "fit", lambda self, v: calls.append(1) or fit(self, v))
    return calls


def test_the_second_run_is_read_and_equals_the_first(spikes, tmp_path, count_fits):
    model = clone(MODEL)
    first = cached_fit(model, spikes, tmp_path / "new" / "folder")
    second = cached_fit(model, spikes, tmp_path / "new" / "folder")
    assert len(count_fits) == 1
    assert not hasattr(model, "weights_")
    for name in ("weights_", "fields_", "gamma_plus_", "theta_minus_", "chains_"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert second.verdict_ == first.verdict_
    assert second.history_.events == first.history_.events
    assert second.get_params() == model.get_params()  # random_state, too


def test_it_is_the_plain_fit(spikes, tmp_path):
    direct = clone(MODEL).fit(spikes)
    np.testing.assert_array_equal(cached_fit(MODEL, spikes, tmp_path).weights_, direct.weights_)


@pytest.mark.parametrize("damage", [b"", b"not HDF5"], ids=["empty", "foreign"])
def test_a_damaged_entry_is_trained_anew_and_replaced(spikes, tmp_path, count_fits, damage):
    first = cached_fit(MODEL, spikes, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    again = cached_fit(MODEL, spikes, tmp_path)
    np.testing.assert_array_equal(again.weights_, first.weights_)
    cached_fit(MODEL, spikes, tmp_path)
    assert len(count_fits) == 2
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_truncated_entry_is_trained_anew(spikes, tmp_path, count_fits):
    cached_fit(MODEL, spikes, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:3000])
    cached_fit(MODEL, spikes, tmp_path)
    assert len(count_fits) == 2


def test_a_file_under_the_key_of_another_run_is_not_returned(spikes, tmp_path, count_fits):
    """It has the same hyperparameters and the same size: only the key tells that it is another."""
    cached_fit(MODEL, spikes, tmp_path)
    (path,) = tmp_path.iterdir()
    flipped = spikes[::-1].copy()
    copy = tmp_path / f"{model_key(MODEL, flipped)}.h5"
    copy.write_bytes(path.read_bytes())
    again = cached_fit(MODEL, flipped, tmp_path)
    assert len(count_fits) == 2
    np.testing.assert_array_equal(again.weights_, clone(MODEL).fit(flipped).weights_)
    cached_fit(MODEL, flipped, tmp_path)  # the copy has been replaced
    assert len(count_fits) == 3  # one of them is the comparison's


def test_a_model_that_was_saved_by_hand_is_no_cached_run(spikes, tmp_path, count_fits):
    clone(MODEL).fit(spikes).save(tmp_path / f"{model_key(MODEL, spikes)}.h5")
    cached_fit(MODEL, spikes, tmp_path)
    assert len(count_fits) == 2


def test_of_two_that_want_the_same_model_one_trains(spikes, tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    training, waiting = threading.Event(), threading.Event()
    calls, models, fit, flock = [], [], CRBM.fit, fcntl.flock

    def slow_fit(self, v):
        calls.append(1)
        training.set()
        assert waiting.wait(600)
        return fit(self, v)

    def watched_flock(handle, how):
        if training.is_set():
            waiting.set()
        flock(handle, how)

    monkeypatch.setattr(CRBM, "fit", slow_fit)
    monkeypatch.setattr(fcntl, "flock", watched_flock)
    ask = [
        threading.Thread(target=lambda: models.append(cached_fit(MODEL, spikes, tmp_path)))
        for _ in range(2)
    ]
    ask[0].start()
    assert training.wait(600)
    ask[1].start()
    for thread in ask:
        thread.join(600)
    assert len(calls) == 1
    np.testing.assert_array_equal(models[0].weights_, models[1].weights_)
    assert [path.suffix for path in tmp_path.iterdir()] == [".h5"]  # no lock is left


def test_the_default_folder_is_the_one_for_downloads(spikes, tmp_path, monkeypatch):
    monkeypatch.setenv("CRBM_LITE_CACHE", str(tmp_path))
    cached_fit(MODEL, spikes)
    assert (tmp_path / "models" / f"{model_key(MODEL, spikes)}.h5").is_file()


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_hidden", 3), ("l1", 0.002), ("n_updates", 21), ("random_state", 1), ("jump_every", 0)],
)
def test_another_hyperparameter_is_another_run(spikes, name, value):
    assert model_key(clone(MODEL).set_params(**{name: value}), spikes) != model_key(MODEL, spikes)


def test_progress_and_the_type_of_a_number_do_not_matter(spikes):
    other = clone(MODEL).set_params(progress=True, l1=np.float64(0.001), random_state=np.int64(0))
    assert model_key(other, spikes) == model_key(MODEL, spikes)


def test_every_form_of_the_same_spikes_is_the_same_run(spikes):
    key = model_key(MODEL, spikes)
    forms = (spikes.astype(bool), scipy.sparse.csc_array(spikes), Recording(spikes, rate_hz=1.0))
    assert {model_key(MODEL, form) for form in forms} == {key}


def test_other_spikes_are_another_run(spikes):
    key = model_key(MODEL, spikes)
    flipped = spikes.copy()
    flipped[3, 2] ^= 1
    silent_column = np.pad(spikes, ((0, 0), (0, 1)))  # same spikes, one neuron more
    silent_frame = np.pad(spikes, ((0, 1), (0, 0)))
    others = (flipped, spikes[::-1], silent_column, silent_frame)
    assert key not in {model_key(MODEL, other) for other in others}


def test_other_code_is_another_run(spikes, monkeypatch):
    key = model_key(MODEL, spikes)
    monkeypatch.setattr("crbm_lite.model.cache.source_digest", lambda *folders: "other")
    assert model_key(MODEL, spikes) != key


@pytest.mark.parametrize("seed", [None, np.random.default_rng(0), True])
def test_a_run_without_a_fixed_seed_cannot_be_cached(spikes, seed):
    with pytest.raises(ValueError, match="random_state"):
        cached_fit(clone(MODEL).set_params(random_state=seed), spikes)
