"""The model: energies, conditionals, log Z, sampling, files and scikit-learn's contract."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from crbm_lite.core.partition import all_states
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import Recording

N, M = 6, 3


def machine(seed=0, n_neurons=N, scale=1.0):
    rng = np.random.default_rng(seed)
    return CRBM.from_parameters(
        scale * rng.normal(size=(n_neurons, M)), rng.normal(-0.5, 0.5, n_neurons),
        [1.5, 1.0, 0.7], [1.0, 2.0, 3.0], [-1.5, 0.8, 0.1], [1.0, -0.6, 0.3],
    )  # fmt: skip


STATES = all_states(N)
STATES_FLOAT = STATES.astype(float)


def test_free_energy_is_minus_log_of_the_integral_of_exp_minus_energy():
    rng = np.random.default_rng(3)
    model = CRBM.from_parameters(
        rng.normal(size=(3, 1)), rng.normal(size=3), [1.3], [0.6], [-1.0], [0.7]
    )
    for v in all_states(3):
        integral = sum(
            quad(lambda h, v=v: np.exp(-model.energy(v[None], [[h]])[0]), low, high)[0]
            for low, high in ((-30, -3), (-3, 0), (0, 3), (3, 30))
        )
        assert model.free_energy(v[None])[0] == pytest.approx(-np.log(integral), rel=1e-9)


def test_energy_is_its_formula():
    model, rng = machine(), np.random.default_rng(0)
    h = rng.normal(size=(len(STATES), M))
    expected = (
        -STATES_FLOAT @ model.fields_
        + model.units.potential(h).sum(axis=1)
        - np.einsum("ti,im,tm->t", STATES, model.weights_, h)
    )
    np.testing.assert_allclose(model.energy(STATES, h), expected, rtol=1e-12, atol=1e-12)


def test_quadratic_units_give_a_hopfield_model():
    rng = np.random.default_rng(1)
    w, g = rng.normal(size=(N, M)), rng.normal(size=N)
    gamma, theta = np.array([0.5, 1.0, 3.0]), np.array([0.3, -1.0, 0.0])
    model = CRBM.from_parameters(w, g, gamma, gamma, theta, theta)
    coupling = w @ np.diag(1 / gamma) @ w.T
    np.fill_diagonal(coupling, 0)
    fields = g + (w**2 / (2 * gamma) - w * theta / gamma).sum(axis=1)
    hopfield = -STATES_FLOAT @ fields - 0.5 * np.einsum(
        "ti,ij,tj->t", STATES_FLOAT, coupling, STATES_FLOAT
    )
    difference = model.free_energy(STATES) - hopfield
    np.testing.assert_allclose(difference, difference[0], atol=1e-10)


def test_sign_swap_and_rescaling_leave_free_energy_differences():
    model = machine()
    gamma_plus, gamma_minus, theta_plus, theta_minus = model.units.parameters
    base = model.free_energy(STATES)
    swapped = CRBM.from_parameters(
        -model.weights_, model.fields_, gamma_minus, gamma_plus, -theta_minus, -theta_plus
    )
    np.testing.assert_allclose(swapped.free_energy(STATES), base, rtol=1e-12)
    np.testing.assert_allclose(swapped.transform(STATES), -model.transform(STATES), rtol=1e-10)
    s = np.array([0.2, 1.7, 30.0])
    scaled = CRBM.from_parameters(
        s * model.weights_, model.fields_, s**2 * gamma_plus, s**2 * gamma_minus,
        s * theta_plus, s * theta_minus,
    )  # fmt: skip
    difference = scaled.free_energy(STATES) - base
    np.testing.assert_allclose(difference, np.log(s).sum(), rtol=1e-10)
    np.testing.assert_allclose(scaled.transform(STATES) * s, model.transform(STATES), rtol=1e-10)


def test_conditionals_are_their_formulas():
    model, rng = machine(), np.random.default_rng(0)
    inputs = STATES.astype(float) @ model.weights_
    np.testing.assert_allclose(model.hidden_input(STATES), inputs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.mean_h_given_v(STATES), model.units.mean(inputs), rtol=1e-9)
    np.testing.assert_allclose(model.var_h_given_v(STATES), model.units.variance(inputs), rtol=1e-9)
    h = rng.normal(size=(5, M))
    p = expit(h @ model.weights_.T + model.fields_)
    np.testing.assert_allclose(model.mean_v_given_h(h), p, rtol=1e-12)
    np.testing.assert_allclose(
        model.reconstruct(STATES),
        expit(model.mean_h_given_v(STATES) @ model.weights_.T + model.fields_),
        rtol=1e-10,
    )
    v = model.sample_v_given_h(np.repeat(h[:1], 20_000, axis=0), rng)
    assert v.dtype == np.uint8
    assert (np.abs(v.mean(axis=0) - p[0]) < 5 * np.sqrt(p[0] * (1 - p[0]) / 20_000)).all()
    drawn = model.sample_h_given_v(np.repeat(STATES[9:10], 20_000, axis=0), rng)
    error = np.sqrt(model.var_h_given_v(STATES[9:10])[0] / 20_000)
    assert (np.abs(drawn.mean(axis=0) - model.mean_h_given_v(STATES[9:10])[0]) < 5 * error).all()


def test_mean_h_is_the_slope_of_the_free_energy_with_the_weights():
    model, step = machine(), 1e-5
    for mu in range(M):
        moved = []
        for sign in (-1, 1):
            weights = model.weights_.copy()
            weights[2, mu] += sign * step
            other = CRBM.from_parameters(weights, model.fields_, *model.units.parameters)
            moved.append(other.free_energy(STATES))
        slope = -(moved[1] - moved[0]) / (2 * step)
        np.testing.assert_allclose(
            slope, STATES[:, 2] * model.transform(STATES)[:, mu], rtol=1e-6, atol=1e-8
        )


def test_exact_log_partition_without_weights_is_known():
    fields, one = np.array([-1.0, 0.3, 2.0]), np.ones(2)
    model = CRBM.from_parameters(np.zeros((3, 2)), fields, one, one, 0 * one, 0 * one)
    expected = np.logaddexp(0, fields).sum() + np.log(2 * np.pi)
    assert model.log_partition() == pytest.approx(expected, rel=1e-12)
    assert model.log_partition("ais", random_state=0) == pytest.approx(expected, rel=1e-9)


def test_sample_draws_from_the_model():
    model = machine(5)
    v = model.sample(20_000, n_chains=2000, n_steps=10, burn_in=5, random_state=0)
    assert v.shape == (20_000, N) and v.dtype == np.uint8
    p = np.exp(-model.free_energy(STATES) - model.log_partition())
    share = np.bincount(v.astype(int) @ (1 << np.arange(N - 1, -1, -1)), minlength=2**N) / 20_000
    rng = np.random.default_rng(0)
    floor = [0.5 * np.abs(rng.multinomial(20_000, p) / 20_000 - p).sum() for _ in range(100)]
    assert 0.5 * np.abs(share - p).sum() < 1.5 * np.mean(floor)


def test_sample_is_a_function_of_its_seed_and_begins_at_start():
    model = machine(5)
    options = {"n_chains": 8, "n_steps": 1, "burn_in": 0}
    first = model.sample(30, random_state=3, **options)
    assert first.shape == (30, N)
    np.testing.assert_array_equal(first, model.sample(30, random_state=3, **options))
    assert not np.array_equal(first, model.sample(30, random_state=4, **options))
    # strong fields and self-sustaining weights: the chains stay where they began
    one = np.ones(1)
    stuck = CRBM.from_parameters(np.full((N, 1), 9.0), np.full(N, -240.0), one, one, 0 * one, one)
    stuck.set_params(jump_every=0)
    start = np.repeat(np.array([[0] * N, [1] * N], np.uint8), 4, axis=0)
    np.testing.assert_array_equal(stuck.sample(8, start=start, random_state=0, **options), start)


# ---------------------------------------------------------------------- shapes and dtypes


@settings(max_examples=40, deadline=None, database=None)
@given(
    n_frames=st.integers(1, 12),
    n_neurons=st.integers(1, 9),
    n_hidden=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
def test_every_form_of_v_gives_the_same_answers(n_frames, n_neurons, n_hidden, seed):
    rng = np.random.default_rng(seed)
    v = (rng.random((n_frames, n_neurons)) < 0.4).astype(np.uint8)
    model = CRBM.from_parameters(
        rng.normal(size=(n_neurons, n_hidden)), rng.normal(size=n_neurons),
        *rng.uniform(0.5, 2, (4, n_hidden)),
    )  # fmt: skip
    expected = v.astype(float) @ model.weights_
    wide = np.zeros((n_frames, 2 * n_neurons), np.uint8)
    wide[:, ::2] = v
    forms = [
        v.astype(bool), v, v.astype(np.int64), v.astype(np.float32), v.astype(float),
        np.asfortranarray(v), wide[:, ::2], v.tolist(), scipy.sparse.csr_array(v),
        scipy.sparse.csr_matrix(v.astype(float)), scipy.sparse.csc_array(v),
        scipy.sparse.coo_array(v), as_spikes(v), Recording(spikes=v, rate_hz=2.0),
    ]  # fmt: skip
    for form in forms:
        inputs = model.hidden_input(form)
        assert inputs.shape == (n_frames, n_hidden) and inputs.dtype == np.float64
        np.testing.assert_allclose(inputs, expected, rtol=1e-12, atol=1e-12)
        spikes = as_spikes(form)
        np.testing.assert_array_equal(spikes.dense(), v)
        np.testing.assert_allclose(spikes.activity(), v.mean(axis=0))
    assert model.free_energy(v).shape == (n_frames,)
    assert model.reconstruct(v).shape == v.shape
    assert model.var_h_given_v(v).shape == (n_frames, n_hidden)


# ---------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def trained():
    v = (np.random.default_rng(0).random((60, 9)) < 0.3).astype(np.uint8)
    model = CRBM(
        n_hidden=2, l1=0.001, n_updates=40, batch_size=20, n_chains=5, n_gibbs=2, init="random",
        random_state=1, progress=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(v), v


FITTED = ("weights_", "fields_", "gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_",
          "chains_")  # fmt: skip


def test_a_saved_model_comes_back_bit_for_bit(trained, tmp_path):
    model, v = trained
    path = model.save(tmp_path / "model.h5")
    loaded = CRBM.load(path)
    assert loaded.get_params() == model.get_params()
    for name in FITTED:
        old, new = getattr(model, name), getattr(loaded, name)
        assert old.dtype == new.dtype and old.tobytes() == new.tobytes(), name
    assert loaded.verdict_ == model.verdict_ and loaded.converged_ == model.converged_
    assert loaded.history_.events == model.history_.events
    np.testing.assert_array_equal(loaded.history_.density, model.history_.density)
    assert loaded.certificate_.failed == model.certificate_.failed
    assert loaded.certificate_.residual == model.certificate_.residual
    np.testing.assert_array_equal(loaded.free_energy(v), model.free_energy(v))
    np.testing.assert_array_equal(
        loaded.sample(6, burn_in=1, random_state=0), model.sample(6, burn_in=1, random_state=0)
    )


def test_a_model_of_given_parameters_comes_back(tmp_path):
    model = machine()
    loaded = CRBM.load(model.save(tmp_path / "given.h5"))
    assert loaded.weights_.dtype == np.float64
    np.testing.assert_array_equal(loaded.weights_, model.weights_)
    assert not hasattr(loaded, "verdict_")


@pytest.mark.parametrize("state", [None, 7, np.int64(7)])
def test_a_random_state_is_kept_where_it_is_a_number(tmp_path, state):
    model = machine().set_params(random_state=state)
    assert CRBM.load(model.save(tmp_path / "given.h5")).random_state == state


def test_a_generator_is_not_kept_and_the_user_is_told(tmp_path):
    model = machine().set_params(random_state=np.random.default_rng(0))
    with pytest.warns(UserWarning, match="random_state is a generator"):
        path = model.save(tmp_path / "given.h5")
    assert CRBM.load(path).random_state is None


def test_a_model_of_version_1_is_read(tmp_path):
    import h5py

    path = Path(__file__).parents[1] / "data" / "model_version_1.h5"
    with h5py.File(path) as file:
        assert file.attrs["version"] == 1
        weights, residual = file["weights"][()], file["certificate/residual"][()]
    old = CRBM.load(path)
    np.testing.assert_array_equal(old.weights_, weights)
    assert old.certificate_.residual == residual and isinstance(old.certificate_.residual, float)
    assert old.n_updates == 5 and old.random_state is None
    again = CRBM.load(old.save(tmp_path / "again.h5"))
    np.testing.assert_array_equal(again.weights_, weights)
    assert again.history_.events == old.history_.events


def test_a_file_is_hdf5_without_python_objects(trained, tmp_path, monkeypatch):
    import pickle

    import h5py

    def refuse(*args, **kwargs):
        raise AssertionError("a model file must not be pickled")

    for name in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    path = trained[0].save(tmp_path / "model.h5")
    CRBM.load(path)
    kinds = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: kinds.append(getattr(item, "dtype", np.dtype("f8")).kind))
    assert kinds and set(kinds) <= set("fiub")


def test_a_failed_save_leaves_the_old_file(trained, tmp_path, monkeypatch):
    import os

    path = trained[0].save(tmp_path / "model.h5")
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        trained[0].save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["model.h5"]


# ---------------------------------------------------------------------- scikit-learn


def test_constructor_only_stores():
    strange = object()
    model = CRBM(n_hidden=strange, l1="many")
    assert model.n_hidden is strange and model.l1 == "many"
    assert clone(CRBM(l1=0.3)).get_params()["l1"] == 0.3
    assert not [name for name in vars(model) if name.endswith("_")]


# each of these fits Gaussian or uniform numbers, for which `SpikesError` is the right answer
FEED_REAL_NUMBERS = [
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_pipeline_consistency",
    "check_estimators_nan_inf",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit2d_predict1d",
]
EXPECTED_FAILURES = {
    **dict.fromkeys(FEED_REAL_NUMBERS, "feeds real-valued data; v must be binary"),
    "check_dtype_object": "feeds real numbers as objects; v must be binary and of a numeric dtype",
}


def small_estimator():
    return CRBM(
        n_hidden=2, l1=0.0, n_updates=3, batch_size=1, n_chains=2, n_gibbs=1, init="random",
        random_state=0, progress=False,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [small_estimator()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def test_the_expected_failures_are_refusals_of_real_numbers():
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(
        small_estimator(), expected_failed_checks=EXPECTED_FAILURES, on_fail=None, on_skip=None
    )
    refused = [r for r in results if r["status"] == "xfail"]
    assert {r["check_name"] for r in refused} == set(EXPECTED_FAILURES)
    for result in refused:
        chain, error = [], result["exception"]
        while error is not None:
            chain.append(str(error))
            error = error.__cause__ or error.__context__
        assert any("give only 0 and 1" in text or "dtype object" in text for text in chain)
