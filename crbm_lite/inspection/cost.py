"""What a training costs on this machine, measured by a very short one on the same spikes.

A run of n updates costs a part that does not grow with n (start, certificate) and n times an
update. A clock that is read at every update tells the two apart. Time and memory are both
:math:`a + b N` in the number of neurons; drawing the hidden units is the part without N. Where
there are more than 4,000 neurons, subsets of 2,000 and 4,000 are measured and the line through the
two is drawn on.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Mapping

import numpy as np

from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.recordings.files import Recording

__all__ = ["measured_cost"]

_LEAST_TIMED_S = 0.3
_MOST_UPDATES = 200
_MOST_NEURONS = 4000
_ENOUGH_TO_COMPILE = 500  # neurons


def measured_cost(
    recording: Recording, n_hidden: int, n_updates: int, options: Mapping[str, object]
) -> tuple[float, float]:
    """Time a few updates on these spikes, and measure their memory.

    The weights are dense and random. Weights that are zero make an update cheaper, so a real run
    is faster.

    Parameters
    ----------
    recording : Recording
    n_hidden, n_updates : int
    options : dict
        Further arguments of CRBM.

    Returns
    -------
    minutes : float
        What `n_updates` updates take if nothing else runs: processor time over the number of
        threads that numba uses.
    memory_gb : float
        Peak of the arrays of such a fit, including the spikes of the recording.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(200, 4, (40, 50), n_unassigned=20)
    >>> minutes, memory_gb = measured_cost(recording, 6, 1000, {})
    >>> 0 < minutes < 60, 0.0008 < memory_gb < 1
    (True, True)
    """
    n = recording.n_neurons

    def part(n_neurons: int) -> Spikes:
        return as_spikes(recording.spikes[:, np.linspace(0, n - 1, n_neurons).astype(int)])

    _TimedRun(part(min(n, _ENOUGH_TO_COMPILE)), n_hidden, 2, options)  # compiles
    sizes = [n] if n <= _MOST_NEURONS else [_MOST_NEURONS // 2, _MOST_NEURONS]
    costs = np.array([_cost_of(part(k), n_hidden, n_updates, options) for k in sizes])
    seconds, n_bytes = costs[-1]
    if len(sizes) == 2:
        slope = np.maximum(costs[1] - costs[0], 0.0) / (sizes[1] - sizes[0])
        seconds, n_bytes = costs[1] + slope * (n - sizes[1])
    return float(seconds / 60), float(n_bytes + recording.spikes.nbytes) / 1e9


class _TimedRun:
    """A training from random weights, which is its own progress bar and reads the clock there.

    Parameters
    ----------
    spikes : Spikes
    n_hidden, n_updates : int
        At least 2 updates.
    options : dict
        Further arguments of CRBM.
    """

    def __init__(
        self, spikes: Spikes, n_hidden: int, n_updates: int, options: Mapping[str, object]
    ) -> None:
        from numba import get_num_threads

        from crbm_lite.model.model import CRBM
        from crbm_lite.training.hyperparameters import checked_schedule
        from crbm_lite.training.run import train

        model = CRBM(
            n_hidden=n_hidden, n_updates=n_updates, batch_size=min(100, spikes.n_frames),
            l1=0.0, **options,  # a penalty would thin the weights
        )  # fmt: skip
        self._read: list[float] = []
        self.update(1)
        train(spikes, n_hidden, checked_schedule(model), "random", 0, self, backend=model.backend)
        self.update(1)
        began, *updates, ended = self._read
        n_threads = get_num_threads()
        # The first update also fills scratch arrays; what it takes longer counts as start.
        self.seconds_per_update = (updates[-1] - updates[0]) / (len(updates) - 1) / n_threads
        whole = (ended - began) / n_threads
        self.seconds_of_the_rest = max(whole - len(updates) * self.seconds_per_update, 0.0)

    def update(self, n: int) -> None:
        """Read the clock, as the method of a progress bar."""
        self._read.append(time.process_time())

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Show nothing, as the method of a progress bar."""


def _cost_of(
    spikes: Spikes, n_hidden: int, n_updates: int, options: Mapping[str, object]
) -> tuple[float, float]:
    """Measure the seconds of `n_updates` updates, and the bytes that such a fit holds."""
    n_timed = 3
    tracemalloc.start()
    try:
        run = _TimedRun(spikes, n_hidden, n_timed, options)
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    while (n_timed - 1) * run.seconds_per_update < _LEAST_TIMED_S and n_timed < _MOST_UPDATES:
        n_timed = min(4 * n_timed, _MOST_UPDATES)
        run = _TimedRun(spikes, n_hidden, n_timed, options)
    whole = run.seconds_of_the_rest + run.seconds_per_update * n_updates
    return whole, memory + spikes.frame_starts.nbytes + spikes.neurons.nbytes
