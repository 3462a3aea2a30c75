"""A real retina: 477 units, 0.5 s bins, 40 hidden units, lambda chosen on a validation cut.

python -m benchmarks.retina [number of seeds]
"""

from __future__ import annotations

import numpy as np

import crbm_lite as cl
from benchmarks import command
from crbm_lite.validation.likelihood import nllh

N_UPDATES, N_UPDATES_SEARCH = 9000, 1500
CANDIDATES = (0.0005, 0.001, 0.002, 0.004)


def model(l1: float, seed: int, n_updates: int) -> cl.CRBM:
    """Return the estimator of this benchmark."""
    return cl.CRBM(
        n_hidden=40, l1=l1, n_updates=n_updates, n_gibbs=6, jump_every=0,
        random_state=seed, progress=False,
    )  # fmt: skip


def choose_l1(train: cl.Recording) -> float:
    """Choose the largest lambda whose validation nLLH is within a standard error of the best.

    The models are validated on the last seventh of the training frames, and the standard error is
    that of a median over neurons. Among models that cannot be told apart this takes the sparsest
    (Breiman et al. 1984).
    """
    cut = train.n_frames - train.n_frames // 7
    inner, outer = train.select_frames(slice(0, cut)), train.select_frames(slice(cut, None))
    scores, errors = {}, {}
    for l1 in CANDIDATES:
        score = nllh(model(l1, 100, N_UPDATES_SEARCH).fit(inner), outer)
        scores[l1] = score.median
        errors[l1] = 1.25 * np.nanstd(score.nllh) / np.sqrt(np.isfinite(score.nllh).sum())
    print("validation nLLH:", {k: f"{v:.4f} +- {errors[k]:.4f}" for k, v in scores.items()})
    best = max(scores, key=scores.get)
    return max(l1 for l1 in CANDIDATES if scores[l1] >= scores[best] - errors[best])


def main(n_seeds: int = 5) -> None:
    """Choose lambda, train ``n_seeds`` times, print each and the medians."""
    train, test = cl.split_train_test(cl.load_retina())
    with command.timed() as choice:
        l1 = choose_l1(train)
    print(f"lambda {l1}, chosen in {choice.wall_s:.0f} s")
    rows = []
    for seed in range(n_seeds):
        with command.timed() as fit:
            fitted = model(l1, seed, N_UPDATES).fit(train)
        report = cl.validate(fitted, train, test, random_state=seed)
        statistics = (report.v, report.h, report.vh, report.vv, report.hh)
        rows.append(
            [fit.wall_s, *(s.nrmse for s in statistics), report.vv.pearson_r, report.nllh.median]
        )
        print(f"seed {seed} {fitted.verdict_:<13}", np.round(rows[-1], 3), flush=True)
    columns = ("seconds", "v", "h", "vh", "vv", "hh", "r_vv", "nLLH")
    for name, column in zip(columns, np.array(rows).T, strict=True):
        low, middle, high = np.quantile(column, [0, 0.5, 1])
        print(f"{name:<8} median {middle:8.3f}   range {low:8.3f} .. {high:8.3f}")


if __name__ == "__main__":
    command.run(main)
