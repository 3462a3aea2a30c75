r"""The certificate of convergence: whether a model is stationary, and what failed.

With G the gradient of the likelihood, Var_mu the variance of h_mu over the data (1 after training)
and kappa_mu = lambda sum_i |w_imu| / 2, stationarity reads

.. math::

    G_w - \kappa\,\partial\mathrm{Var}/\partial w = \lambda\,\mathrm{sign}(w) \ (w \ne 0), \qquad
    |G_w - \kappa\,\partial\mathrm{Var}/\partial w| \le \lambda \ (w = 0).

The data's side is exact, since it takes all frames. The model's side is sampled by the training
chains and, after a long run, by twice as many that start from frames of the data. One half of the
chains against the other gives the sampling noise, which is taken out of the residual. Sampling goes
on until the noise is small against what is tolerated, or until it has taken long enough. The
condition without kappa, as the paper reports it, is given beside.

Stationarity alone does not say that a model is any good: W = 0 is stationary, and so is a W of a
few entries. With C the covariances <v_i v_j> - <v_i><v_j> over i < j, data against model,

.. math:: \mathrm{share} = \frac{\sum_{i<j} C^{model}_{ij} C^{data}_{ij}}
                                {\sum_{i<j} C^{odd}_{ij} C^{even}_{ij}} ,

is the slope of model on data. Its denominator is the power of the covariances that odd and even
blocks of frames agree on, which leaves their sampling noise out. The numerator is linear in the
model, so noise averages out there.

At whole-brain size an array of all weights is the unit of memory, so only the model's side is held
in such arrays (float32, one for each half of the chains). The rest is formed for some neurons at a
time, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes, tiles, weight_sums
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.parameters import TrainedParameters

__all__ = [
    "Certificate",
    "ModelMeans",
    "certify",
    "chosen_neurons",
    "co_active",
    "sample_model",
    "share_of_covariance",
]

_BURN_IN, _N_SAVED, _THINNING = 500, 60, 5
_ENOUGH_NOISE = 0.2  # noise over tolerance at which sampling ends
_ACTIVITY_TOLERANCE = 0.15
_STATIONARITY_TOLERANCE = 1.0  # of lambda or the data's own standard error, whichever is larger
_N_NEURONS = 1000  # spread evenly over the recording: half a million pairs
_N_BLOCKS = 20  # blocks of frames, taken in turn by the two halves
_SIGNIFICANT = 3.0  # standard errors of the shared power, below which there is nothing to share
_LEAST_SIZE = 1e-3  # of sum |w|, for a hidden unit that is alive
_LEAST_COVARIANCE_SHARE = 0.25  # trained models have 0.4 to 1.3, nearly empty ones 0 to 0.1


@dataclass(frozen=True)
class Certificate:
    """Say how stationary a trained model is. Residuals are root mean squares over weights.

    Attributes
    ----------
    residual : float
        Residual of the full condition over non-zero weights, sampling noise taken out; after a
        refit, of the condition without penalty.
    residual_without_kappa : float
        The same for the condition without the kappa term.
    noise : float
        Sampling noise of the model's side.
    excess_at_zero : float
        RMS of the excess of the gradient over lambda where w = 0.
    tolerance : float
        What ``residual`` has to stay below: lambda plus the standard error of the data's <v h>.
    activity_data, activity_model : float
        Spikes per neuron and frame in the data and in the sampled model.
    variance_h : ndarray, shape (M,)
        Var(h) over the data; 1 at convergence.
    n_units_alive : int
        Hidden units with a non-zero weight.
    covariance_share : float
        Share of the data's pair covariances that the model reproduces: 1 at best, near 0 for an
        empty model, NaN where the data have none beyond noise.
    failed : tuple of str
        Which checks failed, in words.
    """

    residual: float
    residual_without_kappa: float
    noise: float
    excess_at_zero: float
    tolerance: float
    activity_data: float
    activity_model: float
    variance_h: np.ndarray
    n_units_alive: int
    covariance_share: float
    failed: tuple[str, ...]


class _SquareSum:
    """Root mean square of numbers that come in parts."""

    def __init__(self) -> None:
        self.total, self.n = 0.0, 0

    def add(self, x: np.ndarray) -> None:
        self.total += float(np.square(x).sum())
        self.n += x.size

    def rms(self, noise: float = 0.0) -> float:
        """The root, the mean square ``noise**2`` taken out."""
        return float(np.sqrt(max(self.total / max(self.n, 1) - noise**2, 0.0)))


class ModelMeans:
    """Average what chains generate, apart for the two halves of the chains.

    Parameters
    ----------
    n_neurons, n_hidden : int

    Attributes
    ----------
    vh : ndarray of float32, shape (2, N, M)
        <v (h - mean)>
    h, v : ndarray, shapes (2, M) and (2, N)
        <h - mean> and <v>.
    neurons : ndarray of int, shape (n,)
        Some neurons whose pairs are looked at.
    co_active : ndarray of float32, shape (n, n)
        In how many samples two of them spike.
    n_samples : int
        Samples of all chains together.
    noise : float
        Standard error of the mean <v h> of both halves, RMS over non-zero weights.
    """

    def __init__(self, n_neurons: int, n_hidden: int) -> None:
        self.vh = np.zeros((2, n_neurons, n_hidden), np.float32)
        self.h, self.v = np.zeros((2, n_hidden)), np.zeros((2, n_neurons))
        self.neurons = chosen_neurons(n_neurons)
        self.co_active = np.zeros((len(self.neurons), len(self.neurons)), np.float32)
        self.n_samples = 0
        self.noise = float("nan")

    @threadpool_limits.wrap(limits=1, user_api="blas")  # BLAS threads may change sums
    def add(self, chains: GibbsChains, potential: np.ndarray, mean_h: np.ndarray) -> None:
        """Take the present states of the chains into the averages."""
        n, middle = chains.n_chains, chains.n_chains // 2
        out = kernels.hidden_statistics(chains.inputs(), potential, mean_h)
        h = (out[kernels.MEAN] - mean_h).astype(np.float32)
        self.co_active += co_active(chains.v[self.neurons, :n].T)
        self.n_samples += n
        share = n / self.n_samples
        for k, half in enumerate((slice(0, middle), slice(middle, n))):
            n_half = max(half.stop - half.start, 1)
            self.h[k] += share * (h[half].sum(axis=0) / n_half - self.h[k])
            for tile in tiles(len(self.vh[k])):
                v = chains.v[tile, half].astype(np.float32)
                self.vh[k, tile] += np.float32(share) * (v @ h[half] / n_half - self.vh[k, tile])
                self.v[k, tile] += share * (v.sum(axis=1) / n_half - self.v[k, tile])

    def measure_noise(self, weights: np.ndarray, activity: np.ndarray) -> None:
        """Set ``noise`` by the difference of the two halves."""
        squares = _SquareSum()
        for tile in tiles(len(weights)):
            centred = self.vh[:, tile] - activity[tile, None] * self.h[:, None]
            squares.add(0.5 * (centred[0] - centred[1])[weights[tile] != 0])
        self.noise = squares.rms()


class _SquareSum:
    """The root mean square of numbers that come in parts."""

    def __init__(self) -> None:
        self.total, self.n = 0.0, 0

    def add(self, x: np.ndarray) -> None:
        self.total += float(np.square(x).sum())
        self.n += x.size

    def rms(self, noise: float = 0.0) -> float:
        """Return the root, with the mean square ``noise**2`` taken out."""
        return float(np.sqrt(max(self.total / max(self.n, 1) - noise**2, 0.0)))


def _tolerance(activity: np.ndarray, n_frames: int, l1: float) -> float:
    """Lambda plus the standard error of the data's <v h>, which a residual has to stay below."""
    standard_error = float(np.sqrt(np.mean(activity * (1 - activity))) / np.sqrt(n_frames))
    return _STATIONARITY_TOLERANCE * (l1 + standard_error)


