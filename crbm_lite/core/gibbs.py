"""Block Gibbs sampling of many chains: h given v, then v given h (Eq. 8 and 11 of the paper).

``GibbsChains`` owns the state of the chains and the packed weights. Training, generation and
annealed importance sampling all step such chains. The keys of the random numbers come from the seed
and the number of the step, so a run is a pure function of its seed.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.core import jumps
from crbm_lite.core.random_numbers import hash64
from crbm_lite.core.sample_hidden import sample_h_given_partial_input, sum_partial_input
from crbm_lite.core.sample_visible import (
    PackedRows,
    pack_rows,
    padded_chains,
    partial_input_given_batch,
    partial_input_given_v,
    sample_v_given_h,
    sample_v_given_h_dense,
    tile_rows,
)

__all__ = ["GibbsChains"]

_AUTO_JUMP_EVERY = 3  # steps
_MOST_OFFERED = 0.1  # share of the entries of W that a sweep weighs
_ALWAYS_OFFERED = 20_000  # entries
_DENSE_ABOVE = 0.25  # density of W from which reading it whole beats reading its packed rows
_WHOLE_FROM = 200_000  # entries of W; below, there is less to win than the kernels take to compile


class GibbsChains:
    """Chains of a cRBM on packed weights.

    Parameters
    ----------
    n_neurons, n_hidden, n_chains : int
    seed : int
        The 64-bit seed of the random numbers.
    jump_every : int or "auto", default 3
        The number of steps from one sweep of jumps (`crbm_lite.core.jumps`) to the next, in which
        all units jump; 0 for none. "auto" sweeps every third step, for the units that `jumping`
        names; at first it names none.

    Attributes
    ----------
    v : ndarray of uint8, shape (N, padded chains)
        The spikes of the chains; only the first ``n_chains`` columns count.
    packed_rows : PackedRows
        The weights that are not zero.
    partial_input : ndarray of float32, shape (tiles, n_chains, M)
        Each tile's part of the hidden inputs of ``v``.
    jumping : ndarray of bool, shape (M,)
        The units that jump. Where there is none, no sweep is made. Any choice is exact that does
        not follow from the present state of these chains.
    offers_all : bool
        Whether every sweep offers a jump to all units that jump, whatever that costs. With "auto"
        those of many units with many weights take turns at random.
    n_accepted : ndarray of int64, shape (M,)
        The number of jumps that each unit accepted in the last sweep.
    """

    def __init__(
        self, n_neurons: int, n_hidden: int, n_chains: int, seed: int, jump_every: int | str = 3
    ) -> None:
        self.n_chains = n_chains
        self.seed = np.uint64(seed)
        self.n_steps_done = 0
        self.rows_per_tile = tile_rows(n_neurons)
        n_tiles = -(-n_neurons // self.rows_per_tile)
        padded = padded_chains(n_chains)
        self.v = np.zeros((n_neurons, padded), np.uint8)
        self.partial_input = np.zeros((n_tiles, n_chains, n_hidden), np.float32)
        self._batch_input = np.empty((0, 0, n_hidden), np.float32)
        self._h = np.zeros((n_hidden, padded), np.float32)
        # the pages that are never touched cost no memory: two are filled as far as W is not zero
        self.packed_rows = PackedRows(
            np.zeros(n_neurons, np.int64),
            np.empty(n_neurons * n_hidden, np.uint16),
            np.empty(n_neurons * n_hidden, np.float32),
        )
        self.jump_every = _AUTO_JUMP_EVERY if jump_every == "auto" else jump_every
        self.offers_all = jump_every != "auto"
        self.jumping = np.full(n_hidden, jump_every not in (0, "auto"))
        self.proposal_counts = jumps.empty_counts(n_hidden)
        self._proposal = jumps.proposal_given_counts(self.proposal_counts)
        self._odds = np.empty((n_chains, n_neurons), np.float32)
        self.n_accepted = np.zeros(n_hidden, np.int64)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return len(self.v)

    @property
    def n_hidden(self) -> int:
        """Number of hidden units M."""
        return self.partial_input.shape[2]

    @property
    def is_dense(self) -> bool:
        """Whether few entries of W are zero."""
        return bool(self.packed_rows.n_nonzero.mean() > _DENSE_ABOVE * self.n_hidden)

    @property
    def reads_whole(self) -> bool:
        """Whether the steps read W whole: it is dense, and large."""
        return self.is_dense and self.n_neurons * self.n_hidden >= _WHOLE_FROM

    def set_weights(self, weights: np.ndarray) -> None:
        """Pack the entries of W (N, M) float32 that are not zero."""
        pack_rows(weights, self.rows_per_tile, self.packed_rows)

    def set_spikes(self, v: np.ndarray) -> None:
        """Start the chains from spikes v (n_chains, N) and compute their hidden inputs."""
        self.v[:, : self.n_chains] = v.T
        self.update_inputs()

    def joined_by(self, v: np.ndarray) -> GibbsChains:
        """Make chains of the same weights: these, and others that start from spikes v (chains, N).

        The packed weights are shared and the spikes are copies; the random numbers are new.
        """
        seed = int(hash64(self.seed, np.uint64(2 * self.n_steps_done)))
        shape = (self.n_neurons, self.n_hidden, self.n_chains + len(v))
        joined = GibbsChains(*shape, seed, self.jump_every)
        joined.packed_rows = self.packed_rows
        joined.offers_all, joined.jumping[:] = self.offers_all, self.jumping
        joined.proposal_counts[:] = self.proposal_counts
        joined._proposal = self._proposal
        joined.set_spikes(np.concatenate([self.spikes(), v]))
        return joined

    def propose_from(self, h: np.ndarray, keep: float = 0.0) -> None:
        """Propose jumps from the histogram of values h (samples, M) of the hidden units.

        ``keep`` is the share of the former counts that stays. The sampling is exact only if h does
        not come from these chains: take it from the data, or from other chains.
        """
        self.proposal_counts *= keep
        self.proposal_counts += (1.0 - keep) * jumps.empty_counts(self.n_hidden)
        jumps.count_values(h, self.proposal_counts)
        self._proposal = jumps.proposal_given_counts(self.proposal_counts)

    def update_inputs(self) -> None:
        """Compute the hidden inputs of the present spikes under the present weights."""
        partial_input_given_v(
            self.packed_rows, self.n_chains, self.rows_per_tile, self.v, self.partial_input
        )

    def spikes(self) -> np.ndarray:
        """Copy the chains' spikes: shape (n_chains, N), uint8."""
        return np.ascontiguousarray(self.v[:, : self.n_chains].T)

    def inputs(self) -> np.ndarray:
        """Sum the hidden inputs I = vW of the chains: shape (n_chains, M), float64."""
        out = np.empty((self.n_chains, self.n_hidden))
        sum_partial_input(self.partial_input, out)
        return out

    def batch_inputs(self, starts: np.ndarray, frames: np.ndarray, n_frames: int) -> np.ndarray:
        """Compute the hidden inputs (n_frames, M), float64, of a batch under the packed weights.

        Neuron i is active in the frames ``frames[starts[i]:starts[i + 1]]`` of the batch.
        """
        shape = (len(self.partial_input), n_frames, self.n_hidden)
        if self._batch_input.shape != shape:
            self._batch_input = np.empty(shape, np.float32)
        partial_input_given_batch(
            self.packed_rows, starts, frames, self.rows_per_tile, self._batch_input
        )
        out = np.empty(shape[1:])
        sum_partial_input(self._batch_input, out)
        return out

    def _offered(self, columns: jumps.Columns, key: np.uint64) -> np.ndarray:
        """Choose the units (M,) of a sweep: those that jump, or some of them at random.

        Of many units with many weights, a sweep takes only so many that it does not outweigh the
        Gibbs steps. The choice does not look at the chains.
        """
        n_entries = np.where(self.jumping, np.diff(columns.starts), 0)
        most = max(_MOST_OFFERED * self.n_neurons * self.n_hidden, _ALWAYS_OFFERED)
        if self.offers_all or n_entries.sum() <= most:
            return self.jumping
        order = np.random.default_rng(int(key)).permutation(np.flatnonzero(self.jumping))
        n_units = max(int((np.cumsum(n_entries[order]) <= most).sum()), 1)
        offered = np.zeros_like(self.jumping)
        offered[order[:n_units]] = True
        return offered

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
            The W that was packed. It is read only where it is dense and large.
        fields : ndarray of float32, shape (N,)
        potential : tuple of four float64 arrays, shape (M,)
            gamma_plus, gamma_minus, theta_plus, theta_minus of Eq. 13 (not centred).
        scale : float
            A factor on W, for annealing; 1 by default.
        """
        if self.reads_whole:
            sample_v, w = sample_v_given_h_dense, weights
        else:
            sample_v, w = sample_v_given_h, self.packed_rows
        columns = None
        for step in range(n_steps):
            jump = self.jumping.any() and self.n_steps_done % self.jump_every == 0
            key_h = np.uint64(hash64(self.seed, np.uint64(2 * self.n_steps_done)))
            key_v = np.uint64(hash64(self.seed, np.uint64(2 * self.n_steps_done + 1)))
            sample_h_given_partial_input(self.partial_input, scale, *potential, key_h, self._h)
            if jump:
                if columns is None:
                    columns = (
                        jumps.dense_columns_of(weights)
                        if self.reads_whole
                        else jumps.columns_of(self.packed_rows, self.rows_per_tile, self.n_hidden)
                    )
                key_jump = np.uint64(hash64(key_h, key_v))
                offered = self._offered(columns, key_jump)
                self.n_accepted = jumps.jump_sweep(
                    offered, fields, w, columns, self.rows_per_tile, self._proposal,
                    potential, scale, self.n_chains, key_jump, self._h, self._odds,
                )  # fmt: skip
            if scale != 1.0:
                self._h *= np.float32(scale)
            sample_v(
                fields, w, self._h, self.n_chains, self.rows_per_tile, key_v, step == n_steps - 1,
                self.v, self.partial_input,
            )  # fmt: skip
            self.n_steps_done += 1
