r"""Which phase a recording's hidden activity is in, from the number of active hidden units m(t).

The median of :math:`m(t) = M\,PR(h(t) - h_{inactive})` (`crbm_lite.assemblies.dynamics.n_active`)
distinguishes three phases of a machine with M hidden units:

- ferromagnetic: one hidden unit is active at a time, and the median is below 2;
- compositional: several out of many are active, :math:`1 \ll m \ll M`;
- spin glass: all take part a little, and the median of m / M is 1/3 or more.

Units without assemblies give the last bound: for independent Gaussian deviations
:math:`PR \to \langle x^2\rangle^2 / \langle x^4\rangle = 1/3` as M grows. So m / M = 1/3 is a
floor of noise and does not mean that a third of the units is switched on. For M below 10 the two
bounds come too close for a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_array, as_count

__all__ = ["FERROMAGNETIC_BELOW", "SPIN_GLASS_FROM", "Phase", "phase_given_active"]

FERROMAGNETIC_BELOW = 2.0  # hidden units
SPIN_GLASS_FROM = 1 / 3  # of the hidden units
_LEAST_UNITS = 10


@dataclass(frozen=True)
class Phase:
    """The phase, and the two medians that it rests on.

    Parameters
    ----------
    name : {"ferromagnetic", "compositional", "spin glass", "undetermined"}
    median_active : float
        Median of m(t) over frames, in hidden units.
    median_fraction : float
        The same, divided by M.
    n_hidden : int
        M, the hidden units that have weights.
    """

    name: str
    median_active: float
    median_fraction: float
    n_hidden: int


def phase_given_active(active: np.ndarray, n_hidden: int) -> Phase:
    """Find the phase from the number of active hidden units in each frame (Fig. 2-S3).

    Parameters
    ----------
    active : (T,) float
        m(t), as `crbm_lite.assemblies.dynamics.n_active` gives it; NaN is left out.
    n_hidden : int
        M: the hidden units that have weights.

    Returns
    -------
    Phase
        Its name is "undetermined" for fewer than 10 hidden units, or if `active` holds no number.

    Raises
    ------
    ValueError
        If active does not hold (T,) numbers or one is negative, n_hidden is no positive integer,
        or some m(t) exceeds it.

    Examples
    --------
    >>> phase_given_active(np.array([4.0, 5.0, np.nan, 6.0]), 50)
    Phase(name='compositional', median_active=5.0, median_fraction=0.1, n_hidden=50)
    """
    active = as_array(active, "active")
    if active.ndim != 1 or (active.size and active.dtype.kind not in "fiu"):
        raise ValueError(
            f"active has shape {active.shape}, dtype {active.dtype}: give m(t), (T,) numbers"
        )
    active = active[np.isfinite(active)].astype(np.float64)
    if (active < 0).any():
        raise ValueError(f"active holds {active.min():.3g}: give m(t), which is not negative")
    n_hidden = as_count(n_hidden, "n_hidden")
    if (active > n_hidden * (1 + 1e-9)).any():
        raise ValueError(
            f"n_hidden is {n_hidden}, the largest m(t) {active.max(initial=0):.3g}: give the "
            "number of hidden units that m(t) was computed from"
        )
    median = float(np.median(active)) if active.size else np.nan
    fraction = median / n_hidden
    if not active.size or n_hidden < _LEAST_UNITS:
        name = "undetermined"
    elif fraction >= SPIN_GLASS_FROM:
        name = "spin glass"
    else:
        name = "ferromagnetic" if median < FERROMAGNETIC_BELOW else "compositional"
    return Phase(name, median, fraction, int(n_hidden))
