r"""The hidden potential: double rectified linear units (dReLU, Eq. 13 of the paper).

.. math::

    U(h) = \tfrac12 \gamma_+ \max(h,0)^2 + \tfrac12 \gamma_- \min(h,0)^2
           + \theta_+ \max(h,0) + \theta_- \min(h,0)

Given an input I, a hidden unit has the density :math:`P(h|I) \propto \exp(-U(h) + hI)`: a mixture
of two truncated Gaussians, one on each side of zero. The cumulant, mean, variance and partial
moments follow from those halves (`crbm_lite.core.truncated_gaussian`), and draws are made in
`crbm_lite.core.sample_hidden`. All arithmetic is in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_numbers
from crbm_lite.core.compilation import inner_njit, items_of, parallel_njit
from crbm_lite.core.sample_hidden import sample_h_given_input
from crbm_lite.core.truncated_gaussian import TAIL, half_weight, tail_moment_ratio

__all__ = ["PARAMETERS", "DReLU", "cumulant", "mean_and_variance", "mixture", "partial_moments"]

PARAMETERS = ("gamma_plus", "gamma_minus", "theta_plus", "theta_minus")


@inner_njit(error_model="numpy")
def mixture(inp, gamma_plus, gamma_minus, theta_plus, theta_minus):
    """Return log Z+, log Z-, m+, m-, v+, v-: log weights, |means| and variances of the halves."""
    log_plus, m_plus, v_plus = half_weight(theta_plus - inp, gamma_plus)
    log_minus, m_minus, v_minus = half_weight(inp - theta_minus, gamma_minus)
    return (
        log_plus,
        log_minus,
        m_plus / math.sqrt(gamma_plus),
        m_minus / math.sqrt(gamma_minus),
        v_plus / gamma_plus,
        v_minus / gamma_minus,
    )


@inner_njit(error_model="numpy")
def cumulant(inp, gamma_plus, gamma_minus, theta_plus, theta_minus):
    """Compute Gamma(I) = log(Z+ + Z-)."""
    log_plus, log_minus, _, _, _, _ = mixture(inp, gamma_plus, gamma_minus, theta_plus, theta_minus)
    return max(log_plus, log_minus) + math.log1p(math.exp(-abs(log_plus - log_minus)))


@inner_njit(error_model="numpy")
def mean_and_variance(inp, gamma_plus, gamma_minus, theta_plus, theta_minus):
    """Compute Gamma'(I) and Gamma''(I), of which every term is positive, so nothing cancels."""
    log_plus, log_minus, m_plus, m_minus, v_plus, v_minus = mixture(
        inp, gamma_plus, gamma_minus, theta_plus, theta_minus
    )
    p_plus = 1.0 / (1.0 + math.exp(log_minus - log_plus))
    p_minus = 1.0 / (1.0 + math.exp(log_plus - log_minus))
    mean = p_plus * m_plus - p_minus * m_minus
    between = p_plus * p_minus * (m_plus + m_minus) ** 2
    return mean, p_plus * v_plus + p_minus * v_minus + between


@inner_njit(error_model="numpy")
def _raw_half_moments(d, gamma):
    """Return the log weight and E[|h|^n], n = 1..4, of one half."""
    log_z, mean, variance = half_weight(d, gamma)
    x = d / math.sqrt(gamma)
    s = 1.0 / math.sqrt(gamma)
    m2 = variance + mean * mean
    if x > TAIL:
        m3 = m2 * tail_moment_ratio(x, 3)
        m4 = m3 * tail_moment_ratio(x, 4)
    else:
        m3 = 2.0 * mean - x * m2
        m4 = 3.0 * m2 - x * m3
    return log_z, mean * s, m2 * s * s, m3 * s**3, m4 * s**4


