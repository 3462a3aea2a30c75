r"""One training update as a pure function of device arrays: what XLA compiles into one program.

The equations are those of the plain update, `crbm_lite.core.reference`. The neurons are the axis
that is split over several devices. Along it only sums are taken, the largest of them the inputs

.. math:: I_{c\mu} = \sum_i v_{ci} w_{i\mu}

of the chains, one (chains, M) sum in each Gibbs step. Random numbers of neurons are a hash of
(step, chain, neuron), so they do not depend on the split. Large arrays are float32; potentials,
fields, moments and sums are float64. This module is imported only where JAX is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from crbm_lite.core import persistence
from crbm_lite.core.reference import (
    LEAST_GAMMA,
    MAX_ASYMMETRY,
    VARIANCE_RATE,
    Rates,
    unit_variance_scale,
)
from crbm_lite.training import coordinates as co
from crbm_lite.training import update_kernels as kernels
from crbm_lite.training.accelerator.drelu import cumulant, hidden_statistics, sample
from crbm_lite.training.accelerator.jumps import count_values, jump_sweep
from crbm_lite.training.trainer import HISTOGRAM_DECAY

__all__ = [
    "HiddenValues",
    "Settings",
    "State",
    "averaged",
    "effective_share",
    "gibbs_steps",
    "hidden_gradient",
    "hidden_inputs",
    "joined_batch",
    "logits_given_h",
    "move_weights",
    "one_update",
    "potential_given",
    "sample_neurons",
    "weight_gradient",
]

# the names of `Parameters`, v, counts, n_steps, and those of `persistence.begin_watch`
State = dict[str, jax.Array]


@dataclass(frozen=True)
class Settings:
    """Say what is compiled into the program."""

    n_gibbs: int
    jump_every: int  # steps; 0 for no jumps
    holds_potential: bool = False  # where values of h are data, too


class HiddenValues(NamedTuple):
    """Values of h that are data, too: `crbm_lite.training.hidden_term.HiddenTerm` on the device.

    Attributes
    ----------
    h : float32 (n, M)
        Those of an update.
    statistics : float64 (rows, M)
        Of all values.
    share : float64
        What log P(h) counts.
    """

    h: jax.Array
    statistics: jax.Array
    share: jax.Array

    def mixed(self, given_v: jax.Array, given_h: jax.Array) -> jax.Array:
        """Weigh a mean with v given and the same mean with h given."""
        return (1.0 - self.share) * given_v + self.share * given_h


def _dot(a: jax.Array, b: jax.Array, axes: tuple[int, int]) -> jax.Array:
    """Sum over one axis of each, in full float32."""
    return lax.dot_general(
        a, b, (((axes[0],), (axes[1],)), ((), ())), precision=lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )  # fmt: skip


def hidden_inputs(v: jax.Array, weights: jax.Array) -> jax.Array:
    """Compute I = v W (frames, M) float32: a sum over neurons, and over devices."""
    return _dot(v.astype(weights.dtype), weights, (1, 0))


def logits_given_h(h: jax.Array, weights: jax.Array, fields: jax.Array) -> jax.Array:
    """Compute the log-odds g + h W' (chains, N) float32 of the neurons."""
    return _dot(h, weights, (1, 1)) + fields.astype(jnp.float32)


def _hash32(counter: jax.Array, key0: jax.Array, key1: jax.Array) -> jax.Array:
    """`crbm_lite.core.random_numbers.hash32`."""

    def scrambled(x: jax.Array) -> jax.Array:
        x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
        x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
        return x ^ (x >> 16)

    return scrambled(scrambled(counter + key0) ^ key1)


def sample_neurons(logits: jax.Array, key: jax.Array, dtype: object) -> jax.Array:
    """Draw spikes (chains, N) with these log-odds."""
    n_chains, n_neurons = logits.shape
    keys = jax.random.bits(key, (2, n_chains, 1), jnp.uint32)
    bits = _hash32(lax.iota(jnp.uint32, n_neurons)[None], *keys)
    u = bits.astype(jnp.float32) * jnp.float32(2.0**-32)
    return (u < jax.nn.sigmoid(logits)).astype(dtype)


