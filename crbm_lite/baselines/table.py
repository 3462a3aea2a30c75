"""Compare the cRBM and all its rivals in one table: nLLH, nRMSE, and what a method can do at all.

The first column, "left out", is the median nLLH with each neuron left out of what the model sees
(`crbm_lite.validation.likelihood.left_out_nllh`): methods can be compared by it. Beside it stands
the paper's nLLH, for which the cRBM and the VAE have seen the neuron that they predict. The nRMSE
is that of `crbm_lite.validation.nrmse`. A dash means that the question does not exist for the
method, or was not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.baselines.independent import fit_independent
from crbm_lite.checks.arguments import as_generator
from crbm_lite.core.spikes import as_spikes
from crbm_lite.recordings.controls import independent_frames, shift_time
from crbm_lite.validation.comparison import STATISTICS, MomentScores, compare_moments
from crbm_lite.validation.likelihood import left_out_nllh, nllh_given_probabilities
from crbm_lite.validation.report import ValidationReport

if TYPE_CHECKING:
    from crbm_lite.baselines.vae import VAE
    from crbm_lite.model.model import CRBM

__all__ = ["BaselineRow", "comparison_table", "crbm_row", "floor_rows", "vae_row"]


@dataclass(frozen=True, eq=False)
class BaselineRow:
    """What is known of one method on one recording.

    Attributes
    ----------
    method : str
    scores : MomentScores or None
        None for a method that generates no frames.
    nllh : float or None
        Median over the neurons of the paper's score (of the reconstruction, for a cRBM and a VAE).
        None for a method without probabilities.
    generates : bool
        Whether it has a distribution of binary frames to draw from.
    zeros : float or None
        Fraction of its weights that are zero.
    n_parameters : int or None
        How many of its numbers are not zero.
    seconds : float or None
        Time that the fit took; None if it was not fitted in this run.
    left_out : float or None
        Median over the neurons of the nLLH with the neuron left out.
    """

    method: str
    scores: MomentScores | None = field(default=None, repr=False)
    nllh: float | None = None
    generates: bool = False
    zeros: float | None = None
    n_parameters: int | None = None
    seconds: float | None = None
    left_out: float | None = None


def crbm_row(model: CRBM, report: ValidationReport, seconds: float | None = None) -> BaselineRow:
    """Make the row of a cRBM.

    Its parameters are the weights that are not zero, the fields, and four numbers per hidden unit
    in use.

    Parameters
    ----------
    model : CRBM
        Fitted.
    report : ValidationReport
        From `crbm_lite.validate`.
    seconds : float, optional
        Time that the fit took.

    Returns
    -------
    BaselineRow
    """
    nonzero = model.weights_ != 0
    n_parameters = int(nonzero.sum()) + len(model.fields_) + 4 * int(nonzero.any(axis=0).sum())
    zeros = float(1.0 - nonzero.mean())
    scores = (report.nllh.median, True, zeros, n_parameters, seconds, report.left_out.median)
    return BaselineRow("cRBM", report, *scores)


def vae_row(vae: VAE, report: ValidationReport, seconds: float | None = None) -> BaselineRow:
    """Make the row of a sparse VAE.

    Its parameters are those of the generative part: weights beyond the threshold, and fields.

    Parameters
    ----------
    vae : VAE
    report : ValidationReport
        From `crbm_lite.baselines.vae_validation.validate_vae`.
    seconds : float, optional
        Time that the fit took.

    Returns
    -------
    BaselineRow
    """
    nonzero = vae.sparse_weights() != 0
    n_parameters = int(nonzero.sum()) + len(vae.fields)
    zeros = float(1.0 - nonzero.mean())
    scores = (report.nllh.median, True, zeros, n_parameters, seconds, report.left_out.median)
    return BaselineRow("VAE", report, *scores)


def floor_rows(
    train: object,
    test: object,
    n_generated: int = 6000,
    random_state: int | np.random.Generator | None = 0,
) -> list[BaselineRow]:
    """Make the rows of the two controls: independent neurons, and training frames shifted in time.

    Parameters
    ----------
    train, test : (T, N) array of 0/1, scipy.sparse matrix or Recording
    n_generated : int
        Frames that the independent model generates (default 6,000).
    random_state : int, Generator or None
        Drives both controls (default 0).

    Returns
    -------
    list of two BaselineRow

    Examples
    --------
    >>> v = np.random.default_rng(0).random((200, 5)) < 0.3
    >>> [row.method for row in floor_rows(v[:100], v[100:])]
    ['independent', 'shifted time']
    """
    rng = as_generator(random_state)
    spikes, test = as_spikes(train, "train"), as_spikes(test, "test")
    activity = spikes.activity()
    # A Recording, not only its spikes, so that the shift knows where time jumps.
    frames = (independent_frames(activity, n_generated, rng), shift_time(train, rng))
    scores = [compare_moments(test, spikes, generated, random_state=rng) for generated in frames]
    nllh = nllh_given_probabilities(test, activity).median
    left_out = left_out_nllh(fit_independent(spikes), test).median
    size = {"n_parameters": len(activity)}
    return [
        BaselineRow("independent", scores[0], nllh, True, **size, left_out=left_out),
        BaselineRow("shifted time", scores[1]),
    ]


def comparison_table(rows: Sequence[BaselineRow]) -> str:
    """Write the rows as plain text of fixed width, one method per line.

    Parameters
    ----------
    rows : sequence of BaselineRow

    Returns
    -------
    str

    Examples
    --------
    >>> glm = BaselineRow("GLM", None, 0.0283, n_parameters=4_000_000, left_out=0.0283)
    >>> print(comparison_table([glm]))
               left out   nLLH nRMSE: v     h    vh    vv    hh generates zeros parameters seconds
    GLM           0.028  0.028        –     –     –     –     –        no     –  4,000,000       –
    """

    def text(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    first, *others = STATISTICS
    names = f"nRMSE: {first}" + "".join(f"{name:>6}" for name in others)
    header = f"{'left out':>21}{'nLLH':>7} {names} {'generates':>9}{'zeros':>6}"
    lines = [header + f"{'parameters':>11}{'seconds':>8}"]
    for row in rows:
        scores = [getattr(row.scores, name, None) for name in STATISTICS]
        nrmse = "".join(f"{text(s and s.nrmse, '.2f'):>6}" for s in scores)
        lines.append(
            f"{row.method:<13}{text(row.left_out, '.3f'):>8}{text(row.nllh, '.3f'):>7}"
            f"{nrmse:>33} {'yes' if row.generates else 'no':>9}{text(row.zeros, '.2f'):>6}"
            f"{text(row.n_parameters, ','):>11}{text(row.seconds, '.1f'):>8}"
        )
    return "\n".join(lines)
