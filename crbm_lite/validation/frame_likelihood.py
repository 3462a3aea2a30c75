r"""The log-likelihood of whole frames: log P(v), normalisation included, with an interval.

For a cRBM :math:`\log P(v) = g \cdot v + \sum_\mu \Gamma_\mu(I_\mu) - \log Z`, and only Z is hard.
It is estimated by annealed importance sampling (AIS, Neal 2001) in both directions. The path goes
from independent neurons with the data's activity to the model,

.. math:: L_\beta(v) = \bigl[(1 - \beta)\, g^0 + \beta g\bigr] \cdot v
          + \sum_\mu \Gamma_\mu(\beta I_\mu), \qquad 0 \le \beta \le 1,

with :math:`D_k = L_{\beta_{k+1}} - L_{\beta_k}` and A the sum of the D of a chain along the path.

- Forward, from independent draws: :math:`\langle e^A \rangle = Z_1 / Z_0`. The estimate of log Z is
  too low on average (Jensen).
- Reverse, from equilibrium draws of the model, the same path backwards (Burda, Grosse &
  Salakhutdinov 2015): :math:`\langle e^{-A} \rangle = Z_0 / Z_1`. The estimate is too high on
  average.
- Both together, by Bennett's acceptance ratio: :math:`\Delta = \log Z_1 / Z_0` solves
  :math:`\sum_F \sigma(A - \Delta) = \sum_R \sigma(\Delta - A)`. It needs every reverse move to be
  the reversed forward move, so the hidden units jump in the reversed order.

Where the two directions disagree the annealing was too fast, and no number is returned. The reverse
direction is an upper bound only if its chains start in equilibrium. That is tested in two ways:
chains from the data and chains from the annealing must have the same mean free energy, and the
probabilities of distinct frames may not add up to more than 1.

A neuron without weights is independent of all others. Its share of log Z is log(1 + e^g) exactly,
so it does not take part in the sampling.

Other models bring a path of their own (`AnnealingPath`), such as `crbm_lite.baselines.ising.Ising`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, logsumexp

from crbm_lite.checks.arguments import as_count, as_generator, as_number
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes, as_spikes, spikes_of_model

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = [
    "AnnealedChains",
    "AnnealingPath",
    "FrameLikelihood",
    "LikelihoodRefused",
    "LogPartition",
    "field_at",
    "log_likelihood",
]

_N_BOOTSTRAP = 200  # resamplings of the chains, for standard errors
_MOST_STANDARD_ERRORS = 4.0  # between free energies that should agree
_EVERY = 10  # steps from one look at the free energies to the next


class LikelihoodRefused(RuntimeError):
    """The normalisation is not known well enough to give a likelihood."""


@dataclass(frozen=True)
class LogPartition:
    """Log Z of a model, from annealing in both directions, in nats.

    Attributes
    ----------
    value : float
        Bennett's estimate from both directions.
    standard_error : float
        Standard error of `value`, from resampled chains.
    lower, upper : float
        Forward estimate minus, and reverse estimate plus, two standard errors.
    gap : float
        Reverse estimate minus forward estimate.
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    gap: float


@dataclass(frozen=True, eq=False)
class FrameLikelihood:
    """Log-likelihood of whole frames, in nats per frame.

    Attributes
    ----------
    per_frame : (T,) float64
        log P(v) of every frame.
    mean : float
        Average over the frames.
    interval : (float, float)
        Ends of the mean that the ends of log Z give. This error is common to all frames: more
        frames do not make it smaller.
    log_partition : LogPartition
    """

    per_frame: np.ndarray = field(repr=False)
    mean: float
    interval: tuple[float, float]
    log_partition: LogPartition


class AnnealedChains(Protocol):
    """Chains of a model that is faded in from independent neurons, beta = 0, to beta = 1."""

    def step(self, beta: float, n_steps: int = 1) -> None:
        """Move every chain by steps that leave P_beta as it is."""

    def log_weight(self, *betas: float) -> list[np.ndarray]:
        """L_beta of the present states, (n_chains,) for each beta."""

    def spikes(self) -> np.ndarray:
        """Copy the present states, (n_chains, n) uint8."""


