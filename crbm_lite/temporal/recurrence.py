r"""The recurrence: what the past adds to the inputs of the hidden units, and the filter.

With the inputs :math:`I_t = v_t W` of a frame,

.. math::

    c_t = b + A\,(r_{t-1} - \bar h), \qquad
    r_t = E[h_t | v_t, \mathrm{past}] = \Gamma'(I_t + c_t),

and :math:`c_1` of a window is a vector of its own. :math:`A_{\mu\nu}` is the action of unit
:math:`\nu` on unit :math:`\mu` one frame later, and :math:`\bar h` the mean of h over the data. It
only centres A: an entry of A then changes how the unit depends on the past, and not how active it
is. The frames are filtered exactly, since :math:`r_{t-1}` is a number once :math:`v_{1..t-1}` are
given. With A = 0, b = 0 and :math:`c_1 = 0` each frame is one of the cRBM.

Invariances. Under :math:`h_\mu \to h_\mu/s_\mu` (and :math:`w \to w s, \gamma \to \gamma s^2,
\theta \to \theta s`), :math:`A_{\mu\nu} \to s_\mu A_{\mu\nu} s_\nu`, as c adds to an input and
multiplies an h. A negative s turns the sign of the unit: then :math:`\gamma_\pm` and
:math:`\theta_\pm` change places, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from crbm_lite.checks.arguments import as_numbers
from crbm_lite.core.drelu import DReLU
from crbm_lite.temporal.windows import Windows

__all__ = ["Filtered", "Recurrence", "filter_frames", "spectral_radius"]

_POWERS = 60


@dataclass(frozen=True, eq=False)
class Recurrence:
    """What the past adds to the inputs.

    Parameters
    ----------
    couplings : (M, M) float64
        A; row mu, column nu is the action of unit nu on unit mu a frame later.
    offset : (M,) float64
        b.
    initial : (M,) float64
        c of the first frame of a window.
    mean_h : (M,) float64
        The mean of h that centres A.

    Raises
    ------
    ValueError
        If the shapes disagree or a number is not finite.
    """

    couplings: np.ndarray
    offset: np.ndarray
    initial: np.ndarray
    mean_h: np.ndarray

    def __post_init__(self) -> None:
        m = np.shape(self.couplings)[0] if np.ndim(self.couplings) == 2 else -1
        for name in ("couplings", "offset", "initial", "mean_h"):
            value = as_numbers(getattr(self, name), name)
            wanted = (m, m) if name == "couplings" else (m,)
            if value.shape != wanted:
                raise ValueError(
                    f"{name} has shape {value.shape}: give (M, M) couplings and M numbers of all "
                    "else"
                )
            if not np.isfinite(value).all():
                raise ValueError(f"{name} holds NaN or infinity: give finite numbers")
            object.__setattr__(self, name, value)

    @classmethod
    def none(cls, mean_h: np.ndarray) -> Recurrence:
        """No influence of the past at all: every frame is one of the cRBM.

        Examples
        --------
        >>> Recurrence.none(np.zeros(2)).couplings
        array([[0., 0.],
               [0., 0.]])
        """
        m = len(mean_h)
        return cls(np.zeros((m, m)), np.zeros(m), np.zeros(m), np.array(mean_h, np.float64))

    def drive(self, mean_h_before: np.ndarray) -> np.ndarray:
        """Compute c (T, M) given the means r (T, M) of the frames before."""
        return (mean_h_before - self.mean_h) @ self.couplings.T + self.offset

    def rescaled(self, scale: np.ndarray) -> Recurrence:
        """Follow h -> h / scale, unit by unit; a negative scale turns the unit's sign.

        Examples
        --------
        >>> Recurrence([[1.0]], [1.0], [1.0], [1.0]).rescaled(np.array([2.0])).couplings
        array([[4.]])
        """
        return replace(
            self,
            couplings=scale[:, None] * self.couplings * scale,
            offset=scale * self.offset,
            initial=scale * self.initial,
            mean_h=self.mean_h / scale,
        )


class Filtered(NamedTuple):
    """Hidden units given the past and the present, in step order.

    Attributes
    ----------
    mean_h : (T, M) float64
        r.
    variance : (T, M) float64
        Var(h | v, past), which is also the slope of r in the input.
    drive : (T, M) float64
        c.
    """

    mean_h: np.ndarray
    variance: np.ndarray
    drive: np.ndarray


def filter_frames(
    inputs: np.ndarray, windows: Windows, units: DReLU, recurrence: Recurrence
) -> Filtered:
    """Compute E[h | v, past] of all windows together, one frame after the other.

    Parameters
    ----------
    inputs : (T, M) float64
        I = vW in step order (`crbm_lite.temporal.windows`).
    windows : Windows
    units : DReLU
    recurrence : Recurrence

    Examples
    --------
    >>> from crbm_lite.temporal.windows import cut_windows
    >>> gaussian = DReLU([1.0], [1.0], [0.0], [0.0])
    >>> half = Recurrence([[0.5]], [0.0], [0.0], [0.0])
    >>> filter_frames(np.array([[4.0], [0.0], [0.0]]), cut_windows(3), gaussian, half).mean_h.T
    array([[4., 2., 1.]])
    """
    out = Filtered(*(np.empty_like(inputs) for _ in range(3)))
    for now, before in windows.steps():
        drive = recurrence.initial if now.start == 0 else recurrence.drive(out.mean_h[before])
        out.drive[now] = drive
        out.mean_h[now], out.variance[now] = units.mean_and_variance(inputs[now] + out.drive[now])
    return out


def spectral_radius(variance: np.ndarray, couplings: np.ndarray) -> float:
    """Bound the spectral radius of diag(Var h) A over frames: from 1 on, a unit may latch.

    The slope of r_t in r_(t-1) is diag(k_t) A with k_t = Var(h_t | v_t, past). Of B = diag(k_t) |A|
    the bound is the k-th root of the norm of B^k, which falls towards the radius of B.

    Parameters
    ----------
    variance : (T, M) float64
    couplings : (M, M) float64

    Examples
    --------
    >>> round(spectral_radius(np.array([[1.0, 2.0]]), np.array([[0.5, 0.0], [0.0, 0.4]])), 3)
    0.8
    """
    size = np.abs(couplings)
    x, log_norm = np.ones_like(variance), np.zeros(len(variance))
    for _ in range(_POWERS):
        x = variance * (x @ size.T)
        growth = np.maximum(x.max(axis=1), np.finfo(float).tiny)
        x /= growth[:, None]
        log_norm += np.log(growth)
    return float(np.exp(log_norm.max() / _POWERS))
