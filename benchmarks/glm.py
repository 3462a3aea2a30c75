"""The GLM baseline: time per neuron beside scikit-learn's, and the largest difference of weights.

python -m benchmarks.glm [neurons that scikit-learn fits]
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.linear_model import LogisticRegression

import crbm_lite as cl
from benchmarks import command
from crbm_lite.baselines.glm import fit_glm
from crbm_lite.core.spikes import as_spikes

L2 = (1000.0, 100.0, 10.0)


def run(train: cl.Recording, l2: float, sample: np.ndarray) -> None:
    """Fit all neurons here and a sample with scikit-learn; print a line."""
    with command.timed() as fit:
        glm = fit_glm(train, l2)
    v = as_spikes(train).dense().astype(np.float64)
    difference, reference = 0.0, 0.0
    for i in sample:
        others = np.delete(v, i, axis=1)
        estimator = LogisticRegression(C=1 / l2, tol=1e-6, max_iter=10_000)
        began = time.process_time()
        estimator.fit(others, v[:, i])
        reference += time.process_time() - began
        mine = np.delete(glm.weights[:, i], i)
        difference = max(difference, np.abs(mine - estimator.coef_[0]).max())
    n, each, theirs = len(glm.neurons), fit.cpu_s / len(glm.neurons), reference / len(sample)
    print(
        f"lambda {l2:<6g} all {n:,} neurons: {fit.wall_s:6.1f} s, {fit.cpu_s:6.1f} CPU s, "
        f"{1e3 * each:6.2f} CPU ms per neuron; scikit-learn {1e3 * theirs:6.1f} "
        f"({theirs / each:.0f} times); largest difference {difference:.1e}",
        flush=True,
    )


def main(n_sample: int = 20) -> None:
    """Print a line for each lambda, on the training frames of the simulated larva."""
    train, _ = cl.split_train_test(cl.simulate_recording(random_state=0))
    sample = np.random.default_rng(0).choice(train.n_neurons, n_sample, replace=False)
    for l2 in L2:
        run(train, l2, sample)


if __name__ == "__main__":
    command.run(main)
