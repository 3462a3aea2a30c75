"""The sparse VAE: (M, lambda) by the ELBO of held-out blocks, then a long run, on larva and retina.

python -m benchmarks.vae [updates of the long runs] [updates in the search]

Writes book/baselines/vae_long_run.json, which the chapter "VAE baseline" shows. The file in the
repository was made with 20000 and 3000 (six minutes of one core). The paper's 200,000 updates go
from a learning rate of 1e-4 to 1e-5. Fewer updates get rates larger by as much, at most twenty
times.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

import crbm_lite as cl
from crbm_lite.baselines.vae import VAE, fit_vae
from crbm_lite.baselines.vae_validation import sweep_vae, validate_vae

OUTPUT = Path(__file__).resolve().parents[1] / "book" / "baselines" / "vae_long_run.json"
N_UPDATES_PAPER = 200_000
SETTINGS = ((40, 0.003), (40, 0.01), (40, 0.02), (100, 0.003), (100, 0.01))
SHOWN_IN_PAPER = (200, 0.02)
EDGES = np.linspace(-6, 1, 57)  # of log10 |w|


def rates(n_updates: int) -> tuple[float, float]:
    """The paper's learning rates times its updates per ours, at most twenty times."""
    factor = min(20.0, N_UPDATES_PAPER / n_updates)
    return 1e-4 * factor, 1e-5 * factor


def describe(vae: VAE, train: cl.Recording, test: cl.Recording) -> dict:
    """Scores and sizes of a trained VAE."""
    report = validate_vae(vae, train, test, random_state=0)
    statistics = {k: getattr(report, k) for k in ("v", "h", "vh", "vv", "hh")}
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


def run(train: cl.Recording, test: cl.Recording, n_updates: int, n_search: int) -> dict:
    """Search, then train at the best (M, lambda) and at the paper's."""
    began = time.process_time()
    sweep = sweep_vae(train, SETTINGS, n_updates=n_search, learning_rate=rates(n_search))
    result = {
        "search": {
            "n_updates": n_search,
            "settings": [list(s) for s in SETTINGS],
            "elbo": sweep.scores.round(3).tolist(),
            "best": list(sweep.best),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
    }
    for name, (n_hidden, l1) in (("best", sweep.best), ("shown_in_paper", SHOWN_IN_PAPER)):
        began = time.process_time()
        vae = fit_vae(
            train, n_hidden, l1, n_updates=n_updates, learning_rate=rates(n_updates), random_state=0
        )
        seconds = time.process_time() - began
        settings = {"n_hidden": n_hidden, "l1": l1, "n_updates": n_updates}
        result[name] = settings | {"cpu_seconds": round(seconds, 1)} | describe(vae, train, test)
    return result


def main(n_updates: int = N_UPDATES_PAPER, n_search: int = 4000) -> None:
    """Run on both recordings, write the file and print the scores."""
    results = {}
    for name, recording in (
        ("retina", cl.load_retina()),
        ("larva", cl.simulate_recording(random_state=0)),
    ):
        results[name] = run(*cl.split_train_test(recording), n_updates, n_search)
        for key in ("best", "shown_in_paper"):
            shown = {k: v for k, v in results[name][key].items() if k[:5] not in ("loss", "log10")}
            print(name, key, shown, flush=True)
    OUTPUT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
