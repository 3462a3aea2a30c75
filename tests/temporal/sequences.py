"""A model small enough to enumerate: log P of a sequence, and the exact means of the model."""

from itertools import product

import numpy as np
from scipy.special import logsumexp

from crbm_lite.core.drelu import DReLU
from crbm_lite.temporal.recurrence import Recurrence, filter_frames
from crbm_lite.temporal.windows import cut_windows

N, M, T = 6, 2, 4
STATES = np.array(list(product([0.0, 1.0], repeat=N)))
POTENTIAL = np.array([[0.8, 1.3], [1.1, 0.6], [-1.5, 0.4], [0.9, -0.7]])  # a double well, a well


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.normal(size=(N, M)),
        "fields": rng.normal(size=N) - 0.5,
        "potential": POTENTIAL.copy(),
        "couplings": 0.4 * rng.normal(size=(M, M)),
        "offset": 0.3 * rng.normal(size=M),
        "initial": 0.3 * rng.normal(size=M),
    }


MEAN_H = np.array([0.3, -0.2])
WINDOWS = cut_windows(2 * T - 1, [T])  # four frames and three
FRAMES = np.random.default_rng(5).integers(0, 2, (2 * T - 1, N)).astype(float)


def recurrence_of(p):
    return Recurrence(p["couplings"], p["offset"], p["initial"], p.get("mean_h", MEAN_H))


def filtered(p, frames=FRAMES, windows=WINDOWS):
    inputs = (frames @ p["weights"])[windows.frames]
    return inputs, filter_frames(inputs, windows, DReLU(*p["potential"]), recurrence_of(p))


def log_weights_of_states(p, drive):
    """Log P(v|c) of all states but for its constant: (T, 2^N)."""
    units = DReLU(*p["potential"])
    inputs = STATES @ p["weights"] + drive[:, None, :]
    return STATES @ p["fields"] + units.cumulant(inputs).sum(axis=2)


def log_probability(p, frames=FRAMES, windows=WINDOWS):
    """Sum log P(v_t | past) over all frames of all windows, by enumeration."""
    inputs, found = filtered(p, frames, windows)
    units = DReLU(*p["potential"])
    own = frames[windows.frames] @ p["fields"]
    own = own + units.cumulant(inputs + found.drive).sum(axis=1)
    return float((own - logsumexp(log_weights_of_states(p, found.drive), axis=1)).sum())


def probability_of_states(p, drive):
    log_weight = log_weights_of_states(p, drive)
    return np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))


def finite_difference(p, name, step=1e-5):
    slope = np.empty_like(p[name])
    for place in np.ndindex(slope.shape):
        moved = []
        for sign in (1, -1):
            changed = p | {name: p[name].copy()}
            changed[name][place] += sign * step
            moved.append(log_probability(changed))
        slope[place] = (moved[0] - moved[1]) / (2 * step)
    return slope


def parameters_of(temporal):
    """Those of a fitted `TemporalCRBM`."""
    names = ("gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_")
    return {
        "weights": temporal.weights_.astype(float),
        "fields": temporal.fields_,
        "potential": np.array([getattr(temporal, name) for name in names]),
        "couplings": temporal.couplings_,
        "offset": temporal.offset_,
        "initial": temporal.initial_drive_,
        "mean_h": temporal.mean_h_,
    }


def draw(p, n_windows, length, rng):
    """Draw frames (n_windows * length, N) of independent windows, exactly."""
    units, recurrence = DReLU(*p["potential"]), recurrence_of(p)
    drive = np.tile(recurrence.initial, (n_windows, 1))
    out = np.empty((n_windows, length, N))
    for t in range(length):
        chances = probability_of_states(p, drive).cumsum(axis=1)
        state = (chances < rng.random((n_windows, 1))).sum(axis=1)
        out[:, t] = STATES[state]
        drive = recurrence.drive(units.mean(out[:, t] @ p["weights"] + drive))
    return out.reshape(-1, N)
