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
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, logsumexp

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import as_spikes

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["FrameLikelihood", "LikelihoodRefused", "LogPartition", "log_likelihood"]

_N_BOOTSTRAP = 200  # resamplings of the chains, for standard errors
_MOST_STANDARD_ERRORS = 4.0  # between free energies that should agree
_EVERY = 10  # steps from one look at the free energies to the next


class LikelihoodRefused(RuntimeError):
    """The normalisation is not known well enough to give a likelihood."""


@dataclass(frozen=True)
class LogPartition:
    """Log Z of a cRBM, from annealing in both directions, in nats.

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
    """Log-likelihood of whole frames under a cRBM, in nats per frame.

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


class _Path:
    """The path from independent neurons to the model, for the neurons that have weights."""

    def __init__(self, model: CRBM, activity: np.ndarray, neurons: np.ndarray) -> None:
        self.units = model.units
        self.weights = np.ascontiguousarray(model.weights_[neurons], np.float32)
        self.fields = np.asarray(model.fields_, np.float64)[neurons]
        self.base_fields = logit(activity[neurons])

    def fields_at(self, beta: float) -> np.ndarray:
        return (1.0 - beta) * self.base_fields + beta * self.fields

    def log_weight(self, v: np.ndarray, inputs: np.ndarray, beta: float) -> np.ndarray:
        """L_beta of states v (n, N), whose hidden inputs are I (n, M)."""
        return v @ self.fields_at(beta) + self.units.cumulant(beta * inputs).sum(axis=1)

    def log_z_at_start(self) -> float:
        hidden = self.units.cumulant(np.zeros((1, self.units.n_hidden))).sum()
        return float(np.logaddexp(0.0, self.base_fields).sum() + hidden)


class _Chains:
    """Chains that walk along a path; `reverse` makes every move the reversed one."""

    def __init__(
        self, path: _Path, v: np.ndarray, proposals: np.ndarray, seed: int, reverse: bool = False
    ) -> None:
        order = slice(None, None, -1 if reverse else 1)  # of the hidden units, in a sweep of jumps
        self.path = path
        self.weights = np.ascontiguousarray(path.weights[:, order])
        self.potential = tuple(np.ascontiguousarray(x[order]) for x in path.units.parameters)
        self.order = order
        self.chains = GibbsChains(*path.weights.shape, len(v), seed, jump_every=1)
        self.chains.set_weights(self.weights)
        self.chains.propose_from(proposals[:, order])
        self.chains.set_spikes(v)

    def step(self, beta: float, n_steps: int = 1) -> None:
        fields = self.path.fields_at(beta).astype(np.float32)
        self.chains.step(n_steps, self.weights, fields, self.potential, scale=beta)

    def log_weight(self, *betas: float) -> list[np.ndarray]:
        v, inputs = self.chains.spikes().astype(np.float64), self.chains.inputs()[:, self.order]
        return [self.path.log_weight(v, inputs, beta) for beta in betas]

    def works(self, betas: np.ndarray, reverse: bool = False) -> np.ndarray:
        """Walk the path from its one end to the other and sum D along it, (n,)."""
        total = np.zeros(self.chains.n_chains)
        pairs = list(zip(betas[:-1], betas[1:], strict=True))
        for before, after in reversed(pairs) if reverse else pairs:
            if reverse:
                self.step(after)
            low, high = self.log_weight(before, after)
            total += high - low
            if not reverse:
                self.step(after)
        return total


