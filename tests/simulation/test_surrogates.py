"""The surrogates have the layout, rates, responses and overlap that they are asked for."""

import numpy as np
import pytest

from crbm_lite.recordings.controls import shift_traces
from crbm_lite.simulation.surrogates import (
    _calcium,
    _draw_events,
    draw_layout,
    hexagonal_grid,
    simulate_surrogate,
)


def test_the_grid_is_hexagonal():
    for degree in (1, 5, 12):
        places = hexagonal_grid(degree)
        assert len(places) == 3 * degree * (degree + 1) + 1
        apart = np.linalg.norm(places[:, None] - places, axis=2)
        assert apart[apart > 0].min() == pytest.approx(1.0)
        assert np.isclose(apart[np.abs(places).sum(axis=1).argmin()], 1.0).sum() == 6


@pytest.mark.parametrize("overlap", [(0.0, 0.05), (0.2, 0.3)])
def test_layouts_have_sizes_and_overlap_in_range_and_are_compact(overlap):
    places = hexagonal_grid(12)
    for seed in range(3):
        members = draw_layout(places, 10, np.random.default_rng(seed), overlap_range=overlap)
        size = members.sum(axis=0)
        assert size.min() >= 10 and size.max() <= 20
        shared = members.T.astype(int) @ members
        jaccard = shared / (np.add.outer(size, size) - shared)
        assert overlap[0] <= jaccard[np.triu_indices(10, 1)].mean() <= overlap[1]
        spread = [places[own].std(axis=0).max() for own in members.T]
        assert max(spread) < 3


def test_what_cannot_be_drawn_is_named():
    places, rng = hexagonal_grid(4), np.random.default_rng(0)
    with pytest.raises(ValueError, match="size_range is"):
        draw_layout(places, 2, rng, size_range=(50, 60))
    with pytest.raises(ValueError, match="overlap_range is"):
        draw_layout(places, 3, rng, overlap_range=(0.999, 1.0))
    with pytest.raises(ValueError, match="degree is 0"):
        simulate_surrogate(0)
    with pytest.raises(ValueError, match="noise_sd, event_s"):
        simulate_surrogate(2, 1, 10, noise_sd=-1)


def test_events_begin_with_the_given_probability_and_last_as_long():
    rng = np.random.default_rng(0)
    for steps, share in ((1.0, 0.01), (3.0, 1 - 0.99**3), (0.4, 0.004)):
        on = _draw_events((20_000, 10), 0.01, steps, rng)
        assert on.mean() == pytest.approx(share, rel=0.1)


def test_a_spike_leaves_half_of_its_response_after_a_half_life():
    counts = np.zeros((40, 2000), dtype=int)
    counts[5] = 1
    mean = _calcium(counts, 0.5, np.random.default_rng(0)).mean(axis=1)
    first = (1 - 2**-0.5) / (0.5 * np.log(2))  # mean of 2^-u over a step of half a half-life
    assert mean[5] == pytest.approx(first, rel=0.02)
    np.testing.assert_allclose(mean[7:17] / mean[5:15], 0.5, rtol=1e-5)
    assert not mean[:5].any() and not mean[5 + 15 :].any()  # below 1 % it is cut


def test_rates_and_events_of_the_default():
    s = simulate_surrogate(6, 3, 3600.0, random_state=1)
    assert s.dff.shape == s.counts.shape == (7200, 127)
    assert s.dff.dtype == np.float32 and np.isfinite(s.dff).all()
    assert (np.abs(s.states.sum(axis=0) - 36) < 5 * 6).all()
    alone = s.states.sum(axis=1) == 1
    for k in range(3):
        own = s.membership.sum(axis=1) == 1
        cells = s.membership[:, k] & own
        on, off = alone & s.states[:, k], ~s.states.any(axis=1)
        ratio = s.counts[on][:, cells].mean() / s.counts[off][:, cells].mean()
        assert ratio == pytest.approx(6.0, rel=0.15)
        rise = s.dff[on][:, cells].mean() - s.dff[off][:, cells].mean()
        assert rise > 5 * s.dff[off][:, cells].mean(axis=1).std() / np.sqrt(on.sum())
    rates = s.counts.mean(axis=0) * s.rate_hz
    assert rates.min() > 0.9 and rates.max() < 6.6


def test_saturation_bounds_and_noise_adds():
    plain, noisy = (simulate_surrogate(3, 1, 600, 0, size_range=(1, 40), noise_sd=sd)
                    for sd in (0.0, 4.0))  # fmt: skip
    assert noisy.dff.std() > 1.5 * plain.dff.std()
    saturated = simulate_surrogate(3, 1, 600, 0, size_range=(1, 40), saturation=1.0)
    assert saturated.dff.std() < 0.5 * plain.dff.std()


def test_shifted_traces_keep_their_course_and_lose_their_company():
    x = np.repeat(np.random.default_rng(0).normal(size=(300, 1)), 8, axis=1)
    shifted = shift_traces(x, random_state=0)
    for column in shifted.T:
        assert any((np.roll(x[:, 0], k) == column).all() for k in range(300))
    assert np.abs(np.corrcoef(shifted.T)[np.triu_indices(8, 1)]).mean() < 0.2
    assert (shift_traces(x, 0) == shifted).all()
