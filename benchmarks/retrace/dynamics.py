"""Fig. 4 and 2-S3: when assemblies are on, together with which others, and for how long."""

from __future__ import annotations

import numpy as np
from sklearn.mixture import GaussianMixture

import crbm_lite as cl
from benchmarks.retrace.compact import histogram, picture, quantiles
from benchmarks.retrace.subject import Subject
from crbm_lite.assemblies import dynamics
from crbm_lite.assemblies.phase import phase_given_active
from crbm_lite.measures import correlations_of_columns
from crbm_lite.recordings.controls import shift_traces
from crbm_lite.temporal.dwell import dwell_times_s, states_with_hysteresis

__all__ = ["measure"]

_CLUSTERS = 4
_SHOWN = (100, 150)  # units and steps of time in the pictures, at most
_SHOWN_S = 600.0
_NEURONS_TIMED = 3000
_APART = 2.0  # Ashman's D


def measure(subject: Subject) -> dict:
    """Describe the activity of the units in use over the whole recording."""
    return _phase(subject) | _modes(subject) | _times(subject) | _turns(subject)


def _phase(subject: Subject) -> dict:
    h, states = subject.h, subject.states
    active = dynamics.n_active(h, states.inactive_peak)
    phase = phase_given_active(active, h.shape[1])
    found = {
        "phase": phase.name,
        "m_over_m": phase.median_fraction,
        "m_over_m_histogram": histogram(active / h.shape[1], 0.0, 1.0, 50),
        "bimodal_share": np.mean([_separation(x) > _APART for x in h.T]),
        "density": histogram(states.activity, -3.0, 3.0, 60),
    }
    truth = subject.recording.truth
    return found | ({} if truth is None else {"on_of_truth": np.median(truth.states.mean(axis=1))})


def _separation(trace: np.ndarray) -> float:
    """Ashman's D of two Gaussians: their distance over their width."""
    peaks = GaussianMixture(2, random_state=0).fit(trace[:, None])
    return float(np.sqrt(2) * np.ptp(peaks.means_) / np.sqrt(peaks.covariances_.sum()))


def _contrast(activity: np.ndarray) -> float:
    """Mean r within Ward's clusters less that between them."""
    cluster = dynamics.ward_clusters(dynamics.ward_order(activity)[1], _CLUSTERS)
    pair = np.triu_indices(len(cluster), 1)
    same, r = (cluster[:, None] == cluster)[pair], correlations_of_columns(activity)[pair]
    return float(r[same].mean() - r[~same].mean())


def _modes(subject: Subject) -> dict:
    activity = np.nan_to_num(subject.states.activity)
    variance = dynamics.principal_variance(activity)
    order, _ = dynamics.ward_order(activity)
    some = order[:: -(-len(order) // _SHOWN[0])]
    rate_hz = subject.recording.rate_hz
    frames = np.unique(np.linspace(0, _SHOWN_S * rate_hz, _SHOWN[1]).astype(int))
    frames = frames[frames < len(activity)]
    shifted = shift_traces(activity, subject.seed)
    contrast, by_chance = _contrast(activity), _contrast(shifted)
    n = len(variance)
    return {
        **{f"variance_{k}": variance[k - 1] if k <= n else np.nan for k in (3, 10, 25)},
        "variance": variance[:50],
        "contrast": contrast,
        "contrast_excess": contrast - by_chance,
        "variance_3_of_shifted": dynamics.principal_variance(shifted)[min(2, n - 1)],
        "shown_s": frames[-1] / rate_hz,
        "activity": picture(activity[np.ix_(frames, some)].T, -2.0, 2.0),
        "correlation": picture(correlations_of_columns(activity[:, some]), -1.0, 1.0),
    }


def _times(subject: Subject) -> dict:
    recording, states = subject.recording, subject.states
    cuts, rate_hz = recording.discontinuities, recording.rate_hz
    step = -(-recording.n_neurons // _NEURONS_TIMED)
    units_s = dynamics.time_constants_s(states.active, rate_hz, cuts)
    neurons_s = dynamics.time_constants_s(recording.spikes[:, ::step], rate_hz, cuts)
    slow, fast, p = dynamics.compare_time_constants(units_s, neurons_s)
    return {
        "units_s": slow,
        "neurons_s": fast,
        "slowness": slow / fast,
        "slower_p": p / 2 if slow > fast else 1 - p / 2,  # one-sided, as the claim is
        "units_s_quantiles": quantiles(units_s),
        "neurons_s_quantiles": quantiles(neurons_s),
        "n_without_period": [int(np.isnan(x).sum()) for x in (units_s, neurons_s)],
    }


def _turns(subject: Subject) -> dict:
    """Time the two units that exclude each other most and, if known, the planted pair."""
    recording, h = subject.recording, subject.h
    cuts, rate_hz = recording.discontinuities, recording.rate_hz
    on = states_with_hysteresis(h, subject.states, discontinuities=cuts)
    dwell_s = dwell_times_s(on, rate_hz, cuts)
    r = correlations_of_columns(h)
    one, other = np.unravel_index(np.argmin(r), r.shape)
    found = {
        "antiphasic_r": r[one, other],
        "antiphasic_dwell_s": _mean(np.concatenate([dwell_s[one], dwell_s[other]])),
        "dwell_s": quantiles(np.concatenate(dwell_s)),
    }
    truth = recording.truth
    if truth is not None:
        left = truth.kinds.index("antiphasic")
        match = cl.match_assemblies(truth.effects.toarray(), subject.weights)
        unit = dict(zip(match.first.tolist(), match.second.tolist(), strict=True)).get(left)
        planted_s = dwell_times_s(truth.states[:, [left]], rate_hz, cuts)[0]
        found["planted_turn_s"] = _mean(planted_s)
        found["planted_unit_turn_s"] = np.nan if unit is None else _mean(dwell_s[unit])
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
