r"""Compare the five statistics of two samples of frames, under the conventions of the paper.

The statistics of frames that a model generates are compared with those of the test data. The
statistics of the training data give the noise floor. RMSE, nRMSE and Pearson r are those of
`crbm_lite.validation.nrmse`.

=====  ===================================  ==========================================
v      :math:`\langle v_i \rangle`          mean activity, every neuron
h      :math:`\langle h_\mu \rangle`        every hidden unit, h = E[h|v] on all sides
vh     :math:`\langle v_i h_\mu \rangle`    raw, with the correction for the L1 penalty
vv     covariance of :math:`v_i, v_j`       all pairs i < j
hh     covariance of :math:`h_\mu, h_\nu`   all pairs mu < nu
=====  ===================================  ==========================================

At the optimum of the likelihood with the penalty :math:`\lambda \sum |w|` under Var(h) = 1, a model
does not reproduce <v h>. Instead,

.. math::

    \langle v_i h_\mu \rangle_\mathrm{data} = \langle v_i h_\mu \rangle_\mathrm{model}
    + \lambda\,\mathrm{sign}(w_{i\mu})
    + \kappa_\mu \frac{\partial \mathrm{Var}_\mu}{\partial w_{i\mu}},
    \qquad \kappa_\mu = \tfrac{\lambda}{2} \sum_i |w_{i\mu}|,

where w is not 0. Where w is 0, the two sides may differ by up to :math:`\lambda`. The paper's score
keeps the sign term only, on entries with w != 0: that is `vh`. `vh_all_pairs` adds the entries with
w = 0, where only the excess beyond :math:`\pm\lambda` counts. `vh_full_condition` keeps both terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_array, as_count, as_generator, as_numbers
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import spikes_of_model
from crbm_lite.validation.moments import SampleMoments, sample_moments
from crbm_lite.validation.nrmse import StatisticScore, score_covariances_vv, score_entries

__all__ = ["STATISTICS", "MomentScores", "compare_moments", "l1_variance_term"]

#: Names of the five statistics.
STATISTICS: tuple[str, ...] = ("v", "h", "vh", "vv", "hh")

_LARGEST_ERROR = 0.05  # of an nRMSE; from here on a table says that it is not small
_DERIVATIVE_STEP = 1e-4  # of the hidden input, in central differences of the variance

_LABELS = {
    "v": "<v_i>",
    "h": "<h_mu>",
    "vh": "<v_i h_mu>",
    "vv": "cov(v_i, v_j)",
    "hh": "cov(h_mu, h_nu)",
    "vh_all_pairs": "<v_i h_mu>, w = 0 too",
    "vh_full_condition": "<v_i h_mu>, full L1",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class MomentScores:
    """Scores of the five statistics; None where a model has no such statistic.

    Attributes
    ----------
    v, vv : StatisticScore
        Mean activities, and covariances of all pairs of neurons.
    h, vh, hh : StatisticScore or None
        Means of hidden units, their raw products with neurons, and their covariances. None for a
        model without hidden units.
    vh_all_pairs : StatisticScore or None
        vh on every entry. Where w = 0 only what exceeds lambda counts, so a model can do better
        than the noise floor, which has no such tolerance. None without weights.
    vh_full_condition : StatisticScore or None
        vh with both terms of the L1 condition. None without weights.
    """

    v: StatisticScore
    vv: StatisticScore
    h: StatisticScore | None = None
    vh: StatisticScore | None = None
    hh: StatisticScore | None = None
    vh_all_pairs: StatisticScore | None = None
    vh_full_condition: StatisticScore | None = None

    @property
    def score(self) -> float:
        """Smallest of 1 - nRMSE over the five statistics: 1 is as good as the training data.

        A statistic without entries, as that of pairs of a single hidden unit, is left out, and so
        is one whose nRMSE has no scale on these data (`StatisticScore.has_scale`). The score is
        -inf where an nRMSE is not defined, as for a model that lost all weights, and where no
        statistic has a scale.
        """
        scores = (getattr(self, name) for name in STATISTICS)
        found = [score for score in scores if score is not None and score.n_entries]
        if not all(math.isfinite(score.nrmse) for score in found):
            return -math.inf
        return min((1 - score.nrmse for score in found if score.has_scale), default=-math.inf)

    def table(self) -> str:
        """Plain text, one line per statistic: RMSEs, nRMSE, Pearson r, number of entries.

        Further lines say where an nRMSE has no scale, where the generated frames are too few to
        know it well, and where nobody knows how well it is known.
        """
        header = (
            f"{'statistic':<22}{'RMSE':>10}{'optimal':>10}{'shuffled':>10}{'nRMSE':>8}{'+-':>7}"
            f"{'r':>8}{'r train':>9}{'entries':>15}"
        )
        lines = [header, "-" * len(header)]
        scores = {name: getattr(self, name) for name in _LABELS if getattr(self, name) is not None}
        for name, score in scores.items():
            lines.append(
                f"{_LABELS[name]:<22}{score.rmse:>10.2e}{score.rmse_optimal:>10.2e}"
                f"{score.rmse_shuffled:>10.2e}{score.nrmse:>8.3f}{score.nrmse_error:>7.3f}"
                f"{score.pearson_r:>8.3f}{score.pearson_r_optimal:>9.3f}{score.n_entries:>15,}"
            )
        compared = {_LABELS[name]: score for name, score in scores.items() if score.n_entries}
        no_scale = [label for label, score in compared.items() if not score.has_scale]
        if no_scale:
            lines.append(
                "nRMSE without a scale, shuffled entries are hardly farther from the test data "
                f"than the training data are: {', '.join(no_scale)}"
            )
        uncertain = [x for x, score in compared.items() if score.nrmse_error > _LARGEST_ERROR]
        if uncertain:
            lines.append(
                f"nRMSE with a sampling error above {_LARGEST_ERROR:g}, give more chains "
                f"(n_chains) or let them run for longer (n_steps, n_saved): {', '.join(uncertain)}"
            )
        unknown = [x for x, score in compared.items() if math.isnan(score.nrmse_error)]
        if unknown:
            lines.append(
                "nRMSE whose sampling error is not known, since it is the spread of several chains "
                f"that `validate` samples: {', '.join(unknown)}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()


def _as_moments(source: object, mean_h: Callable | None, name: str) -> SampleMoments:
    if isinstance(source, SampleMoments):
        return source
    return sample_moments(source, mean_h, name=name)


def compare_moments(
    test: object,
    train: object,
    generated: object,
    *,
    mean_h: Callable[[np.ndarray], np.ndarray] | None = None,
    weights: np.ndarray | None = None,
    l1: float = 0.0,
    variance_term: np.ndarray | None = None,
    random_state: int | np.random.Generator | None = None,
    n_scatter: int = 20_000,
) -> MomentScores:
    """Compare the statistics of generated frames with those of test data, for any model.

    Parameters
    ----------
    test, train, generated : (T, N) array, scipy.sparse, Recording, iterator or SampleMoments
        Frames of the same N neurons, whole or, from an iterator, piece by piece. Moments made by
        `sample_moments` can be given to several comparisons without being made again.
    mean_h : callable, optional
        Takes (n, N) frames and returns their (n, M) hidden means. It is not called for a source
        that is SampleMoments already.
    weights : (N, M) array, optional
        The weights w decide where <v h> is compared. Without them it is compared everywhere,
        uncorrected.
    l1 : float
        lambda of the correction of <v h> (default 0).
    variance_term : (N, M) array, optional
        kappa dVar/dw of `l1_variance_term`. Without it `vh_full_condition` is None.
    random_state : int, Generator or None
        Chooses the subsamples of the scatter plots. No number depends on it.
    n_scatter : int
        Entries in a scatter plot, at most (default 20,000).

    Returns
    -------
    MomentScores

    Raises
    ------
    ValueError
        If a source is empty or not binary, or if neurons, hidden units or weights do not match.

    Examples
    --------
    An independent model has the right means and no covariances:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> state = rng.random((4000, 1)) < 0.3
    >>> v = (rng.random((4000, 8)) < np.where(state, 0.5, 0.1)).astype(np.uint8)
    >>> independent = (rng.random((9000, 8)) < v.mean(axis=0)).astype(np.uint8)
    >>> scores = compare_moments(v[:2000], v[2000:], independent, random_state=0)
    >>> scores.v.rmse < 0.02, scores.vv.nrmse > 0.9
    (True, True)
    """
    rng, n_scatter = as_generator(random_state), as_count(n_scatter, "n_scatter", 0)
    test, train, generated = (
        _as_moments(source, mean_h, name)
        for source, name in ((test, "test"), (train, "train"), (generated, "generated"))
    )
    for name, other in (("train", train), ("generated", generated)):
        if (other.n_neurons, other.n_hidden) != (test.n_neurons, test.n_hidden):
            raise ValueError(
                f"{name} has {other.n_neurons} neurons and {other.n_hidden} hidden units, test has "
                f"{test.n_neurons} and {test.n_hidden}: give the same neurons and one `mean_h`"
            )
    scores = {
        "v": score_entries(test.mean_v, generated.mean_v, train.mean_v, rng, n_scatter=n_scatter),
        "vv": score_covariances_vv(test, train, generated, rng, n_scatter=n_scatter),
    }
    if test.n_hidden:
        scores["h"] = score_entries(
            test.mean_h, generated.mean_h, train.mean_h, rng, n_scatter=n_scatter
        )
        upper = np.triu_indices(test.n_hidden, 1)
        scores["hh"] = score_entries(
            *(source.covariance_hh[upper] for source in (test, generated, train)),
            rng,
            n_scatter=n_scatter,
        )
        scores |= _score_vh(
            *(source.mean_vh for source in (test, generated, train)),
            weights,
            l1,
            variance_term,
            rng,
            n_scatter,
        )
    return MomentScores(**scores)


def _score_vh(
    data: np.ndarray,
    model: np.ndarray,
    train: np.ndarray,
    weights: np.ndarray | None,
    l1: float,
    variance_term: np.ndarray | None,
    rng: np.random.Generator,
    n_scatter: int,
) -> dict[str, StatisticScore]:
    """Score <v h>, three (N, M) arrays, under the corrections that the module lists."""
    if weights is None:
        entries = (data.ravel(), model.ravel(), train.ravel())
        return {"vh": score_entries(*entries, rng, n_scatter=n_scatter)}
    weights = as_array(weights, "weights")
    for name, array in (("weights", weights), ("variance_term", variance_term)):
        if array is not None and np.shape(array) != data.shape:
            raise ValueError(f"{name} has shape {np.shape(array)}: give (N, M), {data.shape}")
    connected = weights != 0
    corrected = model + l1 * np.sign(weights, dtype=np.float64)
    x, y, z = data[connected], corrected[connected], train[connected]
    scores = {"vh": score_entries(x, y, z, rng, n_scatter=n_scatter)}
    if variance_term is not None:
        y = y + as_numbers(variance_term, "variance_term")[connected]
        scores["vh_full_condition"] = score_entries(x, y, z, rng, n_scatter=n_scatter)
    # Where w = 0 the model is moved towards the data by at most lambda: what is left is the excess.
    np.add(model, np.clip(data - model, -l1, l1), out=corrected, where=~connected)
    scores["vh_all_pairs"] = score_entries(
        data.ravel(), corrected.ravel(), train.ravel(), rng, n_scatter=n_scatter
    )
    return scores


def l1_variance_term(model, train: object, l1: float) -> np.ndarray:
    r"""Compute kappa_mu dVar_mu/dw_imu over the training data: the L1 condition's second term.

    With I the hidden input, Gamma the cumulant and averages over the training frames,

    .. math::

        \frac{\partial \mathrm{Var}_\mu}{\partial w_{i\mu}} =
        \left\langle v_i \left[ \Gamma'''(I_\mu) + 2 (\Gamma'(I_\mu) - \langle \Gamma' \rangle)
        \Gamma''(I_\mu) \right] \right\rangle .

    Gamma''' is a central difference of Gamma'' (relative accuracy about 1e-6).

    Parameters
    ----------
    model : CRBM
        Fitted, with its hidden units at Var(h) = 1 over `train`.
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames.
    l1 : float
        lambda.

    Returns
    -------
    (N, M) float64
    """
    train = spikes_of_model(model, train, "train")
    potential = DReLU(model.gamma_plus_, model.gamma_minus_, model.theta_plus_, model.theta_minus_)
    mean_h = sample_moments(train, model.mean_h_given_v, name="train").mean_h

    def variance_per_input(v: np.ndarray) -> np.ndarray:
        inputs = as_numbers(model.hidden_input(v), "hidden_input")
        mean, variance = potential.mean_and_variance(inputs)
        above = potential.variance(inputs + _DERIVATIVE_STEP)
        below = potential.variance(inputs - _DERIVATIVE_STEP)
        return (above - below) / (2 * _DERIVATIVE_STEP) + 2.0 * (mean - mean_h) * variance

    kappa = 0.5 * l1 * np.abs(model.weights_).sum(axis=0, dtype=np.float64)
    return kappa * sample_moments(train, variance_per_input, name="train").mean_vh
