"""Deconvolution against brute force and ground truth; dF/F, alignment, filters, bad input."""

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.optimize import nnls

from crbm_lite.calcium.deconvolution import (
    GCAMP6F,
    GCAMP6S,
    CalciumKernel,
    deconvolve,
    infer_kernel,
)
from crbm_lite.calcium.preprocessing import align_planes, delta_f_over_f, filter_recordings
from crbm_lite.calcium.spike_scores import score_spikes
from crbm_lite.recordings.files import Recording
from crbm_lite.simulation.larva_recording import calcium_traces, simulate_recording

LARVA = simulate_recording(n_neurons=200, n_frames=2000, random_state=0)


def by_nnls(trace, response, penalty):
    """Solve for (s, b) with dense matrices: b is eliminated, the penalty completed to a square."""
    n = trace.size
    kernel = np.tril(toeplitz(response[:n]))
    centred = kernel - kernel.mean(axis=0)
    root = np.linalg.cholesky(centred.T @ centred + 1e-13 * np.eye(n))
    s, _ = nnls(root.T, np.linalg.solve(root, centred.T @ trace - penalty), maxiter=100 * n)
    return s, (trace - kernel @ s).mean()


@pytest.mark.parametrize(
    ("kernel", "rate_hz", "sparsity"),
    [(GCAMP6S, 2.5, 1.0), (GCAMP6F, 20.0, 2.0), (CalciumKernel(0.9, 1.0), 5.0, 0.5)],
)
def test_the_solution_is_that_of_dense_nnls(kernel, rate_hz, sparsity):
    rng = np.random.default_rng(1)
    response = kernel.response(rate_hz, 70)
    events = (rng.random(70) < 0.08) * rng.uniform(2, 6, 70)
    trace = 3 + np.convolve(events, response)[:70] + 0.4 * rng.standard_normal(70)
    found = deconvolve(trace[:, None], rate_hz, kernel, sparsity=sparsity)
    norm = np.linalg.norm(kernel.response(rate_hz))
    penalty = sparsity * found.noise_dff[0] * norm
    s, b = by_nnls(trace, response, penalty)
    assert s.max() > 1
    np.testing.assert_allclose(found.events_dff[:, 0], s, atol=2e-4)
    assert found.baseline_dff[0] == pytest.approx(b, abs=2e-4)
    misfit = trace - found.reconstruction_dff(0)
    value = 0.5 * (misfit**2).sum() + penalty * found.events_dff.sum()
    assert found.objective == pytest.approx(value / found.noise_dff[0] ** 2, rel=1e-4)


def test_the_kernel_is_the_difference_of_two_exponentials_with_peak_1():
    lag_s = (np.arange(30) + 0.5) / 10
    expected = np.exp(-lag_s / 3.55) - np.exp(-lag_s / 0.2)
    np.testing.assert_allclose(GCAMP6S.response(10, 30), expected / expected.max(), rtol=1e-12)
    assert (GCAMP6F.rise_s, GCAMP6F.decay_s) == (0.15, 1.6)
    assert GCAMP6S.response(2.5)[-1] < 1e-8
    assert len(GCAMP6S.response(2.5, 5000)) == 5000


@pytest.mark.parametrize(
    ("noise", "hits", "false"), [(0.02, 0.99, 0.02), (0.05, 0.9, 0.1), (0.1, 0.5, 0.35)]
)
def test_true_spikes_are_found_up_to_the_noise(noise, hits, false):
    dff = calcium_traces(LARVA.spikes, LARVA.rate_hz, 1, noise=noise)
    found = deconvolve(dff, LARVA.rate_hz, CalciumKernel(0.15, 2.0))
    score = score_spikes(LARVA.spikes, found.spikes)
    assert score.hit_rate > hits
    assert score.false_alarm_fraction < false
    assert np.median(found.noise_dff) == pytest.approx(noise, rel=0.25)
    assert abs(np.median(found.baseline_dff)) < 0.3 * noise


def test_noise_alone_gives_few_spikes_and_a_constant_trace_none():
    rng = np.random.default_rng(0)
    traces = 5 + 0.1 * rng.standard_normal((4000, 40))
    traces[:, 0] = 2.5
    found = deconvolve(traces, 2.5)
    assert found.spikes[:, 0].sum() == 0 and found.noise_dff[0] == 0
    assert found.baseline_dff[0] == pytest.approx(2.5)
    assert found.spikes[:, 1:].mean() < 0.01
    assert np.isfinite(found.objective)


def test_spikes_do_not_depend_on_scale_offset_dtype_or_neighbours():
    dff = calcium_traces(LARVA.spikes[:, :5], LARVA.rate_hz, 1)
    found = deconvolve(dff, LARVA.rate_hz)
    scaled = deconvolve(7 * dff.astype(np.float64) + 100, LARVA.rate_hz)
    np.testing.assert_allclose(scaled.events_dff, 7 * found.events_dff, atol=1e-3)
    assert (scaled.spikes == found.spikes).mean() > 0.9999
    alone = deconvolve(dff[:, 3:4], LARVA.rate_hz)
    np.testing.assert_array_equal(alone.events_dff[:, 0], found.events_dff[:, 3])
    many = deconvolve(np.tile(dff[:50], 60), LARVA.rate_hz)  # more than one tile
    np.testing.assert_array_equal(many.spikes[:, :5], many.spikes[:, -5:])


