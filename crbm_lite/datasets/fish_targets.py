"""What a simulated fish was made to show: numbers of the paper beside those of its spikes.

No model is involved. The members of the assemblies are known here, so an assembly is read by the
mean activity of its members over two seconds, read once a second and scaled to a standard
deviation of 1.
The intervals follow the rules of the book's ledger: 0.1 about a share or a correlation, a third
about a time or a number of things, two standard deviations about a mean of animals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite.assemblies.dynamics import (
    compare_time_constants,
    hidden_states,
    n_active,
    principal_variance,
    time_constants_s,
)
from crbm_lite.assemblies.matching import symmetric_pairs
from crbm_lite.assemblies.members import (
    compactness,
    effective_regions,
    embedding,
    regional_occupancy,
)
from crbm_lite.checks.arguments import as_generator
from crbm_lite.connectivity.region_statistics import compare, log_normality, region_pairs
from crbm_lite.connectivity.regions import aggregate_regions, region_connectivity
from crbm_lite.recordings.recording import Recording

__all__ = ["Target", "assembly_traces", "fish_targets"]

_SHORTEST_TURN_S = 2.0
_MOST_OF_A_REGION = 30  # neurons of a region in the correlations: enough for its mean
_NEURONS_TIMED = 3000


@dataclass(frozen=True)
class Target:
    """A number of the paper and its counterpart.

    Parameters
    ----------
    quantity : str
    paper, source : str
        The paper's number, and where it stands.
    low, high : float
        What is accepted.
    measured : float
    how : str
        "spikes", "members and spikes" or "truth": what the number was computed from.
    planted : bool
        Whether the simulation aims at it; otherwise it is what comes out (default True).
    """

    quantity: str
    paper: str
    source: str
    low: float
    high: float
    measured: float
    how: str
    planted: bool = True

    @property
    def holds(self) -> bool:
        """Whether the number lies within what is accepted."""
        return bool(self.low <= self.measured <= self.high)


def assembly_traces(recording: Recording) -> np.ndarray:
    """Read each assembly by its members, once a second, in standard deviations.

    Parameters
    ----------
    recording : Recording
        With ``truth``.

    Returns
    -------
    (S, K) float64
        Mean activity over two seconds, about every second: every ``round(rate_hz)`` frames.
        0 throughout for an assembly without members or whose members are silent.

    Raises
    ------
    ValueError
        If the recording has no truth.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> assembly_traces(plant_recording(200, 4, (20, 30), 300, 50)).std(axis=0)
    array([1., 1., 1., 1.])
    """
    from scipy.ndimage import uniform_filter1d

    member = _members(recording).astype(np.float32)
    member /= np.maximum(member.sum(axis=0), 1)
    width = max(1, round(2 * recording.rate_hz))
    mean = np.concatenate([part @ member for part in np.array_split(recording.spikes, 64)])
    trace = uniform_filter1d(mean.astype(np.float64), width, axis=0)[:: _step(recording)]
    sd = trace.std(axis=0)
    return np.divide(trace, sd, out=np.zeros_like(trace), where=sd > 0)


def fish_targets(recording: Recording, random_state: int = 0) -> tuple[Target, ...]:
    """Measure a simulated fish against the paper.

    Parameters
    ----------
    recording : Recording
        As `crbm_lite.datasets.fish.simulate_fish` gives it; the simulated larva goes, too.
    random_state : int
        Seed of the shuffles and of the neurons that stand for a region (default 0).

    Returns
    -------
    tuple of Target

    Raises
    ------
    ValueError
        If the recording has no truth with a structure, no labels or no coordinates.
    """
    truth = getattr(recording, "truth", None)
    if truth is None or truth.structure is None or recording.labels is None:
        raise ValueError("recording has no truth, structure or labels: give one of simulate_fish")
    rng = as_generator(random_state)
    return (
        *_of_recording(recording),
        *_of_members(recording, rng),
        *_of_dynamics(recording),
        *_of_regions(recording, rng),
    )


def _step(recording: Recording) -> int:
    return max(1, round(recording.rate_hz))


def _members(recording: Recording) -> np.ndarray:
    if recording.truth is None:
        raise ValueError("recording has no truth: give a simulated one")
    return recording.truth.membership > 0


def _of_recording(recording: Recording) -> list[Target]:
    spikes = "spikes"
    return [
        Target("frames per second", "3.9 (s.d. 0.8)", "Methods", 2.3, 5.5,
               recording.rate_hz, spikes),
        Target("duration, s", "1,514 (s.d. 238)", "Methods", 1038, 1990,
               recording.duration_s, spikes),
        Target("mean activity", "not given (0.02 to 0.05 here)", "Fig. 2C", 0.02, 0.05,
               float(recording.activity.mean()), spikes),
    ]  # fmt: skip


def _of_members(recording: Recording, rng: np.random.Generator) -> list[Target]:
    member = _members(recording)
    weights = member.astype(np.float64)
    regions = effective_regions(weights, recording.labels)
    tectum = [
        k for k, name in enumerate(recording.label_names) if name.lower().startswith("tectum")
    ]
    in_tectum = regional_occupancy(weights, recording.labels)[tectum].sum(axis=0) > 0.5
    kinds = np.array(recording.truth.kinds)
    _, p = compactness(member[:, kinds != "dispersed"], recording.coordinates, 50, rng)
    pairs = symmetric_pairs(weights, recording.coordinates).pairs
    return [
        Target("share of neurons in an assembly", "0.93 to 0.94", "2-S4", 0.83, 1.0,
               embedding(weights), "truth"),
        Target("regions of an assembly, median", "3 [2 to 6]", "2-S6", 2.0, 6.0,
               float(np.nanmedian(regions)), "truth"),
        Target("assemblies in the tectum", "about 18", "Fig. 3", 12, 24,
               int(in_tectum.sum()), "truth"),
        Target("compact, of assemblies not planted as dispersed", "shown", "Fig. 3", 0.5, 1.0,
               float(np.mean(p < 0.05)), "truth"),
        Target("mirror pairs of assemblies", "shown", "Fig. 3, Video 1", 1, np.inf,
               len(pairs), "truth"),
    ]  # fmt: skip


def _of_dynamics(recording: Recording) -> list[Target]:
    traces = assembly_traces(recording)
    states = hidden_states(traces)
    variance = principal_variance(traces)
    active = np.nanmedian(n_active(traces, states.inactive_peak)) / traces.shape[1]
    step = -(-recording.n_neurons // _NEURONS_TIMED)
    units_s = time_constants_s(states.active, recording.rate_hz / _step(recording))
    neurons_s = time_constants_s(recording.spikes[:, ::step], recording.rate_hz)
    slow, fast, p = compare_time_constants(units_s, neurons_s)
    how = "members and spikes"
    return [
        Target("share of assemblies that are on, median", "0.26", "2-S3, Methods", 0.16, 0.36,
               float(np.median(recording.truth.states.mean(axis=1))), "truth"),
        Target("m/M, median", "0.26", "2-S3, Methods", 0.16, 0.36, float(active), how),
        *(
            Target(f"variance in {n} components", str(share), "Fig. 4D", share - 0.1, share + 0.1,
                   float(variance[min(n, len(variance)) - 1]), how)
            for n, share in ((3, 0.52), (10, 0.73), (25, 0.85))
        ),
        Target("turn of the antiphasic pair, s", "about 15", "Fig. 4", 10.0, 20.0,
               _turn_s(traces, recording), how),
        Target("log10 P, assemblies against neurons in time", "below -16", "Fig. 4F", -np.inf, -16,
               float(np.log10(max(p, 1e-300))), how),
        Target("time of assemblies over that of neurons", "above 1", "Fig. 4F", 1.0, np.inf,
               slow / fast, how),
    ]  # fmt: skip


def _turn_s(traces: np.ndarray, recording: Recording) -> float:
    """Average the time for which one of the antiphasic pair is ahead of the other."""
    one, other = np.flatnonzero(np.array(recording.truth.kinds) == "antiphasic")
    ahead = traces[:, one] > traces[:, other]
    turns_s = np.diff(np.flatnonzero(np.diff(ahead))) * _step(recording) / recording.rate_hz
    return float(turns_s[turns_s > _SHORTEST_TURN_S].mean())  # shorter ones are noise in a pause


def _of_regions(recording: Recording, rng: np.random.Generator) -> list[Target]:
    truth, labels = recording.truth, recording.labels
    used = np.flatnonzero(labels.sum(axis=0) >= 2)
    axons = truth.structure[np.ix_(used, used)]
    planted = region_connectivity(*truth.coupling_factor(), labels).values[np.ix_(used, used)]
    result = compare(planted, axons, within=False)
    shape = log_normality(planted[region_pairs(len(used), within=False)])
    spikes = {
        name: compare(matrix[np.ix_(used, used)], axons, within=False).spearman_r
        for name, matrix in _of_pairs(recording, rng).items()
    }
    return [
        Target("planted couplings and structure, r_S", "0.39, 0.30 without self-pairs", "Fig. 6C",
               0.29, 0.49, result.spearman_r, "truth"),
        Target("log10 P, pairs with and without structure", "below -15", "Fig. 6", -np.inf, -15,
               float(np.log10(max(result.ks_p, 1e-300))), "truth"),
        Target("log-normal over normal, nats per pair", "log-normal", "Fig. 5D", 0.0, np.inf,
               shape.gain_over_normal, "truth"),
        Target("correlation and structure, r_S", "0.26", "6-S1", 0.16, 0.36,
               spikes["correlation"], "spikes", False),
        Target("covariance and structure, r_S", "0.18", "6-S1", 0.08, 0.28,
               spikes["covariance"], "spikes", False),
    ]  # fmt: skip


def _of_pairs(recording: Recording, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Average |correlation| and |covariance| over pairs of neurons of every two regions."""
    labels = recording.labels
    some = [rng.permutation(np.flatnonzero(member))[:_MOST_OF_A_REGION] for member in labels.T]
    some = np.unique(np.concatenate(some))
    x = recording.spikes[:, some].astype(np.float32)
    x -= x.mean(axis=0)
    covariance = x.T @ x / len(x)
    sd = np.sqrt(np.diag(covariance))
    sd = np.where(sd > 0, sd, 1.0)
    matrices = {"covariance": covariance, "correlation": covariance / np.outer(sd, sd)}
    return {
        name: aggregate_regions(matrix.astype(np.float64), labels[some]).values
        for name, matrix in matrices.items()
    }
