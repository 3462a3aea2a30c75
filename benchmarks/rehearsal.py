"""The whole brain: 40,709 neurons, 5,800 frames, 200 planted assemblies, with nothing set.

python -m benchmarks.rehearsal                     (a simulated larva, trained by CRBM())
python -m benchmarks.rehearsal planted --seed 1    (the planted recording, as large)
python -m benchmarks.rehearsal hand                (settings by hand in place of CRBM())
python -m benchmarks.rehearsal jax                 (on an accelerator, by hand; nothing is stored)

It trains, prints what the search tried, compares with the planted truth and the test frames, and
keeps the figures in results/rehearsal.json for the chapter on scale. The seed is that of the
recording and of the training. Frames are generated only where less than a tenth of the weights is
not zero: with a third, that takes half an hour.
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
from crbm_lite.validation.likelihood import left_out_log_likelihood, nllh

N, T, K = 40_709, 5_800, 200
BY_HAND = {
    "n_hidden": 220, "l1": 0.01, "n_updates": 3000, "refit": 0.5, "n_gibbs": 10, "jump_every": 10,
    "final_learning_rate": 1e-4,
}  # fmt: skip
_DENSE = 0.1
RESULTS = stored.RESULTS / "rehearsal.json"


def recordings(planted: bool, seed: int) -> tuple[cl.Recording, cl.Recording]:
    """Training and test frames of the larva, or of the planted recording at its size."""
    if not planted:
        return cl.split_train_test(cl.simulate_recording(N, T, n_assemblies=K, random_state=seed))
    recording = cl.plant_recording(N, K, (200, 340), T, 4_000, random_state=seed)
    cut = int(0.7 * T)
    return recording.select_frames(slice(0, cut)), recording.select_frames(slice(cut, None))


def main(*words: str, seed: int = 0) -> None:
    """Simulate, train, score, and store."""
    if unknown := set(words) - {"planted", "hand", "jax"}:
        raise SystemExit(f"{', '.join(unknown)}: give planted, hand, jax or nothing\n\n{__doc__}")
    planted, backend = "planted" in words, "jax" if "jax" in words else "numba"
    by_hand = bool({"hand", "jax"} & set(words))
    train, test = recordings(planted, seed)
    model = cl.CRBM(
        **(BY_HAND if by_hand else {}), random_state=seed, backend=backend,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    with command.timed() as fit:
        model.fit(train)
    report = getattr(model, "report_", None)  # settings by hand leave nothing to search
    if report is not None:
        print(report, flush=True)
    n_searched = 0 if report is None else int(report.n_updates.sum())
    membership = np.asarray(test.truth.membership, dtype=float)
    figures = {
        "neurons": N, "frames": T, "training frames": train.n_frames, "assemblies": K,
        "hidden units": model.certificate_.n_units_alive, "l1": model.l1_, "backend": backend,
        "updates": int(model.history_.update[-1]) + n_searched,
        "threads": numba.get_num_threads(),
        "seconds": round(fit.wall_s), "cpu seconds": round(fit.cpu_s),
        "verdict": model.verdict_,
        "why": [*model.certificate_.failed, *model.certificate_.undetermined],
        "recovered": recovered(model.weights_, membership),
        "density": round(float((model.weights_ != 0).mean()), 4),
        "nLLH": round(nllh(model, test).median, 4),
        "nLLH of the truth": round(nllh_of_truth(test), 4),
        "left-out nats per neuron": round(float(left_out_log_likelihood(model, test).mean()), 5),
        "peak GB": round(command.peak_gb(), 2),
    }  # fmt: skip
    print(json.dumps(figures, indent=1), flush=True)
    if figures["density"] <= _DENSE:
        validation = cl.validate(model, train, test, random_state=0)
        for name in STATISTICS:
            figures[f"nRMSE {name}"] = round(float(getattr(validation, name).nrmse), 3)
        figures["r of vv"] = round(float(validation.vv.pearson_r), 3)
        print(validation.table(), flush=True)
    if backend == "numba":
        part = f"{'by hand' if by_hand else 'CRBM()'}, seed {seed}"
        stored.keep(RESULTS, "planted" if planted else "larva", {part: figures})


if __name__ == "__main__":
    command.run(main)
