r"""What a recording has to offer to a training, and what the training will cost here.

``CRBM()`` chooses M, lambda and its length by itself (`crbm_lite.training.search`). What can be
said beforehand is how many components there are, whether T suffices for them, and the cost.

**Components.** The eigenvalues of the neurons' correlation matrix are held against those of the
same spikes after every neuron was shifted in time by an amount of its own. The shift keeps rates
and rhythms and destroys what neurons share. A component counts as signal if it lies above the
largest eigenvalue of eight such shifts, and above the edge for independent frames (Marchenko &
Pastur 1967), :math:`(1 + \sqrt{N / T})^2`.

**Correlation time.** With :math:`\rho_k` the autocorrelation of a component at lag k frames, T
frames are worth :math:`T / \tau` independent ones, :math:`\tau = 1 + 2 \sum_k \rho_k`. The sum ends
where :math:`\rho_k` first falls below 0.05, and tau is the median over the components.

**Length.** The rule comes from 213 short trainings on planted recordings of 100 to 3,000 neurons,
500 to 4,000 frames and 1, 3 or 8 % activity (``python -m benchmarks.advice``). Where T is worth 170
independent frames and neurons spike 50 times, there are as many components as assemblies. With 40
spikes per neuron, at 1 % activity, 24 of 30 assemblies were found among 100 to 1,000 neurons, and
20 of 20 among 3,000.

**lambda by hand.** The penalty is held against covariances of neurons with hidden units of unit
variance. Those of a member grow with its activity, and a tenth of the mean activity p is a small
part of them. In T frames they are known to a standard error of :math:`\sqrt{p (1 - p) / T}`, and
four of these are enough against noise. Where T suffices by the rule above, `suggested_l1` reached
nine tenths of the best nLLH or more in the same trainings.

**Cost.** `crbm_lite.inspection.cost` runs a few updates on these very spikes, with the units that
the search begins with. The search makes some nine to sixteen thousand updates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.checks.arguments import as_count, as_generator, as_number, as_numbers
from crbm_lite.inspection.cost import measured_cost
from crbm_lite.measures import centred_columns
from crbm_lite.recordings.controls import shift_time
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.recording import as_recording
from crbm_lite.training.search.rules import expected_updates, units_to_begin_with

__all__ = [
    "Advice",
    "advise",
    "correlation_frames",
    "covariances",
    "shifted_in_time",
    "signal_components",
    "suggested_l1",
]

# tests/inspection/test_advice.py holds these rules against benchmarks/advice.csv.
L1_PER_ACTIVITY, L1_ERRORS, LARGEST_L1 = 0.1, 4.0, 0.02
INDEPENDENT_FRAMES, SPIKES_PER_NEURON = 170, 50
_MOST_NEURONS = 1000
_N_SHIFTS = 8
_SHORT_STRETCH = 20  # frames


def signal_components(
    recording: Recording, random_state: int | np.random.Generator = 0
) -> tuple[int, float]:
    """Count the components above the noise, and measure how long they last.

    If more than 1,000 neurons vary, a random 1,000 are used, which can only lose components.

    Parameters
    ----------
    recording : Recording
    random_state : int or numpy.random.Generator
        For the shifts and the subsample.

    Returns
    -------
    n_components : int
    tau_frames : float
        The correlation time of the module, NaN if there are no components.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(200, 4, (40, 50), 2000, n_unassigned=20)
    >>> signal_components(recording)[0]
    4
    """
    rng = as_generator(random_state)
    varying = np.setdiff1d(np.arange(recording.n_neurons), recording.constant_neurons)
    if varying.size > _MOST_NEURONS:
        varying = np.sort(rng.choice(varying, _MOST_NEURONS, replace=False))
    if varying.size < 2:
        return 0, float("nan")
    spikes, n_frames = recording.spikes[:, varying], recording.n_frames
    covariance = covariances(spikes)
    # The floor keeps a neuron of a few spikes from dominating.
    scale = 1 / np.sqrt(np.maximum(np.diagonal(covariance), 3.0 / n_frames))
    scales = np.outer(scale, scale)
    values, vectors = np.linalg.eigh(covariance * scales)
    largest = [(1 + np.sqrt(varying.size / n_frames)) ** 2]
    for _ in range(_N_SHIFTS):
        shifted = shifted_in_time(spikes, rng, recording.discontinuities)
        largest.append(float(np.linalg.eigvalsh(covariances(shifted) * scales)[-1]))
    signal = values > max(largest)
    if not signal.any():
        return 0, float("nan")
    courses = spikes.astype(np.float32) @ (scale[:, None] * vectors[:, signal]).astype(np.float32)
    times = [correlation_frames(x, recording.discontinuities) for x in courses.T]
    return int(signal.sum()), float(np.median(times))


def shifted_in_time(
    spikes: np.ndarray, rng: np.random.Generator, discontinuities: np.ndarray
) -> np.ndarray:
    """Shift each neuron in time by an amount of its own, as a control of what neurons share.

    In stretches of a few frames a shift would leave what neurons share. If they last less than 20
    frames on average, the whole recording is one circle.

    Parameters
    ----------
    spikes : (T, N) of 0 and 1
    rng : numpy.random.Generator
    discontinuities : sequence of int
        Frames before which time jumps.

    Returns
    -------
    (T, N) uint8

    Examples
    --------
    >>> shifted_in_time(np.eye(4), np.random.default_rng(0), [2]).sum(axis=0).tolist()
    [1, 1, 1, 1]
    """
    too_short = len(spikes) < _SHORT_STRETCH * (len(discontinuities) + 1)
    return shift_time(spikes, rng, () if too_short else discontinuities).toarray()


def covariances(spikes: np.ndarray) -> np.ndarray:
    """Compute the covariances of all pairs of neurons, (N, N) float64.

    Parameters
    ----------
    spikes : (T, N) of 0 and 1

    Examples
    --------
    >>> covariances(np.array([[1, 0], [0, 1]], dtype=np.uint8))
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    x = spikes.astype(np.float32)  # in which whole numbers up to 16 million are exact
    mean = spikes.mean(axis=0, dtype=np.float64)
    return (x.T @ x).astype(np.float64) / len(x) - np.outer(mean, mean)


