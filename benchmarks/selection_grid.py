"""The grid over (M, lambda) on the simulated larva, for the chapter on model selection.

python -m benchmarks.selection_grid [file]

It trains sixty models on the training frames of the book's larva, less validation frames that are
cut from them, and writes one line for each, all of it on the validation frames: the five nRMSE, nan
where one has no scale, the score, the left-out log-likelihood, the nLLH, and the sizes and time
scales of the assemblies. The test frames are not looked at. An interrupted run goes on where it
was.
"""

from __future__ import annotations

import math
from pathlib import Path

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.files.whole import cache_folder
from crbm_lite.model.cache import cached_fit
from crbm_lite.validation.comparison import STATISTICS
from crbm_lite.validation.scales import model_scales
from crbm_lite.validation.selection import grid_search

FILE = Path(__file__).with_suffix(".csv")
N_HIDDEN = (5, 10, 20, 40)
L1 = (0.0025, 0.005, 0.01, 0.02, 0.04)
SEEDS = (0, 1, 2)
VALIDATION = {"n_chains": 100, "n_saved": 50, "n_steps": 10, "burn_in": 40}
COLUMNS = (
    "n_hidden", "l1", "seed", *(f"nrmse_{x}" for x in STATISTICS), "score",
    "left_out_log_likelihood", "median_nllh", "density", "n_assemblies", "size",
    "size_above_0.01", "time_scale_s", "verdict",
)  # fmt: skip


def main(file: Path = FILE) -> None:
    """Compute what is missing of the grid, then write the table."""
    chosen_on, _ = cl.split_train_test(cl.simulate_recording(random_state=0))
    train, validation = cl.split_train_test(chosen_on)  # as `grid_search` does
    model = cl.CRBM(n_updates=1000, n_gibbs=8, progress=False)
    folder = cache_folder() / "larva_grid"
    rows = []
    with command.timed() as everything:
        search = grid_search(model, chosen_on, N_HIDDEN, L1, SEEDS, folder, validation=VALIDATION)
        for run in search.runs:
            model.set_params(n_hidden=run.n_hidden, l1=run.l1, random_state=run.seed)
            fitted = cached_fit(model, train, folder / "models")
            scales = model_scales(fitted, validation)
            told = zip(run.nrmse, run.has_scale, strict=True)
            nrmse = (x if says else math.nan for x, says in told)
            values = (
                run.n_hidden, run.l1, run.seed, *nrmse, run.score, run.left_out_log_likelihood,
                run.median_nllh, run.density, scales.n_assemblies, scales.size,
                model_scales(fitted, validation, 0.01).size, scales.time_scale_s, run.verdict,
            )  # fmt: skip
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    stored.write_rows(file, COLUMNS, rows)
    print(
        f"{len(rows)} models, {search.n_computed} trained now, {everything.cpu_s:.0f} s CPU: {file}"
    )


if __name__ == "__main__":
    command.run(main)
