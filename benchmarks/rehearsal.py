"""The whole brain: a simulated larva of 40,709 neurons and 5,800 frames, 200 planted assemblies.

python -m benchmarks.rehearsal
python -m benchmarks.rehearsal 0.02 220 2000 0.4 0.3 1   (lambda, units, updates, refit, ramp, seed)
python -m benchmarks.rehearsal planted 0.02    (the planted recording, as large)
python -m benchmarks.rehearsal jax             (on an accelerator; nothing is stored)

It trains, compares with the planted truth and the test frames, and keeps the figures of the usual
choice in results/rehearsal.json for the chapter on scale. The seed is that of the recording and of
the training. Frames are generated only where less than a tenth of the weights is not zero: with a
third, that takes half an hour.
"""

from __future__ import annotations

import json
import sys

import numba
import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.planted import nllh_of_truth, recovered
from crbm_lite.validation.comparison import STATISTICS
from crbm_lite.validation.likelihood import nllh

N, T, K = 40_709, 5_800, 200
USUAL = (0.01, 220, 3000, 0.5, 0.0, 0)  # lambda, hidden units, updates, refit, ramp, seed
_DENSE = 0.1
RESULTS = stored.RESULTS / "rehearsal.json"


def recordings(planted: bool, seed: int) -> tuple[cl.Recording, cl.Recording]:
    """Training and test frames of the larva, or of the planted recording at its size."""
    if not planted:
        return cl.split_train_test(cl.simulate_recording(N, T, n_assemblies=K, random_state=seed))
    recording = cl.plant_recording(N, K, (200, 340), T, 4_000, random_state=seed)
    cut = int(0.7 * T)
    return recording.select_frames(slice(0, cut)), recording.select_frames(slice(cut, None))


def main(*words: str) -> None:
    """Simulate, train, score, and store what the usual choice gives."""
    planted, backend = "planted" in words, "jax" if "jax" in words else "numba"
    choice = tuple(float(word) for word in words if word not in ("planted", "jax"))
    choice += USUAL[len(choice) :]
    l1, n_hidden, n_updates, refit, ramp, seed = choice
    n_hidden, n_updates, seed = int(n_hidden), int(n_updates), int(seed)
    train, test = recordings(planted, seed)
    model = cl.CRBM(
        n_hidden=n_hidden, l1=l1, n_updates=n_updates, n_gibbs=10, jump_every=10,
        final_learning_rate=1e-4, refit=refit, ramp=ramp, random_state=seed,
        backend=backend, progress=sys.stderr.isatty(),
    )  # fmt: skip
    with command.timed() as fit:
        model.fit(train)
    history = model.history_
    membership = np.asarray(test.truth.membership, dtype=float)
    figures = {
        "neurons": N, "frames": T, "training frames": train.n_frames, "assemblies": K,
        "hidden units": n_hidden, "l1": l1, "refit": refit, "ramp": ramp, "updates": n_updates,
        "backend": backend, "threads": numba.get_num_threads(),
        "seconds": round(fit.wall_s), "cpu seconds": round(fit.cpu_s),
        "seconds an update": round(
            float((history.seconds[-1] - history.seconds[0])
                  / (history.update[-1] - history.update[0])), 3),
        "verdict": model.verdict_,
        "recovered": recovered(model.weights_, membership),
        "units alive": model.certificate_.n_units_alive,
        "density": round(float((model.weights_ != 0).mean()), 4),
        "mean density of the run": round(float(history.density.mean()), 4),
        "nLLH": round(nllh(model, test).median, 4),
        "nLLH of the truth": round(nllh_of_truth(test), 4),
        "peak GB": round(command.peak_gb(), 2),
    }  # fmt: skip
    print(json.dumps(figures, indent=1), flush=True)
    if figures["density"] > _DENSE:
        return
    report = cl.validate(model, train, test, random_state=0)
    for name in STATISTICS:
        statistic = getattr(report, name)
        figures[f"nRMSE {name}"] = round(float(statistic.nrmse), 3)
    figures["r of vv"] = round(float(report.vv.pearson_r), 3)
    print(report.table(), flush=True)
    if choice == USUAL and not planted and backend == "numba":
        stored.write(RESULTS, figures)


if __name__ == "__main__":
    command.run(main)
