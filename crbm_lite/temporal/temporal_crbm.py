r"""A cRBM whose hidden units are driven by what they did a frame ago.

.. math::

    P(v_{1..T}) = \prod_t P(v_t | r_{t-1}), \qquad
    P(v_t, h_t | r_{t-1}) = \frac{1}{Z(c_t)} e^{-E(v_t, h_t) + c_t \cdot h_t},

with the energy E of a cRBM, the drive :math:`c_t = b + A (r_{t-1} - \bar h)` and the means
:math:`r_t = E[h_t | v_t, \mathrm{past}]` (`crbm_lite.temporal.recurrence`). It is the recurrent
temporal RBM of Sutskever, Hinton & Taylor (2008), with dReLU units in place of its binary ones.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from crbm_lite.checks.arguments import as_count, as_flag, as_generator
from crbm_lite.core.drelu import PARAMETERS, DReLU
from crbm_lite.core.spikes import spikes_of_model, tiles
from crbm_lite.files.errors import named_failures
from crbm_lite.model.files import (
    ModelFileError,
    arrays_of,
    read_model,
    result_of,
    write_model,
)
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording, as_recording
from crbm_lite.temporal.chains import chains_given_weights
from crbm_lite.temporal.equilibrium import draw_equilibrium, tilt
from crbm_lite.temporal.frozen import fit_recurrence
from crbm_lite.temporal.history import TemporalHistory
from crbm_lite.temporal.joint import fit_jointly
from crbm_lite.temporal.recurrence import Filtered, Recurrence, filter_frames
from crbm_lite.temporal.windows import cut_windows
from crbm_lite.training.hyperparameters import HyperparameterError, hyperparameters_as_json

if TYPE_CHECKING:
    from crbm_lite.core.spikes import Spikes
    from crbm_lite.temporal.equilibrium import EquilibriumSample

__all__ = ["TemporalCRBM"]

_KIND = "crbm_lite temporal model"
_COUNTS = ("window", "n_updates", "batch_windows", "n_gibbs", "n_samples")
_OF_TRAINING = (
    "l1", "n_updates", "batch_windows", "n_gibbs", "learning_rate", "final_learning_rate",
)  # fmt: skip
_PENALTY = (lambda value: 0 <= value < np.inf, "0 or a positive number")
_RATE = (lambda value: 0 < value < np.inf, "a positive number")
_NUMBERS = {
    "l1": _PENALTY, "l1_diagonal": _PENALTY, "learning_rate": _RATE, "final_learning_rate": _RATE,
    "min_effective_share": (lambda value: 0 < value <= 1, "a share above 0"),
}  # fmt: skip
_SAME_RATE = 1e-3  # relative


class TemporalCRBM(BaseEstimator):
    """A cRBM with memory: each hidden unit is driven by all hidden units of the frame before.

    Parameters
    ----------
    model : CRBM
        The cRBM to begin with. If it is not trained yet, a copy is trained first, on the same
        spikes.
    trains : {"couplings", "all"}, default "couplings"
        What is learned: A, b and the drive of first frames alone, or after them all parameters,
        with the cRBM's penalty on W.
    l1 : float, default 0.01
        The penalty on the sum of |A| off the diagonal, under Var(h) = 1.
    l1_diagonal : float or None, default None
        That on the diagonal of A; None means the same one.
    window : int, default 20
        The most frames through which slopes are carried back.
    n_updates : int, default 200
    batch_windows : int, default 30
        The windows of an update.
    n_gibbs : int, default 10
        Gibbs steps of chains under a drive.
    n_samples : int, default 2000
        Draws of the cRBM for importance weights.
    min_effective_share : float, default 0.2
        Frames whose effective sample is a smaller share of the draws take Gibbs chains instead.
    learning_rate, final_learning_rate : float, default 0.1 and 0.001
        Of RMSprop in A, b and c, between which it falls geometrically. Where all is trained, the
        fields and potentials move at a tenth of it, and the weights at a twentieth.
    random_state : int, numpy.random.Generator or None, default None
    progress : bool, default True
        Whether to show a progress bar.

    Attributes
    ----------
    couplings_ : ndarray, shape (M, M)
        A: row mu, column nu is the action of unit nu on unit mu one frame later.
    offset_ : ndarray, shape (M,)
        b.
    initial_drive_ : ndarray, shape (M,)
        c of the first frame of a window.
    mean_h_ : ndarray, shape (M,)
        The mean of h that centres A.
    rate_hz_ : float
        Frames per second of the recording. A is an operator of one such frame.
    weights_, fields_, gamma_plus_, gamma_minus_, theta_plus_, theta_minus_
        As in `crbm_lite.model.model.CRBM`.
    static_ : CRBM
        The cRBM that it began with, for comparison.
    history_ : TemporalHistory
        What was monitored.
    n_features_in_ : int
        The number of neurons N.
    feature_names_in_ : ndarray of str, shape (N,)
        Their names, if the cRBM knows them.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite import CRBM, Recording
    >>> spikes = np.tile([[1, 0], [0, 1]], (50, 1))
    >>> model = CRBM.from_parameters(4 * np.eye(2), [-2, -2], [1, 1], [1, 1], [0, 0], [0, 0])
    >>> temporal = TemporalCRBM(model, n_updates=100, random_state=0, progress=False)
    >>> temporal = temporal.fit(Recording(spikes, rate_hz=2.0))
    >>> bool(temporal.couplings_[0, 1] > 0 > temporal.couplings_[0, 0])
    True
    """

    def __init__(
        self,
        model: CRBM,
        trains: str = "couplings",
        l1: float = 0.01,
        l1_diagonal: float | None = None,
        window: int = 20,
        n_updates: int = 200,
        batch_windows: int = 30,
        n_gibbs: int = 10,
        n_samples: int = 2000,
        min_effective_share: float = 0.2,
        learning_rate: float = 0.1,
        final_learning_rate: float = 0.001,
        random_state: int | np.random.Generator | None = None,
        progress: bool = True,
    ) -> None:
        self.model = model
        self.trains = trains
        self.l1 = l1
        self.l1_diagonal = l1_diagonal
        self.window = window
        self.n_updates = n_updates
        self.batch_windows = batch_windows
        self.n_gibbs = n_gibbs
        self.n_samples = n_samples
        self.min_effective_share = min_effective_share
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.random_state = random_state
        self.progress = progress

    # ------------------------------------------------------------------ training

    def fit(self, recording: Recording, y: None = None) -> TemporalCRBM:
        """Learn how the hidden units act on those of the next frame.

        Parameters
        ----------
        recording : Recording
            Its spikes, frame rate and discontinuities.
        y : None
            Ignored; scikit-learn passes it.

        Raises
        ------
        HyperparameterError
            A ValueError: a hyperparameter is impossible.
        SpikesError
            A ValueError: the recording has other neurons than the cRBM.
        ValueError
            If it is no Recording, which knows the frame rate, or no two frames follow each other.
        """
        from tqdm.auto import tqdm

        self._check()
        as_recording(recording)
        windows = cut_windows(recording.n_frames, recording.discontinuities, self.window)
        static = self.model
        if not hasattr(static, "weights_"):
            static = clone(static).fit(recording)
        spikes = spikes_of_model(static, recording, "recording")
        rng = as_generator(self.random_state)
        common = {
            "rng": rng,
            "l1_diagonal": self.l1 if self.l1_diagonal is None else self.l1_diagonal,
        } | {name: getattr(self, name) for name in _OF_TRAINING}
        n_stages = 2 if self.trains == "all" else 1
        total = n_stages * self.n_updates
        with tqdm(total=total, disable=not self.progress, unit="update") as bar:
            inputs = spikes.inputs(static.weights_)
            sample = draw_equilibrium(static, self.n_samples, rng)
            start = Recurrence.none(static.units.mean(inputs).mean(axis=0))
            recurrence, history = fit_recurrence(
                static, inputs, windows, sample, start, bar=bar,
                min_effective_share=self.min_effective_share, **common,
            )  # fmt: skip
            here = static
            if self.trains == "all":
                here, recurrence, history = fit_jointly(
                    static, spikes, windows, recurrence, bar=bar,
                    l1_weights=getattr(static, "l1_", 0.0), **common,
                )  # fmt: skip
        self._set(static, here, recurrence, recording.rate_hz, history)
        return self

    def _check(self) -> None:
        if not isinstance(self.model, CRBM):
            raise HyperparameterError(f"model is {self.model!r}: give a CRBM to begin with")
        if self.trains not in ("couplings", "all"):
            raise HyperparameterError(f'trains is {self.trains!r}: give "couplings" or "all"')
        for name in _COUNTS:
            _as_count(getattr(self, name), name, 2 if name == "window" else 1)
        for name, (is_right, what) in _NUMBERS.items():
            value = getattr(self, name)
            if name == "l1_diagonal" and value is None:
                continue
            if not isinstance(value, int | float | np.number) or not is_right(value):
                raise HyperparameterError(f"{name} is {value!r}: give {what}")
        try:
            as_generator(self.random_state)
            as_flag(self.progress, "progress")
        except ValueError as error:
            raise HyperparameterError(str(error)) from None

    def _set(
        self,
        static: CRBM,
        here: CRBM,
        recurrence: Recurrence,
        rate_hz: float,
        history: TemporalHistory,
    ) -> None:
        self.static_ = static
        self.weights_, self.fields_ = here.weights_, here.fields_
        for name in PARAMETERS:
            setattr(self, f"{name}_", getattr(here, f"{name}_"))
        self.couplings_, self.offset_ = recurrence.couplings, recurrence.offset
        self.initial_drive_, self.mean_h_ = recurrence.initial, recurrence.mean_h
        self.rate_hz_ = float(rate_hz)
        self.history_ = history
        self.n_features_in_ = len(self.fields_)
        if hasattr(static, "feature_names_in_"):
            self.feature_names_in_ = static.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    # ------------------------------------------------------------------ given the past

    @property
    def units(self) -> DReLU:
        """The potentials of the hidden units."""
        check_is_fitted(self, "weights_")
        return DReLU(*(getattr(self, f"{name}_") for name in PARAMETERS))

    @property
    def recurrence(self) -> Recurrence:
        """A, b, the drive of first frames, and the mean that centres A."""
        check_is_fitted(self, "couplings_")
        return Recurrence(self.couplings_, self.offset_, self.initial_drive_, self.mean_h_)

    def without_past(self) -> CRBM:
        """Make the cRBM that this model is where nothing drives it, c = 0.

        If only the couplings were learned it is ``static_`` itself.
        """
        check_is_fitted(self, "couplings_")
        if self.weights_ is self.static_.weights_:
            return self.static_
        potential = (getattr(self, f"{name}_") for name in PARAMETERS)
        return CRBM.from_parameters(self.weights_, self.fields_, *potential)

    def filter(self, recording: Recording) -> Filtered:
        """Compute mean and variance of h given the past and the present, and the drive.

        Parameters
        ----------
        recording : Recording
            Of the frame rate and the neurons of the training.

        Returns
        -------
        Filtered
            ``mean_h``, ``variance`` and ``drive``, each (T, M), frame by frame. What follows a
            discontinuity begins anew.

        Raises
        ------
        ValueError
            If the recording has another frame rate or other neurons, or no two frames of it follow
            each other.
        """
        spikes = self._spikes(recording)
        windows = cut_windows(recording.n_frames, recording.discontinuities)
        order = windows.frames
        found = filter_frames(
            spikes.inputs(self.weights_)[order], windows, self.units, self.recurrence
        )
        place = np.argsort(order)
        return Filtered(*(x[place] for x in found))

    def mean_h_given_past(self, recording: Recording) -> np.ndarray:
        """Compute r_t = E[h_t | v_t, past], shape (T, M); errors as in `filter`."""
        return self.filter(recording).mean_h

    def _spikes(self, recording: Recording) -> Spikes:
        check_is_fitted(self, "couplings_")
        as_recording(recording)
        if abs(recording.rate_hz / self.rate_hz_ - 1) > _SAME_RATE:
            raise ValueError(
                f"rate_hz is {recording.rate_hz:g} for the recording and {self.rate_hz_:g} for the "
                "model: give frames of the same rate, since A acts over one frame"
            )
        return spikes_of_model(self, recording, "recording")

    def mean_v_given_past(
        self,
        recording: Recording,
        n_draws: int = 10,
        random_state: int | np.random.Generator | None = None,
    ) -> np.ndarray:
        """Predict every frame from those before it: P(v_it = 1 | past), shape (T, N).

        Each prediction is a mean over draws of h under the drive of the frame, which is made as in
        `sample`. The frame itself is not looked at.

        Parameters
        ----------
        recording : Recording
            As in `filter`.
        n_draws : int, default 10
        random_state : int, numpy.random.Generator or None

        Raises
        ------
        ValueError
            If n_draws is no integer of 1 or more, or as `filter`.
        """
        n_draws = as_count(n_draws, "n_draws")
        drive, model = self.filter(recording).drive, self.without_past()
        rng = as_generator(random_state)
        sample = draw_equilibrium(model, self.n_samples, rng)
        out = np.zeros((len(drive), self.n_features_in_))
        for rows in tiles(len(drive)):
            weights = tilt(drive[rows], sample.h).weights
            for _ in range(n_draws):
                chains = chains_given_weights(model, drive[rows], weights, sample, rng)
                chains.step(self.n_gibbs)
                h = self.units.sample(chains.inputs(), rng)
                out[rows] += model.mean_v_given_h(h) / n_draws
        return out

    # ------------------------------------------------------------------ samples

    def sample(
        self,
        n_frames: int,
        n_sequences: int = 100,
        random_state: int | np.random.Generator | None = None,
        sample: EquilibriumSample | None = None,
    ) -> np.ndarray:
        """Let the model run freely from its first frame on.

        Every frame starts from a draw of the undriven model that is chosen by its importance weight
        and takes ``n_gibbs`` steps under its drive. So what a frame remembers of the one before
        is what the drive says, and not what a chain has not yet forgotten.

        Parameters
        ----------
        n_frames : int
        n_sequences : int, default 100
            Sequences that run side by side.
        random_state : int, numpy.random.Generator or None
        sample : EquilibriumSample, optional
            Draws of ``without_past()``; by default ``n_samples`` new ones.

        Returns
        -------
        ndarray of uint8, shape (n_sequences, n_frames, N)

        Raises
        ------
        HyperparameterError
            A ValueError: a number is no integer of 1 or more.
        """
        recurrence, units = self.recurrence, self.units
        n_frames = _as_count(n_frames, "n_frames")
        n_sequences = _as_count(n_sequences, "n_sequences")
        rng = as_generator(random_state)
        model = self.without_past()
        if sample is None:
            sample = draw_equilibrium(model, self.n_samples, rng)
        drive = np.tile(recurrence.initial, (n_sequences, 1))
        out = np.empty((n_sequences, n_frames, self.n_features_in_), np.uint8)
        for frame in range(n_frames):
            weights = tilt(drive, sample.h).weights
            chains = chains_given_weights(model, drive, weights, sample, rng)
            chains.step(self.n_gibbs)
            out[:, frame] = chains.spikes()
            drive = recurrence.drive(units.mean(chains.inputs()))
        return out

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike) -> Path:
        """Write the model, and the cRBM that it began with, to one HDF5 file, whole or not at all.

        Raises
        ------
        OSError
            If the folder does not exist or cannot be written.
        """
        check_is_fitted(self, "couplings_")
        parameters = self.get_params(deep=False)
        del parameters["model"]
        static, attributes = self.static_._contents()
        arrays = {f"static/{name}": array for name, array in static.items()}
        if self.weights_ is not self.static_.weights_:
            arrays |= {"weights": self.weights_, "fields": self.fields_}
            arrays |= {name: getattr(self, f"{name}_") for name in PARAMETERS}
        arrays |= arrays_of("recurrence", self.recurrence) | arrays_of("history", self.history_)
        arrays["rate_hz"] = np.array(self.rate_hz_)
        hyper = hyperparameters_as_json(parameters)
        return write_model(path, arrays, {"hyperparameters": hyper, "static": attributes}, _KIND)

    @classmethod
    def load(cls, path: str | os.PathLike) -> TemporalCRBM:
        """Read a model that ``save`` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            A ValueError: the file is no temporal model, is damaged, or is of another version.
        """
        arrays, attributes = read_model(path, _KIND)
        with named_failures(f"model file {path}", ModelFileError):
            static = {
                name.removeprefix("static/"): array
                for name, array in arrays.items()
                if name.startswith("static/")
            }
            static = CRBM._of_contents(path, static, attributes["static"])
            here = static
            if "weights" in arrays:
                here = CRBM.from_parameters(
                    arrays["weights"], arrays["fields"], *(arrays[name] for name in PARAMETERS)
                )
            recurrence = Recurrence(
                *(arrays[f"recurrence/{field.name}"] for field in fields(Recurrence))
            )
            if len(recurrence.offset) != here.units.n_hidden or len(here.fields_) != len(
                static.fields_
            ):
                raise ValueError("its parts have different numbers of units")
            model = cls(static, **attributes["hyperparameters"])
            history = result_of(TemporalHistory, "history", arrays)
            model._set(static, here, recurrence, arrays["rate_hz"].item(), history)
        return model


def _as_count(value: object, name: str, least: int = 1) -> int:
    try:
        return as_count(value, name, least)
    except ValueError as error:
        raise HyperparameterError(str(error)) from None