def correlation_frames(x: np.ndarray, discontinuities: np.ndarray = ()) -> float:
    """Compute the integrated correlation time tau of a trace, by the equation of the module.

    Frames of different stretches are not compared.

    Parameters
    ----------
    x : (T,) float
    discontinuities : sequence of int
        Frames before which time jumps.

    Returns
    -------
    float
        In frames; 1 for a trace that is constant.

    Examples
    --------
    >>> x = np.repeat(np.random.default_rng(0).random(1000), 8)
    >>> 7 < correlation_frames(x) < 9
    True
    """
    x = as_numbers(x, "x")
    block = np.searchsorted(discontinuities, np.arange(len(x)), side="right")
    x = centred_columns(x)
    variance, total = np.mean(x**2), 1.0
    if not variance > 0:
        return total
    for lag in range(1, len(x) // 2):
        together = block[lag:] == block[:-lag]
        if not together.any():
            break
        rho = np.mean(x[lag:][together] * x[:-lag][together]) / variance
        if rho < 0.05:
            break
        total += 2 * rho
    return float(total)


@dataclass(frozen=True)
class Advice:
    """What there is to be found, whether T suffices, and what a training costs on this machine.

    Parameters
    ----------
    n_components : int
        Components above the noise.
    correlation_frames, n_independent, spikes_per_neuron : float
        tau in frames, T / tau, and T times the mean activity.
    n_hidden : int or "auto"
        The M that you asked about, or "auto".
    is_long_enough : bool
        Whether T suffices for M.
    minutes, memory_gb : float
        What such a training takes on this machine, measured; NaN if that was not measured.
    is_lower_limit : bool
        Whether the components are those of 1,000 random neurons, so that all neurons may show more.
    """

    n_components: int
    correlation_frames: float
    n_independent: float
    spikes_per_neuron: float
    n_hidden: int | str
    is_long_enough: bool
    minutes: float
    memory_gb: float
    is_lower_limit: bool = False

    @property
    def sample_note(self) -> str:
        """How many neurons the components come from, if not from all."""
        return f" of {_MOST_NEURONS:,} neurons" if self.is_lower_limit else ""

    def __str__(self) -> str:
        return self.page()

    def page(self, code: str | None = None) -> str:
        """Write the suggested training; its last line is `code`, by default that of Python."""
        chosen = "more than the number of components; unused units are removed"
        rows = [("M", f"{self.n_hidden}", chosen if self.n_hidden == "auto" else "as asked")]
        rows += [
            ("lambda", "auto", "chosen by frames that the training keeps back"),
            ("updates", "auto", "as long as these frames say that it gains"),
        ]
        if self.minutes == self.minutes:  # not NaN
            gb = self.memory_gb
            size = f"{gb:.1f} GB" if gb >= 1 else f"{1000 * gb:.0f} MB"
            rule = f"{size}, measured here; slow chains take longer"
            rows.append(("cost", f"{self.minutes:.1f} min", rule))
        lines = [f"{name:<9}{value:<10}{rule}" for name, value, rule in rows]
        return "\n".join([*lines, code or self.code])

    @property
    def code(self) -> str:
        """The suggested training as a line of Python."""
        given = "" if self.n_hidden == "auto" else f"n_hidden={self.n_hidden}"
        return f"cl.CRBM({given}).fit(train)"

    def model(self, random_state: int | None = 0):
        """Return the suggested model, not yet fitted: a `crbm_lite.CRBM`."""
        from crbm_lite.model.model import CRBM

        return CRBM(n_hidden=self.n_hidden, random_state=random_state, progress=False)


def advise(
    recording: Recording,
    n_hidden: int | None = None,
    *,
    measure_cost: bool = True,
    random_state: int = 0,
) -> Advice:
    """Say what there is to be found, whether T suffices, and what a training costs here.

    Parameters
    ----------
    recording : Recording
    n_hidden : int, optional
        The M that you have in mind; by default the training chooses it.
    measure_cost : bool
        Whether to run a few updates on these spikes; True by default.
    random_state : int
        Default 0.

    Returns
    -------
    Advice

    Raises
    ------
    ValueError
        If n_hidden is not a positive integer.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(200, 4, (40, 50), 2000, n_unassigned=20)
    >>> advice = advise(recording, measure_cost=False)
    >>> advice.n_components, advice.n_hidden, advice.is_long_enough
    (4, 'auto', True)
    """
    if n_hidden is not None:
        n_hidden = as_count(n_hidden, "n_hidden")
    n_components, tau = signal_components(as_recording(recording), random_state)
    n_independent = recording.n_frames / (tau if n_components else 1.0)
    activity = float(recording.activity.mean())
    spikes_per_neuron = activity * recording.n_frames
    is_long_enough = (
        n_components > 0
        and n_independent >= INDEPENDENT_FRAMES
        and spikes_per_neuron >= SPIKES_PER_NEURON
    )
    is_lower_limit = recording.n_neurons - len(recording.constant_neurons) > _MOST_NEURONS
    minutes, memory_gb = float("nan"), float("nan")
    if measure_cost and recording.spikes.any():
        n_units = n_hidden or units_to_begin_with(n_components)
        n_updates = expected_updates(recording.n_neurons, n_units)
        minutes, memory_gb = measured_cost(recording, n_units, n_updates, {})
    return Advice(
        n_components, tau, n_independent, spikes_per_neuron, n_hidden or "auto",
        is_long_enough, minutes, memory_gb, is_lower_limit,
    )  # fmt: skip


def suggested_l1(n_frames: int, activity: float) -> float:
    """Suggest a lambda to set by hand, by the rule of the module, rounded to two digits.

    Parameters
    ----------
    n_frames : int
        Frames to train on.
    activity : float
        Mean spikes per neuron and frame.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If n_frames is no integer of 1 or more, or the activity is not from 0 to 1.

    Examples
    --------
    >>> suggested_l1(10_000, 0.05), suggested_l1(1_000_000, 0.05), suggested_l1(500, 0.4)
    (0.005, 0.00087, 0.02)
    """
    n_frames = as_count(n_frames, "n_frames")
    activity = as_number(activity, "activity", "the mean activity, from 0 to 1")
    if not 0 <= activity <= 1:
        raise ValueError(f"activity is {activity}: give the mean activity, from 0 to 1")
    error = np.sqrt(activity * (1 - activity) / n_frames)
    return float(f"{min(L1_PER_ACTIVITY * activity, L1_ERRORS * error, LARGEST_L1):.2g}")
