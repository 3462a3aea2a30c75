r"""Simpler forecasts of the next frame, and how all of them do beside the temporal model.

Each gives :math:`P(v_{it} = 1 | \mathrm{past})` of every neuron. They are judged by the mean of
log P over frames and neurons, beyond that of the rate. Those on the traces h = E[h|v] draw the next
h and decode it with the cRBM, since a mean of h has no well.

- *rate*: the activity of each neuron.
- *own past*: logistic regression on the neuron's last frame and a running mean of its past.
- *logistic on h*: logistic regression of each neuron on h of the frame before.
- *autoregression of h*: :math:`h_t = B h_{t-1} + b` and residuals drawn from those of the training.
- *two-state chains*: each unit changes between its wells by chances of its own.
- *hidden Markov model*: K states with Gaussian h (hmmlearn, extra ``hmm``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from crbm_lite.assemblies.dynamics import hidden_states
from crbm_lite.checks.arguments import as_count, as_generator
from crbm_lite.core.spikes import tiles
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording
from crbm_lite.temporal.scores import block_interval, scored_frames
from crbm_lite.temporal.temporal_crbm import TemporalCRBM
from crbm_lite.temporal.windows import cut_windows

__all__ = ["RIVALS_IN_TIME", "Forecast", "compare_forecasts", "log_likelihood_of_forecast"]

_MEMORY = 0.8  # share of the past that the running mean keeps in a frame
_L2 = 1.0  # of logistic regressions, on standardised inputs
_N_DRAWS = 10
_N_STATES = 8
_SMALLEST = 1e-4  # of a forecast


@dataclass(frozen=True)
class Forecast:
    """How well a method predicts the next frame.

    Attributes
    ----------
    name : str
    gain_nats : float
        Mean log P(v_it | past) beyond that of the rate, summed over the neurons, per frame.
    interval : (float, float)
        95 %, from resampled blocks of frames.
    accuracy : float
        The share of spikes and silences that are guessed.
    """

    name: str
    gain_nats: float
    interval: tuple[float, float]
    accuracy: float


def compare_forecasts(
    temporal: TemporalCRBM,
    train: Recording,
    test: Recording,
    names: tuple[str, ...] | None = None,
    block: int = 20,
    random_state: int | np.random.Generator | None = None,
) -> tuple[Forecast, ...]:
    """Compare the temporal model with its rivals, the best first.

    Parameters
    ----------
    temporal : TemporalCRBM
        Fitted on `train`.
    train, test : Recording
        Of the same neurons and frame rate.
    names : sequence of str, optional
        Rivals; by default all of ``RIVALS_IN_TIME``.
    block : int, default 20
        Frames of a block of the bootstrap.
    random_state : int, numpy.random.Generator or None

    Raises
    ------
    ValueError
        If a name is unknown, `block` is no integer of 1 or more, or recordings are as
        `TemporalCRBM.filter` refuses them.
    ModuleNotFoundError
        If the hidden Markov model is asked for and hmmlearn is not installed.
    """
    names = tuple(RIVALS_IN_TIME) if names is None else tuple(names)
    unknown = [name for name in names if name not in RIVALS_IN_TIME]
    if unknown:
        raise ValueError(f"names holds {unknown}: give some of {list(RIVALS_IN_TIME)}")
    block = as_count(block, "block")
    rng = as_generator(random_state)
    temporal.filter(test), temporal.filter(train)  # says at once what does not fit
    p = {"temporal": temporal.mean_v_given_past(test, _N_DRAWS, rng)}
    p |= {name: RIVALS_IN_TIME[name](temporal.static_, train, test, rng) for name in names}
    frames = scored_frames(test)
    v = test.spikes[frames]
    rate = np.tile(_rate_of(train), (len(frames), 1))
    own = log_likelihood_of_forecast(v, rate).sum(axis=1)
    found = []
    for name, forecast in p.items():
        chosen = np.clip(forecast[frames], _SMALLEST, 1 - _SMALLEST)
        gain = log_likelihood_of_forecast(v, chosen).sum(axis=1) - own
        accuracy = float(((chosen > 0.5) == v).mean())
        interval = block_interval(gain, frames, block, rng)
        found.append(Forecast(name, float(gain.mean()), interval, accuracy))
    return tuple(sorted(found, key=lambda forecast: -forecast.gain_nats))


def log_likelihood_of_forecast(v: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Compute log P of spikes v given their probabilities, both (T, N).

    Examples
    --------
    >>> log_likelihood_of_forecast(np.array([[1, 0]]), np.array([[0.5, 0.25]])).round(3)
    array([[-0.693, -0.288]])
    """
    return np.log(np.where(v, probability, 1.0 - probability))