def potential_given(hidden: jax.Array, offset: jax.Array) -> jax.Array:
    """Compute `crbm_lite.core.reference.potential_given_coordinates`."""
    gamma, eta, delta = jnp.exp(hidden[co.LOG_GAMMA]), hidden[co.ETA], hidden[co.DELTA]
    centre = hidden[co.THETA] + offset
    plus, minus = 1.0 + eta, 1.0 - eta
    theta_plus, theta_minus = centre + delta / jnp.sqrt(plus), centre - delta / jnp.sqrt(minus)
    return jnp.stack([gamma / plus, gamma / minus, theta_plus, theta_minus])


def gibbs_steps(
    v: jax.Array,
    n_steps: jax.Array,
    weights: jax.Array,
    fields: jax.Array,
    potential: jax.Array,
    counts: jax.Array,
    jumping: jax.Array,
    key: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Take ``n_gibbs`` steps; return v (chains, N), the inputs (chains, M) and the steps done.

    ``n_steps`` counts the steps since the beginning: with the key it gives the random numbers.
    ``jumping`` (M,) says which units jump; where there is none, no sweep is made.
    """

    def jumped(h: jax.Array, logits: jax.Array, key: jax.Array) -> jax.Array:
        return jump_sweep(jumping, key, h, logits, weights, potential, counts)[1]

    def step(carry: tuple, _: None) -> tuple:
        _, inputs, n_steps = carry
        key_h, key_v, key_jump = jax.random.split(jax.random.fold_in(key, n_steps), 3)
        h = sample(inputs.astype(jnp.float64), potential, key_h).astype(jnp.float32)
        logits = logits_given_h(h, weights, fields)
        if settings.jump_every:
            now = jumping.any() & (n_steps % settings.jump_every == 0)
            logits = lax.cond(now, jumped, lambda _, x, __: x, h, logits, key_jump)
        v = sample_neurons(logits, key_v, jnp.float32)
        return (v, hidden_inputs(v, weights), n_steps + 1), None

    v = v.astype(jnp.float32)
    begin = (v, hidden_inputs(v, weights), n_steps)
    return lax.scan(step, begin, length=settings.n_gibbs)[0]


def hidden_gradient(data: jax.Array, model: jax.Array, kappa: jax.Array) -> jax.Array:
    """Compute `crbm_lite.training.update_kernels.potential_gradient`, (4, M)."""
    difference = (data - model)[jnp.array(
        [kernels.UP_SQUARE, kernels.DOWN_SQUARE, kernels.UP, kernels.DOWN])]  # fmt: skip
    slopes = jnp.array([-0.5, -0.5, -1.0, -1.0])[:, None]
    return slopes * difference - kappa * data[kernels.VAR_GAMMA_PLUS :]


def weight_gradient(
    v_data: jax.Array, h_data: jax.Array, v: jax.Array, h_chains: jax.Array, centre: jax.Array
) -> jax.Array:
    """Compute the centred gradient (N, M) float32; h_data and h_chains are over their numbers."""
    drift = h_data.sum(axis=0) - h_chains.sum(axis=0)
    both = jnp.concatenate([v_data.astype(jnp.float32), v.astype(jnp.float32)])
    h = jnp.concatenate([h_data, -h_chains]).astype(jnp.float32)
    return _dot(both, h, (0, 0)) - jnp.outer(centre, drift).astype(jnp.float32)


def joined_batch(
    term: HiddenValues, v_data: jax.Array, h_data: jax.Array, s: State, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Join frames of the data, and v drawn from P(v|h) with the term's h, which count as it says.

    Returns
    -------
    v : (batch + n, N)
    h : float64 (batch + n, M)
        As `weight_gradient` takes it.
    mean_v : float64 (N,)
        Of the drawn v.
    """
    logits = logits_given_h(term.h, s["weights"], s["fields"])
    v = sample_neurons(logits, key, v_data.dtype)
    h = (term.h - s["mean_h"]) / len(term.h)
    mean_v = v.astype(jnp.float32).mean(axis=0).astype(jnp.float64)
    joined = jnp.concatenate([(1.0 - term.share) * h_data, term.share * h])
    return jnp.concatenate([v_data, v]), joined, mean_v


def move_weights(
    s: State, gradient: jax.Array, scale: jax.Array, rates: Rates
) -> tuple[State, jax.Array]:
    """Make the RMSprop step with an exact soft threshold.

    A weight at zero waits for its averaged gradient. ``scale`` (M,) rescales W first.

    Returns
    -------
    moved : dict
        The weights and their running means.
    field_shift : float32 (N,)
        What the fields have to give for it, by which <v> stays where it is.
    """
    share = (1.0 - rates.beta2).astype(jnp.float32)
    rates = Rates(*(x.astype(jnp.float32) for x in rates))
    square = rates.beta2 * s["weight_square"] + share * gradient**2
    average = rates.average_decay * s["weight_average"] + (1.0 - rates.average_decay) * gradient
    step = rates.learning_rate / (jnp.sqrt(square * rates.bias_correction) + rates.epsilon)
    old = s["weights"] * scale.astype(jnp.float32)
    target = old + step * jnp.where(old == 0.0, average, gradient)
    penalty = step * jnp.where(old == 0.0, rates.l1_at_zero, rates.l1)
    new = jnp.sign(target) * jnp.maximum(jnp.abs(target) - penalty, 0.0)
    new = jnp.where(old * target >= 0.0, new, 0.0)  # it passes through zero only by stopping there
    field_shift = ((new - old) * s["mean_h"].astype(jnp.float32)).sum(axis=1)
    return {"weights": new, "weight_square": square, "weight_average": average}, field_shift


def _moved(
    x: jax.Array, square: jax.Array, slope: jax.Array, rates: Rates
) -> tuple[jax.Array, jax.Array]:
    """One step of fields or potentials, and the running mean of their squared slopes."""
    square = rates.beta2 * square + (1.0 - rates.beta2) * slope**2
    root = jnp.sqrt(square * rates.bias_correction) + rates.epsilon
    return x + rates.field_rate * slope / root, square


def _moved_potentials(
    s: State, gradient: jax.Array, scale: jax.Array, rates: Rates
) -> dict[str, jax.Array]:
    """One step of the potentials' coordinates, within their bounds, and h divided by the scale."""
    to_eq13 = partial(potential_given, offset=s["offset"])
    (slope,) = jax.vjp(to_eq13, s["hidden"])[1](gradient)
    hidden, square = _moved(s["hidden"], s["hidden_square"], slope, rates)
    log_gamma, eta, theta, delta = hidden
    log_gamma = jnp.maximum(log_gamma, jnp.log(LEAST_GAMMA)) + 2.0 * jnp.log(scale)
    eta = jnp.clip(eta, -MAX_ASYMMETRY, MAX_ASYMMETRY)
    hidden = jnp.stack([log_gamma, eta, theta * scale, delta * scale])
    return {"hidden": hidden, "hidden_square": square}


@partial(jax.jit, static_argnames="settings", donate_argnums=0)
def one_update(
    s: State,
    activity: jax.Array,
    data: jax.Array,
    frames: jax.Array,
    rates: jax.Array,
    key: jax.Array,
    settings: Settings,
    term: HiddenValues | None = None,
) -> tuple[State, jax.Array]:
    """Move the parameters and the chains once.

    Parameters
    ----------
    s : State
        Given up: its arrays are used for the new ones.
    activity : float64 (N,)
        Mean of v over the data.
    data : uint8 (T, N / 8)
        The spikes as bits.
    frames : int32 (batch,)
    rates : float64 (8,)
        `crbm_lite.core.reference.Rates` as an array.
    key : random key of the run
    settings : Settings
    term : HiddenValues, optional

    Returns
    -------
    s : State
    log_p : float64 (chains,)
        Unnormalised log P(v) of the new chains under the old parameters.
    """
    s, rates = dict(s), Rates(*rates)
    potential = potential_given(s["hidden"], s["offset"])
    key_data, key_chains = jax.random.split(key)
    key_h, key_v = jax.random.split(jax.random.fold_in(key_data, s["n_steps"]))
    # 1. Data, 2. chains
    v_data = jnp.unpackbits(data[frames], axis=1)
    inputs = hidden_inputs(v_data, s["weights"])
    if settings.jump_every:
        h = sample(inputs.astype(jnp.float64), potential, key_h)
        flat = (1.0 - HISTOGRAM_DECAY) / s["counts"].shape[1]
        s["counts"] = HISTOGRAM_DECAY * s["counts"] + flat + count_values(h)
    jumping = s.get("jumping", jnp.ones(s["size"].shape, bool))
    v, chain_inputs, s["n_steps"] = gibbs_steps(
        s["v"], s["n_steps"], s["weights"], s["fields"], potential, s["counts"], jumping,
        key_chains, settings,
    )  # fmt: skip
    log_p = _log_probability(v, chain_inputs, s["fields"], potential)
    n_data, inputs = len(inputs), jnp.concatenate([inputs, chain_inputs]).astype(jnp.float64)
    statistics = hidden_statistics(inputs, potential, s["mean_h"])
    on_data, on_chains = statistics[:, :n_data], statistics[:, n_data:]
    if "jumping" in s:
        spread = on_data[kernels.MEAN].var(axis=0)
        s |= persistence.watched(s, on_chains[kernels.MEAN], spread, jnp)
    # 3. Gradient
    kappa = 0.5 * rates.l1 * s["size"] if term is None else jnp.zeros_like(s["size"])
    h_data = (on_data[kernels.MEAN] - kappa * on_data[kernels.VAR_I] - s["mean_h"]) / len(v_data)
    h_chains = (on_chains[kernels.MEAN] - s["mean_h"]) / len(v)
    on_data, on_chains = on_data.mean(axis=1), on_chains.mean(axis=1)
    mean_v = centre = activity
    if term is not None:
        v_data, h_data, given_h = joined_batch(term, v_data, h_data, s, key_v)
        mean_v, on_data = term.mixed(activity, given_h), term.mixed(on_data, term.statistics)
        centre = jnp.zeros_like(activity) if settings.holds_potential else activity
    slope_w = weight_gradient(v_data, h_data, v, h_chains, centre)
    slope_g = mean_v - v.astype(jnp.float32).mean(axis=0).astype(jnp.float64)
    # 5. Unit variance
    mean = on_data[kernels.MEAN]
    scale = jnp.ones_like(mean)  # values of h fix their scale
    if term is None:
        scale = unit_variance_scale(mean, on_data[kernels.SQUARE], s["mean_h"], jnp)
    s["mean_h"] = (s["mean_h"] + VARIANCE_RATE * (mean - s["mean_h"])) / scale
    if not settings.holds_potential:
        s |= _moved_potentials(s, hidden_gradient(on_data, on_chains, kappa), scale, rates)
    # 4. Soft threshold
    moved, field_shift = move_weights(s, slope_w, scale, rates)
    fields, s["field_square"] = _moved(s["fields"], s["field_square"], slope_g, rates)
    w = moved["weights"].astype(jnp.float64)
    return s | moved | {
        "fields": fields - field_shift,
        "offset": (w * centre[:, None]).sum(axis=0),
        "size": jnp.abs(w).sum(axis=0),
        "n_nonzero": (moved["weights"] != 0).sum(),
        "v": v.astype(jnp.uint8),
    }, log_p  # fmt: skip


def _log_probability(
    v: jax.Array, inputs: jax.Array, fields: jax.Array, potential: jax.Array
) -> jax.Array:
    """Unnormalised log P(v) of chains, shape (chains,)."""
    energy = jnp.where(v > 0, fields, 0.0).sum(axis=1)
    return energy + cumulant(inputs.astype(jnp.float64), potential).sum(axis=1)


@jax.jit
def effective_share(s: State, log_p: jax.Array) -> jax.Array:
    """Compute the effective share of the chains under the weights from old to new parameters.

    ``log_p`` (chains,) is what `one_update` returned beside the new parameters s.
    """
    inputs = hidden_inputs(s["v"], s["weights"])
    potential = potential_given(s["hidden"], s["offset"])
    gain = _log_probability(s["v"], inputs, s["fields"], potential) - log_p
    weight = jnp.exp(gain - gain.max())
    return weight.sum() ** 2 / (len(weight) * (weight**2).sum())


@partial(jax.jit, donate_argnums=0)
def averaged(s: State, share: jax.Array) -> State:
    """Let the means over the later updates include the present parameters."""
    s = dict(s)
    now = {"weights": s["weights"], "fields": s["fields"],
           "potential": potential_given(s["hidden"], s["offset"])}  # fmt: skip
    for name, value in now.items():
        mean = s[f"mean_{name}"]
        s[f"mean_{name}"] = mean + share.astype(mean.dtype) * (value - mean)
    return s
