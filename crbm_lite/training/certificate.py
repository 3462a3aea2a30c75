r"""The certificate of convergence: whether a model is at its optimum, and what is not.

With G the gradient of the likelihood, Var_mu the variance of h_mu over the data (1 after training)
and kappa_mu = lambda sum_i |w_imu| / 2, the optimum reads

.. math::

    G_w - \kappa\,\partial\mathrm{Var}/\partial w = \lambda\,\mathrm{sign}(w) \ (w \ne 0), \qquad
    |G_w - \kappa\,\partial\mathrm{Var}/\partial w| \le \lambda \ (w = 0),

and likewise without lambda for the fields and the potentials. Gradients are differences of data and
model. The data's side is that of all frames (`crbm_lite.training.data_side`), and chains sample
the model's side (`crbm_lite.training.model_side`). The noise of the sampling is taken out of every
residual. Sampling goes on until all noise is below a third of what is tolerated. Where it may not
take so long, the certificate says what it would take.

A tolerance is one standard error of the data's statistic, or 5 % of the statistic where that is
more. It does not depend on lambda. Every hidden unit is judged by itself.

Stationarity alone does not say that a model is any good, so the pair covariances are asked for as
well (`crbm_lite.training.pair_covariances`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import tiles
from crbm_lite.training.data_side import SLOPE, DataMeans, Tolerances
from crbm_lite.training.model_side import ModelMeans
from crbm_lite.training.pair_covariances import missing_pattern, share_of_covariance
from crbm_lite.training.parameters import LEAST_SIZE, TrainedParameters

__all__ = [
    "ADVICE",
    "STATISTICS",
    "Certificate",
    "certify",
    "explanation",
    "rounds_within",
    "sample_model",
]

STATISTICS = ("weights", "slope", "potential", "zeros", "Var(h)")
ADVICE = {
    "converged": "validate the model",
    "undetermined": (
        "give the run more updates (n_updates) or more Gibbs steps (n_gibbs): it may sample for "
        "longer then, as the reasons ask"
    ),
    "not converged": (
        "give the run more updates (n_updates) or more Gibbs steps (n_gibbs); where the model "
        "lacks covariances, more hidden units (n_hidden) or a smaller lambda (l1)"
    ),
    "collapsed": "take a smaller lambda (l1)",
    "no structure": "look at the recording: check() says what may hide structure",
    "diverged": "take a smaller learning_rate, or more Gibbs steps (n_gibbs)",
    "interrupted": "go on by the same call with resume=True",
}

_BURN_IN, _N_SAVED, _THINNING = 500, 60, 5  # Gibbs steps; samples of a round; steps between them
_ENOUGH_NOISE = 1 / 3  # noise over tolerance at which sampling ends
_SURE = 3.0  # noises above the tolerance at which more sampling would not change the verdict
_MOST_OF_ONE_NEURON = 4.0  # times its tolerance: one of many neurons may be off by chance
_LEAST_COVARIANCE_SHARE = 0.25  # trained models have 0.4 to 1.3, nearly empty ones 0 to 0.1
_MOST_MISSING = 0.02  # of the gain that the data's patterns bring


@dataclass(frozen=True)
class Certificate:
    """Say how near a trained model is to its optimum, and what is not.

    Attributes
    ----------
    residual : float
        Residual of the full condition, RMS over non-zero weights, sampling noise taken out; after a
        refit, of the condition without penalty.
    residual_without_kappa : float
        The same for the condition without the kappa term, as the paper reports it.
    noise : float
        Sampling noise of the model's side, RMS over non-zero weights.
    excess_at_zero : float
        RMS of the excess of the gradient over lambda where w = 0, beyond the noise.
    tolerance : float
        What is tolerated of ``residual``: RMS over the units of what is tolerated of each.
    activity_data, activity_model : float
        Spikes per neuron and frame in the data and in the sampled model.
    variance_h : ndarray, shape (M,)
        Var(h) over the data; 1 at convergence.
    n_units_alive : int
        Hidden units whose |w| add up to more than 0.001.
    covariance_share : float
        Share of the data's pair covariances that the model reproduces: 1 at best, near 0 for an
        empty model, NaN where the data have none beyond noise.
    failed : tuple of str
        Which checks failed, in words.
    missing_gain : float
        What the model lacks of the gain by the data's patterns of covariance: near 1 / K where one
        of K assemblies is missing.
    residual_by_unit, noise_by_unit : ndarray, shape (5, M)
        Residuals of each unit in units of what is tolerated, and the noise that was taken out: of
        its weights, along its weights (slope), of its potential, where w = 0, and of Var(h). NaN
        for units without weights.
    residual_fields, noise_fields : float
        The same of <v>, RMS over neurons.
    mixing_times : ndarray, shape (M,)
        Integrated autocorrelation time of each unit's h in the chains, in Gibbs steps.
    n_steps : float
        Gibbs steps that each chain took while its samples were saved.
    undetermined : tuple of str
        What sampling could not tell, in words, and what it would take.
    """

    residual: float
    residual_without_kappa: float
    noise: float
    excess_at_zero: float
    tolerance: float
    activity_data: float
    activity_model: float
    variance_h: np.ndarray = field(repr=False)
    n_units_alive: int
    covariance_share: float
    failed: tuple[str, ...]
    # the defaults are what the files of former releases lack
    missing_gain: float = float("nan")
    residual_by_unit: np.ndarray = field(default_factory=lambda: np.empty((5, 0)), repr=False)
    noise_by_unit: np.ndarray = field(default_factory=lambda: np.empty((5, 0)), repr=False)
    residual_fields: float = float("nan")
    noise_fields: float = float("nan")
    mixing_times: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    n_steps: float = float("nan")
    undetermined: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The verdict on a run that came to its end."""
        if self.n_units_alive == 0:
            return "collapsed"
        if self.failed:
            return "not converged"
        return "undetermined" if self.undetermined else "converged"