def _rate_of(train: Recording) -> np.ndarray:
    return (train.spikes.sum(axis=0) + 0.5) / (train.n_frames + 1.0)


def _rate(model: CRBM, train: Recording, test: Recording, rng: np.random.Generator) -> np.ndarray:
    return np.tile(_rate_of(train), (test.n_frames, 1))


def _pairs(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Frames that follow another one, and those before them."""
    windows = cut_windows(recording.n_frames, recording.discontinuities)
    before = np.concatenate(
        [np.arange(s, s + n - 1) for s, n in zip(windows.starts, windows.lengths)]
    )
    return before + 1, before


def _running_mean(recording: Recording) -> np.ndarray:
    """Exponential mean of the spikes up to and with each frame, anew after a jump of time."""
    out = np.array(recording.spikes, np.float32)
    firsts = {0, *recording.discontinuities.tolist()}
    for t in range(1, len(out)):
        if t not in firsts:
            out[t] = _MEMORY * out[t - 1] + (1 - _MEMORY) * recording.spikes[t]
    return out


def _own_past(
    model: CRBM, train: Recording, test: Recording, rng: np.random.Generator
) -> np.ndarray:
    def covariates(recording: Recording, rows: np.ndarray) -> np.ndarray:
        last, mean = recording.spikes[rows], _running_mean(recording)[rows]
        return np.stack([np.ones_like(mean), last, mean], axis=2)

    now, before = _pairs(train)
    x, y = covariates(train, before), train.spikes[now]
    beta = np.zeros((train.n_neurons, 3))
    for _ in range(8):  # Newton
        p = expit(np.einsum("tnk,nk->tn", x, beta))
        slope = np.einsum("tnk,tn->nk", x, y - p) - _L2 * beta * [0, 1, 1]
        curvature = np.einsum("tnk,tn,tnl->nkl", x, p * (1 - p), x) + _L2 * np.eye(3)
        beta += np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
    out = _rate(model, train, test, rng)
    now, before = _pairs(test)
    out[now] = expit(np.einsum("tnk,nk->tn", covariates(test, before), beta))
    return out


def _logistic_on_h(
    model: CRBM, train: Recording, test: Recording, rng: np.random.Generator
) -> np.ndarray:
    now, before = _pairs(train)
    h = model.mean_h_given_v(train)
    mean, sd = h.mean(axis=0), np.maximum(h.std(axis=0), 1e-9)
    x, y = (h[before] - mean) / sd, train.spikes[now].astype(np.float64)
    x = np.c_[np.ones(len(x)), x]
    shape = (x.shape[1], y.shape[1])
    penalty = np.full((shape[0], 1), _L2)
    penalty[0] = 1e-3
    start = np.zeros(shape)
    start[0] = np.log(_rate_of(train) / (1 - _rate_of(train)))

    def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        beta = flat.reshape(shape)
        z = x @ beta
        value = np.logaddexp(0.0, z).sum() - (y * z).sum() + 0.5 * (penalty * beta**2).sum()
        return value, (x.T @ (expit(z) - y) + penalty * beta).ravel()

    beta = minimize(cost, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    out = _rate(model, train, test, rng)
    now, before = _pairs(test)
    x = (model.mean_h_given_v(test)[before] - mean) / sd
    out[now] = expit(np.c_[np.ones(len(x)), x] @ beta.reshape(shape))
    return out


def _decoded(model: CRBM, out: np.ndarray, now: np.ndarray, draws: Callable) -> np.ndarray:
    """Fill the frames `now` with means of P(v|h) over draws(rows) of h."""
    for rows in tiles(len(now)):
        out[now[rows]] = sum(model.mean_v_given_h(draws(rows)) for _ in range(_N_DRAWS)) / _N_DRAWS
    return out


def _autoregression(
    model: CRBM, train: Recording, test: Recording, rng: np.random.Generator
) -> np.ndarray:
    now, before = _pairs(train)
    h = model.mean_h_given_v(train)
    x = np.c_[np.ones(len(before)), h[before]]
    ridge = _L2 * np.eye(x.shape[1])
    beta = np.linalg.solve(x.T @ x + ridge, x.T @ h[now])
    residuals = h[now] - x @ beta
    now, before = _pairs(test)
    mean = np.c_[np.ones(len(before)), model.mean_h_given_v(test)[before]] @ beta

    def draws(rows: slice) -> np.ndarray:
        return mean[rows] + residuals[rng.integers(len(residuals), size=len(mean[rows]))]

    return _decoded(model, _rate(model, train, test, rng), now, draws)


def _two_state_chains(
    model: CRBM, train: Recording, test: Recording, rng: np.random.Generator
) -> np.ndarray:
    now, before = _pairs(train)
    h = model.mean_h_given_v(train)
    states = hidden_states(h)
    point = np.nan_to_num(states.transition_point, nan=np.inf)
    on = h > point
    chance = [
        ((on[now] & (on[before] == was)).sum(axis=0) + 0.5)
        / ((on[before] == was).sum(axis=0) + 1.0)
        for was in (False, True)
    ]
    values = [[h[on[:, m] == side, m] for m in range(h.shape[1])] for side in (False, True)]
    now, before = _pairs(test)
    stays = np.where(model.mean_h_given_v(test)[before] > point, chance[1], chance[0])

    def draws(rows: slice) -> np.ndarray:
        p = stays[rows]
        out = np.empty_like(p)
        is_on = rng.random(p.shape) < p
        for m in range(p.shape[1]):
            for side in (False, True):
                chosen, pool = is_on[:, m] == side, values[side][m]
                pool = pool if len(pool) else h[:, m]
                out[chosen, m] = rng.choice(pool, chosen.sum())
        return out

    return _decoded(model, _rate(model, train, test, rng), now, draws)


def _hidden_markov(
    model: CRBM, train: Recording, test: Recording, rng: np.random.Generator
) -> np.ndarray:
    try:
        from hmmlearn.hmm import GaussianHMM
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the hidden Markov model needs hmmlearn: pip install 'crbm_lite[hmm]', or leave it out "
            "of names"
        ) from error
    used = (model.weights_ != 0).any(axis=0)
    h = model.mean_h_given_v(train)[:, used]
    lengths = np.diff([0, *train.discontinuities, train.n_frames])
    seeds = rng.integers(2**31, size=3)
    fits = [
        GaussianHMM(_N_STATES, "diag", min_covar=0.05, n_iter=50, random_state=int(seed)).fit(
            h, lengths
        )
        for seed in seeds
    ]
    best = max(fits, key=lambda fit: fit.score(h, lengths))
    posterior = best.predict_proba(h, lengths)
    p_of_state = (posterior.T @ train.spikes + 0.5) / (posterior.sum(axis=0)[:, None] + 1.0)

    h = model.mean_h_given_v(test)[:, used]
    variance = np.array([np.diag(c) for c in best.covars_])
    log_p = -0.5 * (((h[:, None] - best.means_) ** 2 / variance) + np.log(variance)).sum(axis=2)
    firsts = {0, *test.discontinuities.tolist()}
    chances = np.empty((len(h), _N_STATES))
    for t in range(len(h)):  # the chances of the states before the frame is seen
        if t in firsts:
            chances[t] = best.startprob_
        else:
            seen = np.log(chances[t - 1] + 1e-300) + log_p[t - 1]
            chances[t] = np.exp(seen - logsumexp(seen)) @ best.transmat_
    return chances @ p_of_state


RIVALS_IN_TIME: Mapping[str, Callable] = {
    "rate": _rate,
    "own past": _own_past,
    "logistic on h": _logistic_on_h,
    "autoregression of h": _autoregression,
    "two-state chains": _two_state_chains,
    "hidden Markov model": _hidden_markov,
}