def sample_model(
    parameters: TrainedParameters, chains: GibbsChains, spikes: Spikes, l1: float, n_rounds: int = 1
) -> ModelMeans:
    """Average over the model by its chains.

    Parameters
    ----------
    parameters : TrainedParameters
    chains : GibbsChains
        Chains with the weights set; they are moved on.
    spikes : Spikes
        Training data: they say how much noise can be tolerated.
    l1 : float
        Penalty that chose the weights.
    n_rounds : int, default 1
        Rounds of sampling at most, while the noise is not small.
    """
    activity, weights = spikes.activity(), parameters.weights
    enough = _ENOUGH_NOISE * _tolerance(activity, spikes.n_frames, l1)
    fields = parameters.fields.astype(np.float32)
    means = ModelMeans(*weights.shape)
    chains.step(_BURN_IN, weights, fields, parameters.potential)
    for _ in range(n_rounds):
        for _ in range(_N_SAVED):
            chains.step(_THINNING, weights, fields, parameters.potential)
            means.add(chains, parameters.potential, parameters.mean_h)
        means.measure_noise(weights, activity)
        if means.noise < enough:
            break
    return means


def certify(
    spikes: Spikes, parameters: TrainedParameters, l1: float, l1_nonzero: float, model: ModelMeans
) -> Certificate:
    """Measure the stationarity of a model on its training data.

    Parameters
    ----------
    spikes : Spikes
        Training data.
    parameters : TrainedParameters
    l1, l1_nonzero : float
        Penalty that chose the weights, and under which those that are not zero ended: 0 in a refit.
    model : ModelMeans
        What `sample_model` found.
    """
    weights, mean_h = parameters.weights, parameters.mean_h
    p, n_frames = spikes.activity(), spikes.n_frames
    covariance_share = share_of_covariance(spikes, model.co_active, model.n_samples, model.neurons)
    h, q, mean, square = _hidden_over_data(spikes, parameters)
    size = weight_sums(p, weights)[1]
    kappa = 0.5 * l1_nonzero * size
    spikes_per_frame = np.diff(spikes.frame_starts)
    vq_mean = (spikes_per_frame @ q.astype(np.float64)) / n_frames / max(p.sum(), 1e-12)
    by_neuron = spikes.by_neuron()
    full, without_kappa, excess = _SquareSum(), _SquareSum(), _SquareSum()
    for tile in tiles(len(weights)):
        p_tile, on = p[tile, None], weights[tile] != 0
        # in the centred coordinates in which training moves: see crbm_lite.core.reference.gradient
        data_side = by_neuron.sums(h, tile) / n_frames - p_tile * (mean - mean_h)
        model_side = model.vh[:, tile].mean(axis=0) - p_tile * model.h.mean(axis=0)
        gradient = data_side - model_side
        without = gradient - l1_nonzero * np.sign(weights[tile])
        variance_term = kappa * (by_neuron.sums(q, tile) / n_frames - p_tile * vq_mean)
        full.add((without - variance_term)[on])
        without_kappa.add(without[on])
        excess.add(np.maximum(np.abs(gradient - variance_term) - l1, 0.0)[~on])
    certificate = Certificate(
        residual=full.rms(model.noise),
        residual_without_kappa=without_kappa.rms(model.noise),
        noise=model.noise,
        excess_at_zero=excess.rms(),
        tolerance=_tolerance(p, n_frames, l1),
        activity_data=float(p.mean()),
        activity_model=float(model.v.mean()),
        variance_h=square - mean**2,
        n_units_alive=int((size > _LEAST_SIZE).sum()),
        covariance_share=covariance_share,
        failed=(),
    )
    return replace(certificate, failed=_failed_checks(certificate))


