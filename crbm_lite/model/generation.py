"""Frames that a cRBM generates: block Gibbs sampling with jumps (Eq. 8 and 11).

Jumps between the wells of the hidden units are proposed from the values that h takes in a few pilot
chains (`crbm_lite.core.jumps`), so that the chains that are saved stay exact.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import SpikesError, as_spikes
from crbm_lite.model.conditionals import Conditionals
from crbm_lite.training import hyperparameters

_PILOT_CHAINS, _PILOT_STEPS = 64, 50


class Generation(Conditionals):
    """The part of `crbm_lite.CRBM` that generates.

    Attributes
    ----------
    jump_every : int
        Gibbs steps from one sweep of jumps to the next; 0: none.
    chains_ : ndarray of uint8, shape (n_chains, N)
        The chains at the end of a training.
    """

    def sample(
        self,
        n_samples: int,
        *,
        n_chains: int = 300,
        n_steps: int = 20,
        burn_in: int = 100,
        start: object | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> np.ndarray:
        """Generate frames by block Gibbs sampling with jumps.

        Parameters
        ----------
        n_samples : int
            Frames wanted.
        n_chains : int
            Chains (at most ``n_samples``); every ``n_steps`` steps all of them are saved.
        n_steps : int
            Gibbs steps from one save to the next.
        burn_in : int
            Saves left out at the beginning.
        start : spikes (n_chains, N), optional
            Where the chains begin; without it at the end of training, or at independent neurons.
        random_state : int, numpy.random.Generator or None

        Returns
        -------
        ndarray of uint8, shape (n_samples, N)
            Save by save: the last ``n_chains`` rows are the chains' present state.

        Examples
        --------
        >>> import numpy as np
        >>> from crbm_lite import CRBM
        >>> pair = CRBM.from_parameters(np.full((2, 1), 3.0), [-6, -6], [1], [1], [0], [0])
        >>> v = pair.sample(1000, random_state=0)
        >>> bool((v[:, 0] == v[:, 1]).mean() > 0.9)
        True
        """
        units = self.units
        hyperparameters.check_sampling(n_samples, n_chains, n_steps, burn_in)
        rng = np.random.default_rng(random_state)
        n_chains = min(n_chains, n_samples)
        if start is None:
            start = self._starting_frames(n_chains, rng)
        first = as_spikes(start, "start", self.n_features_in_)
        if first.n_frames != n_chains:
            raise SpikesError(
                f"start has {first.n_frames} frames, but there are {n_chains} chains."
            )
        weights = np.ascontiguousarray(self.weights_, np.float32)
        fields = self.fields_.astype(np.float32)
        jump_every = self.jump_every
        chains = GibbsChains(*weights.shape, n_chains, int(rng.integers(2**63)), jump_every)
        chains.set_weights(weights)
        if jump_every:
            chains.propose_from(self._pilot_values(weights, fields, rng))
        chains.set_spikes(first.dense())
        chains.step(burn_in * n_steps, weights, fields, units.parameters)
        saves = []
        for _ in range(-(-n_samples // n_chains)):
            chains.step(n_steps, weights, fields, units.parameters)
            saves.append(chains.spikes())
        return np.concatenate(saves)[:n_samples]

    def _starting_frames(self, n_chains: int, rng: np.random.Generator) -> np.ndarray:
        if hasattr(self, "chains_"):
            return self.chains_[rng.integers(len(self.chains_), size=n_chains)]
        p = 1.0 / (1.0 + np.exp(-self.fields_))
        return (rng.random((n_chains, len(p))) < p).astype(np.uint8)

    def _pilot_values(
        self, weights: np.ndarray, fields: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Values of h (samples, M) in other chains, from which jumps are proposed."""
        pilot = GibbsChains(
            *weights.shape, _PILOT_CHAINS, int(rng.integers(2**63)), self.jump_every
        )
        pilot.set_weights(weights)
        pilot.set_spikes(self._starting_frames(_PILOT_CHAINS, rng))
        values = []
        for _ in range(_PILOT_STEPS // 5):
            pilot.step(5, weights, fields, self.units.parameters)
            values.append(self.units.sample(pilot.inputs(), rng))
        return np.concatenate(values)
