"""Block Gibbs sampling of many chains: h given v, then v given h (Eq. 8 and 11 of the paper).

``GibbsChains`` owns the state of the chains and the packed weights; training, generation and
annealed importance sampling all step it. Keys of the random numbers come from (seed, step), so a
run is a pure function of its seed.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads

from crbm_lite.core import jumps
from crbm_lite.core import sample_hidden as hidden_sampling
from crbm_lite.core import sample_visible as kernels
from crbm_lite.core.random_numbers import hash64

_DENSE_ABOVE = 0.25  # density of W from which reading it whole beats reading its packed rows


class GibbsChains:
    """Chains of a cRBM on packed weights.

    Parameters
    ----------
    n_neurons, n_hidden, n_chains : int
    seed : int
        64-bit seed of the random numbers.
    jump_every : int
        Steps from one sweep of jumps (`crbm_lite.core.jumps`) to the next; 0 for none.

    Attributes
    ----------
    v : ndarray of uint8, shape (N, padded chains)
        Spikes of the chains; only the first ``n_chains`` columns count.
    """

    def __init__(
        self, n_neurons: int, n_hidden: int, n_chains: int, seed: int, jump_every: int = 3
    ) -> None:
        self.n_chains = n_chains
        self.seed = np.uint64(seed)
        self.n_steps_done = 0
        self.rows_a_tile = kernels.tile_rows(n_neurons)
        n_tiles = -(-n_neurons // self.rows_a_tile)
        padded = kernels.padded_chains(n_chains)
        self.v = np.zeros((n_neurons, padded), np.uint8)
        self.partial_input = np.zeros((n_tiles, n_chains, n_hidden), np.float32)
        self._batch_input = np.empty((0, 0, n_hidden), np.float32)
        self._h = np.zeros((n_hidden, padded), np.float32)
        # untouched pages of these two cost no memory: they are filled as far as W is non-zero
        self.row_nnz = np.zeros(n_neurons, np.int64)
        self.columns = np.empty(n_neurons * n_hidden, np.uint16)
        self.values = np.empty(n_neurons * n_hidden, np.float32)
        self.jump_every = jump_every
        self.proposal_counts = jumps.empty_counts(n_hidden)
        self._proposal = jumps.proposal_given_counts(self.proposal_counts)
        n_blocks = jumps.blocks_of_chains(padded, get_num_threads())
        self._odds = np.empty((n_blocks, n_neurons, padded // n_blocks), np.float32)
        self.n_accepted = np.zeros(n_hidden, np.int64)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.row_nnz)

    @property
    def n_hidden(self) -> int:
        """Number of hidden units M."""
        return self.partial_input.shape[2]

    @property
    def is_dense(self) -> bool:
        """Whether W has so many non-zero entries that it is read whole."""
        return bool(self.row_nnz.mean() > _DENSE_ABOVE * self.n_hidden)

    @property
    def packed_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row_nnz, columns, values): the non-zero weights, neuron by neuron."""
        return self.row_nnz, self.columns, self.values

    def set_weights(self, weights: np.ndarray) -> None:
        """Pack the non-zero entries of W (N, M) float32."""
        kernels.pack_rows(weights, self.rows_a_tile, *self.packed_rows)

    def set_spikes(self, v: np.ndarray) -> None:
        """Start the chains from spikes v (n_chains, N) and compute their hidden inputs."""
        self.v[:, : self.n_chains] = v.T
        self.update_inputs()

    def joined_by(self, v: np.ndarray) -> GibbsChains:
        """Chains of the same weights: these, and others that start from spikes v (chains, N).

        The packed weights are shared, the spikes are copies; random numbers are new.
        """
        seed = int(hash64(self.seed, np.uint64(2 * self.n_steps_done)))
        shape = (self.n_neurons, self.n_hidden, self.n_chains + len(v))
        joined = GibbsChains(*shape, seed, self.jump_every)
        joined.row_nnz, joined.columns, joined.values = self.packed_rows
        joined.proposal_counts[:] = self.proposal_counts
        joined._proposal = self._proposal
        joined.set_spikes(np.concatenate([self.spikes(), v]))
        return joined

    def propose_from(self, h: np.ndarray, keep: float = 0.0) -> None:
        """Propose jumps from the histogram of values h (samples, M) of the hidden units.

        ``keep`` is the share of the former counts that stays. For an exact sampler h must not come
        from these chains: take it from the data, or from other chains.
        """
        self.proposal_counts *= keep
        self.proposal_counts += (1.0 - keep) * jumps.empty_counts(self.n_hidden)
        jumps.count_values(h, self.proposal_counts)
        self._proposal = jumps.proposal_given_counts(self.proposal_counts)

    def update_inputs(self) -> None:
        """Hidden inputs of the present spikes under the present weights."""
        kernels.input_given_visible(
            *self.packed_rows, self.n_chains, self.rows_a_tile, self.v, self.partial_input
        )

    def spikes(self) -> np.ndarray:
        """Copy of the chains' spikes, shape (n_chains, N), uint8."""
        return np.ascontiguousarray(self.v[:, : self.n_chains].T)

    def inputs(self) -> np.ndarray:
        """Hidden inputs I = vW of the chains, shape (n_chains, M), float64."""
        out = np.empty((self.n_chains, self.n_hidden))
        hidden_sampling.sum_shares(self.partial_input, out)
        return out

    def batch_inputs(self, starts: np.ndarray, frames: np.ndarray, n_frames: int) -> np.ndarray:
        """Hidden inputs (n_frames, M) float64 of a batch of data under the packed weights.

        Neuron i is active in the frames ``frames[starts[i]:starts[i + 1]]`` of the batch.
        """
        shape = (len(self.partial_input), n_frames, self.n_hidden)
        if self._batch_input.shape != shape:
            self._batch_input = np.empty(shape, np.float32)
        kernels.input_given_batch(
            *self.packed_rows, starts, frames, self.rows_a_tile, self._batch_input
        )
        out = np.empty(shape[1:])
        hidden_sampling.sum_shares(self._batch_input, out)
        return out

    def step(
        self,
        n_steps: int,
        weights: np.ndarray,
        fields: np.ndarray,
        potential: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        scale: float = 1.0,
    ) -> None:
        """Advance every chain by ``n_steps`` block Gibbs steps.

        Parameters
        ----------
        n_steps : int
        weights : ndarray of float32, shape (N, M)
            The W that was packed; read only where it is dense.
        fields : ndarray of float32, shape (N,)
        potential : tuple of four float64 arrays, shape (M,)
            gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13 (not centred).
        scale : float
            Factor on W, for annealing.
        """
        dense = self.is_dense
        columns = None
        for _ in range(n_steps):
            jump = self.jump_every and self.n_steps_done % self.jump_every == 0
            key_h = np.uint64(hash64(self.seed, np.uint64(2 * self.n_steps_done)))
            key_v = np.uint64(hash64(self.seed, np.uint64(2 * self.n_steps_done + 1)))
            hidden_sampling.sample_hidden(self.partial_input, scale, *potential, key_h, self._h)
            if jump:
                if columns is None:
                    columns = jumps.columns_of(*self.packed_rows, self.rows_a_tile, self.n_hidden)
                key_jump = np.uint64(hash64(key_h, key_v))
                self.n_accepted = jumps.jump_sweep(
                    fields, columns, self._proposal, potential, scale, self.n_chains, key_jump,
                    self._h, self._odds,
                )  # fmt: skip
            if scale != 1.0:
                self._h *= np.float32(scale)
            shared = (self._h, self.n_chains, self.rows_a_tile, key_v, self.v)
            if dense:
                kernels.sample_visible_dense(fields, weights, *shared, self.partial_input)
            else:
                kernels.sample_visible(fields, *self.packed_rows, *shared, self.partial_input)
            self.n_steps_done += 1
