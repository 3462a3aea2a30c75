"""Measure how large and how slow a model's assemblies are: two numbers per model (Fig. 2-S5).

The size of an assembly is the number of its weights that are not 0, or above a threshold. (A
proximal step makes weights exactly 0.) Its time scale is the median length of a silence and the
next burst on test frames. A model gets the median over its assemblies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.assemblies.dynamics import hidden_states, time_constants_s

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM
    from crbm_lite.recordings.files import Recording

__all__ = ["ModelScales", "model_scales"]


@dataclass(frozen=True)
class ModelScales:
    """The assemblies of a model in three numbers.

    Parameters
    ----------
    n_assemblies : int
        Hidden units with a weight above the threshold.
    size : float
        Median over these units of the number of such weights, in neurons; NaN without units.
    time_scale_s : float
        Median time constant of these units; NaN where none completes a period.
    """

    n_assemblies: int
    size: float
    time_scale_s: float


def model_scales(model: CRBM, test: Recording, threshold: float = 0.0) -> ModelScales:
    """Measure the sizes and time scales of a model's assemblies.

    Parameters
    ----------
    model : CRBM
        Fitted.
    test : Recording
        Frames that training has not seen. Periods cut by a discontinuity are dropped.
    threshold : float
        A neuron belongs to an assembly if |w| is larger (default 0: if w is not 0).

    Returns
    -------
    ModelScales

    Raises
    ------
    ValueError
        If the threshold is negative, or the recording has other neurons than the model.

    Examples
    --------
    >>> from crbm_lite import CRBM, Recording
    >>> model = CRBM.from_parameters(
    ...     np.array([[2.0, 0.0], [2.0, 0.0]]), [-1, -1], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> spikes = np.tile([[0, 0], [0, 0], [1, 1]], (4, 1))
    >>> model_scales(model, Recording(spikes, rate_hz=2.0))
    ModelScales(n_assemblies=1, size=2.0, time_scale_s=1.5)
    """
    if threshold < 0:
        raise ValueError(f"threshold is {threshold}: give 0 or more")
    counts = (np.abs(model.weights_) > threshold).sum(axis=0)
    alive = counts > 0
    if not alive.any():
        return ModelScales(0, float("nan"), float("nan"))
    states = hidden_states(model.mean_h_given_v(test.spikes)[:, alive])
    times = time_constants_s(states.active, test.rate_hz, test.discontinuities)
    complete = times[np.isfinite(times)]
    return ModelScales(
        int(alive.sum()),
        float(np.median(counts[alive])),
        float(np.median(complete)) if complete.size else float("nan"),
    )
