"""What a stage of the search ends with, and its form as named arrays for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse

from crbm_lite.training.linear_units import is_unlike
from crbm_lite.training.parameters import LEAST_SIZE, TrainedParameters
from crbm_lite.training.search.validation_blocks import standard_error
from crbm_lite.training.start import Start

__all__ = [
    "MANY_BLOCKS",
    "SIGNIFICANT",
    "StageEnd",
    "end_of_stage",
    "joined_start",
    "stage_ends_of",
    "state_of",
]

SIGNIFICANT = 3.0  # standard errors
MANY_BLOCKS = 8  # in all of which no chance gain is positive


@dataclass(frozen=True)
class StageEnd:
    """What a stage of the search ended with.

    Attributes
    ----------
    weights : scipy.sparse.csr_array, shape (N, M)
    fields, potential, mean_h : ndarray
        As in `crbm_lite.training.parameters.TrainedParameters`.
    frames : ndarray of uint8, shape (n_chains, N)
        Spikes of the chains.
    gain : ndarray, shape (blocks,)
        Nats per frame over independent neurons; minus infinity after a divergence.
    """

    weights: scipy.sparse.csr_array
    fields: np.ndarray
    potential: np.ndarray
    mean_h: np.ndarray
    frames: np.ndarray
    gain: np.ndarray

    @property
    def mean_gain(self) -> float:
        """Mean over the blocks."""
        return float(self.gain.mean())

    def shows_structure(self) -> bool:
        """Say whether the model has units, and gains more than the blocks differ by chance.

        It gains more than three standard errors, or in every one of eight blocks. Chance would do
        the latter once in 256, and a block with a rare event cannot hide it.
        """
        gains_in_all = len(self.gain) >= MANY_BLOCKS and (self.gain > 0).all()
        is_significant = self.mean_gain > SIGNIFICANT * standard_error(self.gain)
        return bool(self.n_alive and (gains_in_all or is_significant))

    def is_alive(self) -> np.ndarray:
        """Say which hidden units have weights, (M,)."""
        return abs(self.weights).sum(axis=0) > LEAST_SIZE

    @property
    def n_alive(self) -> int:
        """Number of hidden units with weights."""
        return int(self.is_alive().sum())

    def start(self, field_rate_factor: float, all_units: bool) -> Start:
        """Return the start of a training that goes on from here, of all units or those alive."""
        units = np.arange(self.weights.shape[1])
        if not all_units and self.n_alive:
            units = np.flatnonzero(self.is_alive())
        return Start(
            self.weights[:, units].toarray(), self.fields, self.potential[:, units],
            field_rate_factor, frames=self.frames,
        )  # fmt: skip

    def start_with_births(self, first: Start, all_units: bool) -> Start:
        """Return such a start in which units that `first` took from data begin again if dead."""
        is_alive, n_given = self.is_alive(), first.n_linear_units
        all_units = all_units or not (n_given or is_alive.any())
        units = np.flatnonzero(is_alive | (np.arange(len(is_alive)) < n_given) | all_units)
        weights, potential = self.weights[:, units].toarray(), self.potential[:, units]
        dead = np.flatnonzero(~is_alive[:n_given])
        weights[:, dead], potential[:, dead] = first.weights[:, dead], first.potential[:, dead]
        return Start(
            weights, self.fields, potential, first.field_rate_factor, n_linear_units=n_given,
            frames=self.frames,
        )  # fmt: skip


def _with_more(start: Start, more: Start, units: slice | np.ndarray) -> Start:
    return replace(
        start, weights=np.hstack([start.weights, more.weights[:, units]]),
        potential=np.hstack([start.potential, more.potential[:, units]]),
    )  # fmt: skip


def joined_start(end: StageEnd, others: list[StageEnd], field_rate_factor: float) -> Start | None:
    """Return a start of the live units of an end and those of others unlike them.

    Where units of two others are alike, that of the greater gain is taken. Without a unit to join
    there is None.
    """
    start = end.start(field_rate_factor, all_units=False)
    n_own = start.weights.shape[1]
    for other in sorted(others, key=lambda other: -other.mean_gain):
        more = other.start(field_rate_factor, all_units=False)
        start = _with_more(start, more, is_unlike(more.weights, start.weights))
    return None if start.weights.shape[1] == n_own else start


def end_of_stage(parameters: TrainedParameters, frames: np.ndarray, gain: np.ndarray) -> StageEnd:
    """Keep what a stage ended with; of the weights, those that are not zero."""
    return StageEnd(
        scipy.sparse.csr_array(parameters.weights), parameters.fields, parameters.potential,
        parameters.mean_h, frames, gain,
    )  # fmt: skip


def state_of(ends: list[StageEnd]) -> dict[str, np.ndarray]:
    """Take the ends of stages apart into named arrays."""
    state = {"n_stages": np.array(len(ends))}
    for k, end in enumerate(ends):
        w = end.weights
        state |= {
            f"{k}/shape": np.array(w.shape), f"{k}/data": w.data, f"{k}/indices": w.indices,
            f"{k}/indptr": w.indptr, f"{k}/fields": end.fields, f"{k}/potential": end.potential,
            f"{k}/mean_h": end.mean_h, f"{k}/frames": np.packbits(end.frames, axis=1),
            f"{k}/gain": end.gain,
        }  # fmt: skip
    return state


def stage_ends_of(state: Mapping[str, np.ndarray]) -> list[StageEnd]:
    """Put the ends of stages together that `state_of` took apart."""
    ends = []
    for k in range(int(state.get("n_stages", 0))):
        of = {name: state[f"{k}/{name}"] for name in (
            "shape", "data", "indices", "indptr", "fields", "potential", "mean_h", "frames", "gain"
        )}  # fmt: skip
        weights = scipy.sparse.csr_array(
            (of["data"], of["indices"], of["indptr"]), shape=tuple(of["shape"])
        )
        frames = np.unpackbits(of["frames"], axis=1, count=weights.shape[0])
        ends.append(
            StageEnd(weights, of["fields"], of["potential"], of["mean_h"], frames, of["gain"])
        )
    return ends
