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


def by_nnls(trace, kernel, rate_hz, penalty):
    """Solve a stretch with dense matrices: b is eliminated, the penalty completed to a square.

    The unknowns are decaying calcium of older events, an event just before, and one in each frame.
    """
    n = trace.size
    decay, rise = np.exp(-1 / (rate_hz * kernel.decay_s)), np.exp(-1 / (rate_hz * kernel.rise_s))
    response = kernel.response(rate_hz, n + 2)[: n + 2]
    older = response[2:] - rise * response[1:-1]
    np.testing.assert_allclose(older[1:] / older[:-1], decay, rtol=1e-6)
    columns = np.column_stack([older, response[1:-1], np.tril(toeplitz(response[:n]))])
    price = penalty * np.linalg.norm(columns, axis=0)
    price[1] = decay * price[2]
    price[0] = (1 - rise) * price[1]
    centred = columns - columns.mean(axis=0)
    root = np.linalg.cholesky(centred.T @ centred + 1e-13 * np.eye(n + 2))
    x, _ = nnls(root.T, np.linalg.solve(root, centred.T @ trace - price), maxiter=100 * n)
    fitted = columns @ x
    b = (trace - fitted).mean()
    return x, b, 0.5 * ((trace - b - fitted) ** 2).sum() + price @ x


@pytest.mark.parametrize(
    ("kernel", "rate_hz", "sparsity"),
    [(GCAMP6S, 2.5, 1.0), (GCAMP6F, 20.0, 2.0), (CalciumKernel(0.9, 1.0), 5.0, 0.5)],
)
@pytest.mark.parametrize("cuts", [(), (25, 26, 28)])
def test_the_solution_of_each_stretch_is_that_of_dense_nnls(kernel, rate_hz, sparsity, cuts):
    rng = np.random.default_rng(1)
    events = (rng.random(170) < 0.08) * rng.uniform(2, 6, 170)
    events[[97, 115]] = 6  # one before the trace begins, one in it
    trace = np.convolve(events, kernel.response(rate_hz))[100:170] + 0.4 * rng.standard_normal(70)
    trace += 3 + 5 * (np.arange(70) >= 25)
    found = deconvolve(trace[:, None], rate_hz, kernel, sparsity=sparsity, discontinuities=cuts)
    penalty, total, n_before = sparsity * found.noise_dff[0], 0.0, 0
    fitted = np.split(found.reconstruction_dff(0), cuts)
    for j, part in enumerate(np.split(np.arange(70), cuts)):
        x, b, value = by_nnls(trace[part], kernel, rate_hz, penalty)
        np.testing.assert_allclose(found.events_dff[part, 0], x[2:], atol=2e-4)
        if part.size > 3:  # in fewer frames the start and the baseline are not unique
            assert found.baseline_dff[j, 0] == pytest.approx(b, abs=2e-3)
            rise = np.exp(-1 / (rate_hz * kernel.rise_s))
            before = [x[0], x[1] - rise * x[0]]
            np.testing.assert_allclose(found.before_dff[j, :, 0], before, atol=5e-3)
            n_before += x[:2].max() > 0.1
            response = kernel.response(rate_hz, 80)
            calcium = np.convolve(np.r_[before, x[2:]], response)[2 : part.size + 2]
            np.testing.assert_allclose(fitted[j], b + calcium, atol=5e-3)
        total += value
    assert found.events_dff.max() > 1
    assert n_before
    assert found.objective == pytest.approx(total / found.noise_dff[0] ** 2, rel=1e-4)


