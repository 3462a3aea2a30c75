"""Measure how large and how slow a model's assemblies are: two numbers per model (Fig. 2-S5).

The size of an assembly is the number of its members (`crbm_lite.assemblies.members`). The time
scale of a hidden unit is the median length of a silence and the next burst on test frames. A model
gets the medians over its assemblies and over the units that have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.assemblies.dynamics import hidden_states, time_constants_s
from crbm_lite.assemblies.members import assemblies_of_weights
from crbm_lite.core.spikes import spikes_of_model
from crbm_lite.recordings.recording import as_recording

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
        Assemblies with a weight above the threshold.
    size : float
        Median number of their members; NaN without assemblies.
    time_scale_s : float
        Median time constant of their hidden units; NaN where none completes a period.
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
        |w| that a member exceeds (default 0: every weight that is not zero counts).

    Returns
    -------
    ModelScales

    Raises
    ------
    ValueError
        If the threshold is negative, the model is not fitted, or the recording has other neurons
        than the model, or the same ones in another order.

    Examples
    --------
    >>> from crbm_lite import CRBM, Recording
    >>> model = CRBM.from_parameters(
    ...     np.array([[2.0, 0.0], [2.0, 0.0]]), [-1, -1], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> spikes = np.tile([[0, 0], [0, 0], [1, 1]], (4, 1))
    >>> model_scales(model, Recording(spikes, rate_hz=2.0))
    ModelScales(n_assemblies=1, size=2.0, time_scale_s=1.5)
    """
    spikes = spikes_of_model(model, as_recording(test), "test")
    found = assemblies_of_weights(model.weights_, threshold)
    if not len(found):
        return ModelScales(0, float("nan"), float("nan"))
    states = hidden_states(model.mean_h_given_v(spikes)[:, np.unique(found.units)])
    times = time_constants_s(states.active, test.rate_hz, test.discontinuities)
    complete = times[np.isfinite(times)]
    return ModelScales(
        len(found),
        float(np.median(found.sizes)),
        float(np.median(complete)) if complete.size else float("nan"),
    )
