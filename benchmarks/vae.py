"""The sparse VAE: the paper's 200,000 updates, shorter runs, and (M, lambda) by held-out ELBO.

python -m benchmarks.vae

It writes book/baselines/vae_long_run.json, which the chapter "VAE baseline" shows. Each part is
kept as soon as it is done, and says how many updates it had and what it cost: half an hour of one
core in all. The paper makes 200,000 updates at rates from 1e-4 to 1e-5, and so does the run on the
larva with the settings that the paper shows. The others have fewer, to save time, and rates larger
by as much, at most twenty times. Runs as short as those of the search also show how many latents
stay connected on larvae with more assemblies, with more neurons, and at smaller penalties.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.baselines.vae import VAE, fit_vae
from crbm_lite.baselines.vae_validation import sweep_vae, validate_vae
from crbm_lite.validation.comparison import STATISTICS

OUTPUT = Path(__file__).resolve().parents[1] / "book" / "baselines" / "vae_long_run.json"
N_UPDATES_PAPER = 200_000
N_UPDATES_SHORT = 4000
N_UPDATES = {  # of the long runs: at what the paper shows, and at the best of the search
    "larva": (200_000, 20_000),
    "retina": (20_000, 20_000),
}
SHOWN_IN_PAPER = (200, 0.02)
BEST_IN_PAPER = (300, 0.01)
SETTINGS = (
    *((40, 0.003), (40, 0.01), (40, 0.02), (100, 0.003), (100, 0.01)),
    *(SHOWN_IN_PAPER, BEST_IN_PAPER),
)
LARVAE = (  # neurons, planted assemblies, lambda
    *((2000, 24, 0.02), (2000, 24, 0.005), (2000, 24, 0.0002)),
    *((2000, 96, 0.02), (2000, 96, 0.005), (8000, 96, 0.02), (20_000, 96, 0.02)),
)
EDGES = np.linspace(-6, 1, 57)  # of log10 |w|


def rates(n_updates: int) -> tuple[float, float]:
    """The paper's learning rates times its updates per ours, at most twenty times."""
    factor = min(20.0, N_UPDATES_PAPER / n_updates)
    return 1e-4 * factor, 1e-5 * factor


def describe(vae: VAE, train: cl.Recording, test: cl.Recording) -> dict:
    """Scores and sizes of a trained VAE."""
    report = validate_vae(vae, train, test, random_state=0)
    statistics = {k: getattr(report, k) for k in STATISTICS}
    sizes = (vae.sparse_weights() != 0).sum(axis=0)
    magnitude = np.log10(np.maximum(np.abs(vae.weights), 1e-12)).clip(EDGES[0], EDGES[-1])
    return {
        "nrmse": {k: round(s.nrmse, 4) for k, s in statistics.items()},
        "pearson_r": {k: round(s.pearson_r, 4) for k, s in statistics.items()},
        "nllh": round(report.nllh.median, 4),
        "elbo_train": round(vae.elbo(train), 3),
        "elbo_test": round(vae.elbo(test), 3),
        "fraction_disconnected": round(float(np.mean(~vae.connected())), 4),
        "assembly_sizes": sorted(int(s) for s in sizes if s),
        "n_parameters": int(sizes.sum()) + len(vae.fields),
        "loss": [round(float(x), 3) for x in vae.loss],
        "log10_weight_edges": EDGES.round(4).tolist(),
        "log10_weight_counts": np.histogram(magnitude, EDGES)[0].tolist(),
    }


def search(train: cl.Recording, n_updates: int) -> dict:
    """Held-out ELBOs of the settings, and the best of them."""
    with command.timed() as trained:
        sweep = sweep_vae(train, SETTINGS, n_updates=n_updates, learning_rate=rates(n_updates))
    return {
        "n_updates": n_updates,
        "settings": [list(s) for s in SETTINGS],
        "elbo": sweep.scores.round(3).tolist(),
        "best": list(sweep.best),
        "cpu_seconds": round(trained.cpu_s, 1),
    }


def connected(n_updates: int) -> dict:
    """How many of the latents of the paper's M are connected, on larvae of several makes."""
    rows = []
    for n_neurons, n_assemblies, l1 in LARVAE:
        larva = cl.simulate_recording(n_neurons, n_assemblies=n_assemblies, random_state=0)
        vae = fit_vae(
            cl.split_train_test(larva)[0],
            SHOWN_IN_PAPER[0],
            l1,
            n_updates=n_updates,
            learning_rate=rates(n_updates),
            random_state=0,
        )
        size = int(np.median((larva.truth.membership != 0).sum(axis=0)))
        made = {"n_neurons": n_neurons, "n_assemblies": n_assemblies, "median_size": size}
        rows.append(made | {"l1": l1, "n_connected": int(vae.connected().sum())})
    return {"n_updates": n_updates, "n_hidden": SHOWN_IN_PAPER[0], "larvae": rows}


def long_run(
    train: cl.Recording, test: cl.Recording, n_hidden: int, l1: float, n_updates: int
) -> dict:
    """Train one VAE for long and describe it."""
    with command.timed() as trained:
        vae = fit_vae(
            train, n_hidden, l1, n_updates=n_updates, learning_rate=rates(n_updates), random_state=0
        )
    settings = {"n_hidden": n_hidden, "l1": l1, "n_updates": n_updates}
    return settings | {"cpu_seconds": round(trained.cpu_s, 1)} | describe(vae, train, test)


def keep(name: str, part: str, make: Callable[[], dict]) -> dict:
    """Make a part of one recording's entry of the file, unless the present code has made it."""
    if not stored.is_current(OUTPUT, f"{name}/{part}"):
        stored.keep(OUTPUT, name, {part: make()})
        print(name, "kept:", part, flush=True)
    return stored.read(OUTPUT)[name][part]


def main() -> None:
    """Run everything on both recordings."""
    if not stored.is_current(OUTPUT, "connected/larvae"):
        stored.keep(OUTPUT, "connected", connected(N_UPDATES_SHORT))
    for name, recording in (
        ("larva", cl.simulate_recording(random_state=0)),
        ("retina", cl.load_retina()),
    ):
        train, test = cl.split_train_test(recording)
        n_shown, n_best = N_UPDATES[name]
        run = partial(long_run, train, test)
        keep(name, "shown_in_paper", partial(run, *SHOWN_IN_PAPER, n_shown))
        found = keep(name, "search", partial(search, train, N_UPDATES_SHORT))
        keep(name, "best", partial(run, *found["best"], n_best))


if __name__ == "__main__":
    command.run(main)