def traces_of_known_spikes(n_neurons, n_frames, noise, seed=0):
    """Traces of GCaMP6s at 2.5 Hz that have run for long before the first frame."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((n_frames + 200, n_neurons)) < 0.05
    response = GCAMP6S.response(2.5)
    dff = np.transpose([np.convolve(v, response)[: len(v)] for v in spikes.T])
    dff += noise * rng.standard_normal(dff.shape)
    return spikes[200:], dff[200:]


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.25])
def test_calcium_that_is_up_at_the_start_is_no_spike(noise):
    spikes, dff = traces_of_known_spikes(600, 300, noise)
    found = deconvolve(dff, 2.5).spikes
    assert 0 < found[0].mean() < spikes[0].mean()  # those just before look much the same
    assert (found[0] & ~spikes[0]).mean() < 0.02
    assert found[1:4].mean() == pytest.approx(spikes[1:4].mean(), abs=0.01)


def test_the_last_frames_of_a_stretch_hold_as_many_spikes_as_others():
    spikes, dff = traces_of_known_spikes(600, 300, 0.1)
    found = deconvolve(dff, 2.5, discontinuities=[150]).spikes
    for frame in (148, 149, 298, 299):
        assert found[frame].mean() == pytest.approx(spikes[frame].mean(), abs=0.01)
    flat = 0.1 * np.random.default_rng(1).standard_normal((300, 2000))
    assert deconvolve(flat, 2.5).spikes[-3:].mean() < 0.01


def test_trials_do_not_make_neurons_correlated():
    spikes, dff = traces_of_known_spikes(60, 4000, 0.1)
    frames = np.flatnonzero(np.arange(4000) % 80 < 50)
    cuts = np.arange(50, frames.size, 50)
    joined = deconvolve(dff[frames], 2.5).spikes
    cut = deconvolve(dff[frames], 2.5, discontinuities=cuts).spikes
    r_true, r_joined, r_cut = (
        np.corrcoef(x.T)[np.triu_indices(60, 1)].mean() for x in (spikes[frames], joined, cut)
    )
    assert r_joined > r_true + 0.01
    assert r_cut == pytest.approx(r_true, abs=0.002)


def test_each_stretch_has_its_own_baseline():
    _, dff = traces_of_known_spikes(20, 400, 0.1)
    moved = dff + 0.7 * (np.arange(400) >= 170)[:, None]
    found, other = (deconvolve(x, 2.5, discontinuities=[170]) for x in (dff, moved))
    np.testing.assert_array_equal(other.spikes, found.spikes)
    np.testing.assert_allclose(other.events_dff, found.events_dff, atol=1e-4)
    expected = found.baseline_dff + [[0.0], [0.7]]
    np.testing.assert_allclose(other.baseline_dff, expected, atol=1e-4)
    np.testing.assert_allclose(
        other.reconstruction_dff(3)[170:], found.reconstruction_dff(3)[170:] + 0.7, atol=1e-4
    )


def test_the_noise_does_not_count_what_changes_between_stretches():
    traces = 0.1 * np.random.default_rng(0).standard_normal((100, 30))
    traces += np.repeat(np.random.default_rng(1).normal(size=(50, 30)), 2, axis=0)
    found = deconvolve(traces, 2.5, discontinuities=np.arange(2, 100, 2))
    assert np.median(found.noise_dff) == pytest.approx(0.1, rel=0.1)
    with pytest.raises(ValueError, match="no two frames together"):
        deconvolve(traces, 2.5, discontinuities=np.arange(1, 100))


def test_the_kernel_is_inferred_across_stretches():
    _, dff = traces_of_known_spikes(20, 1200, 0.1)
    cuts = [300, 600, 900]
    dff += np.repeat([[0.0], [2.0], [1.0], [4.0]], 300, axis=0)
    assert infer_kernel(dff, 2.5, discontinuities=cuts).decay_s == pytest.approx(3.55, rel=0.12)
    assert infer_kernel(dff, 2.5).decay_s > 5


def test_no_filter_looks_across_a_gap():
    raw = 50 + np.random.default_rng(0).gamma(2.0, 5.0, size=(90, 2))
    raw[40:] += 30
    parts = [slice(0, 40), slice(40, 90)]
    dff = delta_f_over_f(raw, 1.0, window_s=20, discontinuities=[40])
    aligned = align_planes(raw, 1.0, [0.2, 0.7], discontinuities=[40])
    for part in parts:
        np.testing.assert_array_equal(dff[part], delta_f_over_f(raw[part], 1.0, window_s=20))
        np.testing.assert_array_equal(aligned[part], align_planes(raw[part], 1.0, [0.2, 0.7]))


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
    assert found.baseline_dff[0, 0] == pytest.approx(2.5)
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


@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_a_kernel_without_a_rise_does_not_win_by_fitting_noise(noise):
    rng, true = np.random.default_rng(3), CalciumKernel(0.2, 3.55)
    events = rng.random((2000, 12)) < 0.02
    dff = np.column_stack([np.convolve(v, true.response(10.0))[:2000] for v in events.T])
    dff += noise * rng.standard_normal(dff.shape)
    kernel = infer_kernel(dff, 10.0)
    assert 0.1 < kernel.rise_s < 0.3 and kernel.decay_s == pytest.approx(3.55, rel=0.15)
    activity = deconvolve(dff, 10.0, kernel).spikes.mean()
    assert activity < 1.3 * deconvolve(dff, 10.0, true).spikes.mean()


def test_traces_that_determine_no_decay_are_told():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="do not determine how calcium decays"):
        infer_kernel(rng.standard_normal((600, 8)), 2.5)
    dff = np.convolve(rng.random(300) < 0.05, GCAMP6S.response(2.5))[:300]
    dff += 0.05 * rng.standard_normal(300)
    with pytest.warns(UserWarning, match="in stretches of at most 8 s; give the kernel"):
        infer_kernel(dff[:, None], 2.5, discontinuities=range(20, 300, 20))


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
        (lambda: deconvolve(np.eye(50), 2.5, discontinuities=[50]), "discontinuities holds 50"),
        (lambda: delta_f_over_f(np.eye(50), 2.5, discontinuities=[0]), "discontinuities holds 0"),
        (lambda: align_planes(np.eye(50), 2.5, np.zeros(50), discontinuities=[0]), "holds 0"),
        (lambda: deconvolve(np.zeros((50, 3)), 0.0), "rate_hz is 0.0"),
        (lambda: deconvolve(np.zeros((50, 3)), 2.5, sparsity=-1), "sparsity is -1"),
        (lambda: infer_kernel(np.zeros((50, 3)), 2.5), "constant"),
        (lambda: infer_kernel(np.eye(50), 2.5, n_neurons=0), "n_neurons is 0"),
        (lambda: infer_kernel(np.eye(50), 2.5, n_neurons=2.5), "n_neurons is 2.5"),
        (lambda: infer_kernel(np.eye(50), 2.5, (0.2, 3.0)), "start is .* give a CalciumKernel"),
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
            "has no neuron with a region",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
