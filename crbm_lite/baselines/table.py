"""One table for the cRBM and all its rivals: nRMSE, nLLH, and what a method can do at all.

No equations; nRMSE is that of `crbm_lite.validation.nrmse`, nLLH that of
`crbm_lite.validation.likelihood`. A dash means that the question does not exist for the method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.core.spikes import as_spikes
from crbm_lite.recordings.controls import independent_frames, shift_time
from crbm_lite.validation.comparison import MomentScores, compare_moments
from crbm_lite.validation.likelihood import nllh_given_probabilities
from crbm_lite.validation.report import ValidationReport

if TYPE_CHECKING:
    from crbm_lite.baselines.vae import VAE
    from crbm_lite.model.model import CRBM

__all__ = ["BaselineRow", "comparison_table", "crbm_row", "floor_rows", "vae_row"]

_STATISTICS = ("v", "h", "vh", "vv", "hh")


@dataclass(frozen=True, eq=False)
class BaselineRow:
    """What is known of one method on one recording.

    Attributes
    ----------
    method : str
    scores : MomentScores or None
        None for a method without frames of its own.
    nllh : float or None
        Median over the neurons; None for a method without probabilities.
    generates : bool
        Whether it has a distribution of binary frames to draw from.
    zeros : float or None
        Fraction of its weights that are zero.
    n_parameters : int or None
        Numbers that are not zero.
    seconds : float or None
        Of fitting; None if it was not fitted in this run.
    """

    method: str
    scores: MomentScores | None = field(default=None, repr=False)
    nllh: float | None = None
    generates: bool = False
    zeros: float | None = None
    n_parameters: int | None = None
    seconds: float | None = None


def crbm_row(model: CRBM, report: ValidationReport, seconds: float | None = None) -> BaselineRow:
    """Row of a cRBM: weights that are not zero, fields, and four numbers a hidden unit in use.

    Parameters
    ----------
    model : CRBM
        Fitted.
    report : ValidationReport
        Of `crbm_lite.validate`.
    seconds : float, optional

    Returns
    -------
    BaselineRow
    """
    nonzero = model.weights_ != 0
    n_parameters = int(nonzero.sum()) + len(model.fields_) + 4 * int(nonzero.any(axis=0).sum())
    zeros = float(1.0 - nonzero.mean())
    return BaselineRow("cRBM", report, report.nllh.median, True, zeros, n_parameters, seconds)


def vae_row(vae: VAE, report: ValidationReport, seconds: float | None = None) -> BaselineRow:
    """Row of a sparse VAE: its generative part, weights beyond the threshold and fields.

    Parameters
    ----------
    vae : VAE
    report : ValidationReport
        Of `crbm_lite.baselines.vae_validation.validate_vae`.
    seconds : float, optional

    Returns
    -------
    BaselineRow
    """
    nonzero = vae.sparse_weights() != 0
    n_parameters = int(nonzero.sum()) + len(vae.fields)
    zeros = float(1.0 - nonzero.mean())
    return BaselineRow("VAE", report, report.nllh.median, True, zeros, n_parameters, seconds)


def floor_rows(
    train: object,
    test: object,
    n_generated: int = 6000,
    random_state: int | np.random.Generator | None = 0,
) -> list[BaselineRow]:
    """Rows of the two controls: independent neurons, and training frames of shifted time.

    Parameters
    ----------
    train, test : (T, N) array of 0/1, scipy.sparse matrix or Recording
    n_generated : int
        Frames of the independent model.
    random_state : int, Generator or None

    Returns
    -------
    list of two BaselineRow

    Examples
    --------
    >>> v = np.random.default_rng(0).random((200, 5)) < 0.3
    >>> [row.method for row in floor_rows(v[:100], v[100:])]
    ['independent', 'shifted time']
    """
    rng = np.random.default_rng(random_state)
    train, test = as_spikes(train, "train"), as_spikes(test, "test")
    activity = train.activity()
    frames = (independent_frames(activity, n_generated, rng), shift_time(train, rng))
    scores = [compare_moments(test, train, generated, random_state=rng) for generated in frames]
    nllh = nllh_given_probabilities(test, activity).median
    return [
        BaselineRow("independent", scores[0], nllh, True, n_parameters=len(activity)),
        BaselineRow("shifted time", scores[1]),
    ]


def comparison_table(rows: Sequence[BaselineRow]) -> str:
    """Plain text of fixed width, one method a line.

    Parameters
    ----------
    rows : sequence of BaselineRow

    Returns
    -------
    str

    Examples
    --------
    >>> print(comparison_table([BaselineRow("GLM", None, 0.0283, n_parameters=4_000_000)]))
    nRMSE:            v     h    vh    vv    hh    nLLH generates  zeros parameters seconds
    GLM               –     –     –     –     –   0.028        no      –  4,000,000       –
    """

    def text(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    header = f"{'nRMSE:':<13}" + "".join(f"{name:>6}" for name in _STATISTICS)
    lines = [header + f"{'nLLH':>8} {'generates':>9}{'zeros':>7}{'parameters':>11}{'seconds':>8}"]
    for row in rows:
        statistics = (getattr(row.scores, name, None) for name in _STATISTICS)
        lines.append(
            f"{row.method:<13}"
            + "".join(f"{text(s and s.nrmse, '.2f'):>6}" for s in statistics)
            + f"{text(row.nllh, '.3f'):>8} {'yes' if row.generates else 'no':>9}"
            + f"{text(row.zeros, '.2f'):>7}{text(row.n_parameters, ','):>11}"
            + f"{text(row.seconds, '.1f'):>8}"
        )
    return "\n".join(lines)
