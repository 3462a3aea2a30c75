"""Bad input, row by row: each a ValueError that names the argument and says what to do."""

import warnings

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import SpikesError, as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import Recording
from crbm_lite.training.hyperparameters import HyperparameterError, SpikesWarning
from crbm_lite.training.start import Start

N = 6
RNG = np.random.default_rng(0)
GOOD = (RNG.random((50, N)) < 0.3).astype(np.uint8)


def changed(value, dtype=float):
    v = GOOD.astype(dtype)
    v[3, 2] = value
    return v


def small_model(**changes):
    settings = {"n_hidden": 2, "n_updates": 2, "batch_size": 10, "n_chains": 4, "n_gibbs": 1}
    return CRBM(**settings | {"progress": False, "random_state": 0} | changes)


@pytest.fixture
def fitted():
    rng = np.random.default_rng(1)
    ones = np.ones(2)
    return CRBM.from_parameters(rng.normal(size=(N, 2)), np.zeros(N), ones, ones, 0 * ones, -ones)


# what is wrong, v, and the words that the message must hold
BAD_SPIKES = {
    "a count": (changed(2, np.uint8), ["v holds 2", "give only 0 and 1"]),
    "a negative integer": (changed(-1, np.int64), ["v holds -1"]),
    "a probability": (changed(0.5), ["v holds 0.5"]),
    "infinity": (changed(np.inf), ["v holds inf"]),
    "NaN": (changed(np.nan), ["v holds NaN", "fill those frames"]),
    "NaN in float32": (changed(np.nan, np.float32), ["v holds NaN"]),
    "a sparse count": (scipy.sparse.csr_array(changed(3, np.int32)), ["v holds 3"]),
    "a sparse NaN": (scipy.sparse.csr_array(changed(np.nan)), ["v holds NaN"]),
    "a duplicate sparse entry": (
        scipy.sparse.coo_array((np.ones(2), ([0, 0], [1, 1])), shape=(50, N)),
        ["v holds 2"],
    ),
    "complex numbers": (GOOD.astype(complex), ["v has dtype complex", "give 0 and 1"]),
    "words": (GOOD.astype(str), ["v has dtype", "give 0 and 1"]),
    "one frame without its axis": (GOOD[0], ["give (frames, neurons)", "v[None, :]"]),
    "three axes": (GOOD[None], ["v has shape (1, 50, 6)"]),
    "no frames": (GOOD[:0], ["v is empty", "(0, 6)"]),
    "no neurons": (GOOD[:, :0], ["v is empty", "(50, 0)"]),
    "fewer frames than a batch": (GOOD[:9], ["v has", "9 frames", "batch_size = 10"]),
    "no spike at all": (0 * GOOD, ["v contains no spike"]),
    "spikes everywhere": (0 * GOOD + 1, ["v is the same in every frame"]),
    "the same frame": (
        np.repeat(GOOD[:1] + np.eye(1, N, dtype=GOOD.dtype) > 0, 50, axis=0),
        ["v is the same in every frame"],
    ),
}


@pytest.mark.parametrize("wrong", BAD_SPIKES)
def test_fit_names_what_is_wrong_with_the_spikes(wrong):
    v, words = BAD_SPIKES[wrong]
    model = small_model()
    with pytest.raises(SpikesError) as caught:
        model.fit(v)
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert word in str(caught.value)
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize("seed", [np.random, "one", -1, 1.5], ids=repr)
def test_fit_names_a_random_state_that_is_none(seed):
    with pytest.raises(HyperparameterError, match=r"random_state is .* give an integer"):
        small_model(random_state=seed).fit(GOOD)


METHODS = ("hidden_input", "mean_h_given_v", "transform", "var_h_given_v", "free_energy",
           "reconstruct")  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("v", "word"),
    [
        (changed(0.5), "v holds 0.5"),
        (changed(np.nan), "v holds NaN"),
        (GOOD.T, f"v has 50 features (neurons), but the model is expecting {N}"),
        (GOOD[:, :5], "v has 5 features"),
        (GOOD[:0], "v is empty"),
    ],
)
def test_a_fitted_model_names_what_is_wrong_with_the_spikes(fitted, method, v, word):
    with pytest.raises(SpikesError) as caught:
        getattr(fitted, method)(v)
    assert word in str(caught.value)


def test_sample_h_and_energy_check_their_arguments(fitted):
    with pytest.raises(SpikesError, match="v holds NaN"):
        fitted.sample_h_given_v(changed(np.nan), np.random.default_rng(0))
    with pytest.raises(SpikesError, match="v holds 2"):
        fitted.energy(changed(2), np.zeros((50, 2)))
    with pytest.raises(ValueError, match=r"h has shape \(.*\): give"):
        fitted.energy(GOOD, np.zeros((50, 3)))
    with pytest.raises(ValueError, match=r"h has shape \(.*\): give"):
        fitted.mean_v_given_h(np.zeros((4, 3)))


@pytest.mark.parametrize(("value", "words"), [(0, "never spike"), (1, "spike in every frame")])
def test_silent_and_constant_neurons_warn_and_leave_a_finite_model(value, words):
    v = GOOD.copy()
    v[:, 4] = value
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = small_model(n_updates=30).fit(v)
    told = [str(w.message) for w in caught if issubclass(w.category, SpikesWarning)]
    assert len(told) == 1 and words in told[0] and "[4]" in told[0]
    for name in ("weights_", "fields_", "gamma_plus_", "gamma_minus_", "theta_plus_"):
        assert np.isfinite(getattr(model, name)).all()


def test_frames_without_spikes_are_no_error():
    v = GOOD.copy()
    v[10:30] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small_model(n_updates=30).fit(v)
    assert np.isfinite(model.weights_).all() and np.isfinite(model.free_energy(v)).all()


