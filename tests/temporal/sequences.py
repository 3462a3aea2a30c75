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
    return Recurrence(p["couplings"], p["offset"], p["initial"], MEAN_H)


def filtered(p):
    inputs = (FRAMES @ p["weights"])[WINDOWS.frames]
    return inputs, filter_frames(inputs, WINDOWS, DReLU(*p["potential"]), recurrence_of(p))


def log_weights_of_states(p, drive):
    """Log P(v|c) of all states but for its constant: (T, 2^N)."""
    units = DReLU(*p["potential"])
    inputs = STATES @ p["weights"] + drive[:, None, :]
    return STATES @ p["fields"] + units.cumulant(inputs).sum(axis=2)


def log_probability(p):
    """Sum log P(v_t | past) over all frames of both windows, by enumeration."""
    inputs, found = filtered(p)
    units = DReLU(*p["potential"])
    own = FRAMES[WINDOWS.frames] @ p["fields"]
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
