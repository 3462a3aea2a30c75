"""The published simulation of time: assemblies around a circle, and the time scale of couplings.

python -m benchmarks.temporal [--seeds 0-2]

For every seed a cRBM and a temporal model are trained on 100 runs of 100 frames and judged on 30
others; then the couplings act after four frames, and every k-th frame is kept. Settings are the
package's own. Parts go to results/temporal.json one by one, and what is there is not measured
again.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import spearmanr

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.simulation.cyclic import CyclicAssemblies, simulate_cyclic_assemblies
from crbm_lite.temporal import (
    TemporalCRBM,
    lagged_covariances,
    likelihood_gain,
    scored_frames,
    shuffled_in_blocks,
)

RESULTS = stored.RESULTS / "temporal.json"
N_TRAIN = 100  # runs
SCALES = (1, 2, 3, 4, 5, 6, 8)


def trained(train: cl.Recording, seed: int) -> tuple[cl.CRBM, TemporalCRBM]:
    """A cRBM with as many units as assemblies, and the couplings over it."""
    model = cl.CRBM(n_hidden=10, l1=0.005, n_updates=3000, random_state=seed, progress=False)
    model.fit(train)
    return model, TemporalCRBM(model, random_state=seed, progress=False).fit(train)


def aligned(temporal: TemporalCRBM, assembly: np.ndarray) -> np.ndarray:
    """Couplings (K, K) between assemblies: the unit of each, with its sign.

    A unit belongs to the assembly whose mean weight is largest; without a unit, couplings are zero.
    """
    means = np.array([temporal.weights_[assembly == k].mean(axis=0) for k in range(10)])
    unit = np.abs(means).argmax(axis=1)
    sign = np.sign(means[np.arange(10), unit])
    is_own = np.abs(means).argmax(axis=0)[unit] == np.arange(10)
    sign = np.where(is_own, sign, 0.0)
    return temporal.couplings_[np.ix_(unit, unit)] * sign[:, None] * sign


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of two matrices off their diagonals."""
    off = ~np.eye(len(a), dtype=bool)
    a, b = a[off], b[off]
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def halves(found: CyclicAssemblies, run_frames: int = 100) -> tuple[cl.Recording, cl.Recording]:
    """Runs to train on, and runs to judge on."""
    n = N_TRAIN * run_frames
    recording = found.recording
    return recording.select_frames(slice(0, n)), recording.select_frames(slice(n, None))


def measure_lag_one(seed: int) -> dict:
    """Everything where the couplings act after one frame."""
    found = simulate_cyclic_assemblies(n_runs=130, random_state=1000 + seed)
    train, test = halves(found)
    model, temporal = trained(train, seed)
    gain = likelihood_gain(temporal, test, random_state=0)
    shuffled = shuffled_in_blocks(train, random_state=0), shuffled_in_blocks(test, random_state=1)
    no_time = TemporalCRBM(model, random_state=seed, progress=False).fit(shuffled[0])
    gain_shuffled = likelihood_gain(no_time, shuffled[1], random_state=0)

    run = temporal.sample(100, 100, random_state=seed).reshape(-1, 200)
    still = model.sample(10_000, random_state=seed)
    cuts = np.arange(100, 10_000, 100)
    wanted = lagged_covariances(test.spikes, 10, test.discontinuities)
    pairs = np.abs(found.assembly[:, None] - found.assembly)
    other = pairs > 0  # neurons of different assemblies
    scores = {}
    for name, v in (("temporal", run), ("static", still)):
        own = lagged_covariances(v, 10, cuts)
        scores[name] = {
            "mean_v": float(spearmanr(v.mean(axis=0), test.activity).statistic),
            "lags": [float(np.corrcoef(a[other], b[other])[0, 1]) for a, b in zip(own, wanted)],
            "explained": [
                float(1 - ((a - b)[other] ** 2).sum() / (b[other] ** 2).sum())
                for a, b in zip(own, wanted)
            ],
        }
    scored = scored_frames(test)
    v = test.spikes[scored]
    p = temporal.mean_v_given_past(test, random_state=seed)[scored]
    best = found.probability[-test.n_frames :][scored]
    return {
        "verdict": model.verdict_,
        "gain_nats": gain.mean, "low": gain.interval[0], "high": gain.interval[1], "gap": gain.gap,
        "gain_shuffled": gain_shuffled.mean, "low_shuffled": gain_shuffled.interval[0],
        "high_shuffled": gain_shuffled.interval[1],
        "cosine": cosine(aligned(temporal, found.assembly), found.couplings),
        "accuracy": float(((p > 0.5) == v).mean()),
        "accuracy_rate": float(((train.activity > 0.5) == v).mean()),
        "accuracy_best": float(((best > 0.5) == v).mean()),
        **scores,
    }  # fmt: skip


def measure_scale(seed: int, every: int) -> dict:
    """Keep every k-th frame of a recording whose couplings act after four."""
    found = simulate_cyclic_assemblies(
        n_runs=130, run_frames=30 * every, lag_frames=4, random_state=2000 + seed
    )
    thinned = found.recording.select_frames(slice(None, None, every))
    cuts = np.arange(30, thinned.n_frames, 30)
    thinned = cl.Recording(thinned.spikes, 1.0 / every, discontinuities=cuts)
    train = thinned.select_frames(slice(0, 30 * N_TRAIN))
    test = thinned.select_frames(slice(30 * N_TRAIN, None))
    _, temporal = trained(train, seed)
    gain = likelihood_gain(temporal, test, random_state=0)
    return {
        "gain_nats": gain.mean,
        "cosine": cosine(aligned(temporal, found.assembly), found.couplings),
    }


def main(*, seeds: command.Seeds = tuple(range(3))) -> None:
    """Measure what is missing, and print it."""
    for seed in seeds:
        name = f"seed {seed}"
        jobs = {"lag 1": partial(measure_lag_one, seed)}
        jobs |= {f"every {k}": partial(measure_scale, seed, k) for k in SCALES}
        for part, job in jobs.items():
            known = stored.read(RESULTS).get(name, {})
            if part not in known or f"{name}/{part}" in stored.old_parts(RESULTS):
                stored.keep(RESULTS, name, {part: job()})
            print(name, part, stored.read(RESULTS)[name][part], flush=True)


if __name__ == "__main__":
    command.run(main)
