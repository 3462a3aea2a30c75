r"""What a simulation knows and a model must find: the planted assemblies.

Neuron i spikes in frame t with the probability

.. math:: p_i(t) = \sigma\bigl(b_i + \sum_k c_{ik}\, s_k(t)\bigr), \qquad
          \sigma(x) = \frac{1}{1 + e^{-x}},

where :math:`s_k(t) \in \{0, 1\}` says whether assembly k is active, :math:`b_i` is the neuron's
log-odds at rest and :math:`c_{ik}` is what assembly k adds to them: positive for a member,
negative where the assembly silences the neuron, zero elsewhere. Effects of overlapping assemblies
add up as log-odds. The states have their own slow dynamics and do not depend on the spikes, so this
is a directed model: a cRBM can approximate it but does not contain it.

``crbm_lite.validation.likelihood.nllh_given_probabilities(spikes, truth.probability)`` scores the
true probabilities (Eq. 18).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
from scipy.special import expit

from crbm_lite.checks.arguments import as_array, as_numbers
from crbm_lite.checks.sparse import as_sparse

__all__ = ["GroundTruth"]

# Numbers in one tile of probabilities: 2**22 float64 are 34 MB.
_TILE = 2**22


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The planted assemblies of a simulated recording.

    Parameters
    ----------
    base_logit : (N,) float64
        Log-odds of a spike when no assembly is active.
    effects : (N, K) scipy.sparse.csr_array of float64
        What an active assembly adds to a neuron's log-odds (signed).
    states : (T, K) bool
        Whether an assembly is active in a frame.
    names, kinds : tuple of K str
        The name of each assembly and what it is: "compact", "dispersed", "antiphasic", ...
    structure : (R, R) float64, optional
        The planted connectivity between regions, symmetric.
    structure_names : tuple of R str, optional
        The regions of `structure`.

    Examples
    --------
    >>> import crbm_lite.simulation.planted as planted
    >>> recording = planted.plant_recording(200, 4, size_range=(20, 30), n_frames=300,
    ...                                     n_unassigned=50, random_state=0)
    >>> truth = recording.truth
    >>> truth.membership.shape, truth.states.shape, truth.probability([0, 1]).shape
    ((200, 4), (300, 4), (2, 200))
    """

    base_logit: np.ndarray
    effects: scipy.sparse.csr_array
    states: np.ndarray
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    structure: np.ndarray | None = None
    structure_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        base = as_numbers(self.base_logit, "base_logit")
        effects = as_sparse(self.effects, "effects").astype(np.float64)
        states = as_array(self.states, "states").astype(bool)
        if not np.isfinite(effects.data).all():
            raise ValueError("effects holds NaN or infinity: give finite effects")
        if effects.shape[0] != base.size:
            raise ValueError(
                f"effects has {effects.shape[0]} rows but base_logit holds {base.size} neurons: "
                "give one row for each neuron"
            )
        if states.ndim != 2 or states.shape[1] != effects.shape[1]:
            raise ValueError(
                f"states has shape {states.shape}: give (T, K) with K = {effects.shape[1]} "
                "columns, as effects has"
            )
        for field in ("names", "kinds"):
            values = tuple(str(x) for x in getattr(self, field))
            if len(values) != effects.shape[1]:
                raise ValueError(
                    f"{field} has {len(values)} entries for {effects.shape[1]} "
                    "assemblies: give one each"
                )
            object.__setattr__(self, field, values)
        object.__setattr__(self, "base_logit", base)
        object.__setattr__(self, "effects", effects)
        object.__setattr__(self, "states", states)

    def __repr__(self) -> str:
        return (
            f"GroundTruth({self.n_assemblies} assemblies, {self.n_neurons} neurons, "
            f"{self.n_frames} frames)"
        )

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return self.effects.shape[0]

    @property
    def n_assemblies(self) -> int:
        """Number of planted assemblies K."""
        return self.effects.shape[1]

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return self.states.shape[0]

    @property
    def membership(self) -> np.ndarray:
        """(N, K) int8: 1 where the assembly excites the neuron, -1 where it silences it, else 0."""
        signs = self.effects.copy()
        signs.data = np.sign(signs.data)
        return signs.toarray().astype(np.int8)

    @property
    def unassigned(self) -> np.ndarray:
        """Indices of the neurons that no assembly touches."""
        return np.flatnonzero(np.diff(self.effects.indptr) == 0)

    def coupling_factor(self) -> tuple[np.ndarray, np.ndarray]:
        r"""Return the couplings that the assemblies make, as the factors and scales of Eq. 17.

        :math:`J_{ij} = \sum_k c_{ik} c_{jk} \mathrm{Var}(s_k)`: the planted effects stand where
        Eq. 17 has weights, and the planted states where it has hidden units.
        `crbm_lite.connectivity.regions.region_connectivity` averages J over regions. That is the
        most that a model of the spikes can find.

        Returns
        -------
        effects : (N, K) float64
        variance : (K,) float64
            Of the states over the frames.
        """
        return self.effects.toarray(), self.states.var(axis=0)

    def probability(self, frames: np.ndarray | slice | None = None) -> np.ndarray:
        """Compute the probability of a spike (the module's equation).

        Parameters
        ----------
        frames : (n,) int indices, bool mask or slice, optional
            The frames wanted; all of them if None (T x N numbers in memory: see `tiles`).

        Returns
        -------
        (n, N) float64
        """
        states = self.states if frames is None else self.states[frames]
        logit = self.effects @ states.T.astype(np.float64)
        logit += self.base_logit[:, None]
        return np.ascontiguousarray(expit(logit, out=logit).T)

    def tiles(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (frames, probability) for consecutive tiles of frames of bounded size."""
        step = max(1, _TILE // max(1, self.n_neurons))
        for start in range(0, self.n_frames, step):
            frames = slice(start, min(start + step, self.n_frames))
            yield frames, self.probability(frames)

    def select_neurons(self, neurons: np.ndarray) -> GroundTruth:
        """Keep some neurons (indices or mask); assemblies keep their columns."""
        return replace(self, base_logit=self.base_logit[neurons], effects=self.effects[neurons])

    def select_frames(self, frames: np.ndarray | slice) -> GroundTruth:
        """Keep some frames (indices, mask or slice)."""
        return replace(self, states=self.states[frames])
