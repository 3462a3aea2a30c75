r"""Train the sparse linear VAE: a Keras network on JAX, by Adam.

The encoder has two dense layers, each followed by batch normalisation, with a ReLU in between. The
second one gives the means and the log-variances of M latents. The decoder is one dense layer. In
each update the loss over a batch B of frames is

.. math:: \frac{1}{|B|} \sum_{v \in B} \Bigl[ -\log p(v | z) + \mathrm{KL}\bigl(q(z|v) \,\|\,
          \mathcal{N}(0, 1)\bigr) \Bigr] + \lambda \sum_{i,\mu} |w_{i\mu}|, \qquad
          z = m(v) + e^{s(v)/2} \epsilon, \quad \epsilon \sim \mathcal{N}(0, 1),

with sums over neurons and latents, so that lambda has the same weight as in the objective of a
cRBM. The penalty goes into Adam as a sub-gradient (sign(w), 0 at 0), as in the paper. Weights that
it drives to zero keep wandering by about a learning rate: none is ever exactly zero.

The learning rate is constant for half of the updates and then falls geometrically. Everything is
float32. The returned arrays have the batch normalisation folded into the dense layers, and need
neither Keras nor JAX any more. The same seed gives the same numbers on the same machine.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import numpy as np

__all__ = ["keras_on_jax", "train_network"]

_UPDATES_AT_ONCE = 500  # compiled as one loop; an average loss is kept for each


def keras_on_jax() -> ModuleType:
    """Import Keras with its JAX backend.

    Returns
    -------
    module
        ``keras``. The environment variable KERAS_BACKEND keeps its value.

    Raises
    ------
    ImportError
        If Keras or JAX is not installed.
    RuntimeError
        If Keras was already imported with another backend.

    Examples
    --------
    >>> keras_on_jax().backend.backend()  # doctest: +SKIP
    'jax'
    """
    before = os.environ.get("KERAS_BACKEND")
    try:
        if "keras" not in sys.modules:  # it reads the variable once, when it is imported
            os.environ["KERAS_BACKEND"] = "jax"
        importlib.import_module("jax")
        keras = importlib.import_module("keras")
    except ImportError as error:
        raise ImportError(
            f"the VAE needs Keras on JAX ({error}): pip install 'crbm_lite[vae]'"
        ) from error
    finally:
        if before is None:
            os.environ.pop("KERAS_BACKEND", None)
        else:
            os.environ["KERAS_BACKEND"] = before
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"the backend of Keras is {keras.backend.backend()!r}: set KERAS_BACKEND=jax before "
            "anything imports keras, or fit the VAE in its own process"
        )
    return keras


def _networks(keras: ModuleType, n_neurons: int, n_hidden: int, activity: np.ndarray, rng):
    """Make encoder and decoder; the decoder's offsets start at the neurons' log-odds."""

    def dense(units: int, **more: object):
        glorot = keras.initializers.GlorotUniform(seed=int(rng.integers(2**31)))
        return keras.layers.Dense(units, kernel_initializer=glorot, **more)

    v = keras.Input((n_neurons,))
    first = keras.layers.ReLU()(keras.layers.BatchNormalization()(dense(n_hidden)(v)))
    outputs = [keras.layers.BatchNormalization()(dense(n_hidden)(first)) for _ in range(2)]
    z = keras.Input((n_hidden,))
    odds = keras.initializers.Constant(np.log(activity / (1.0 - activity)))
    logits = dense(n_neurons, bias_initializer=odds)(z)
    return keras.Model(v, outputs), keras.Model(z, logits)


def _adam(keras: ModuleType, n_updates: int, learning_rate: tuple[float, float]):
    """Make Adam with a rate that is constant for half of the updates, then falls geometrically."""
    first, last = learning_rate

    class ConstantThenGeometric(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            step = keras.ops.cast(step, "float32")
            return first * (last / first) ** keras.ops.maximum(0.0, 2.0 * step / n_updates - 1.0)

    return keras.optimizers.Adam(ConstantThenGeometric(), beta_1=0.9, beta_2=0.999)


def batch_loss(encoder, decoder, parameters, averages, v, noise, l1):
    """Compute the module's loss for one batch.

    Parameters
    ----------
    encoder, decoder : keras.Model
    parameters : list of arrays
        Trainable variables of the encoder, then the decoder's weights and offsets.
    averages : list of arrays
        The running averages of the encoder's batch normalisation.
    v : (B, N) float32
    noise : (B, M) float32
        epsilon.
    l1 : float
        lambda.

    Returns
    -------
    loss : float
    averages : list of arrays
        Updated.
    """
    import jax
    import jax.numpy as jnp

    (mean, log_variance), averages = encoder.stateless_call(
        parameters[:-2], averages, v, training=True
    )
    z = mean + jnp.exp(0.5 * log_variance) * noise
    logits, _ = decoder.stateless_call(parameters[-2:], [], z)
    reconstruction = (jax.nn.softplus(logits) - v * logits).sum(axis=1)
    divergence = 0.5 * (jnp.exp(log_variance) + mean**2 - 1.0 - log_variance).sum(axis=1)
    penalty = l1 * jnp.abs(parameters[-2]).sum()
    return (reconstruction + divergence).mean() + penalty, averages


def train_network(
    v: np.ndarray,
    n_hidden: int,
    l1: float,
    n_updates: int,
    batch_size: int,
    learning_rate: tuple[float, float],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Train a network and return its weights, batch normalisation folded in.

    Parameters
    ----------
    v : (T, N) uint8
        Training frames.
    n_hidden, l1, n_updates, batch_size, learning_rate
        As in `crbm_lite.baselines.vae.fit_vae`.
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to float32 array
        The arrays of `crbm_lite.baselines.vae.VAE`, its loss included.
    """
    keras = keras_on_jax()
    import jax

    n_frames, n_neurons = v.shape
    # Half a spike more and less keeps the log-odds of silent neurons finite.
    activity = (v.sum(axis=0) + 0.5) / (n_frames + 1.0)
    encoder, decoder = _networks(keras, n_neurons, n_hidden, activity, rng)
    optimizer = _adam(keras, n_updates, learning_rate)
    trainable = encoder.trainable_variables + decoder.trainable_variables
    optimizer.build(trainable)
    frames = jax.numpy.asarray(v)
    gradient = jax.value_and_grad(
        lambda *arguments: batch_loss(encoder, decoder, *arguments), has_aux=True
    )

    def update(state, batch):
        parameters, averages, slots = state
        rows, key = batch
        noise = jax.random.normal(key, (batch_size, n_hidden))
        active = frames[rows].astype("float32")
        (loss, averages), slope = gradient(parameters, averages, active, noise, l1)
        parameters, slots = optimizer.stateless_apply(slots, slope, parameters)
        return (list(parameters), averages, slots), loss

    run = jax.jit(lambda state, batches: jax.lax.scan(update, state, batches))
    state = tuple(
        [variable.value for variable in variables]
        for variables in (trainable, encoder.non_trainable_variables, optimizer.variables)
    )
    losses, queue = [], np.empty(0, dtype=np.int64)
    for start in range(0, n_updates, _UPDATES_AT_ONCE):
        size = min(_UPDATES_AT_ONCE, n_updates - start)
        while len(queue) < size * batch_size:  # every frame once before any comes again
            queue = np.concatenate([queue, rng.permutation(n_frames)])
        rows, queue = np.split(queue, [size * batch_size])
        keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), size)
        state, loss = run(state, (rows.reshape(size, batch_size).astype(np.int32), keys))
        losses.append(float(loss.mean()))
    parameters, averages, _ = state
    for variables, arrays in ((trainable, parameters), (encoder.non_trainable_variables, averages)):
        for variable, array in zip(variables, arrays):
            variable.assign(array)
    return folded(encoder, decoder) | {"loss": np.array(losses)}


def folded(encoder, decoder) -> dict[str, np.ndarray]:
    """Fold batch normalisation into the three dense layers; add the decoder's weights, offsets."""
    kind = [layer.__class__.__name__ for layer in encoder.layers]
    dense = [layer for layer, name in zip(encoder.layers, kind) if name == "Dense"]
    norm = [layer for layer, name in zip(encoder.layers, kind) if name == "BatchNormalization"]
    out = {}
    for name, d, n in zip(("hidden", "mean", "log_variance"), dense, norm):
        kernel, bias = d.get_weights()
        gamma, beta, average, variance = n.get_weights()
        scale = gamma / np.sqrt(variance + n.epsilon)
        out[f"{name}_weights"] = kernel * scale
        out[f"{name}_offsets"] = (bias - average) * scale + beta
    kernel, bias = decoder.get_weights()
    return out | {"weights": kernel.T, "fields": bias}