class AnnealingPath(Protocol):
    """What a model has to offer so that its Z can be estimated.

    Attributes
    ----------
    neurons : (n,) int
        The neurons that depend on others; only these are sampled.
    base_fields : (n,) float64
        Their log-odds at beta = 0.
    log_z_at_start : float
        Log Z at beta = 0, of these neurons and all hidden units.
    log_z_of_others : float
        Log Z of the neurons that are not sampled.
    """

    neurons: np.ndarray
    base_fields: np.ndarray
    log_z_at_start: float
    log_z_of_others: float

    def log_weight_of_frames(self, spikes: Spikes) -> np.ndarray:
        """Log P(v) + log Z of the model itself, for frames of all neurons, (T,)."""

    def chains(self, v: np.ndarray, seed: int, reverse: bool = False) -> AnnealedChains:
        """Start chains at v (n_chains, n); `reverse` makes each move the reversed one."""


def field_at(beta: float, base_fields: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Fields on the path: those of independent neurons at beta = 0, the model's at 1."""
    return (1.0 - beta) * base_fields + beta * fields


class _CRBMPath:
    """The path of a cRBM; see `AnnealingPath`."""

    def __init__(self, model: CRBM, base_fields: np.ndarray, frames: np.ndarray, rng) -> None:
        self.model, self.units = model, model.units
        connected = (model.weights_ != 0).any(axis=1)
        fields = np.asarray(model.fields_, np.float64)
        self.neurons, self.fields = np.flatnonzero(connected), fields[connected]
        self.base_fields = base_fields[connected]
        self.weights = np.ascontiguousarray(model.weights_[connected], np.float32)
        hidden = self.units.cumulant(np.zeros((1, self.units.n_hidden))).sum()
        self.log_z_at_start = float(np.logaddexp(0.0, self.base_fields).sum() + hidden)
        self.log_z_of_others = float(np.logaddexp(0.0, fields[~connected]).sum())
        inputs = frames[:, connected] @ self.weights.astype(np.float64)
        self.proposals = self.units.sample(inputs, rng)

    def log_weight_of_frames(self, spikes: Spikes) -> np.ndarray:
        return -np.asarray(self.model.free_energy(spikes), np.float64)

    def chains(self, v: np.ndarray, seed: int, reverse: bool = False) -> _CRBMChains:
        return _CRBMChains(self, v, seed, reverse)


class _CRBMChains:
    """Block Gibbs steps with a sweep of jumps in each."""

    def __init__(self, path: _CRBMPath, v: np.ndarray, seed: int, reverse: bool) -> None:
        self.path = path
        self.order = slice(None, None, -1 if reverse else 1)  # of the units, in a sweep of jumps
        self.weights = np.ascontiguousarray(path.weights[:, self.order])
        self.potential = tuple(np.ascontiguousarray(x[self.order]) for x in path.units.parameters)
        self.gibbs = GibbsChains(*path.weights.shape, len(v), seed, jump_every=1)
        self.gibbs.set_weights(self.weights)
        self.gibbs.propose_from(path.proposals[:, self.order])
        self.gibbs.set_spikes(v)

    def step(self, beta: float, n_steps: int = 1) -> None:
        fields = field_at(beta, self.path.base_fields, self.path.fields).astype(np.float32)
        self.gibbs.step(n_steps, self.weights, fields, self.potential, scale=beta)

    def log_weight(self, *betas: float) -> list[np.ndarray]:
        v, inputs = self.spikes().astype(np.float64), self.gibbs.inputs()[:, self.order]
        return [
            v @ field_at(beta, self.path.base_fields, self.path.fields)
            + self.path.units.cumulant(beta * inputs).sum(axis=1)
            for beta in betas
        ]

    def spikes(self) -> np.ndarray:
        return self.gibbs.spikes()


def log_likelihood(
    model: object,
    v: object,
    *,
    max_gap: float = 1.0,
    n_chains: int = 200,
    n_temperatures: int = 1000,
    burn_in: int = 500,
    random_state: int | np.random.Generator | None = None,
) -> FrameLikelihood:
    """Estimate log P(v) of every frame, or refuse.

    Parameters
    ----------
    model : CRBM or Ising
        Or any model with a method ``annealing_path(base_fields)`` that returns an `AnnealingPath`.
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Frames, for instance test frames. Their activity is where the path begins.
    max_gap : float
        Largest difference of the forward and the reverse estimate of log Z that is accepted, in
        nats (default 1). Take less than the differences that you want to report.
    n_chains : int
        Chains in each direction (default 200).
    n_temperatures : int
        Steps of the path (default 1,000). The gap falls like one over it.
    burn_in : int
        Steps that bring chains to equilibrium before they go backwards (default 500).
    random_state : int, Generator or None

    Returns
    -------
    FrameLikelihood

    Raises
    ------
    LikelihoodRefused
        If the two directions disagree by more than `max_gap`, or the chains that should be in
        equilibrium are not. The message names the gap.
    ValueError
        If `v` is not binary or does not fit the model, the model is not fitted or of another kind,
        or an option is out of range.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> model = CRBM.from_parameters([[1.0], [2.0]], [-1.0, -1.0], [1.0], [1.0], [0.0], [0.0])
    >>> found = log_likelihood(model, [[0, 0], [1, 1]], n_temperatures=100, random_state=0)
    >>> exact = -model.free_energy([[0, 0], [1, 1]]) - model.log_partition("exact")
    >>> bool(abs(found.per_frame - exact).max() < 0.1)
    True
    """
    n_temperatures = as_count(n_temperatures, "n_temperatures")
    burn_in = as_count(burn_in, "burn_in")
    n_chains = as_count(n_chains, "n_chains", 4)
    max_gap = as_number(max_gap, "max_gap", "the nats that are accepted", positive=True)
    rng = as_generator(random_state)
    spikes = spikes_of_model(model, v)
    if not (hasattr(model, "annealing_path") or hasattr(model, "fields_")):
        raise ValueError(f"model is a {type(model).__name__}: give a CRBM or an Ising")
    n_frames = spikes.n_frames
    base_fields = logit((spikes.activity() * n_frames + 0.5) / (n_frames + 1.0))
    frames = spikes.dense(rng.choice(n_frames, n_chains, replace=n_chains > n_frames))
    if hasattr(model, "annealing_path"):
        path = model.annealing_path(base_fields)
    else:
        as_spikes(spikes, "v", len(model.fields_))
        path = _CRBMPath(model, base_fields, frames, rng)
    log_weight = path.log_weight_of_frames(spikes)
    exact = path.log_z_at_start + path.log_z_of_others
    if path.neurons.size:
        annealing = _sandwich(path, frames[:, path.neurons], n_temperatures, burn_in, rng)
        found = _combined(*annealing, max_gap, n_temperatures, rng)
    else:
        found = LogPartition(0.0, 0.0, 0.0, 0.0, 0.0)
    log_z = LogPartition(
        found.value + exact, found.standard_error, found.lower + exact, found.upper + exact,
        found.gap,
    )  # fmt: skip
    _check_sum_of_probabilities(spikes, log_weight, log_z)
    mean = float(log_weight.mean())
    return FrameLikelihood(
        per_frame=log_weight - log_z.value,
        mean=mean - log_z.value,
        interval=(mean - log_z.upper, mean - log_z.lower),
        log_partition=log_z,
    )


def _sandwich(
    path: AnnealingPath,
    frames: np.ndarray,
    n_temperatures: int,
    burn_in: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of D of chains that walk the path forwards, and of others that walk it backwards."""
    betas = np.linspace(0.0, 1.0, n_temperatures + 1)
    half = len(frames) // 2

    def seed() -> int:
        return int(rng.integers(2**63))

    forward = path.chains(rng.random(frames.shape) < expit(path.base_fields), seed())
    works_up = _works(forward, betas)
    pilot = path.chains(np.concatenate([frames[:half], forward.spikes()[half:]]), seed())
    _equilibrate(pilot, half, burn_in)
    backward = path.chains(pilot.spikes(), seed(), reverse=True)
    return works_up, _works(backward, betas, reverse=True)


def _works(chains: AnnealedChains, betas: np.ndarray, reverse: bool = False) -> np.ndarray:
    """Walk the path from its one end to the other and sum D along it, (n_chains,)."""
    total = 0.0
    pairs = list(zip(betas[:-1], betas[1:], strict=True))
    for before, after in reversed(pairs) if reverse else pairs:
        if reverse:
            chains.step(after)
        low, high = chains.log_weight(before, after)
        total = total + (high - low)
        if not reverse:
            chains.step(after)
    return total


def _equilibrate(chains: AnnealedChains, half: int, burn_in: int) -> None:
    """Let chains run; refuse if those that start from the data and the others stay apart."""
    energies = []
    for step in range(0, burn_in, _EVERY):
        chains.step(1.0, min(_EVERY, burn_in - step))
        energies.append(chains.log_weight(1.0)[0])
    late = np.mean(energies[len(energies) // 2 :], axis=0)  # one average per chain
    first, second = late[:half], late[half:]
    error = np.sqrt(first.var(ddof=1) / first.size + second.var(ddof=1) / second.size)
    difference = abs(first.mean() - second.mean())
    if difference > _MOST_STANDARD_ERRORS * error + 1e-9:
        raise LikelihoodRefused(
            f"the mean log-weight of chains from the data and of annealed chains differs by "
            f"{difference:.2f} nats, {difference / error:.1f} standard errors, after {burn_in} "
            "steps: raise burn_in, or the model does not mix"
        )


def _combined(
    works_up: np.ndarray,
    works_down: np.ndarray,
    max_gap: float,
    n_temperatures: int,
    rng: np.random.Generator,
) -> LogPartition:
    """Estimate log Z_1 / Z_0 from both directions; refuse where they disagree."""

    def estimates(up: np.ndarray, down: np.ndarray) -> tuple[float, float, float]:
        low = logsumexp(up) - np.log(up.size)
        high = np.log(down.size) - logsumexp(-down)

        def excess(delta: float) -> float:
            return expit(up - delta).sum() - expit(delta - down).sum()

        ends = min(up.min(), down.min()) - 50.0, max(up.max(), down.max()) + 50.0
        return low, high, brentq(excess, *ends)

    low, high, value = estimates(works_up, works_down)
    n = works_up.size
    again = [
        estimates(works_up[rng.integers(n, size=n)], works_down[rng.integers(n, size=n)])
        for _ in range(_N_BOOTSTRAP)
    ]
    error_low, error_high, error = np.std(again, axis=0, ddof=1)
    gap = high - low
    if abs(gap) > max_gap:
        raise LikelihoodRefused(
            f"forward and reverse estimates of log Z differ by {gap:.2f} nats, more than max_gap = "
            f"{max_gap:g}: raise n_temperatures (now {n_temperatures:,}), or ask for less"
        )
    return LogPartition(
        value=float(value),
        standard_error=float(error),
        lower=float(min(low - 2 * error_low, value - 2 * error)),
        upper=float(max(high + 2 * error_high, value + 2 * error)),
        gap=float(gap),
    )


def _check_sum_of_probabilities(
    spikes: Spikes, log_weight: np.ndarray, log_z: LogPartition
) -> None:
    """Refuse if distinct frames have more than the whole probability even at the upper end."""
    bits = np.packbits(spikes.dense(), axis=1)
    distinct = np.unique(bits, axis=0, return_index=True)[1]
    # Where the frames hold nearly all of the probability, chance puts the sum above the upper end,
    # two standard errors away, once in some sixty models; twice as far it does not.
    excess = float(logsumexp(log_weight[distinct])) - log_z.upper - 2.0 * log_z.standard_error
    if excess > 1e-6:
        raise LikelihoodRefused(
            f"the probabilities of the distinct frames add up to e^{excess:.2f}, more than 1: the "
            "chains that went backwards were not in equilibrium, raise burn_in"
        )
