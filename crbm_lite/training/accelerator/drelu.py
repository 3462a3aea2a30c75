r"""The hidden potential on the accelerator: `crbm_lite.core.drelu` and the data phase in JAX.

The equations are those of `crbm_lite.core.truncated_gaussian`: with :math:`x = d/\sqrt\gamma` the
slope of one half,

.. math:: \log Z(x) = \log\sqrt{\pi/2} + \log\mathrm{erfcx}(x/\sqrt2), \qquad
          E[z^n]/E[z^{n-1}] = r_n = n/(x + r_{n+1}) \quad (x > 5).

A draw inverts the survival function: z solves Q(x + z) = u Q(x), where Q is the Gaussian tail. All
is float64, which costs nothing, since there are only (chains, M) hidden units. Call it within
``jax.enable_x64(True)``. This module is imported only where JAX is asked for.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import erfc, erfcx, ndtr, ndtri

from crbm_lite.core.truncated_gaussian import LOG_SQRT_PI_OVER_2, SQRT_HALF
from crbm_lite.training import update_kernels as kernels

__all__ = ["cumulant", "hidden_statistics", "partial_moments", "sample"]

_FAR = 5.0  # beyond it 1/Z - x cancels too far and the continued fraction is short
_DEPTH = 20  # of the fraction: converged to a rounding
_BEYOND = 20.0  # beyond it a draw comes from the tail's expansion


def _log_weight(d: jax.Array, gamma: jax.Array) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """Log weight and x of a half with slope d, and its r_n (right for x > _FAR)."""
    x = d / jnp.sqrt(gamma)
    ratios = _tail_ratios(jnp.maximum(x, _FAR), _DEPTH)
    far = -jnp.log(jnp.maximum(x, _FAR) + ratios[0])
    between = jnp.log(erfcx(jnp.clip(x, 0.0, _FAR) * SQRT_HALF)) + LOG_SQRT_PI_OVER_2
    # the square is formed from d itself, so that it is exact to a few roundings
    near = jnp.log(erfc(jnp.minimum(x, 0.0) * SQRT_HALF)) + d * d / (2.0 * gamma)
    log_z = jnp.where(x > 0.0, between, near + LOG_SQRT_PI_OVER_2)
    return jnp.where(x > _FAR, far, log_z) - 0.5 * jnp.log(gamma), x, ratios


def _tail_ratios(x: jax.Array, depth: int) -> list[jax.Array]:
    """r_1, r_2, ... by backward recursion; all terms are positive, so nothing cancels."""
    ratios = [0.5 * (jnp.sqrt(x * x + 4.0 * (depth + 1)) - x)]
    for n in range(depth, 0, -1):
        ratios.append(n / (x + ratios[-1]))
    return ratios[:0:-1]


def _half_moments(d: jax.Array, gamma: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """Log weight and E[h^n], n = 1..4, of one half (h counted positive)."""
    log_z, x, ratios = _log_weight(d, gamma)
    y = jnp.minimum(x, _FAR)
    up = jnp.maximum(y, 0.0) * SQRT_HALF  # erfcx above zero, erfc below: neither overflows
    hazard_up = math.sqrt(2.0 / math.pi) / erfcx(up)
    down = jnp.minimum(y, 0.0)
    hazard_down = math.sqrt(2.0 / math.pi) * jnp.exp(-0.5 * down * down) / erfc(down * SQRT_HALF)
    m1 = jnp.where(y > 0.0, hazard_up, hazard_down) - y
    m2 = 1.0 - y * m1
    m3 = 2.0 * m1 - y * m2
    near = (m1, m2, m3, 3.0 * m2 - y * m3)
    moments, far, scale = [], 1.0, 1.0
    for n in range(4):
        far = far * ratios[n]
        scale = scale / jnp.sqrt(gamma)
        moments.append(jnp.where(x > _FAR, far, near[n]) * scale)
    return log_z, moments


def partial_moments(inputs: jax.Array, potential: jax.Array) -> list[jax.Array]:
    """Compute E[max(h,0)^n | I] for n = 1..4, then E[min(h,0)^n | I], each of shape (..., M).

    ``potential`` (4, M) has the rows gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13.
    """
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    log_plus, up = _half_moments(theta_plus - inputs, gamma_plus)
    log_minus, down = _half_moments(inputs - theta_minus, gamma_minus)
    p_plus, p_minus = jax.nn.sigmoid(log_plus - log_minus), jax.nn.sigmoid(log_minus - log_plus)
    signs = (-1.0, 1.0, -1.0, 1.0)
    return [p_plus * a for a in up] + [s * p_minus * b for s, b in zip(signs, down)]


def cumulant(inputs: jax.Array, potential: jax.Array) -> jax.Array:
    """Compute Gamma(I) = log(Z+ + Z-), shape (..., M)."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    log_plus, _, _ = _log_weight(theta_plus - inputs, gamma_plus)
    log_minus, _, _ = _log_weight(inputs - theta_minus, gamma_minus)
    return jnp.logaddexp(log_plus, log_minus)


