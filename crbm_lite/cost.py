"""What a training costs on this machine, measured by a very short one on the same spikes.

No equations. A run of n updates costs a part that does not grow with n (start, certificate) and n
times an update; the two are told apart by the difference between two short runs. Both time and
memory are linear in the number of neurons: of more than 4,000 every k-th is used, and the result
multiplied by k.
"""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Mapping

from crbm_lite.recordings import Recording
from crbm_lite.spikes import as_spikes

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
        Of `n_updates` updates, with as many threads as numba uses now.
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
    from crbm_lite.model import CRBM

    every = -(-recording.n_neurons // _MOST_NEURONS)
    spikes = as_spikes(recording.spikes[:, ::every])

    def seconds(n: int) -> float:
        batch = min(100, recording.n_frames)
        model = CRBM(
            n_hidden=n_hidden, n_updates=n, init="random", batch_size=batch, random_state=0,
            progress=False, **options,
        )  # fmt: skip
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so short a run converges to nothing
            model.fit(spikes)
        return time.perf_counter() - began

    tracemalloc.start()
    try:
        seconds(2)  # compiles, too
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    few, more = seconds(2), 8
    while (spent := seconds(2 + more) - few) < _LEAST_TIMED_S and more < 200:
        more *= 4
    whole = few + max(spent, 0.0) / more * n_updates
    memory += spikes.frame_starts.nbytes + spikes.neurons.nbytes
    return every * whole / 60, (every * memory + recording.spikes.nbytes) / 1e9
