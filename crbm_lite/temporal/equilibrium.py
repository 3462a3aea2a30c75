r"""Means under a drive c from a sample of the cRBM, by importance weights.

Under c the model is the cRBM tilted by :math:`e^{c \cdot h}`. So with draws (v^s, h^s) of the cRBM

.. math::

    \frac{Z(c)}{Z(0)} = \langle e^{c \cdot h} \rangle_{cRBM}, \qquad
    \langle f \rangle_c = \frac{\langle f e^{c \cdot h} \rangle}{\langle e^{c \cdot h} \rangle},

for all frames at once by one product of matrices. The effective sample size,
:math:`(\sum w)^2 / \sum w^2`, says whether that works: it falls like exp(-Var(c.h)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crbm_lite.checks.arguments import as_generator

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["EquilibriumSample", "Tilted", "draw_equilibrium", "tilt"]


@dataclass(frozen=True, eq=False)
class EquilibriumSample:
    """Draws of a cRBM without a drive.

    Parameters
    ----------
    h : (S, M) float64
    packed_spikes : (S, ceil(N / 8)) uint8
        The spikes, eight neurons to a byte.
    n_neurons : int
    """

    h: np.ndarray = field(repr=False)
    packed_spikes: np.ndarray = field(repr=False)
    n_neurons: int

    def __len__(self) -> int:
        return len(self.h)

    def spikes(self, draws: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Unpack all or chosen draws, (S, N) uint8."""
        return np.unpackbits(self.packed_spikes[draws], axis=1, count=self.n_neurons)


class Tilted(NamedTuple):
    """Importance weights of frames under their drives.

    Attributes
    ----------
    log_ratio : (T,) float64
        log Z(c) / Z(0).
    weights : (T, S) float64
        Those of the draws; each row sums to 1.
    effective_share : (T,) float64
        The effective sample size over S.
    """

    log_ratio: np.ndarray
    weights: np.ndarray
    effective_share: np.ndarray


def draw_equilibrium(
    model: CRBM,
    n_samples: int,
    random_state: int | np.random.Generator | None = None,
    burn_in: int = 20,
) -> EquilibriumSample:
    """Draw frames and hidden units of a cRBM.

    Parameters
    ----------
    model : CRBM
    n_samples : int
    random_state : int, numpy.random.Generator or None
    burn_in : int, default 20
        Saves left out at the beginning, as in ``CRBM.sample``. The chains begin where those of the
        training ended.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> model = CRBM.from_parameters(np.eye(2), [0, 0], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> draw_equilibrium(model, 10, random_state=0).spikes().shape
    (10, 2)
    """
    rng = as_generator(random_state)
    spikes = model.sample(n_samples, burn_in=burn_in, random_state=rng)
    h = model.sample_h_given_v(spikes, rng)
    return EquilibriumSample(h, np.packbits(spikes, axis=1), spikes.shape[1])


def tilt(drive: np.ndarray, h: np.ndarray) -> Tilted:
    """Weigh draws h (S, M) of the cRBM for every drive c (T, M).

    Examples
    --------
    >>> tilt(np.array([[0.0], [np.log(3.0)]]), np.array([[0.0], [1.0]])).weights
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    log_weight = drive @ h.T
    top = log_weight.max(axis=1, keepdims=True)
    weights = np.exp(log_weight - top, out=log_weight)
    total = weights.sum(axis=1, keepdims=True)
    log_ratio = (top + np.log(total / len(h))).ravel()
    weights /= total
    share = 1.0 / (len(h) * np.einsum("ts,ts->t", weights, weights))
    return Tilted(log_ratio, weights, share)