def hidden_statistics(inputs: jax.Array, potential: jax.Array, mean_h: jax.Array) -> jax.Array:
    """Compute `crbm_lite.training.update_kernels.hidden_statistics`, (N_STATISTICS, frames, M)."""
    a1, a2, a3, a4, b1, b2, b3, b4 = partial_moments(inputs, potential)
    h1, h2, twice = a1 + b1, a2 + b2, 2.0 * mean_h
    up = a3 - a1 * h2 - twice * (a2 - a1 * h1)
    down = b3 - b1 * h2 - twice * (b2 - b1 * h1)
    out = [None] * kernels.N_STATISTICS
    out[kernels.MEAN], out[kernels.SQUARE] = h1, h2
    out[kernels.UP], out[kernels.DOWN] = a1, b1
    out[kernels.UP_SQUARE], out[kernels.DOWN_SQUARE] = a2, b2
    out[kernels.VAR_I] = up + down
    out[kernels.VAR_THETA_PLUS], out[kernels.VAR_THETA_MINUS] = -up, -down
    out[kernels.VAR_GAMMA_PLUS] = -0.5 * (a4 - a2 * h2 - twice * (a3 - a2 * h1))
    out[kernels.VAR_GAMMA_MINUS] = -0.5 * (b4 - b2 * h2 - twice * (b3 - b2 * h1))
    return jnp.stack(out)


def sample(inputs: jax.Array, potential: jax.Array, key: jax.Array) -> jax.Array:
    """Draw exactly and independently from P(h|I), float64, once for each input (..., M)."""
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    log_plus, x_plus, _ = _log_weight(theta_plus - inputs, gamma_plus)
    log_minus, x_minus, _ = _log_weight(inputs - theta_minus, gamma_minus)
    side, u = jax.random.uniform(key, (2, *inputs.shape), jnp.float64)
    is_plus = side < jax.nn.sigmoid(log_plus - log_minus)
    z = _standard_half(jnp.where(is_plus, x_plus, x_minus), 1.0 - u)
    return jnp.where(is_plus, z / jnp.sqrt(gamma_plus), -z / jnp.sqrt(gamma_minus))


def _standard_half(x: jax.Array, u: jax.Array) -> jax.Array:
    """The z > 0 with survival probability u under the density exp(-z^2/2 - xz)."""
    near = jnp.minimum(x, _BEYOND)
    z_near = -ndtri(jnp.minimum(u, 1.0 - 2.0**-53) * ndtr(-near)) - near
    # -log u = xz + z^2/2 + log R(x)/R(x + z), R the Mills ratio: the last term is below 1/x^2
    far, exponent = jnp.maximum(x, _BEYOND), -jnp.log(u)
    z_far, excess = jnp.zeros_like(x), exponent
    for _ in range(3):
        z_far = 2.0 * excess / (far + jnp.sqrt(far * far + 2.0 * excess))
        y = far + z_far
        mills = jnp.log((y + 1.0 / (y + 2.0 / y)) / (far + 1.0 / (far + 2.0 / far)))
        excess = exponent - mills
    return jnp.maximum(jnp.where(x > _BEYOND, z_far, z_near), 2.0**-60)
