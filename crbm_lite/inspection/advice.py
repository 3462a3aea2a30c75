r"""What to train on a recording: M, lambda, updates, and what that will cost here.

**Components.** Neurons are standardised, and the eigenvalues of their correlation matrix are held
against those of the same spikes with every neuron shifted in time by an amount of its own (around
the ends), which keeps rates and rhythms and destroys what neurons share. Components above the
largest eigenvalue of eight such shifts and above the edge for independent frames (Marchenko &
Pastur 1967), :math:`(1 + \sqrt{N / T})^2`, count as signal.

**Correlation time.** With :math:`\rho_k` the autocorrelation of a component at lag k frames, T
frames are worth :math:`T / \tau` independent ones, :math:`\tau = 1 + 2 \sum_k \rho_k`, the sum
taken up to where :math:`\rho_k` first falls below 0.05; the median over the components.

**lambda.** The penalty is held against covariances of neurons with hidden units of unit variance,
and those of a member grow with its activity: a tenth of the mean activity p is a small part of
them. In T frames they are known to a standard error of :math:`\sqrt{p (1 - p) / T}`: more than four
of these are not needed against noise. And 0.02 at most, the paper's.

**Rules**, from 213 short trainings on planted recordings of 100 to 3,000 neurons, 500 to 4,000
frames and 1, 3 or 8 % activity (``python -m benchmarks.advice``): where T is worth 170 independent
frames and neurons spike 50 times, the components are as many as the assemblies, and M = 1.4 times
as many units found them all. From 50 spikes a neuron on, the rule for lambda reached nine tenths of
the best nLLH or more. With 40 of them, at 1 % activity, 23 of 30 assemblies were found with 100 to
1,000 neurons, and 20 of 20 with 3,000. From 1,200 updates to 2,400 the nLLH gained less than a
twentieth. Recordings whose units overlap in most of their neurons (waves) need several times more.

**Cost.** See `crbm_lite.inspection.cost`: a few updates on these very spikes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.inspection.cost import measured_cost
from crbm_lite.recordings.controls import shift_time
from crbm_lite.recordings.files import Recording

__all__ = ["TRAINING", "signal_components"]

# The rules were measured with these; the rest are CRBM's defaults.
TRAINING = {"n_gibbs": 6, "final_learning_rate": 1e-4, "ramp": 0.5}
# Rules held against benchmarks/advice.csv by tests/inspection/test_advice.py.
HIDDEN_PER_COMPONENT = 1.4
L1_PER_ACTIVITY, L1_ERRORS, LARGEST_L1 = 0.1, 4.0, 0.02
INDEPENDENT_FRAMES, SPIKES_PER_NEURON = 170, 50
N_UPDATES = 1200
_MOST_NEURONS = 1000
_N_SHIFTS = 8


def signal_components(
    recording: Recording, random_state: int | np.random.Generator = 0
) -> tuple[int, float]:
    """Count the components above the noise, and measure how long they last.

    Of more than 1,000 neurons a random 1,000 are used, which can only lose components.

    Parameters
    ----------
    recording : Recording
    random_state : int or numpy.random.Generator
        For the shifts and the subsample.

    Returns
    -------
    n_components : int
    correlation_frames : float
        tau of the module's docstring; NaN without components.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> recording = plant_recording(200, 4, (40, 50), 2000, n_unassigned=20)
    >>> signal_components(recording)[0]
    4
    """
    rng = np.random.default_rng(random_state)
    spikes = recording.spikes
    varies = np.flatnonzero(~np.isin(np.arange(recording.n_neurons), recording.constant_neurons))
    if varies.size > _MOST_NEURONS:
        varies = np.sort(rng.choice(varies, _MOST_NEURONS, replace=False))
    if varies.size < 2:
        return 0, float("nan")
    z = _standardised(spikes[:, varies])
    values, vectors = np.linalg.eigh(z.T @ z / len(z))
    largest = [(1 + np.sqrt(varies.size / len(z))) ** 2]
    for _ in range(_N_SHIFTS):
        shifted = _standardised(shift_time(spikes[:, varies], rng).toarray())
        largest.append(float(np.linalg.eigvalsh(shifted.T @ shifted / len(z))[-1]))
    signal = values > max(largest)
    if not signal.any():
        return 0, float("nan")
    block = np.searchsorted(recording.discontinuities, np.arange(len(z)), side="right")
    times = [_correlation_frames(z @ v, block) for v in vectors.T[signal]]
    return int(signal.sum()), float(np.median(times))


def _standardised(spikes: np.ndarray) -> np.ndarray:
    z = spikes.astype(np.float32)
    z -= z.mean(axis=0)
    # a neuron of a few spikes must not dominate
    return z / np.maximum(z.std(axis=0), np.sqrt(3.0 / len(z)))


def _correlation_frames(x: np.ndarray, block: np.ndarray) -> float:
    """Integrated correlation time of a trace; frames of different blocks are not compared."""
    x = np.asarray(x - x.mean(), dtype=np.float64)
    variance, total = np.mean(x**2), 1.0
    for lag in range(1, len(x) // 2):
        together = block[lag:] == block[:-lag]
        if not together.any():
            break
        rho = np.mean(x[lag:][together] * x[:-lag][together]) / variance
        if rho < 0.05:
            break
        total += 2 * rho
    return total


@dataclass(frozen=True)
class Advice:
    """What to train, by which rule, and what it costs here.

    Parameters
    ----------
    n_components : int
        Components above the noise.
    correlation_frames, n_independent, spikes_per_neuron : float
        tau in frames, T / tau, and T times the mean activity.
    n_hidden, l1, n_updates : int, float, int
        Suggested M (or the one asked about), lambda and updates.
    is_long_enough : bool
        Whether T suffices for M.
    minutes, memory_gb : float
        Of such a training on this machine, measured; NaN if not measured.
    is_lower_limit : bool
        Whether the components are those of 1,000 random neurons: all of them may show more.
    """

    n_components: int
    correlation_frames: float
    n_independent: float
    spikes_per_neuron: float
    n_hidden: int
    l1: float
    n_updates: int
    is_long_enough: bool
    minutes: float
    memory_gb: float
    is_lower_limit: bool = False

    @property
    def usual_n_hidden(self) -> int:
        """The suggested M, whatever was asked about."""
        return max(2, round(HIDDEN_PER_COMPONENT * self.n_components))

    @property
    def of_neurons(self) -> str:
        """Of which neurons the components are, if not of all."""
        return f" of {_MOST_NEURONS:,} neurons" if self.is_lower_limit else ""

    def __str__(self) -> str:
        usual = f"{HIDDEN_PER_COMPONENT} x {self.n_components} components{self.of_neurons}"
        if self.n_hidden != self.usual_n_hidden:
            usual = f"as asked; {usual} make {self.usual_n_hidden}"
        elif self.is_lower_limit:
            usual += ": take more, all neurons show more"
        rows = [
            ("M", f"{self.n_hidden}", usual),
            ("lambda", f"{self.l1:g}", "a tenth of the activity, at most four errors of cov(v, h)"),
            ("updates", f"{self.n_updates}", "planted assemblies; several times more for waves"),
        ]
        if self.minutes == self.minutes:  # not NaN
            gb = self.memory_gb
            size = f"{gb:.1f} GB" if gb >= 1 else f"{1000 * gb:.0f} MB"
            rule = f"{size}, measured here, dense weights"
            rows.append(("cost", f"{self.minutes:.1f} min", rule))
        lines = [f"{name:<9}{value:<10}{rule}" for name, value, rule in rows]
        return "\n".join([*lines, self.code])

    @property
    def code(self) -> str:
        """The suggested model as Python."""
        given = {"n_hidden": self.n_hidden, "l1": self.l1, "n_updates": self.n_updates}
        chosen, fixed = (", ".join(f"{k}={v!r}" for k, v in d.items()) for d in (given, TRAINING))
        return f"cl.CRBM({chosen},\n        {fixed})"

    def model(self, random_state: int | None = 0):
        """Return the suggested model, not yet fitted: a `crbm_lite.CRBM`."""
        from crbm_lite.model.model import CRBM

        return CRBM(
            n_hidden=self.n_hidden, l1=self.l1, n_updates=self.n_updates,
            random_state=random_state, progress=False, **TRAINING,
        )  # fmt: skip


def advise(
    recording: Recording,
    n_hidden: int | None = None,
    *,
    measure_cost: bool = True,
    random_state: int = 0,
) -> Advice:
    """Suggest M, lambda and updates by the measured rules, and measure what they cost here.

    Parameters
    ----------
    recording : Recording
    n_hidden : int, optional
        M that you have in mind; by default the suggested one.
    measure_cost : bool
        Whether to run a few updates on these spikes.
    random_state : int

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
    (4, 6, True)
    """
    if n_hidden is not None and not (isinstance(n_hidden, int | np.integer) and n_hidden > 0):
        raise ValueError(f"n_hidden is {n_hidden!r}: give a positive integer")
    n_components, tau = signal_components(recording, random_state)
    if n_hidden is None:
        n_hidden = max(2, round(HIDDEN_PER_COMPONENT * n_components))
    n_independent = recording.n_frames / (tau if n_components else 1.0)
    activity = float(recording.activity.mean())
    spikes_per_neuron = activity * recording.n_frames
    is_long_enough = (
        n_components > 0
        and n_independent >= INDEPENDENT_FRAMES
        and spikes_per_neuron >= SPIKES_PER_NEURON
    )
    l1 = suggested_l1(recording.n_frames, activity)
    is_lower_limit = recording.n_neurons - len(recording.constant_neurons) > _MOST_NEURONS
    minutes, memory_gb = float("nan"), float("nan")
    if measure_cost and recording.spikes.any():
        minutes, memory_gb = measured_cost(recording, n_hidden, N_UPDATES, TRAINING)
    return Advice(
        n_components, tau, n_independent, spikes_per_neuron, int(n_hidden), l1, N_UPDATES,
        is_long_enough, minutes, memory_gb, is_lower_limit,
    )  # fmt: skip


def suggested_l1(n_frames: int, activity: float) -> float:
    """The rule for lambda, rounded to two digits.

    Parameters
    ----------
    n_frames : int
        Frames to train on.
    activity : float
        Mean spikes per neuron and frame.

    Returns
    -------
    float

    Examples
    --------
    >>> suggested_l1(10_000, 0.05), suggested_l1(1_000_000, 0.05), suggested_l1(500, 0.4)
    (0.005, 0.00087, 0.02)
    """
    error = np.sqrt(activity * (1 - activity) / n_frames)
    return float(f"{min(L1_PER_ACTIVITY * activity, L1_ERRORS * error, LARGEST_L1):.2g}")