def _hidden_over_data(
    spikes: Spikes, parameters: TrainedParameters
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all frames h - mean and q (T, M) float32; mean and mean square of h (M,)."""
    weights, mean_h = parameters.weights, parameters.mean_h
    n_frames, m = spikes.n_frames, weights.shape[1]
    h, q = np.empty((n_frames, m), np.float32), np.empty((n_frames, m), np.float32)
    totals = np.zeros((2, m))
    for some, inputs in spikes.input_tiles(weights):
        out = kernels.hidden_statistics(inputs, parameters.potential, mean_h)
        h[some] = out[kernels.MEAN] - mean_h
        q[some] = out[kernels.VAR_I]
        totals += [out[kernels.MEAN].sum(axis=0), out[kernels.SQUARE].sum(axis=0)]
    return h, q, *totals / n_frames


def _failed_checks(found: Certificate) -> tuple[str, ...]:
    """Say in words which checks a model fails."""
    failed = []
    if found.n_units_alive == 0:
        failed.append("no hidden unit has weights: lambda is too large for these data")
    elif found.covariance_share < _LEAST_COVARIANCE_SHARE:
        failed.append(
            f"the model has {found.covariance_share:.0%} of the data's pair covariances: train "
            "longer, or with a smaller lambda or more hidden units"
        )
    if found.residual > found.tolerance:
        failed.append(f"residual {found.residual:.4f} above {found.tolerance:.4f}: train longer")
    if abs(found.activity_model / max(found.activity_data, 1e-12) - 1.0) > _ACTIVITY_TOLERANCE:
        failed.append(
            f"the model's activity {found.activity_model:.4f} is not the data's "
            f"{found.activity_data:.4f}"
        )
    return tuple(failed)


def chosen_neurons(n_neurons: int) -> np.ndarray:
    """Choose the neurons whose pairs are compared: all, or 1,000 spread evenly."""
    return np.unique(np.linspace(0, n_neurons - 1, min(n_neurons, _N_NEURONS)).astype(np.int64))


@threadpool_limits.wrap(limits=1, user_api="blas")  # the number of BLAS threads may change sums
def co_active(v: np.ndarray) -> np.ndarray:
    """Count the samples in which i and j spike: (n, n) float32, exact below 16 million."""
    v = v.astype(np.float32)
    return v.T @ v


def _covariances_with_later(co_active: np.ndarray, n_samples: int, i: int) -> np.ndarray:
    """Covariances of neuron i with all j > i."""
    p = np.diag(co_active).astype(np.float64) / n_samples
    return co_active[i, i + 1 :] / np.float64(n_samples) - p[i] * p[i + 1 :]


def share_of_covariance(
    spikes: Spikes, co_active_model: np.ndarray, n_samples: int, neurons: np.ndarray
) -> float:
    """Compute the share of the data's pair covariances that a model reproduces.

    It is NaN where the data have none.

    Parameters
    ----------
    spikes : Spikes
        The recording.
    co_active_model : ndarray, shape (n, n)
        `co_active` of the spikes that the model generated.
    n_samples : int
        How many samples these were.
    neurons : ndarray of int, shape (n,)
        See `chosen_neurons`.

    Examples
    --------
    >>> from crbm_lite.core.spikes import as_spikes
    >>> rng = np.random.default_rng(0)
    >>> together = (rng.random((3000, 1)) < 0.2) & (rng.random((3000, 20)) < 0.5)
    >>> alone = rng.random((3000, 20)) < together.mean(axis=0)
    >>> data, neurons = as_spikes(together), chosen_neurons(20)
    >>> for v in (together, alone):
    ...     print(abs(round(share_of_covariance(data, co_active(v), 3000, neurons), 1)))
    1.0
    0.0
    """
    v, n_frames = spikes.to_csr(np.uint8)[:, neurons].toarray(), spikes.n_frames
    half = (np.arange(n_frames) * _N_BLOCKS // n_frames) % 2 == 0
    if half.all() or not half.any():
        return float("nan")
    halves = [(co_active(v[some]), int(some.sum())) for some in (half, ~half)]
    power = variance = shared = 0.0
    for i in range(len(neurons) - 1):  # neuron by neuron: all pairs at once would be 40 MB
        odd, even = (_covariances_with_later(*counts, i) for counts in halves)
        model = _covariances_with_later(co_active_model, n_samples, i)
        power += odd @ even
        variance += np.square(odd) @ np.square(even)
        shared += model @ (0.5 * (odd + even))
    if not power > _SIGNIFICANT * np.sqrt(variance):
        return float("nan")
    return float(shared / power)
