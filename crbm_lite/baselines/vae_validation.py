"""Choose and score a sparse VAE: held-out ELBO, and the statistics that a cRBM is asked for.

The ELBO is that of `crbm_lite.baselines.vae`, nRMSE and nLLH are those of `crbm_lite.validation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.baselines.vae import VAE, fit_vae
from crbm_lite.checks.arguments import as_generator
from crbm_lite.core.spikes import as_spikes
from crbm_lite.validation.comparison import compare_moments
from crbm_lite.validation.likelihood import left_out_nllh, nllh
from crbm_lite.validation.moments import sample_moments
from crbm_lite.validation.report import GroupsOfChains, ValidationReport

__all__ = ["sweep_vae", "validate_vae"]


def sweep_vae(
    train: object,
    settings: Sequence[tuple[int, float]],
    *,
    n_folds: int = 3,
    n_samples: int = 10,
    random_state: int = 0,
    **training: object,
) -> Sweep:
    """Choose (M, lambda) by the ELBO of held-out blocks of the training frames.

    Parameters
    ----------
    train : (T, N) array of 0/1, scipy.sparse matrix or Recording
    settings : sequence of (n_hidden, l1)
    n_folds : int
        Blocks of frames, each held out once (default 3).
    n_samples : int
        Samples of z per frame (default 10).
    random_state : int
        Seed of every fit and of the samples (default 0).
    **training
        ``n_updates``, ``batch_size``, ``learning_rate`` of `fit_vae`.

    Returns
    -------
    Sweep
        Its values are pairs (n_hidden, l1), its scores ELBOs in nats per frame.

    Raises
    ------
    ValueError, ImportError, RuntimeError
        As `fit_vae` and `crbm_lite.baselines.tuning.cross_validate`.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((90, 5)) < 0.3
    >>> sweep_vae(v, [(2, 0.01), (2, 0.1)], n_updates=50).scores.shape  # doctest: +SKIP
    (3, 2)
    """

    def score(fitted: object, held_out: object) -> list[float]:
        return [
            fit_vae(fitted, n_hidden, l1, random_state=random_state, **training).elbo(
                held_out, n_samples, random_state
            )
            for n_hidden, l1 in settings
        ]

    return cross_validate(train, settings, score, n_folds)


def validate_vae(
    vae: VAE,
    train: object,
    test: object,
    random_state: int | np.random.Generator | None = None,
    *,
    n_generated: int = 15_000,
    threshold: float = 0.01,
) -> ValidationReport:
    """Score a VAE as `crbm_lite.validate` scores a cRBM: five statistics and the nLLH.

    Disconnected latents are left out of the statistics of h, because their means follow the prior
    alone.

    Parameters
    ----------
    vae : VAE
    train, test : (T, N) array of 0/1, scipy.sparse matrix or Recording
    random_state : int, Generator or None
        Drives the generated frames and picks the points of the scatter plots.
    n_generated : int
        Frames to generate (default 15,000).
    threshold : float
        Weights up to it count as zero (default 0.01).

    Returns
    -------
    ValidationReport
        Its ``l1`` is 0: the correction of <v h> for the penalty holds for a cRBM only.

    Raises
    ------
    ValueError
        If the data do not fit the model, or fewer than two latents are connected.

    Examples
    --------
    >>> v = np.random.default_rng(0).random((300, 5)) < 0.3
    >>> f = np.float32
    >>> small, square, none = np.ones((5, 2), f), np.eye(2, dtype=f), np.zeros(2, f)
    >>> vae = VAE(small, none, square, none, square, none, small, np.full(5, -1, f))
    >>> report = validate_vae(vae, v[:200], v[200:], 0, n_generated=500)
    >>> report.n_generated, report.hh.n_entries
    (500, 1)
    """
    rng = as_generator(random_state)
    train, test = (as_spikes(x, n, len(vae.fields)) for x, n in ((train, "train"), (test, "test")))
    used = vae.connected(threshold)
    if used.sum() < 2:
        raise ValueError(
            f"{used.sum()} latents have a weight beyond {threshold:g}: train longer or lower l1, "
            "covariances of hidden units need two"
        )

    def mean_h(v: object) -> np.ndarray:
        return vae.mean_h_given_v(v)[:, used]

    weights = vae.sparse_weights(threshold)[:, used]
    data = sample_moments(test, mean_h), sample_moments(train, mean_h)
    groups = GroupsOfChains(n_generated, len(vae.fields), mean_h)  # every frame is a chain
    generated = sample_moments(groups.watch([vae.sample(n_generated, rng)]), mean_h)
    scores = compare_moments(*data, generated, weights=weights, random_state=rng)
    scores = groups.with_errors(scores, *data, weights)
    return ValidationReport(
        **vars(scores),
        left_out=left_out_nllh(vae, test),
        nllh=nllh(vae, test),
        l1=0.0,
        n_train=train.n_frames,
        n_test=test.n_frames,
        n_generated=n_generated,
    )
