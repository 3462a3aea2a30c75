"""The certificate: residuals against enumeration, damaged models, noise, mixing, verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import crbm_lite as cl
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.reference import gradient, hidden_means, slope_in_coordinates
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training import certificate
from crbm_lite.training.certificate import ADVICE, STATISTICS, certify, explanation, sample_model
from crbm_lite.training.coordinates import coordinates_given_potential
from crbm_lite.training.data_side import DataMeans
from crbm_lite.training.parameters import TrainedParameters
from tests.training.enumerable import (
    L1,
    STATES,
    M,
    distribution,
    machine_and_data,
    variance_of_h,
)


@pytest.fixture(scope="module")
def problem():
    return machine_and_data()


@pytest.fixture(scope="module")
def best(problem):
    """Twenty thousand frames, and the machine that is their best model."""
    return frames_and_machine(*problem[1:])


def frames_and_machine(weights, fields, potential, n_frames=20_000):
    """Frames with states as frequent as in the machine, and the machine at Var(h) = 1 over them."""
    edges = np.concatenate([[0.0], np.cumsum(distribution(weights, fields, potential))])
    counts = np.diff(np.round(edges / edges[-1] * n_frames).astype(int))
    v = np.random.default_rng(0).permutation(np.repeat(STATES.astype(np.uint8), counts, axis=0))
    s = np.sqrt(variance_of_h(v, weights, potential))
    return v, weights * s, fields, potential * np.array([s**2, s**2, s, s])


def certificate_of(
    v, weights, fields, potential, l1=0.0, l1_nonzero=None, n_chains=2000, n_rounds=3, seed=0,
    start=None,
):  # fmt: skip
    weights = weights.astype(np.float32)
    spikes = as_spikes(v)
    chains = GibbsChains(*weights.shape, n_chains, seed, 0)
    chains.set_weights(weights)
    if start is None:
        start = spikes.dense(np.random.default_rng(seed).integers(len(v), size=n_chains))
    chains.set_spikes(start)
    mean_h = DReLU(*potential).mean(spikes.inputs(weights)).mean(axis=0)
    parameters = TrainedParameters(weights, fields, np.asarray(potential), mean_h)
    data = DataMeans(spikes, parameters)
    model = sample_model(parameters, chains, data, n_rounds)
    return certify(parameters, data, model, l1, l1 if l1_nonzero is None else l1_nonzero)


def rms(x, axis=None):
    return np.sqrt(np.mean(np.square(x), axis=axis))


def standard_error(x):
    """By the means of twenty blocks of as many frames; x (T, ...)."""
    means = x.reshape(20, len(x) // 20, *x.shape[1:]).mean(axis=1)
    return means.std(axis=0, ddof=1) / np.sqrt(20)


def exact_residuals(v, weights, fields, potential, l1):
    """Gradients of F by the plain reference, all states of the model in their proportions."""
    units, p = DReLU(*potential), v.mean(axis=0)
    mean_h = units.mean(v @ weights).mean(axis=0)
    data = hidden_means(v @ weights, potential, mean_h)
    share = (distribution(weights, fields, potential) * len(STATES))[:, None]
    model = hidden_means(STATES @ weights, potential, mean_h)
    model = model._replace(
        h=mean_h + share * (model.h - mean_h), likelihood_slope=share * model.likelihood_slope
    )
    kappa = 0.5 * l1 * np.abs(weights).sum(axis=0)
    in_weights, in_potential = gradient(v, data, STATES, model, kappa, p, mean_h)
    offset = p @ weights
    coordinates = coordinates_given_potential(potential, offset)
    in_weights = in_weights - l1 * np.sign(weights)
    return in_weights, slope_in_coordinates(in_potential, coordinates, offset)


def test_residuals_are_those_of_enumeration_in_units_of_the_data_s_standard_errors(problem):
    v, weights, fields, potential = problem
    weights = weights.astype(np.float32).astype(float)
    found = certificate_of(v, weights, fields, potential, L1, n_chains=8000)
    in_weights, in_potential = exact_residuals(v, weights, fields, potential, L1)
    assert found.residual == pytest.approx(rms(in_weights), rel=0.05)

    p, inputs = v.mean(axis=0), v @ weights
    h = DReLU(*potential).mean(inputs)
    h_c, v_c, inputs_c = h - h.mean(axis=0), v - p, inputs - inputs.mean(axis=0)
    vh = v_c[:, :, None] * h_c[:, None]
    tolerance = np.maximum(rms(standard_error(vh), 0), 0.05 * rms(vh.mean(axis=0), 0))
    ratios = dict(zip(STATISTICS, found.residual_by_unit))
    np.testing.assert_allclose(ratios["weights"], rms(in_weights, 0) / tolerance, rtol=0.05)
    assert found.tolerance == pytest.approx(rms(tolerance), rel=1e-4)

    gain = inputs_c * h_c
    tolerance = np.maximum(standard_error(gain), 0.05 * gain.mean(axis=0))
    along = np.abs((weights * in_weights).sum(axis=0))
    np.testing.assert_allclose(ratios["slope"], along / tolerance, atol=0.1)

    coordinates = coordinates_given_potential(potential, p @ weights)
    slopes = hidden_means(inputs, potential, h.mean(axis=0)).likelihood_slope
    slopes = np.stack([slope_in_coordinates(x, coordinates, 0) for x in slopes.swapaxes(0, 1)])
    tolerance = np.maximum(standard_error(slopes), 0.05 * slopes.std(axis=0))
    np.testing.assert_allclose(ratios["potential"], rms(in_potential / tolerance, 0), rtol=0.05)

    tolerance = np.maximum(standard_error(v * 1.0), 0.05 * p)
    off = p - distribution(weights, fields, potential) @ STATES
    assert found.residual_fields == pytest.approx(rms(off / tolerance), rel=0.05)
    variance = variance_of_h(v, weights, potential)
    np.testing.assert_allclose(found.variance_h, variance, rtol=1e-6)
    assert not found.residual_by_unit[STATISTICS.index("zeros")].any()


def test_after_a_refit_the_condition_has_no_penalty_and_the_tolerance_is_the_same(problem):
    v, weights, fields, potential = problem
    weights = weights.astype(np.float32).astype(float)
    penalised = certificate_of(v, weights, fields, potential, L1)
    refitted = certificate_of(v, weights, fields, potential, L1, l1_nonzero=0.0)
    exact = rms(exact_residuals(v, weights, fields, potential, 0.0)[0])
    assert abs(exact / penalised.residual - 1) > 0.05
    assert refitted.residual == pytest.approx(exact, rel=0.02)
    assert refitted.residual_without_kappa == refitted.residual
    assert refitted.tolerance == penalised.tolerance


def test_what_is_beyond_lambda_at_a_zero_weight_counts(best):
    own, weights, fields, potential = best
    weights = weights.copy()
    largest = np.unravel_index(np.abs(weights).argmax(), weights.shape)
    weights[largest] = 0.0
    slope = exact_residuals(own, weights, fields, potential, 0.0)[0]
    lambdas = 0.5 * abs(slope[largest]), 2.0 * abs(slope[largest])
    zeros = STATISTICS.index("zeros")
    beyond, within = (
        certificate_of(own, weights, fields, potential, x).residual_by_unit[zeros, largest[1]]
        for x in lambdas
    )
    assert beyond > 1.0 and within == 0.0


def test_a_model_on_its_own_frames_is_converged(best):
    found = certificate_of(*best)
    assert found.verdict == "converged" and not found.failed and not found.undetermined
    assert found.n_units_alive == M
    assert np.nanmax(found.residual_by_unit[:4]) < 1.0 and found.residual_fields < 1.0
    assert found.activity_model == pytest.approx(found.activity_data, rel=0.03)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_scaled_weights_fail(best, factor):
    own, weights, fields, potential = best
    found = certificate_of(own, factor * weights, fields, potential)
    assert found.verdict == "not converged"
    assert any(text.startswith("unit") for text in found.failed)


def test_a_scaled_unit_is_named_with_its_statistic(best):
    own, weights, fields, potential = best
    one = weights * np.array([1.0, 1.5])
    found = certificate_of(own, one, fields, potential)
    assert any(text.startswith("unit 1 (") for text in found.failed)


def test_a_deleted_unit_fails_though_the_rates_are_kept(best):
    v, weights, fields, potential = best
    p, lacking = v.mean(axis=0), weights * np.array([1.0, 0.0])
    for _ in range(2000):  # the fields make up for it as far as they can
        fields = fields + p - distribution(lacking, fields, potential) @ STATES
    found = certificate_of(v, lacking, fields, potential, n_rounds=10)
    assert found.residual_fields < 1.0 and found.n_units_alive == 1
    assert found.verdict == "not converged"


def test_shifted_fields_and_one_wrong_field_fail(best):
    own, weights, fields, potential = best
    found = certificate_of(own, weights, fields + 0.4, potential)
    assert any("the fields" in text for text in found.failed)
    one = fields.copy()
    one[3] += 1.5
    found = certificate_of(own, weights, one, potential)
    assert any("neuron 3" in text for text in found.failed)


def test_noise_above_a_third_of_the_tolerance_is_undetermined_and_says_what_it_takes(best):
    found = certificate_of(*best, n_chains=16, n_rounds=1)
    noise = max(found.noise_by_unit.max(), found.noise_fields)
    assert noise > 1 / 3 and found.verdict == "undetermined" and not found.failed
    factor = float(found.undetermined[0].split("it takes ")[1].split(" times")[0])
    assert factor == pytest.approx(9 * noise**2, abs=0.051)
    # so much sampling is enough, up to the error of the noise itself
    longer = certificate_of(*best, n_chains=int(16 * 2 * factor), n_rounds=1)
    assert longer.verdict == "converged"


def test_sampling_ends_when_the_noise_is_small(best):
    few = certificate_of(*best, n_chains=2000, n_rounds=50)
    many = certificate_of(*best, n_chains=100, n_rounds=50)
    assert few.n_steps < many.n_steps
    assert many.noise_by_unit.max() < 1 / 3 and many.verdict == "converged"


def test_a_bad_model_needs_no_more_sampling_than_tells_that_it_is(best):
    own, weights, fields, potential = best
    found = certificate_of(own, 2.0 * weights, fields, potential, n_chains=16, n_rounds=1)
    assert found.undetermined and found.verdict == "not converged"


def test_same_model_and_seed_give_the_same_certificate(best):
    first, again, other = (
        certificate_of(*best, n_chains=200, n_rounds=2, seed=seed) for seed in (1, 1, 2)
    )
    assert repr(first) == repr(again) != repr(other)


def test_sampling_and_certificate_multiply_with_one_blas_thread(best, monkeypatch):
    """With more, sums are taken in another order, and the last bits depend on the machine."""
    n_threads = []

    def noise(*arguments):
        pools = threadpool_info()
        n_threads.extend(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")
        return noise_of(*arguments)

    noise_of = certificate._noise
    monkeypatch.setattr(certificate, "_noise", noise)
    with threadpool_limits(2, "blas"):
        certificate_of(*best, n_chains=50, n_rounds=2)
    assert len(n_threads) >= 3 and {*n_threads} == {1}


def test_chains_that_do_not_leave_their_start_are_not_trusted():
    """Two wells: all spike or none does. Between them is a barrier that no chain crosses."""
    n = 12
    weights, potential = np.full((n, 1), 4.0), np.array([[1.0], [1.0], [0.0], [0.0]])
    fields = np.full(n, -0.5 * 16.0 * n)
    rng = np.random.default_rng(0)
    v = np.repeat(rng.random((400, 1)) < 0.5, n, axis=1).astype(np.uint8)
    found = certificate_of(v, weights, fields, potential, n_chains=64, n_rounds=1)
    assert found.mixing_times[0] > found.n_steps
    assert any("to mix" in text for text in found.undetermined)
    assert found.verdict != "converged"


def test_no_weights_are_stationary_but_dead():
    rng = np.random.default_rng(0)
    v = (rng.random((4000, 10)) < 0.2).astype(np.uint8)
    p = v.mean(axis=0)
    one = np.ones(2)
    dead = certificate_of(
        v, np.zeros((10, 2)), np.log(p / (1 - p)), np.stack([one, one, 0 * one, 0 * one]), 0.02
    )
    assert dead.residual == 0.0 and dead.excess_at_zero < 1e-3
    assert dead.n_units_alive == 0 and dead.failed == ("no hidden unit has weights",)
    assert dead.verdict == "collapsed" and np.isnan(dead.residual_by_unit).all()
    assert dead.activity_model == pytest.approx(p.mean(), rel=0.02)
    np.testing.assert_allclose(dead.variance_h, 1.0, rtol=1e-9)


def test_a_nearly_empty_stationary_model_does_not_pass_as_converged():
    """With a huge lambda few weights survive, and nothing is learned."""
    recording = cl.plant_recording(400, 5, (40, 60), 1500, 50, random_state=0)
    model = cl.CRBM(
        n_hidden=6,
        l1=0.06,
        n_updates=300,
        n_gibbs=3,
        jump_every=3,
        final_learning_rate=1e-5,
        random_state=0,
        progress=False,
    ).fit(recording)
    certificate = model.certificate_
    assert certificate.n_units_alive > 0 and certificate.covariance_share < 0.25
    assert model.verdict_ == "not converged" and not model.converged_
    assert any("pair covariances" in reason for reason in certificate.failed)


def test_every_verdict_says_what_to_do():
    assert set(ADVICE) == {
        "converged", "undetermined", "not converged", "collapsed", "no structure", "diverged",
        "interrupted",
    }  # fmt: skip
    assert all(ADVICE.values())


def test_an_explanation_gives_the_reasons_and_one_piece_of_advice():
    v = (np.random.default_rng(0).random((60, 3)) < 0.3).astype(np.uint8)
    potential = np.array([[1.0], [1.0], [0.0], [0.0]])
    p = v.mean(axis=0)
    dead = certificate_of(v, np.zeros((3, 1)), np.log(p / (1 - p)), potential, 0.02)
    told = {verdict: explanation(verdict, dead, ("NaN at update 3",)) for verdict in ADVICE}
    assert told["collapsed"] == (
        "'collapsed': no hidden unit has weights. What to do: take a smaller lambda (l1)"
    )
    assert "weights" not in told["no structure"] + told["interrupted"]
    assert "lambda" not in told["no structure"]
    found = replace(dead, failed=(), undetermined=())
    assert "NaN at update 3" in explanation("diverged", found, ("NaN at update 3",))
    assert explanation("undetermined", found).startswith("'undetermined'. What to do: ")
    for verdict, text in told.items():
        assert text.count("What to do") == 1 and text.startswith(repr(verdict))


def test_a_certificate_is_shown_without_its_arrays():
    v = (np.random.default_rng(0).random((60, 3)) < 0.3).astype(np.uint8)
    potential = np.array([[1.0], [1.0], [0.0], [0.0]])
    assert "array(" not in repr(certificate_of(v, np.zeros((3, 1)), np.zeros(3), potential, 0.02))
