"""What the left-out likelihood of a whole brain costs, beside matrix products in the same run.

python -m benchmarks.left_out [neurons] [frames] [hidden units] [density of W]

The reference is one product of the spikes and W by `np.dot` in float32, (T, N) times (N, M). Random
spikes and weights serve: the work does not depend on their values. Results go to
results/left_out.json.
"""

from __future__ import annotations

import numba
import numpy as np
import scipy.sparse

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.core import left_out
from crbm_lite.core.spikes import as_spikes

RESULTS = stored.RESULTS / "left_out.json"
ACTIVITY = 0.05


def measure(n_neurons: int, n_frames: int, n_hidden: int, density: float) -> dict:
    """Time the mean left-out log-likelihood of every neuron, and a product of the same matrices."""
    rng = np.random.default_rng(0)
    spikes = scipy.sparse.random_array((n_frames, n_neurons), density=ACTIVITY, rng=rng)
    spikes = as_spikes((spikes > 0).astype(np.uint8))
    weights = rng.normal(0.0, 0.1, (n_neurons, n_hidden)).astype(np.float32)
    weights[rng.random(weights.shape) >= density] = 0.0
    fields, ones = np.full(n_neurons, -3.0), np.ones(n_hidden)
    units = cl.CRBM.from_parameters(weights, fields, ones, ones, 0 * ones, 0 * ones).units
    few = as_spikes(spikes.dense(slice(0, 4)))
    left_out.log_likelihood_given_others(few, weights, fields, units)  # compile
    with command.timed() as scores:
        left_out.log_likelihood_given_others(spikes, weights, fields, units)
    dense = spikes.dense().astype(np.float32)
    with command.timed() as product:
        np.dot(dense, weights)
    return {
        "neurons": n_neurons, "frames": n_frames, "hidden_units": n_hidden, "density": density,
        "threads": numba.get_num_threads(), "wall_s": round(scores.wall_s, 1),
        "cpu_s": round(scores.cpu_s, 1), "product_cpu_s": round(product.cpu_s, 2),
        "ratio": round(scores.cpu_s / product.cpu_s, 1),
    }  # fmt: skip


def main(
    n_neurons: int = 40_709, n_frames: int = 1700, n_hidden: int = 200, density: float = 0.07
) -> None:
    """Measure one size, print it and store it."""
    found = measure(n_neurons, n_frames, n_hidden, density)
    print(found)
    stored.write(RESULTS, found)


if __name__ == "__main__":
    command.run(main)
