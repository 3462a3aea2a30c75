"""Exponentials in float32 that LLVM can vectorise: 2^n by the bits of n, the rest by a polynomial.

``exp_f32`` is as good as float32 is. ``exp_coarse`` is for comparisons that most values pass far
from the limit: the few that come within ``COARSE_ERROR`` are then decided by an exact exponential.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

COARSE_ERROR = 2e-3  # bound on the relative error of ``exp_coarse``
_F = np.float32


@intrinsic
def _float_of_bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@njit(inline="always")
def _fraction_and_power(x):
    """Return f in [-1/2, 1/2] and 2^n with 2^(f + n) = exp(x), clipped to 2^-126 .. 2^126."""
    y = min(max(x * _F(1.4426950408889634), _F(-126.0)), _F(126.0))
    n = np.floor(y + _F(0.5))
    return y - n, _float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(inline="always")
def exp_f32(x):
    """Exponential, relative error 2e-7, clipped to 2^-126 .. 2^126."""
    f, power = _fraction_and_power(x)
    p = _F(1.5403530393381609e-4)
    p = p * f + _F(1.3333558146428443e-3)
    p = p * f + _F(9.6181291076284772e-3)
    p = p * f + _F(5.5504108664821580e-2)
    p = p * f + _F(0.24022650695910071)
    p = p * f + _F(0.69314718055994531)
    p = p * f + _F(1.0)
    return p * power


@njit(inline="always")
def exp_coarse(x):
    """Exponential by the best parabola for 2^f: relative error 1.8e-3, clipped alike."""
    f, power = _fraction_and_power(x)
    return ((_F(0.23842894) * f + _F(0.70344801)) * f + _F(1.00044314)) * power