def log_likelihood(
    model: CRBM,
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
    model : CRBM
        Fitted, or made by `CRBM.from_parameters`.
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
        Gibbs steps, with jumps, that bring chains to equilibrium before they go backwards
        (default 500).
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
        If `v` is not binary or does not fit the model, or an option is out of range.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> model = CRBM.from_parameters([[1.0], [2.0]], [-1.0, -1.0], [1.0], [1.0], [0.0], [0.0])
    >>> found = log_likelihood(model, [[0, 0], [1, 1]], n_temperatures=100, random_state=0)
    >>> exact = -model.free_energy([[0, 0], [1, 1]]) - model.log_partition("exact")
    >>> bool(abs(found.per_frame - exact).max() < 0.1)
    True
    """
    for name, value in (("n_temperatures", n_temperatures), ("burn_in", burn_in)):
        if value < 1:
            raise ValueError(f"{name} is {value}: give at least 1")
    if n_chains < 4:
        raise ValueError(f"n_chains is {n_chains}: give at least 4")
    if not max_gap > 0:
        raise ValueError(f"max_gap is {max_gap}: give a positive number of nats")
    rng = np.random.default_rng(random_state)
    spikes = as_spikes(v, "v", len(model.fields_))
    log_weight = -np.asarray(model.free_energy(spikes), np.float64)
    connected = np.flatnonzero((model.weights_ != 0).any(axis=1))
    alone = np.delete(np.asarray(model.fields_, np.float64), connected)
    rest = float(np.logaddexp(0.0, alone).sum())
    if connected.size:
        found = _sandwich(model, spikes, connected, n_chains, n_temperatures, burn_in, max_gap, rng)
        log_z = LogPartition(
            found.value + rest, found.standard_error, found.lower + rest, found.upper + rest,
            found.gap,
        )  # fmt: skip
    else:
        exact = rest + float(model.units.cumulant(np.zeros((1, model.units.n_hidden))).sum())
        log_z = LogPartition(exact, 0.0, exact, exact, 0.0)
    _check_sum_of_probabilities(spikes, log_weight, log_z)
    mean = float(log_weight.mean())
    return FrameLikelihood(
        per_frame=log_weight - log_z.value,
        mean=mean - log_z.value,
        interval=(mean - log_z.upper, mean - log_z.lower),
        log_partition=log_z,
    )


def _sandwich(
    model: CRBM, spikes, connected, n_chains, n_temperatures, burn_in, max_gap, rng
) -> LogPartition:
    """Log Z of the connected neurons and the hidden units."""
    activity = (spikes.activity() * spikes.n_frames + 0.5) / (spikes.n_frames + 1.0)
    path = _Path(model, activity, connected)
    betas = np.linspace(0.0, 1.0, n_temperatures + 1)
    data = rng.choice(spikes.n_frames, n_chains, replace=n_chains > spikes.n_frames)
    data = spikes.dense(data)[:, connected]
    proposals = path.units.sample(data @ path.weights.astype(np.float64), rng)

    def seed() -> int:
        return int(rng.integers(2**63))

    drawn = rng.random(data.shape) < expit(path.base_fields)
    forward = _Chains(path, drawn, proposals, seed())
    works_up = forward.works(betas)
    half = n_chains // 2
    starts = np.concatenate([data[:half], forward.chains.spikes()[half:]])
    pilot = _Chains(path, starts, proposals, seed())
    _equilibrate(pilot, half, burn_in)
    backward = _Chains(path, pilot.chains.spikes(), proposals, seed(), reverse=True)
    works_down = backward.works(betas, reverse=True)
    return _combined(works_up, works_down, path.log_z_at_start(), max_gap, n_temperatures, rng)


def _equilibrate(chains: _Chains, half: int, burn_in: int) -> None:
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


def _combined(works_up, works_down, start, max_gap, n_temperatures, rng) -> LogPartition:
    """Both directions and Bennett's estimate, with errors from resampled chains."""

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
        value=float(start + value),
        standard_error=float(error),
        lower=float(start + min(low - 2 * error_low, value - 2 * error)),
        upper=float(start + max(high + 2 * error_high, value + 2 * error)),
        gap=float(gap),
    )


def _check_sum_of_probabilities(spikes, log_weight: np.ndarray, log_z: LogPartition) -> None:
    """Refuse if distinct frames have more than the whole probability even at the upper end."""
    bits = np.packbits(spikes.dense(), axis=1)
    distinct = np.unique(bits, axis=0, return_index=True)[1]
    excess = float(logsumexp(log_weight[distinct])) - log_z.upper
    if excess > 1e-6:
        raise LikelihoodRefused(
            f"the probabilities of the distinct frames add up to e^{excess:.2f}, more than 1: the "
            "chains that went backwards were not in equilibrium, raise burn_in"
        )
