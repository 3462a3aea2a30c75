r"""Jumps between the wells of a hidden unit, on the accelerator: `crbm_lite.core.jumps` in JAX.

The move and its equations are those of `crbm_lite.core.jumps`, for all chains at once and one
hidden unit after the other. W is read whole here, and a small program runs for each unit that
jumps, so a sweep costs about as many passes over (chains, N) as there are such units. Where many
jump, it is dearer on a GPU than the Gibbs steps between two sweeps; a larger ``jump_every`` (or 0)
makes training faster there. This module is imported only where JAX is asked for.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from crbm_lite.core import jumps

__all__ = ["count_values", "jump_sweep"]

_EDGES, _N_BINS = jumps.BIN_EDGES, jumps.N_BINS


def _bin_of(h: jax.Array) -> jax.Array:
    return jnp.floor((jnp.arcsinh(h) + jumps.REACH) / jumps.BIN_WIDTH).astype(jnp.int32)


def count_values(h: jax.Array) -> jax.Array:
    """Count asinh(h) in bins, (M, bins), for values h (samples, M)."""
    b = _bin_of(h)
    inside = (b >= 0) & (b < _N_BINS)
    units = jnp.broadcast_to(jnp.arange(h.shape[1]), h.shape)
    counts = jnp.zeros((h.shape[1], _N_BINS))
    return counts.at[units, jnp.where(inside, b, _N_BINS)].add(1.0, mode="drop")


def _proposal(counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute `crbm_lite.core.jumps.proposal_given_counts`."""
    share = counts / counts.sum(axis=1, keepdims=True)
    share = (1.0 - jumps.EVEN_SHARE) * share + jumps.EVEN_SHARE / _N_BINS
    cumulative = jnp.cumsum(share, axis=1)
    return cumulative / cumulative[:, -1:], jnp.log(share / jnp.diff(_EDGES))


def _potential(h: jax.Array, potential: jax.Array) -> jax.Array:
    gamma_plus, gamma_minus, theta_plus, theta_minus = potential
    up, down = jnp.maximum(h, 0.0), jnp.minimum(h, 0.0)
    return (0.5 * gamma_plus * up + theta_plus) * up + (
        0.5 * gamma_minus * down + theta_minus
    ) * down


def jump_sweep(
    jumping: jax.Array,
    key: jax.Array,
    h: jax.Array,
    logits: jax.Array,
    weights: jax.Array,
    potential: jax.Array,
    counts: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Offer one jump to those hidden units of every chain that jump, in the order of the units.

    Parameters
    ----------
    jumping : bool (M,)
    key : random key
    h : float32 (chains, M)
    logits : float32 (chains, N)
        Fields plus h W'.
    weights : float32 (N, M)
    potential : float64 (4, M)
    counts : float64 (M, bins)
        Histogram from which the jumps are proposed.

    Returns
    -------
    h, logits : as given, after the jumps
    """
    cumulative, log_density = _proposal(counts)
    n_hidden = h.shape[1]
    u = jax.random.uniform(key, (3, *h.shape), jnp.float64)
    b = (cumulative[None] < u[0][..., None]).sum(axis=2)
    b = jnp.minimum(b, _N_BINS - 1)
    edges = jnp.asarray(_EDGES)
    proposed = (edges[b] + (edges[b + 1] - edges[b]) * u[1]).astype(jnp.float32)

    def log_proposal(x: jax.Array) -> jax.Array:
        b = _bin_of(x.astype(jnp.float64))
        inside = (b >= 0) & (b < _N_BINS)
        found = log_density[jnp.arange(n_hidden), jnp.clip(b, 0, _N_BINS - 1)]
        return jnp.where(inside, found, -jnp.inf)

    old64, new64 = h.astype(jnp.float64), proposed.astype(jnp.float64)
    threshold = (
        jnp.log(u[2])
        - _potential(old64, potential) + _potential(new64, potential)
        - log_proposal(h) + log_proposal(proposed)
    )  # fmt: skip

    columns = weights.T  # rows of it lie together
    order = jnp.argsort(~jumping)  # those that jump, then the others

    def offer(k: jax.Array, carry: tuple) -> tuple:
        h, logits = carry
        mu = order[k]
        w = lax.dynamic_index_in_dim(columns, mu, keepdims=False)
        step = lax.dynamic_index_in_dim(proposed - h, mu, axis=1, keepdims=False)
        moved = logits + step[:, None] * w
        gain = jax.nn.softplus(moved) - jax.nn.softplus(logits)
        gain = gain.astype(jnp.float64).sum(axis=1)
        accept = lax.dynamic_index_in_dim(threshold, mu, axis=1, keepdims=False) < gain
        logits = jnp.where(accept[:, None], moved, logits)
        taken = accept[:, None] & (jnp.arange(n_hidden) == mu)
        return jnp.where(taken, proposed, h), logits

    return lax.fori_loop(0, jumping.sum(), offer, (h, logits))
