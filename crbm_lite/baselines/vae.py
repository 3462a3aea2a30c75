r"""The sparse variational auto-encoder with a linear decoder (Fig. 2-S7): a rival that generates.

Its M latents are independent standard normals, its neurons Bernoulli given the latents,

.. math:: z \sim \mathcal{N}(0, 1)^M, \qquad
          p(v_i = 1 | z) = \sigma\Bigl(b_i + \sum_\mu w_{i\mu} z_\mu\Bigr),

with a penalty :math:`\lambda \sum |w_{i\mu}|` on the decoder. The encoder
:math:`q(z | v) = \prod_\mu \mathcal{N}(m_\mu(v), e^{s_\mu(v)})` has two dense layers and need not
be linear (`crbm_lite.baselines.vae_network` trains it). The evidence lower bound of a frame,

.. math:: \mathrm{ELBO}(v) = \langle \log p(v | z) \rangle_{q(z|v)}
          - \tfrac12 \sum_\mu \left( e^{s_\mu} + m_\mu^2 - 1 - s_\mu \right) \le \log p(v),

is estimated with the first term averaged over samples of z; the second is exact. Where the five
statistics ask for hidden activity, it is h = m(v), for real and generated frames alike.

A neuron given all others has no closed form in a VAE. Its left-out probability is that of the
decoder, averaged over q(z | v) with the neuron's own spike masked,

.. math:: p_i = \Bigl\langle \sigma\bigl(b_i + \sum_\mu w_{i\mu} z_\mu\bigr)
          \Bigr\rangle_{q(z | v_i = 0, v_{\setminus i})}.

The log-odds are Gaussian under q, so the average is a one-dimensional quadrature. This is the
variational posterior's answer, neither the exact conditional of the model nor a bound on it.

The sub-gradient leaves no weight exactly at zero. Weights up to a threshold count as zero, and a
latent is *disconnected* if all its weights do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from crbm_lite.checks.arguments import as_count, as_generator, as_number, as_numbers
from crbm_lite.core.spikes import as_spikes

__all__ = ["VAE", "fit_vae"]

_CHUNK_BYTES = 2**26  # of float32 logits in memory at once
_N_NODES = 20  # of the quadrature of a Gaussian's log-odds


@dataclass(frozen=True, eq=False)
class VAE:
    """A trained sparse linear VAE in float32; equations in `crbm_lite.baselines.vae`.

    Attributes
    ----------
    hidden_weights, hidden_offsets : (N, M), (M,)
        First layer of the encoder, before its ReLU. Batch normalisation is folded in everywhere.
    mean_weights, mean_offsets, log_variance_weights, log_variance_offsets : (M, M), (M,)
        Second layer of the encoder, m and s.
    weights : (N, M)
        w of the decoder.
    fields : (N,)
        b of the decoder: log-odds at z = 0.
    l1 : float
        lambda.
    loss : (n,)
        Training loss, each value an average over 500 updates.
    """

    hidden_weights: np.ndarray = field(repr=False)
    hidden_offsets: np.ndarray = field(repr=False)
    mean_weights: np.ndarray = field(repr=False)
    mean_offsets: np.ndarray = field(repr=False)
    log_variance_weights: np.ndarray = field(repr=False)
    log_variance_offsets: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    fields: np.ndarray = field(repr=False)
    l1: float = 0.0
    loss: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)

    def encode(self, v: object) -> tuple[np.ndarray, np.ndarray]:
        """Compute the means and log-variances of q(z | v).

        Parameters
        ----------
        v : (T, N) array of 0/1, scipy.sparse matrix or Recording

        Returns
        -------
        mean, log_variance : (T, M) float32

        Raises
        ------
        ValueError
            If `v` is not binary or has another number of neurons.
        """
        x = as_spikes(v, "v", len(self.fields)).to_csr(np.float32)
        return self._encode_inputs(x @ self.hidden_weights + self.hidden_offsets)

    def _encode_inputs(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Go on from the inputs of the encoder's first layer."""
        first = np.maximum(inputs, 0.0)
        return (
            first @ self.mean_weights + self.mean_offsets,
            first @ self.log_variance_weights + self.log_variance_offsets,
        )

    def mean_h_given_v(self, v: object) -> np.ndarray:
        """Mean of every latent, m(v), (T, M)."""
        return self.encode(v)[0]

    def mean_v_given_h(self, h: np.ndarray) -> np.ndarray:
        """Probability of activity of every neuron given the latents, (T, N)."""
        return expit(as_numbers(h, "h", np.float32) @ self.weights.T + self.fields)

    def mean_v_given_others(self, v: object) -> np.ndarray:
        """Probability of a spike of each neuron, its own spike masked (see the module).

        The frames of a chunk share one encoding for the neurons that are silent in them; each spike
        needs an encoding of its own.

        Parameters
        ----------
        v : (T, N) array of 0/1, scipy.sparse matrix or Recording

        Returns
        -------
        (T, N) float64

        Raises
        ------
        ValueError
            If `v` is not binary or has another number of neurons.
        """
        spikes = as_spikes(v, "v", len(self.fields))
        inputs = spikes.to_csr(np.float32) @ self.hidden_weights + self.hidden_offsets
        w, squared = (x.astype(np.float64) for x in (self.weights, self.weights**2))
        out = np.empty(spikes.shape)
        for t in range(spikes.n_frames):
            mean, log_variance = self._encode_inputs(inputs[t])
            log_odds, variance = w @ mean, squared @ np.exp(log_variance)
            active = spikes.neurons[spikes.frame_starts[t] : spikes.frame_starts[t + 1]]
            mean, log_variance = self._encode_inputs(inputs[t] - self.hidden_weights[active])
            log_odds[active] = (w[active] * mean).sum(axis=1)
            variance[active] = (squared[active] * np.exp(log_variance)).sum(axis=1)
            out[t] = _mean_of_sigmoid(log_odds + self.fields, variance)
        return out

    def sample(
        self, n_frames: int, random_state: int | np.random.Generator | None = None
    ) -> np.ndarray:
        """Generate independent frames: latents from their prior, then the neurons.

        Parameters
        ----------
        n_frames : int
        random_state : int, Generator or None

        Returns
        -------
        (n_frames, N) uint8

        Raises
        ------
        ValueError
            If `n_frames` is below 1.
        """
        n_frames = as_count(n_frames, "n_frames")
        rng = as_generator(random_state)
        n_neurons, n_hidden = self.weights.shape
        out = np.empty((n_frames, n_neurons), dtype=np.uint8)
        size = max(1, _CHUNK_BYTES // (4 * n_neurons))
        for start in range(0, n_frames, size):
            chunk = out[start : start + size]
            p = self.mean_v_given_h(rng.standard_normal((len(chunk), n_hidden), dtype=np.float32))
            np.less(rng.random(p.shape, dtype=np.float32), p, out=chunk, casting="unsafe")
        return out

    def elbo(
        self, v: object, n_samples: int = 10, random_state: int | np.random.Generator | None = 0
    ) -> float:
        """Estimate the evidence lower bound without the penalty, in nats per frame.

        Parameters
        ----------
        v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        n_samples : int
            Samples of z per frame (default 10).
        random_state : int, Generator or None

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If `v` is not binary or has another number of neurons, or `n_samples` is below 1.
        """
        n_samples = as_count(n_samples, "n_samples")
        spikes = as_spikes(v, "v", len(self.fields))
        rng = as_generator(random_state)
        mean, log_variance = self.encode(spikes)
        total = -0.5 * (np.exp(log_variance) + mean**2 - 1.0 - log_variance).sum(dtype=np.float64)
        size = max(1, _CHUNK_BYTES // (4 * spikes.n_neurons))
        for start in range(0, spikes.n_frames, size):
            chunk = slice(start, start + size)
            active = spikes.dense(np.arange(spikes.n_frames)[chunk])
            sd = np.exp(0.5 * log_variance[chunk])
            for _ in range(n_samples):
                z = mean[chunk] + sd * rng.standard_normal(sd.shape, dtype=np.float32)
                logits = z @ self.weights.T + self.fields
                log_p = logits * active - np.logaddexp(0.0, logits)
                total += log_p.sum(dtype=np.float64) / n_samples
        return float(total / spikes.n_frames)

    def sparse_weights(self, threshold: float = 0.01) -> np.ndarray:
        """Return w, (N, M), with the weights up to `threshold` (default 0.01) set to zero."""
        return np.where(np.abs(self.weights) > threshold, self.weights, np.float32(0.0))

    def connected(self, threshold: float = 0.01) -> np.ndarray:
        """Tell which latents have a weight beyond `threshold` (default 0.01), (M,) bool."""
        return (np.abs(self.weights) > threshold).any(axis=0)


def _mean_of_sigmoid(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Average of 1/(1 + e^-x) over Gaussians x of these means and variances."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_N_NODES)
    x = mean[:, None] + np.sqrt(variance)[:, None] * nodes
    return np.clip(expit(x) @ (weights / weights.sum()), 0.0, 1.0)


def fit_vae(
    v: object,
    n_hidden: int = 200,
    l1: float = 0.02,
    *,
    n_updates: int = 200_000,
    batch_size: int = 100,
    learning_rate: tuple[float, float] = (1e-4, 1e-5),
    random_state: int | np.random.Generator | None = None,
) -> VAE:
    """Train a sparse linear VAE by Adam. This needs the extra ``crbm_lite[vae]``.

    Parameters
    ----------
    v : (T, N) array of 0/1, scipy.sparse matrix or Recording
        Training frames. They are dense in memory during training, T N bytes.
    n_hidden : int
        M, the number of latents and of units in the encoder's hidden layer (default 200).
    l1 : float
        lambda (default 0.02).
    n_updates : int
        Updates of Adam (default 200,000).
    batch_size : int
        Frames in an update, at most T (default 100).
    learning_rate : (float, float)
        Rate in the first half of the updates, and at their end (default 1e-4 and 1e-5).
    random_state : int, Generator or None
        Gives the initial weights, the order of frames and the noise.

    Returns
    -------
    VAE

    Raises
    ------
    ValueError
        If `v` is not binary or an argument is out of range.
    ImportError
        If Keras or JAX is not installed.
    RuntimeError
        If Keras was imported with another backend.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> v = rng.random((200, 6)) < np.where(rng.random((200, 1)) < 0.5, 0.8, 0.1)
    >>> vae = fit_vae(v, 2, 0.01, n_updates=50, random_state=0)  # doctest: +SKIP
    >>> vae.weights.shape  # doctest: +SKIP
    (6, 2)
    """
    spikes = as_spikes(v)
    n_hidden, n_updates = as_count(n_hidden, "n_hidden"), as_count(n_updates, "n_updates")
    batch_size = as_count(batch_size, "batch_size")
    l1 = as_number(l1, "l1", "lambda of 0 or more")
    if l1 < 0:
        raise ValueError(f"l1 is {l1:g}: give lambda of 0 or more")
    rates = as_numbers(learning_rate, "learning_rate")
    if rates.shape != (2,) or not (np.isfinite(rates) & (rates > 0)).all():
        raise ValueError(f"learning_rate is {learning_rate}: give two positive rates, first, last")
    from crbm_lite.baselines.vae_network import train_network

    arrays = train_network(
        spikes.dense(),
        n_hidden,
        l1,
        n_updates,
        min(batch_size, spikes.n_frames),
        tuple(rates.tolist()),
        as_generator(random_state),
    )
    return VAE(**arrays, l1=l1)
