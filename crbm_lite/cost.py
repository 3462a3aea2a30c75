"""What a training costs on this machine, measured by a very short one on the same spikes.

A run of n updates costs a part that does not grow with n (start, certificate) and n times an
update; the two are told apart by the difference between two short runs. Both time and memory are
:math:`a + b N` in the number of neurons (drawing hidden units is the part without N): of more than
4,000 neurons, subsets of 2,000 and 4,000 are measured and the line is drawn on.
"""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Mapping

import numpy as np

from crbm_lite.recordings import Recording
from crbm_lite.spikes import Spikes, as_spikes

__all__ = ["measured_cost"]

_LEAST_TIMED_S = 0.3
_MOST_NEURONS = 4000


def measured_cost(
    recording: Recording, n_hidden: int, n_updates: int, options: Mapping[str, object]
) -> tuple[float, float]:
    """Time a few updates on these spikes from dense random weights, and measure their memory.

    Weights that are zero make an update cheaper, so a real run is rather faster.

    Parameters
    ----------
    recording : Recording
    n_hidden, n_updates : int
    options : dict
        Further arguments of CRBM.

    Returns
    -------
    minutes : float
        Of `n_updates` updates if nothing else runs: processor time over the number of threads that
        numba uses.
    memory_gb : float
        Peak of the arrays of such a fit, the recording's spikes included.

    Examples
    --------
    >>> from crbm_lite.planted import plant_recording
    >>> recording = plant_recording(200, 4, (40, 50), n_unassigned=20)
    >>> minutes, memory_gb = measured_cost(recording, 6, 1000, {})
    >>> 0 < minutes < 60, 0.0008 < memory_gb < 1
    (True, True)
    """
    n = recording.n_neurons
    sizes = [n] if n <= _MOST_NEURONS else [_MOST_NEURONS // 2, _MOST_NEURONS]
    parts = (as_spikes(recording.spikes[:, np.linspace(0, n - 1, k).astype(int)]) for k in sizes)
    costs = np.array([_cost_of(part, n_hidden, n_updates, options) for part in parts])
    seconds, n_bytes = costs[-1]
    if len(sizes) == 2:
        slope = np.maximum(costs[1] - costs[0], 0.0) / (sizes[1] - sizes[0])
        seconds, n_bytes = costs[1] + slope * (n - sizes[1])
    return float(seconds / 60), float(n_bytes + recording.spikes.nbytes) / 1e9


def _cost_of(
    spikes: Spikes, n_hidden: int, n_updates: int, options: Mapping[str, object]
) -> tuple[float, float]:
    """Seconds of `n_updates` updates, and bytes that such a fit holds."""
    import numba

    from crbm_lite.model import CRBM

    def seconds(n: int) -> float:
        model = CRBM(
            n_hidden=n_hidden, n_updates=n, init="random", batch_size=min(100, spikes.n_frames),
            l1=0.0, random_state=0, progress=False, **options,  # a penalty would thin the weights
        )  # fmt: skip
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so short a run converges to nothing
            model.fit(spikes)
        return (time.process_time() - began) / numba.get_num_threads()

    seconds(1)  # compiles
    tracemalloc.start()
    try:
        seconds(1)
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    few, more = seconds(2), 8
    while (spent := seconds(2 + more) - few) < _LEAST_TIMED_S and more < 200:
        more *= 4
    whole = few + max(spent, 0.0) / more * n_updates
    return whole, memory + spikes.frame_starts.nbytes + spikes.neurons.nbytes