@inner_njit(error_model="numpy")
def partial_moments(inp, gamma_plus, gamma_minus, theta_plus, theta_minus, out):
    """Fill out[0:4] with E[max(h,0)^n | I] and out[4:8] with E[min(h,0)^n | I], n = 1..4."""
    log_plus, a1, a2, a3, a4 = _raw_half_moments(theta_plus - inp, gamma_plus)
    log_minus, b1, b2, b3, b4 = _raw_half_moments(inp - theta_minus, gamma_minus)
    p_plus = 1.0 / (1.0 + math.exp(log_minus - log_plus))
    p_minus = 1.0 / (1.0 + math.exp(log_plus - log_minus))
    out[0] = p_plus * a1
    out[1] = p_plus * a2
    out[2] = p_plus * a3
    out[3] = p_plus * a4
    out[4] = -p_minus * b1
    out[5] = p_minus * b2
    out[6] = -p_minus * b3
    out[7] = p_minus * b4


@parallel_njit(error_model="numpy")
def _evaluate(
    thread, inp, gamma_plus, gamma_minus, theta_plus, theta_minus, out_cumulant, out_mean, out_var
):
    """Fill cumulant, mean and variance of every (t, mu); an output of zero rows is not wanted."""
    for t in items_of(thread, inp.shape[0]):
        for mu in range(inp.shape[1]):
            g_p, g_m, t_p, t_m = gamma_plus[mu], gamma_minus[mu], theta_plus[mu], theta_minus[mu]
            if out_cumulant.shape[0] > 0:
                out_cumulant[t, mu] = cumulant(inp[t, mu], g_p, g_m, t_p, t_m)
            if out_mean.shape[0] > 0:
                mean, variance = mean_and_variance(inp[t, mu], g_p, g_m, t_p, t_m)
                out_mean[t, mu] = mean
                out_var[t, mu] = variance


_NOT_WANTED = np.empty((0, 0))


