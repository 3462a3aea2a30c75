r"""Which frames make a batch: random ones, but every batch with its share of silence and of waves.

The frames are ordered by their number of spikes and cut into as many strata as a batch has frames;
a batch takes one random frame of each stratum. All frames are used once before any is used again,
so averages over batches are those of plain random batches, but the collective activity, which moves
all parameters together, no longer differs from batch to batch (stratified sampling, Cochran 1977).
"""

from __future__ import annotations

import numpy as np

__all__ = ["StratifiedFrames"]


class StratifiedFrames:
    """Random batches of frames, stratified by the number of spikes.

    Parameters
    ----------
    n_spikes : ndarray of int, shape (T,)
        Spikes of every frame.
    batch_size : int
        Frames of a batch; all frames if there are fewer.
    rng : numpy.random.Generator

    Examples
    --------
    >>> import numpy as np
    >>> n_spikes = np.repeat([0, 9], 50)  # half of the frames are silent
    >>> frames = StratifiedFrames(n_spikes, 10, np.random.default_rng(0))
    >>> int(n_spikes[frames.next_batch()].sum())
    45
    """

    def __init__(self, n_spikes: np.ndarray, batch_size: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._by_activity = np.argsort(n_spikes, kind="stable")
        self._size = min(batch_size, len(n_spikes))
        self._batches = np.empty((0, self._size), np.int64)

    def next_batch(self) -> np.ndarray:
        """Frames of the next batch, ascending, shape (batch_size,)."""
        if len(self._batches) == 0:
            self._batches = self._all_batches()
        frames, self._batches = self._batches[0], self._batches[1:]
        return np.sort(frames)

    def spread(self, n: int) -> np.ndarray:
        """``n`` random frames, one of each of n strata, in random order; with repetition if n > T.

        Parameters
        ----------
        n : int
        """
        position = (np.arange(n) + self._rng.random(n)) / n * len(self._by_activity)
        return self._rng.permutation(self._by_activity[position.astype(np.int64)])

    def _all_batches(self) -> np.ndarray:
        """One pass over the frames: (batches, batch_size); a random remainder is left out."""
        n_frames = len(self._by_activity)
        n_batches = n_frames // self._size
        left_out = self._rng.choice(n_frames, n_frames - n_batches * self._size, replace=False)
        strata = np.delete(self._by_activity, left_out).reshape(self._size, n_batches)
        return self._rng.permuted(strata, axis=1).T.copy()
