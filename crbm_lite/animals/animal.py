"""An animal: its recording and the model of it, in a space and a hidden layer that others share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_is_fitted

from crbm_lite.core.spikes import spikes_of_model
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording, as_recording

__all__ = ["Animal", "as_animals", "check_places", "units_with_weights"]


@dataclass(frozen=True, eq=False)
class Animal:
    """A fitted model, and the recording of the animal that it is a model of.

    Parameters
    ----------
    model : CRBM
        Fitted, with the neurons of the recording.
    recording : Recording
        With coordinates in um, in a space that the animals share.

    Raises
    ------
    ValueError
        If the model has other neurons than the recording, or has them in another order, or the
        recording has no coordinates in um.

    Examples
    --------
    >>> import numpy as np
    >>> model = CRBM.from_parameters(np.eye(2), [-1.0, -1.0], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> recording = Recording(np.eye(2), rate_hz=2.5, coordinates=[[0, 0, 0], [9, 0, 0]])
    >>> Animal(model, recording).n_hidden
    2
    """

    model: CRBM
    recording: Recording

    def __post_init__(self) -> None:
        if not isinstance(self.model, CRBM):
            raise ValueError(f"model is a {type(self.model).__name__}: give a fitted CRBM")
        check_is_fitted(self.model, "weights_")
        check_places(self.recording)
        if self.model.n_features_in_ != self.recording.n_neurons:
            raise ValueError(
                f"model has {self.model.n_features_in_} neurons and recording "
                f"{self.recording.n_neurons}: give the recording of the model"
            )
        spikes_of_model(self.model, self.recording, "recording")  # the same, in the same order

    @property
    def n_hidden(self) -> int:
        """Number of hidden units M."""
        return self.model.units.n_hidden

    @property
    def coordinates(self) -> np.ndarray:
        """Places of the neurons in um, (N, 3)."""
        return self.recording.coordinates

    def sample_h(self, rng: np.random.Generator, n_frames: int | None = None) -> np.ndarray:
        """Draw h from P(h|v) once for every frame, or for some frames that are drawn.

        Returns
        -------
        ndarray, shape (n_frames, M)
        """
        v = self.recording.spikes
        if n_frames is not None:
            v = v[np.sort(rng.integers(len(v), size=n_frames))]
        return self.model.sample_h_given_v(v, rng)


def units_with_weights(models: Iterable[CRBM]) -> np.ndarray:
    """Say which of the hidden units that models share have weights in any of them, (M,) bool."""
    return np.any([(model.weights_ != 0).any(axis=0) for model in models], axis=0)


def check_places(recording: object) -> None:
    """Raise a ValueError unless a recording has places in um."""
    if as_recording(recording).coordinates is None:
        raise ValueError(
            "coordinates of the recording is None: give places of the neurons, in a space that the "
            "animals share"
        )
    if recording.coordinate_unit != "um":
        raise ValueError(
            f"coordinate_unit of the recording is {recording.coordinate_unit!r}: give places in "
            "'um', so that distances are comparable"
        )


def as_animals(animals: object, name: str) -> tuple[Animal, ...]:
    """Check that there is one animal or several, all of them with the same number of hidden units.

    Examples
    --------
    >>> as_animals([], "teacher")
    Traceback (most recent call last):
    ValueError: teacher is empty: give an Animal, or several that share their hidden units
    """
    several = animals if isinstance(animals, Iterable) else (animals,)
    several = tuple(several)
    if not several:
        raise ValueError(
            f"{name} is empty: give an Animal, or several that share their hidden units"
        )
    for animal in several:
        if not isinstance(animal, Animal):
            kind = type(animal).__name__
            raise ValueError(f"{name} holds a {kind}: give Animal(model, recording)")
    counts = sorted({animal.n_hidden for animal in several})
    if len(counts) > 1:
        raise ValueError(
            f"{name} has animals of {counts} hidden units: give animals that share their units"
        )
    return several