@dataclass(frozen=True)
class DReLU:
    r"""M independent double rectified linear units, Eq. 13.

    Parameters
    ----------
    gamma_plus, gamma_minus : array_like, shape (M,)
        The curvatures of the potential for h > 0 and h < 0, which are positive.
    theta_plus, theta_minus : array_like, shape (M,)
        The slopes just above and just below zero. :math:`\theta_+ < 0 < \theta_-` makes a double
        well, :math:`\theta_- < 0 < \theta_+` a soft threshold.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or a curvature is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> gaussian = DReLU([2.0], [2.0], [0.0], [0.0])
    >>> gaussian.mean(np.array([[3.0]])), gaussian.variance(np.array([[3.0]]))
    (array([[1.5]]), array([[0.5]]))
    """

    gamma_plus: np.ndarray
    gamma_minus: np.ndarray
    theta_plus: np.ndarray
    theta_minus: np.ndarray

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            value = np.array(as_numbers(getattr(self, name), name), ndmin=1)
            if value.ndim != 1 or not np.isfinite(value).all():
                raise ValueError(f"{name} is {value!r}: give M finite numbers")
            if name.startswith("gamma") and (value <= 0).any():
                unit = int(np.argmax(value <= 0))
                raise ValueError(
                    f"{name} of unit {unit} is {value[unit]}: give positive curvatures, otherwise "
                    "P(h|I) cannot be normalised"
                )
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        sizes = {len(parameter) for parameter in self.parameters}
        if len(sizes) != 1:
            raise ValueError(f"the parameters have the lengths {sizes}: give M of each")

    @property
    def parameters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(gamma_plus, gamma_minus, theta_plus, theta_minus), float64, read-only."""
        return self.gamma_plus, self.gamma_minus, self.theta_plus, self.theta_minus

    @property
    def n_hidden(self) -> int:
        """Number of units M."""
        return len(self.gamma_plus)

    def _inputs(self, inputs: np.ndarray, name: str = "inputs") -> tuple[np.ndarray, tuple]:
        """View inputs (..., M) as contiguous float64 (T, M); return the shape to give back, too."""
        array = as_numbers(inputs, name)
        if array.ndim == 0 or array.shape[-1] != self.n_hidden:
            raise ValueError(
                f"{name} has shape {array.shape}: give (..., {self.n_hidden}), one entry for each "
                "hidden unit"
            )
        return np.ascontiguousarray(array).reshape(-1, self.n_hidden), array.shape

    def potential(self, h: np.ndarray) -> np.ndarray:
        """Compute the potential U(h) of Eq. 13; (..., M) to (..., M).

        Examples
        --------
        >>> DReLU([1.0], [4.0], [-2.0], [3.0]).potential([[1.0], [-1.0]]).ravel()
        array([-1.5, -1. ])
        """
        rows, shape = self._inputs(h, "h")
        up, down = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
        quadratic = 0.5 * (self.gamma_plus * up**2 + self.gamma_minus * down**2)
        return (quadratic + self.theta_plus * up + self.theta_minus * down).reshape(shape)

    def cumulant(self, inputs: np.ndarray) -> np.ndarray:
        """Compute Gamma(I), the log of the integral of exp(-U(h) + hI); (..., M) to (..., M).

        Examples
        --------
        >>> import numpy as np
        >>> unit = DReLU([1.0], [1.0], [0.0], [0.0])
        >>> bool(np.isclose(unit.cumulant([[0.0]])[0, 0], 0.5 * np.log(2 * np.pi)))
        True
        """
        rows, shape = self._inputs(inputs)
        out = np.empty_like(rows)
        _evaluate(rows, *self.parameters, out, _NOT_WANTED, _NOT_WANTED)
        return out.reshape(shape)

    def mean_and_variance(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute E[h|I] and Var[h|I] in one pass, both (..., M)."""
        rows, shape = self._inputs(inputs)
        mean, variance = np.empty_like(rows), np.empty_like(rows)
        _evaluate(rows, *self.parameters, _NOT_WANTED, mean, variance)
        return mean.reshape(shape), variance.reshape(shape)

    def mean(self, inputs: np.ndarray) -> np.ndarray:
        """Compute E[h|I] = Gamma'(I); (..., M) to (..., M)."""
        return self.mean_and_variance(inputs)[0]

    def variance(self, inputs: np.ndarray) -> np.ndarray:
        """Compute Var[h|I] = Gamma''(I); (..., M) to (..., M)."""
        return self.mean_and_variance(inputs)[1]

    def mode(self, inputs: np.ndarray) -> np.ndarray:
        """Find the most probable h given I; of two equal wells, the positive one.

        Examples
        --------
        >>> DReLU([1.0], [1.0], [-2.0], [1.0]).mode([[0.0], [-3.0]]).ravel()
        array([ 2., -4.])
        """
        rows, shape = self._inputs(inputs)
        up = np.maximum(rows - self.theta_plus, 0.0)
        down = np.minimum(rows - self.theta_minus, 0.0)
        up_wins = up**2 / self.gamma_plus >= down**2 / self.gamma_minus
        return np.where(up_wins, up / self.gamma_plus, down / self.gamma_minus).reshape(shape)

    def sample(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw h from P(h|I), exactly and independently, once for each input.

        Parameters
        ----------
        inputs : array_like, shape (..., M)
        rng : numpy.random.Generator
            It gives one 64-bit key. The draws are a function of the key and their position, the
            same for any number of threads.

        Examples
        --------
        >>> import numpy as np
        >>> far_threshold = DReLU([1.0], [1.0], [9.0], [-9.0])
        >>> h = far_threshold.sample(np.zeros((1000, 1)), np.random.default_rng(0))
        >>> bool((np.abs(h) > 0).all())
        True
        """
        rows, shape = self._inputs(inputs)
        out = np.empty_like(rows)
        key = rng.integers(0, 2**64, dtype=np.uint64)
        sample_h_given_input(rows, *self.parameters, key, out)
        return out.reshape(shape)
