"""The planted recording: 2,000 neurons, 20 overlapping assemblies, 24 hidden units.

python -m benchmarks.planted [number of seeds at lambda = 0.02]

Each lambda is trained with and without a refit. Statistics are those of the validation's 50 states
per chain, and for hh also of 400: the units of this recording hardly covary, and 15,000 frames are
too few to tell how much.
"""

from __future__ import annotations

import numpy as np

import crbm_lite as cl
from benchmarks import command
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.update_kernels import VAR_I, hidden_statistics
from crbm_lite.validation.likelihood import nllh, nllh_given_probabilities

N_TRAIN = 2800
RUNS = {0.005: 3000, 0.02: 2000}  # updates at each lambda
REFIT = 0.5


def recovered(weights: np.ndarray, membership: np.ndarray) -> int:
    """Count the assemblies whose membership and some column of W have |r| > 0.5."""
    alive = weights[:, weights.std(axis=0) > 0]
    if alive.shape[1] == 0:
        return 0
    k = membership.shape[1]
    correlation = np.corrcoef(np.hstack([membership, alive]).T)[:k, k:]
    return int((np.abs(correlation).max(axis=1) > 0.5).sum())


def nllh_of_truth(test: cl.Recording) -> float:
    """Median nLLH of a planted recording under its true probabilities."""
    return nllh_given_probabilities(test, test.truth.probability).median


def hh_offset(model: cl.CRBM, train: cl.Recording, seed: int) -> dict[str, float]:
    """RMS over pairs of the model's excess of Cov(h_mu, h_nu) over the data it was trained on.

    "forced": the part that stationarity with the penalty implies. Where w_imu is not zero, <v_i
    h_mu> of the model misses that of the data by -lambda sign(w) - kappa dVar/dw; summed over the
    weights of another unit and times that unit's slope dh/dI, the misses are an offset of hh.
    """
    weights, spikes = model.weights_.astype(float), as_spikes(train.spikes)
    v_model = model.sample(15_000, random_state=seed)
    h, h_model = model.mean_h_given_v(train.spikes), model.mean_h_given_v(v_model)
    potential = np.stack(
        [model.gamma_plus_, model.gamma_minus_, model.theta_plus_, model.theta_minus_]
    )
    inputs = model.hidden_input(train.spikes)
    q = hidden_statistics(inputs, potential, h.mean(axis=0))[VAR_I]
    vq = spikes.to_csr(np.float64).T @ (q - q.mean(axis=0)) / train.n_frames
    kappa = 0.5 * model.l1 * np.abs(weights).sum(axis=0)
    miss = np.where(weights != 0, -model.l1 * np.sign(weights) - kappa * vq, 0.0)
    alive = np.flatnonzero(np.abs(weights).sum(axis=0) > 1)
    slope = np.array([np.polyfit(inputs[:, mu], h[:, mu], 1)[0] for mu in alive])
    forced = (miss.T @ weights)[np.ix_(alive, alive)] * slope
    excess = np.cov(h_model[:, alive].T) - np.cov(h[:, alive].T)
    if model.refit:
        forced = np.zeros_like(excess)
    pairs = np.triu_indices(len(alive), 1)
    return {
        "observed": float(np.sqrt(np.mean(excess[pairs] ** 2))),
        "forced": float(np.sqrt(np.mean((0.5 * (forced + forced.T))[pairs] ** 2))),
    }


def run(l1: float, seed: int, refit: float, scores: bool) -> None:
    """Train once and print a line; with ``scores`` the table of statistics too."""
    recording = cl.plant_recording(random_state=0)
    train = recording.select_frames(slice(0, N_TRAIN))
    test = recording.select_frames(slice(N_TRAIN, None))
    membership = np.asarray(recording.truth.membership, dtype=float)
    model = cl.CRBM(
        n_hidden=24, l1=l1, n_updates=RUNS[l1], n_gibbs=6, jump_every=2,
        final_learning_rate=1e-4, refit=refit, random_state=seed, progress=False,
    )  # fmt: skip
    with command.timed() as fit:
        model.fit(train)
    truth, score = nllh_of_truth(test), nllh(model, test).median
    planted = (membership != 0).sum() / model.weights_.size
    print(
        f"lambda {l1:<6} refit {refit:<4} seed {seed:<3} {fit.wall_s:6.1f} s  {model.verdict_:<13} "
        f"recovered {recovered(model.weights_, membership):2d}/20  nLLH {score:.4f} "
        f"({score / truth:.3f} of the truth)  density {np.mean(model.weights_ != 0):.3f} "
        f"(planted {planted:.3f})  residual {model.certificate_.residual:.4f} "
        f"of {model.certificate_.tolerance:.4f}",
        flush=True,
    )
    if scores:
        report = cl.validate(model, train, test, random_state=0)
        print(report.table())
        longer = cl.validate(model, train, test, random_state=0, n_saved=400).hh
        print(f"hh of {300 * 400:,} generated frames: nRMSE {longer.nrmse:.3f}")
        optimal, shuffled = report.hh.rmse_optimal, report.hh.rmse_shuffled
        allowed = np.sqrt(max(2 * optimal * 0.05 * (shuffled - optimal), 0.0))
        offset = hh_offset(model, train, seed)
        print(
            f"hh: RMS excess over the training data {offset['observed']:.3f}; lambda forces "
            f"{offset['forced']:.3f} of it; nRMSE 0.05 allows {allowed:.3f}",
            flush=True,
        )


def main(n_seeds: int = 3) -> None:
    """Both lambdas with scores, then more seeds at lambda = 0.02."""
    for l1 in RUNS:
        for refit in (0.0, REFIT):
            run(l1, 0, refit, scores=True)
    for refit in (0.0, REFIT):
        for seed in range(1, n_seeds):
            run(0.02, seed, refit, scores=False)


if __name__ == "__main__":
    command.run(main)
