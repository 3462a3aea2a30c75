"""A fish, its split and its models: what all steps of the retrace start from, each made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import crbm_lite as cl
from crbm_lite.assemblies.dynamics import HiddenStates, hidden_states
from crbm_lite.calcium.preprocessing import FilteredRecordings, filter_recordings
from crbm_lite.datasets.atlas import Atlas, load_atlas
from crbm_lite.datasets.fish import simulate_fish
from crbm_lite.recordings.splits import Split, split_recording

__all__ = ["Subject"]

_MIN_NEURONS = (5, 2)  # of a region: the paper's, times the scale, but no fewer


@dataclass(frozen=True)
class Subject:
    """A fish of the atlas, simulated, or a recording in a file.

    Parameters
    ----------
    name : str
        "1" to "8", or the path of a recording, in the published layout for instance.
    scale : float
        Share of the neurons that a simulated fish has.
    seed : int
        Of the simulation and of the training.
    """

    name: str
    scale: float = 1.0
    seed: int = 0

    @property
    def is_simulated(self) -> bool:
        """Whether the fish is one of the atlas."""
        return self.name in tuple("12345678")

    @property
    def key(self) -> str:
        """Name the fish in the table of results."""
        if self.is_simulated:
            return f"fish {self.name}, scale {self.scale:g}"
        return Path(self.name).stem

    @cached_property
    def whole(self) -> cl.Recording:
        """The recording before any filter."""
        if self.is_simulated:
            return simulate_fish(int(self.name), scale=self.scale, random_state=self.seed)
        return cl.load_recording(self.name, dff=False)

    @cached_property
    def filtered(self) -> FilteredRecordings:
        """The paper's filters; a recording with too little activity is told of, and used."""
        return filter_recordings([self.whole])

    @cached_property
    def recording(self) -> cl.Recording:
        """The neurons that have a region and do spike."""
        some = self.filtered.kept[0] if self.filtered.kept else self.whole
        return some.select_neurons(~np.isin(np.arange(some.n_neurons), some.constant_neurons))

    @cached_property
    def split(self) -> Split:
        """The twelfth of the 120 splits."""
        return split_recording(self.recording)

    @cached_property
    def _train_and_test(self) -> tuple[cl.Recording, cl.Recording]:
        return cl.split_train_test(self.recording, self.split)

    @property
    def train(self) -> cl.Recording:
        """The training frames."""
        return self._train_and_test[0]

    @property
    def test(self) -> cl.Recording:
        """The test frames."""
        return self._train_and_test[1]

    @cached_property
    def estimator(self) -> cl.CRBM:
        """`CRBM()` with nothing set, but for the seed."""
        return cl.CRBM(random_state=self.seed, progress=False)

    @cached_property
    def model(self) -> cl.CRBM:
        """The model of the training frames."""
        return cl.cached_fit(self.estimator, self.train)

    @cached_property
    def used(self) -> np.ndarray:
        """Hidden units that have weights."""
        return np.flatnonzero((self.model.weights_ != 0).any(axis=0))

    @cached_property
    def weights(self) -> np.ndarray:
        """The weights of the units in use."""
        return self.model.weights_[:, self.used]

    @cached_property
    def h(self) -> np.ndarray:
        """E[h|v] of the units in use, over the whole recording."""
        return self.model.mean_h_given_v(self.recording.spikes)[:, self.used]

    @cached_property
    def states(self) -> HiddenStates:
        """Transition points and states of the units in use."""
        return hidden_states(self.h)

    @cached_property
    def atlas(self) -> Atlas | None:
        """The atlas, if the recording's regions are the atlas'."""
        atlas = load_atlas()
        return atlas if self.recording.label_names == atlas.names else None

    @property
    def min_neurons(self) -> int:
        """Neurons that a region needs."""
        paper, fewest = _MIN_NEURONS
        return max(fewest, round(paper * self.scale))
