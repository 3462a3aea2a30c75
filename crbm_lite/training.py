"""Persistent contrastive divergence: the training loop (Eq. 14 and Methods of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crbm_lite import jumps, updates
from crbm_lite.drelu import DReLU
from crbm_lite.coordinates import *
from crbm_lite.sampler import GibbsChains
from crbm_lite.spikes import Spikes
from crbm_lite.warm_start import Start

MAX_ASYMMETRY = 0.95
_VARIANCE_RATE = 0.05


@dataclass(frozen=True)
class Settings:
    n_updates: int
    batch_size: int
    n_chains: int
    n_gibbs: int
    l1: float
    learning_rate: float
    final_learning_rate: float
    decay_start: float
    beta2: float
    epsilon: float
    ramp: float = 0.1
    jump_every: int = 5
    hidden_boost: float = 1.0
    keep: float = 0.99
    field_boost: float = 1.0

    def learning_rate_at(self, update):
        progress = (update / self.n_updates - self.decay_start) / (1.0 - self.decay_start)
        return self.learning_rate * (self.final_learning_rate / self.learning_rate) ** max(progress, 0.0)

    def l1_at(self, update):
        return self.l1 * min(update / max(self.ramp * self.n_updates, 1.0), 1.0)


def halves(hidden):
    """(gamma+, gamma-, theta+, theta-) of the coordinates (log gamma, eta, theta, delta)."""
    gamma, eta = np.exp(hidden[0]), hidden[1]
    root_plus, root_minus = np.sqrt(1.0 + eta), np.sqrt(1.0 - eta)
    return (
        gamma / (1.0 + eta),
        gamma / (1.0 - eta),
        hidden[2] + hidden[3] / root_plus,
        hidden[2] - hidden[3] / root_minus,
    )


def hidden_gradient(hidden, g):
    """Chain rule: gradient (4, M) in (gamma+, gamma-, theta+, theta-) to the coordinates."""
    gamma, eta, delta = np.exp(hidden[0]), hidden[1], hidden[3]
    plus, minus = 1.0 + eta, 1.0 - eta
    return np.stack([
        gamma / plus * g[0] + gamma / minus * g[1],
        -gamma / plus**2 * g[0] + gamma / minus**2 * g[1]
        - 0.5 * delta * (plus**-1.5 * g[2] + minus**-1.5 * g[3]),
        g[2] + g[3],
        g[2] / np.sqrt(plus) - g[3] / np.sqrt(minus),
    ])


class Trainer:
    def __init__(self, spikes: Spikes, start: Start, settings: Settings, rng):
        self.spikes, self.settings, self.rng = spikes, settings, rng
        n, m = start.weights.shape
        self.weights = start.weights.copy()
        self.square = np.zeros((n, m), np.float32)
        self.average = np.zeros((n, m), np.float32)
        self.fields = start.fields.copy()
        self.field_square = np.zeros(n)
        self.activity = spikes.activity()
        self.offset = self.activity @ self.weights.astype(float)
        self.hidden = coordinates_given_potential(start.potential, self.offset)
        self.hidden_square = np.zeros((4, m))
        self.mean_h = np.zeros(m)
        self.offset = self.activity @ self.weights.astype(float)
        self.size = np.abs(self.weights).sum(axis=0, dtype=float)
        self.density = 1.0
        self.chains = GibbsChains(n, m, settings.n_chains, int(rng.integers(2**63)))
        self.chains.set_weights(self.weights)
        first = rng.integers(spikes.n_frames, size=settings.n_chains)
        self.chains.set_spikes(spikes.dense(first))
        self.n_tiles = self.chains.partial_input.shape[0]
        self.sums = np.zeros((self.n_tiles, 4, m))
        self.chain_fields = np.zeros((self.n_tiles, 2, settings.n_chains))
        self.update = 0
        self.order = np.empty(0, np.int64)
        self.chains.jump_every = settings.jump_every
        self.history = []

    def next_frames(self):
        b = self.settings.batch_size
        if len(self.order) < b:
            self.order = self.rng.permutation(self.spikes.n_frames)
        frames, self.order = self.order[:b], self.order[b:]
        return np.sort(frames)

    def potential(self):
        gp, gm, tp, tm = halves(self.hidden)
        return gp, gm, tp + self.offset, tm + self.offset

    def one_update(self):
        s = self.settings
        lr, l1 = s.learning_rate_at(self.update), s.l1_at(self.update)
        kappa = 0.5 * l1 * self.size
        potential = self.potential()
        # data phase
        frames = self.next_frames()
        from crbm_lite.kernels import input_given_spikes
        inputs = np.empty((len(frames), self.weights.shape[1]))
        input_given_spikes(self.spikes.frame_starts, self.spikes.neurons, frames, self.weights, inputs)
        data = np.empty((updates.N_STATISTICS, *inputs.shape))
        updates.hidden_phase(inputs, *potential, self.mean_h, data)
        if s.jump_every:
            self.chains.propose_from(DReLU(*potential).sample(inputs, self.rng), 0.98)
        # model phase
        self.chains.step(s.n_gibbs, self.weights, self.fields.astype(np.float32), potential)
        chain_inputs = self.chains.inputs()
        model = np.empty((updates.N_STATISTICS, *chain_inputs.shape))
        updates.hidden_phase(chain_inputs, *potential, self.mean_h, model)
        d, m = data.mean(axis=1), model.mean(axis=1)
        # gradient of the potentials
        U = updates
        g = np.stack([
            -0.5 * (d[U.UP_SQUARE] - m[U.UP_SQUARE]) - kappa * d[U.VAR_GAMMA_PLUS],
            -0.5 * (d[U.DOWN_SQUARE] - m[U.DOWN_SQUARE]) - kappa * d[U.VAR_GAMMA_MINUS],
            -(d[U.UP] - m[U.UP]) - kappa * d[U.VAR_THETA_PLUS],
            -(d[U.DOWN] - m[U.DOWN]) - kappa * d[U.VAR_THETA_MINUS],
        ])
        g = hidden_gradient(self.hidden, g)
        # unit variance
        variance = d[U.SQUARE] - 2 * self.mean_h * d[U.MEAN] + self.mean_h**2
        scale = np.sqrt(np.clip(1 + _VARIANCE_RATE * (variance - 1), 0.8, 1.25))
        h_data = (data[U.MEAN] - kappa * data[U.VAR_I] - self.mean_h) / len(frames)
        h_chains = (model[U.MEAN] - self.mean_h) / s.n_chains
        self.mean_h += _VARIANCE_RATE * (d[U.MEAN] - self.mean_h)
        self.mean_h /= scale
        bias = 1.0 / (1.0 - s.beta2 ** (self.update + 1))
        self.hidden_square = s.beta2 * self.hidden_square + (1 - s.beta2) * g**2
        self.hidden += s.hidden_boost * lr * g / (np.sqrt(self.hidden_square * bias) + s.epsilon)
        self.hidden[0] = self.hidden[0] + 2 * np.log(scale)
        self.hidden[1] = np.clip(self.hidden[1], -MAX_ASYMMETRY, MAX_ASYMMETRY)
        self.hidden[2:] *= scale
        # weights and fields
        f4 = np.float32
        starts, rows = updates.frames_given_neuron(self.spikes.frame_starts, self.spikes.neurons, frames, self.spikes.n_neurons)
        drift = (h_data.sum(axis=0) - h_chains.sum(axis=0))
        updates.update_rows(
            self.weights, self.square, self.average, self.fields, self.field_square, self.activity,
            starts, rows, h_data.astype(f4), h_chains.astype(f4), drift.astype(f4), scale.astype(f4),
            self.mean_h.astype(f4), (lr, l1, s.field_boost * lr), (s.beta2, bias, s.epsilon, s.keep), self.chains.rows_a_tile,
            self.chains.v64, s.n_chains, self.chains.packed_rows, self.chains.partial_input, self.sums,
            self.chain_fields)
        sums = self.sums.sum(axis=0)
        self.offset, self.size = sums[0], sums[1]
        self.density = sums[2].sum() / self.weights.size
        self.update += 1
        return d, m, variance