def explanation(verdict: str, found: Certificate, events: tuple[str, ...] = ()) -> str:
    """Say in one line how a run ended, why, and what to do.

    Parameters
    ----------
    verdict : str
        A key of `ADVICE`: that of the run, which may be another than the certificate's.
    found : Certificate
    events : tuple of str, optional
        What happened in the run, for a certificate without a reason.
    """
    reasons = {
        "interrupted": ("the run was stopped",),
        "no structure": ("no hidden unit helps to predict unseen frames",),
    }.get(verdict, found.failed + found.undetermined or events)
    why = f": {'; '.join(reasons)}" if reasons else ""
    return f"{verdict!r}{why}. What to do: {ADVICE[verdict]}"


def rounds_within(n_steps: float) -> int:
    """Rounds of sampling that a number of Gibbs steps allows, one at least.

    Examples
    --------
    >>> rounds_within(100), rounds_within(1700)
    (1, 4)
    """
    return max(int(n_steps - _BURN_IN) // (_N_SAVED * _THINNING), 1)


_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")  # more may change sums


@_one_blas_thread
def sample_model(
    parameters: TrainedParameters, chains: GibbsChains, data: DataMeans, n_rounds: int = 1
) -> ModelMeans:
    """Average over the model by its chains.

    Parameters
    ----------
    parameters : TrainedParameters
    chains : GibbsChains
        Chains with the weights set; they are moved on. Those of one start follow each other.
    data : DataMeans
        The data's side of the same parameters: it says how much noise can be tolerated.
    n_rounds : int, default 1
        Rounds of sampling at most, while the noise is not small.
    """
    weights, fields = parameters.weights, parameters.fields.astype(np.float32)
    means = ModelMeans(*weights.shape, chains.n_chains, data.at)
    chains.step(_BURN_IN, weights, fields, parameters.potential)
    for _ in range(n_rounds):
        for _ in range(_N_SAVED):
            chains.step(_THINNING, weights, fields, parameters.potential)
            means.add(chains, _THINNING)
        by_unit, of_fields = _noise(means, weights, data.centre, data.tolerances)
        alive = data.at.size > LEAST_SIZE
        if max(by_unit[:, alive].max(initial=0.0), of_fields) < _ENOUGH_NOISE:
            break
    return means


def _noise(
    model: ModelMeans, weights: np.ndarray, centre: np.ndarray, tolerances: Tolerances
) -> tuple[np.ndarray, float]:
    """Noise in units of what is tolerated: weights, slope and potential (3, M), and fields."""
    of_unit = np.sqrt(np.square(model.unit_contrasts).mean(axis=0))
    of_v = np.sqrt(np.square(model.v_contrasts).mean(axis=0))
    of_weights = model.weight_noise(weights, centre)[0]
    by_unit = [
        _over(of_weights[None], tolerances.weights[None]),
        _over(of_unit[SLOPE:], tolerances.unit[SLOPE:]),
        _over(of_unit[:SLOPE], tolerances.unit[:SLOPE]),
    ]
    return np.stack(by_unit), float(_over(of_v, tolerances.fields))


def _over(x: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """RMS over the first axis of x in units of finite tolerances."""
    counts = np.isfinite(tolerance)
    ratio = np.where(counts, x / np.where(tolerance > 0, tolerance, np.inf), 0.0)
    return np.sqrt(np.square(ratio).sum(axis=0) / np.maximum(counts.sum(axis=0), 1))


def _without(noise: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A root mean square, the noise taken out."""
    return np.sqrt(np.maximum(x**2 - noise**2, 0.0))


@_one_blas_thread
def certify(
    parameters: TrainedParameters,
    data: DataMeans,
    model: ModelMeans,
    l1: float,
    l1_nonzero: float,
) -> Certificate:
    """Measure how near a model is to its optimum on its training data.

    Parameters
    ----------
    parameters : TrainedParameters
    data : DataMeans or MixedMeans
    model : ModelMeans
        What `sample_model` found.
    l1, l1_nonzero : float
        Penalty that chose the weights, and under which those that are not zero ended: 0 in a refit.
    """
    weights = parameters.weights
    p, tolerances, size = data.activity, data.tolerances, data.at.size
    centre = data.centre
    alive = size > LEAST_SIZE
    kappa = 0.5 * l1_nonzero * size
    noise, noise_fields = _noise(model, weights, centre, tolerances)
    noise_on, noise_off = model.weight_noise(weights, centre)
    # in the centred coordinates in which training moves: see crbm_lite.core.reference.gradient
    full, without_kappa, excess, count, n_zero = np.zeros((5, len(size)))
    for tile in tiles(len(weights)):
        on = weights[tile] != 0
        in_data, _, variance_slope = data.covariances(tile)
        gradient = in_data - model.covariances(tile, centre)[0]
        without = gradient - l1_nonzero * np.sign(weights[tile])
        gradient -= kappa * variance_slope
        beyond = np.maximum(np.abs(gradient) - l1 - 2.0 * noise_off, 0.0)
        full += np.where(on, np.square(without - kappa * variance_slope), 0.0).sum(axis=0)
        without_kappa += np.where(on, np.square(without), 0.0).sum(axis=0)
        excess += np.where(on, 0.0, np.square(beyond)).sum(axis=0)
        count += on.sum(axis=0)
        n_zero += (~on).sum(axis=0)
    slope = data.unit - model.unit - kappa * data.variance_slope
    slope[SLOPE] -= l1_nonzero * size
    each = np.maximum(count, 1)
    judged = np.stack(
        [
            _over(np.sqrt(full / each)[None], tolerances.weights[None]),
            _over(slope[SLOPE:], tolerances.unit[SLOPE:]),
            _over(slope[:SLOPE], tolerances.unit[:SLOPE]),
            # a refit keeps zeros whatever their gradient
            _over(np.sqrt(excess / each)[None], tolerances.weights[None]) * (l1_nonzero == l1),
            _over((data.variance - 1.0)[None], tolerances.variance[None]),
        ]
    )
    noise = np.concatenate([noise, np.zeros((2, len(size)))])
    judged[:, ~alive], noise[:, ~alive] = np.nan, np.nan
    total = max(count.sum(), 1)
    rms_noise = np.sqrt((noise_on**2 * count).sum() / total)
    share_of = (data.frames(model.neurons), model.co_active, model.n_samples)
    missing, most = missing_pattern(*share_of)
    found = Certificate(
        residual=float(_without(rms_noise, np.sqrt(full.sum() / total))),
        residual_without_kappa=float(_without(rms_noise, np.sqrt(without_kappa.sum() / total))),
        noise=float(rms_noise),
        excess_at_zero=float(np.sqrt(excess.sum() / max(n_zero.sum(), 1))),
        tolerance=float(np.sqrt((tolerances.weights**2 * count).sum() / total)),
        activity_data=float(p.mean()),
        activity_model=float(model.v.mean()),
        variance_h=data.variance,
        n_units_alive=int(alive.sum()),
        covariance_share=share_of_covariance(*share_of),
        failed=(),
        missing_gain=missing,
        residual_by_unit=_without(noise, judged),
        noise_by_unit=noise,
        residual_fields=float(_without(noise_fields, _over(p - model.v, tolerances.fields))),
        noise_fields=noise_fields,
        mixing_times=np.where(alive, model.mixing_times(), np.nan),
        n_steps=float(model.n_steps),
        undetermined=(),
    )
    single = _one_neuron(p - model.v, model.v_contrasts, tolerances.fields)
    failed = _failed_covariances(found, model.neurons[most]) + _failed_residuals(found) + single
    return replace(found, failed=failed, undetermined=_undetermined(found))


def _is_sure(residual: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Whether a residual is beyond its tolerance, as far as sampling can tell."""
    by_far = np.sqrt(residual**2 + noise**2) > 1.0 + _SURE * noise
    return np.where(noise < _ENOUGH_NOISE, residual > 1.0, by_far)


def _failed_covariances(found: Certificate, most: np.ndarray) -> tuple[str, ...]:
    """Say in words what the model has not taken up."""
    if found.n_units_alive == 0:
        return ("no hidden unit has weights",)
    if found.covariance_share < _LEAST_COVARIANCE_SHARE:
        return (f"the model has {found.covariance_share:.0%} of the data's pair covariances",)
    noise = max(float(np.nanmax(found.noise_by_unit)), found.noise_fields) / _ENOUGH_NOISE
    if found.missing_gain > _MOST_MISSING * max(noise, 1.0):  # noise has patterns, too
        some = ", ".join(map(str, most[:5]))
        return (
            f"the model lacks {found.missing_gain:.0%} of what the data's patterns would add to "
            f"its likelihood, most that of neurons {some}",
        )
    return ()


def _failed_residuals(found: Certificate) -> tuple[str, ...]:
    """Name the unit that misses its tolerance by most, and the fields."""
    if found.n_units_alive == 0:
        return ()
    failed = []
    sure = _is_sure(found.residual_by_unit, found.noise_by_unit)
    ratios = np.where(sure, found.residual_by_unit, 0.0)
    if sure.any():
        row, unit = np.unravel_index(ratios.argmax(), ratios.shape)
        others = int(sure.any(axis=0).sum()) - 1
        failed.append(
            f"unit {unit} ({STATISTICS[row]}) is {ratios.max():.1f} times its tolerance from the "
            f"optimum" + (f"; other units beyond their tolerances: {others}" if others else "")
        )
    if _is_sure(found.residual_fields, found.noise_fields):
        failed.append(
            f"the fields are {found.residual_fields:.1f} times their tolerance from the optimum: "
            f"the model's activity is {found.activity_model:.4f}, the data's "
            f"{found.activity_data:.4f}"
        )
    return tuple(failed)


def _one_neuron(
    difference: np.ndarray, contrasts: np.ndarray, tolerance: np.ndarray
) -> tuple[str, ...]:
    """Name the neuron whose activity is furthest off, if it is beyond noise."""
    noise = np.sqrt(np.square(contrasts).mean(axis=0))
    ratio = np.maximum(np.abs(difference) - _SURE * noise, 0.0) / tolerance
    if ratio.max() < _MOST_OF_ONE_NEURON:
        return ()
    return (
        f"the activity of neuron {ratio.argmax()} is {ratio.max():.1f} times its tolerance off",
    )


def _undetermined(found: Certificate) -> tuple[str, ...]:
    """Say in words what sampling could not tell, and what it would take."""
    if found.n_units_alive == 0:
        return ()
    reasons = []
    most = max(float(np.nanmax(found.noise_by_unit)), found.noise_fields)
    if not most < _ENOUGH_NOISE:
        factor = (most / _ENOUGH_NOISE) ** 2
        reasons.append(
            f"the noise of sampling is {most:.2f} of the tolerance: it takes {factor:.1f} times as "
            f"many Gibbs steps as the {found.n_steps:.0f} taken"
        )
    slowest = int(np.nanargmax(found.mixing_times))
    longest = found.mixing_times[slowest]
    if longest > found.n_steps:
        reasons.append(
            f"unit {slowest} takes {longest:.0f} Gibbs steps to mix, longer than the "
            f"{found.n_steps:.0f} sampled"
        )
    return tuple(reasons)