def test_swapped_axes_are_recognised_by_the_coordinates():
    coordinates = np.zeros((50, 3))
    with pytest.raises(ValueError, match=r"(?i)coordinates.*transpose|swap|transpos"):
        Recording(spikes=GOOD, rate_hz=2.0, coordinates=coordinates)


IMPOSSIBLE = [
    ("n_hidden", 0), ("n_hidden", 2.5), ("n_hidden", "many"), ("n_hidden", True),
    ("n_hidden", 70_000), ("n_updates", 0), ("batch_size", 0), ("batch_size", -5),
    ("n_chains", 1), ("n_gibbs", 0), ("jump_every", -1), ("jump_every", "often"),
    ("l1", -0.1), ("l1", np.nan),
    ("l1", 2.0), ("l1", None), ("learning_rate", 0.0), ("learning_rate", np.inf),
    ("final_learning_rate", 0.0), ("final_learning_rate", 1.0), ("decay_start", 1.5),
    ("decay_start", -0.1), ("ramp", 2.0), ("refit", -0.1),
    ("beta2", 1.0), ("beta2", -0.1), ("epsilon", 0.0),
    ("init", "svd"), ("init", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE)
def test_fit_names_an_impossible_hyperparameter(name, value):
    with pytest.raises(HyperparameterError) as caught:
        small_model(**{name: value}).fit(GOOD)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(name) and repr(value) in str(caught.value)


@pytest.mark.parametrize("name", ["n_samples", "n_chains", "n_steps", "burn_in"])
@pytest.mark.parametrize("value", [-1, 1.5, "all"])
def test_sample_names_an_impossible_argument(fitted, name, value):
    arguments = {"n_samples": 4, "n_chains": 2, "n_steps": 1, "burn_in": 1} | {name: value}
    with pytest.raises(HyperparameterError, match=f"^{name} is"):
        fitted.sample(**arguments)


def test_sample_names_a_wrong_start(fitted):
    with pytest.raises(SpikesError, match="start has 3 frames for 2 chains"):
        fitted.sample(4, n_chains=2, start=GOOD[:3])
    with pytest.raises(SpikesError, match="start holds 2"):
        fitted.sample(4, n_chains=2, start=changed(2)[2:4])
    with pytest.raises(SpikesError, match="start has 5 features"):
        fitted.sample(4, n_chains=2, start=GOOD[:2, :5])


ONE = np.ones(2)
PARAMETERS = {
    "weights": np.ones((N, 2)), "fields": np.zeros(N), "gamma_plus": ONE, "gamma_minus": ONE,
    "theta_plus": ONE, "theta_minus": ONE,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.full((N, 2), np.nan)),
        ("weights", np.ones(N)),
        ("weights", np.ones((N, 3))),
        ("fields", np.zeros(N + 1)),
        ("fields", np.full(N, np.inf)),
        ("gamma_plus", 0 * ONE),
        ("gamma_minus", -ONE),
        ("theta_plus", np.nan * ONE),
        ("theta_minus", np.inf * ONE),
    ],
)
def test_from_parameters_names_what_is_wrong(name, value):
    with pytest.raises(ValueError, match=name):
        CRBM.from_parameters(**PARAMETERS | {name: value})


def test_log_partition_names_the_method(fitted):
    with pytest.raises(ValueError, match="method is 'guess'"):
        fitted.log_partition("guess")
    wide = CRBM.from_parameters(**PARAMETERS | {"weights": np.ones((30, 2)), "fields": np.ones(30)})
    with pytest.raises(ValueError, match="ais"):
        wide.log_partition("exact")


def test_a_unit_of_the_wrong_width_is_named():
    with pytest.raises(ValueError, match=r"inputs has shape \(4, 2\): give \(..., 1\)"):
        DReLU([1.0], [1.0], [0.0], [0.0]).mean(np.zeros((4, 2)))


def test_another_name_is_used_in_messages():
    with pytest.raises(SpikesError, match=r"^train holds NaN"):
        as_spikes(changed(np.nan), "train")


@pytest.mark.parametrize("given", [False, True], ids=["fit", "fit_from"])
def test_warnings_point_at_the_line_that_trains(given):
    v = np.tile(np.eye(5, 6, dtype=np.uint8), (4, 1))  # the last neuron is silent
    model = CRBM(n_hidden=2, l1=0.0, n_updates=3, batch_size=5, progress=False)
    potential = np.array([[1.0], [1.0], [0.0], [0.0]]) * np.ones(2)
    start = Start(np.full((6, 2), 0.1, np.float32), np.full(6, -1.0), potential, 1.0)
    with pytest.warns(UserWarning) as found:
        model.fit_from(v, start) if given else model.fit(v)
    assert {warning.filename for warning in found} == {__file__}
    assert any("never spike" in str(warning.message) for warning in found)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "call",
    [
        lambda model, h: model.mean_v_given_h(h),
        lambda model, h: model.sample_v_given_h(h, np.random.default_rng(0)),
        lambda model, h: model.energy(GOOD[:3], h),
        lambda model, h: model.hidden_free_energy(h),
    ],
    ids=["mean", "sample", "energy", "free energy"],
)
def test_hidden_values_that_are_not_finite_are_refused(fitted, call, value):
    h = np.zeros((3, 2))
    h[1, 1] = value
    with pytest.raises(ValueError, match="h holds NaN or infinity: give finite numbers"):
        call(fitted, h)


@pytest.mark.parametrize("name", ["n_chains", "n_temperatures"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "all"])
def test_log_partition_names_an_impossible_number(fitted, name, value):
    with pytest.raises(ValueError, match=rf"{name} is .*: give an integer of 1 or more"):
        fitted.log_partition("ais", **{name: value})
