"""Five cRBMs of each of eight simulated larvae against the planted structure, beside the baselines.

python -m benchmarks.connectivity_animals              print what connectivity_animals.csv holds
python -m benchmarks.connectivity_animals measure      train again, write it (3 minutes on a core)
python -m benchmarks.connectivity_animals forty        the same with 40 assemblies, printed only
python -m benchmarks.connectivity_animals whole_brain  region_connectivity at the size of a brain

A row is a pair of regions of one animal. It holds their neurons; how many of the five runs have
0.01 < std(w) < 0.2 and are kept, and how many are below the paper's 0.1, which belongs to larger
recordings; then mean |J| by every method. The graphical lasso takes a time that grows with the
cube of the number of neurons, so ``glasso``, and beside it ``crbm_few`` and ``correlation_few``,
are those of the twelve most active neurons of every region.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numba
import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.baselines.graphical_lasso import graphical_lasso_couplings
from crbm_lite.baselines.ising import fit_ising
from crbm_lite.connectivity.couplings import (
    factor_of_covariance,
    factor_of_models,
    kept_by_weight_spread,
)
from crbm_lite.connectivity.protocol import connectivity_of_animals
from crbm_lite.connectivity.region_statistics import compare, conservation, region_pairs
from crbm_lite.connectivity.regions import aggregate_regions, region_connectivity
from crbm_lite.connectivity.structure import average_connectivity

TABLE = Path(__file__).with_name("connectivity_animals.csv")
N_ANIMALS = 8
N_FEW = 12  # neurons of each region for what is slow
LARVA = {"n_neurons": 1000, "n_frames": 1200, "n_assemblies": 20, "projecting": True}
MODEL = {"n_hidden": 25, "l1": 0.02, "n_updates": 300, "n_gibbs": 8, "progress": False}
KEEP = partial(kept_by_weight_spread, high=0.2)
METHODS = (
    "planted", "crbm", "covariance", "correlation", "ising",
    "glasso", "crbm_few", "correlation_few",
)  # fmt: skip
COLUMNS = ("animal", "i", "j", "n_i", "n_j", "n_kept", "n_below_01", *METHODS)


def larva(animal: int, **changes: int) -> cl.Recording:
    """One animal, without the neurons that never spike."""
    whole = cl.simulate_recording(random_state=0, animal=animal, **LARVA | changes)
    return whole.select_neurons(np.setdiff1d(np.arange(whole.n_neurons), whole.constant_neurons))


def few_neurons(recording: cl.Recording) -> np.ndarray:
    """The most active neurons of each region, as many of each."""
    region = np.asarray(recording.labels).argmax(axis=1)
    order = np.lexsort((-recording.activity, region))
    rank = np.arange(len(order)) - np.searchsorted(region[order], region[order])
    return np.sort(order[rank < N_FEW])


def matrices(animal: int) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[int, int]]:
    """Region matrices of one animal by method, its neurons by region, and the runs kept.

    The runs with std(w) below 0.2 and those below 0.1.
    """
    recording = larva(animal)
    labels = np.asarray(recording.labels)
    models = []

    def fit(model: cl.CRBM, trained_on: cl.Recording) -> cl.CRBM:
        models.append(model.fit(trained_on))
        return models[-1]

    result = connectivity_of_animals(cl.CRBM(**MODEL), [recording], fit=fit, keep=KEEP)
    few = few_neurons(recording)
    some = recording.select_neurons(few)
    weights, scales = factor_of_models(KEEP(models), recording)
    options = {"n_regions": labels.shape[1]}
    region = labels.argmax(axis=1)
    found = {
        "planted": region_connectivity(*recording.truth.coupling_factor(), region, **options),
        "crbm": result.animals[0],
        "covariance": region_connectivity(*factor_of_covariance(recording), region, **options),
        "correlation": region_connectivity(
            *factor_of_covariance(recording, correlation=True), region, **options
        ),
        "ising": aggregate_regions(fit_ising(recording).couplings, region, **options),
        "glasso": aggregate_regions(
            graphical_lasso_couplings(some, alpha=0.1), region[few], **options
        ),
        "crbm_few": region_connectivity(weights[few], scales, region[few], **options),
        "correlation_few": region_connectivity(
            *factor_of_covariance(some, correlation=True), region[few], **options
        ),
    }
    verdicts = [m.verdict_ for m in models]
    spreads = [round(float(m.weights_.std()), 3) for m in models]
    print(f"animal {animal}: kept {result.n_kept[0]} of 5, std(w) {spreads}, {verdicts}")
    n_kept = result.n_kept[0], len(kept_by_weight_spread(models))
    return {k: x.values for k, x in found.items()}, labels.sum(axis=0), n_kept


def forty() -> None:
    """Twice as many assemblies, with hidden units for all: the trial that the cRBM loses."""
    stacks = {"planted": [], "crbm": [], "correlation": []}
    counts = []
    for animal in range(N_ANIMALS):
        recording = larva(animal, n_assemblies=40)
        region, options = np.asarray(recording.labels).argmax(axis=1), {"n_regions": 20}
        counts.append(np.bincount(region, minlength=20))
        result = connectivity_of_animals(
            cl.CRBM(**MODEL | {"n_hidden": 50}), [recording], keep=KEEP
        )
        factors = {
            "planted": recording.truth.coupling_factor(),
            "correlation": factor_of_covariance(recording, correlation=True),
        }
        stacks["crbm"].append(result.animals[0].values)
        for name, factor in factors.items():
            stacks[name].append(region_connectivity(*factor, region, **options).values)
        structure = recording.truth.structure
    for name, stack in stacks.items():
        average = compare(average_connectivity(stack, counts), structure, within=False)
        print(f"40 assemblies, {name:12} r_S {average.spearman_r:.2f}", flush=True)


def region_sums(density: float, n_repeats: int) -> None:
    """In a process of its own: one call at the size of a brain; print seconds and peak memory."""
    n, m, n_regions, rng = 65_517, 200, 72, np.random.default_rng(0)
    region = rng.integers(n_regions, size=n)
    weights = np.zeros((n, m * n_repeats), np.float32)
    for column in weights.T:
        on = rng.choice(n, round(density * n), replace=False)
        column[on] = rng.normal(0, 0.1, on.size)
    region_connectivity(weights[:400], np.ones(m * n_repeats), region[:400] % 4)  # compile
    with command.timed() as sums:
        found = region_connectivity(weights, np.full(m * n_repeats, 1 / n_repeats), region)
    peak = command.peak_gb()
    size = f"N = {n:,}, {len(found.values)} regions, {n_repeats} x M = {m}, density {density:.2f}"
    print(
        f"{size}: {sums.wall_s:.1f} s, {sums.cpu_s:.1f} CPU s on {numba.get_num_threads()} "
        f"thread(s), peak {peak:.2f} GB (weights {weights.nbytes / 1e9:.2f} GB)"
    )


def whole_brain() -> None:
    """Sparse and dense weights, and five repeats; each in a process, whose peak is its own."""
    for density, n_repeats in ((0.05, 1), (0.15, 1), (1.0, 1), (0.05, 5)):
        code = f"import benchmarks.connectivity_animals as b; b.region_sums({density}, {n_repeats})"
        subprocess.run([sys.executable, "-c", code], check=True)


def measure() -> None:
    """Train what is missing and write the table, animal by animal."""
    done = {row["animal"] for row in stored.rows_begun(TABLE)}
    for animal in (a for a in range(N_ANIMALS) if a not in done):
        rows = []
        with command.timed() as trained:
            found, n, kept = matrices(animal)
        print(f"  {trained.cpu_s:.0f} CPU s", flush=True)
        for i, j in zip(*region_pairs(len(n)), strict=True):
            values = [f"{found[method][i, j]:.4g}" for method in METHODS]
            row = (animal, i, j, n[i], n[j], *kept, *values)
            rows.append(dict(zip(COLUMNS, row, strict=True)))
        stored.write_rows(TABLE, COLUMNS, rows, append=True)
    stored.write_rows(TABLE, COLUMNS, stored.read_rows(TABLE))
    summary()


def read() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The table as (animals, R, R) by method, and the neurons (animals, R)."""
    table = np.genfromtxt(TABLE, delimiter=",", names=True)
    a, i, j = (table[name].astype(int) for name in ("animal", "i", "j"))
    stacks = {}
    for method in METHODS:
        stacks[method] = np.full((a.max() + 1, i.max() + 1, i.max() + 1), np.nan)
        stacks[method][a, i, j] = stacks[method][a, j, i] = table[method]
    n = np.zeros(stacks["crbm"].shape[:2])
    n[a, i] = table["n_i"]
    return stacks, n


def main(what: str = "summary") -> None:
    """Print r_S with the planted structure and conservation, by method."""
    parts = {"summary": summary, "measure": measure, "forty": forty, "whole_brain": whole_brain}
    if what not in parts:
        raise SystemExit(f"{what}: give one of {', '.join(parts)}")
    parts[what]()


def summary() -> None:
    """Print what the table holds."""
    stacks, n = read()
    structure = larva(0).truth.structure
    for method, stack in stacks.items():
        average = compare(average_connectivity(stack, n), structure, within=False)
        each = [compare(m, structure, within=False).spearman_r for m in stack]
        alike = conservation(stack)
        print(
            f"{method:16} r_S {average.spearman_r:.2f}, single animals {np.min(each):.2f} to "
            f"{np.max(each):.2f}; KS {average.ks_statistic:.2f}; conserved {alike.mean():.2f}, "
            f"each with itself among them {alike.mean(with_self=True):.2f}",
            flush=True,
        )


if __name__ == "__main__":
    command.run(main)