def test_the_input_is_left_as_it_is():
    dff = calcium_traces(LARVA.spikes[:, :3], LARVA.rate_hz, 1)
    before = dff.copy()
    dff.flags.writeable = False
    deconvolve(dff, 2.5)
    delta_f_over_f(dff + 10, 2.5)
    align_planes(dff, 2.5, np.zeros(3))
    np.testing.assert_array_equal(dff, before)


@pytest.mark.parametrize("decay_s", [1.0, 3.0])
def test_the_decay_is_inferred(decay_s):
    dff = calcium_traces(LARVA.spikes, LARVA.rate_hz, 1, decay_s=decay_s)
    kernel = infer_kernel(dff, LARVA.rate_hz)
    assert kernel.decay_s == pytest.approx(decay_s, rel=0.1)


def test_the_rise_is_inferred_where_it_lasts_several_frames():
    dff = calcium_traces(LARVA.spikes, 10.0, 1, rise_s=0.3, decay_s=1.5, noise=0.02)
    kernel = infer_kernel(dff, 10.0, n_neurons=15)
    assert kernel.rise_s == pytest.approx(0.3, rel=0.2)
    assert kernel.decay_s == pytest.approx(1.5, rel=0.15)


def test_dff_is_the_formula_with_a_running_quantile():
    rng = np.random.default_rng(0)
    raw = 50 + rng.gamma(2.0, 5.0, size=(60, 2)) + np.arange(60)[:, None]
    background = np.array([10.0, 20.0])
    dff = delta_f_over_f(raw, 1.0, background, window_s=11, quantile=0.5)
    for t in range(5, 55):
        base = np.median(raw[t - 5 : t + 6], axis=0)
        np.testing.assert_allclose(dff[t], (raw[t] - base) / (base - background), rtol=1e-5)


def test_a_ramp_imaged_late_is_aligned_exactly():
    times_s = np.arange(20)[:, None] / 4 + np.array([0.0, 0.1, 0.2])
    aligned = align_planes(3 * times_s, 4.0, [0.0, 0.1, 0.2])
    np.testing.assert_allclose(aligned[1:], np.tile(3 * times_s[1:, :1], 3), rtol=1e-6)
    np.testing.assert_allclose(aligned[0], 3 * times_s[0], rtol=1e-6)


def test_hits_and_false_alarms_are_counted_within_the_tolerance():
    true, found = np.zeros((10, 2)), np.zeros((10, 2))
    true[[2, 6], 0] = 1
    found[[3, 6, 9], 0] = 1
    found[4, 1] = 1
    score = score_spikes(true, found)
    assert (score.hit_rate, score.false_alarm_fraction) == (0.5, 0.75)
    score = score_spikes(true, found, tolerance=1)
    assert (score.hit_rate, score.false_alarm_fraction) == (1.0, 0.5)
    assert (score.n_true, score.n_found) == (2, 4)
    assert np.isnan(score_spikes(true[:2], found[:2]).hit_rate)


def test_filters_report_what_they_remove():
    quiet = Recording(np.eye(100, 2), 2.5, labels=[[1, 0], [0, 0]])
    result = filter_recordings([quiet, LARVA])
    assert result.kept_index == (1,) and result.kept == (LARVA,)
    assert result.n_unlabelled == (1, 0)
    assert result.activity == pytest.approx((0.01, LARVA.activity.mean()))
    assert "removed: below 0.02" in result.table()
    assert filter_recordings([quiet], 0.01).kept[0].n_neurons == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deconvolve(np.zeros(50), 2.5), r"dff has shape \(50,\)"),
        (lambda: deconvolve(np.zeros((5, 50)), 2.5), "T >= 10"),
        (lambda: deconvolve(np.full((50, 3), np.nan), 2.5), "dff holds NaN"),
        (lambda: deconvolve(np.full((50, 3), "a"), 2.5), "dtype"),
        (lambda: deconvolve(np.zeros((50, 3)), 0.0), "rate_hz is 0.0"),
        (lambda: deconvolve(np.zeros((50, 3)), 2.5, sparsity=-1), "sparsity is -1"),
        (lambda: infer_kernel(np.zeros((50, 3)), 2.5), "constant"),
        (lambda: infer_kernel(np.eye(50), 2.5, n_neurons=0), "n_neurons is 0"),
        (lambda: CalciumKernel(2.0, 1.0), "rise_s is 2.0"),
        (lambda: delta_f_over_f(np.ones((50, 3)), 2.5, 2.0), "F_base > F0"),
        (lambda: delta_f_over_f(np.ones((50, 3)), 2.5, np.zeros(2)), "background has shape"),
        (lambda: delta_f_over_f(np.ones((50, 3)), 2.5, quantile=2), "quantile is 2"),
        (lambda: align_planes(np.ones((50, 3)), 2.5, [0, 0]), "delay_s has shape"),
        (lambda: align_planes(np.ones((50, 3)), 2.5, [0, 0, 0.4]), "delay_s runs from"),
        (lambda: score_spikes(np.ones((5, 2)), np.ones((5, 3))), "shape"),
        (lambda: score_spikes(np.ones((5, 2)), np.ones((5, 2)), -1), "tolerance is -1"),
        (lambda: filter_recordings([]), "recordings is empty"),
        (
            lambda: filter_recordings([Recording([[1], [0]], 1.0, labels=[[0]])]),
            "no neuron has a region",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
