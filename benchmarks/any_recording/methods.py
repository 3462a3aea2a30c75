"""The competitors, each a function that measures one recording with one seed.

- "automatic": `CRBM()`, nothing set by hand.
- "hand": the best known setting. A grid of M, lambda and start is trained for 3,000 updates of 6
  Gibbs steps, without jumps. The three of the largest gain on the test frames are trained for 6,000
  updates, and the best of them is the bar. By chance it is a little too good, to the cost of
  "automatic".
- "published": the paper's settings in this package. Its 200,000 updates are cut to 2,400, which
  takes as many Gibbs steps as the longest run by hand (2,400 x 15 = 6,000 x 6).
- "NMF", "ICA", "varimax": told the true number of assemblies.
"""

from __future__ import annotations

from itertools import product

import numpy as np

import crbm_lite as cl
from benchmarks import command
from benchmarks.any_recording import scores
from benchmarks.rivals import RIVALS

SIZES = (10, 20, 40)  # where the number of assemblies is not known
L1 = (0.0005, 0.001, 0.002, 0.004, 0.01)
SHORT, LONG = 3000, 6000
N_LONGER = 3  # settings of the grid that are trained for longer
PUBLISHED_UPDATES = 2400
NEARLY = 0.98  # of a gain, that is as good


def fit(
    model: cl.CRBM, train: cl.Recording, test: cl.Recording, seed: int, generates: bool = True
) -> dict:
    """Train and score; what the model generates takes longer than a short training."""
    with command.timed() as elapsed:
        model.fit(train)
    found = {"cpu_s": elapsed.cpu_s, "wall_s": elapsed.wall_s}
    found |= scores.of_prediction(model, train, test)
    return found | (scores.of_generation(model, train, test, seed) if generates else {})


def automatic(train: cl.Recording, test: cl.Recording, seed: int) -> dict:
    """`CRBM()`."""
    return fit(cl.CRBM(random_state=seed, progress=False), train, test, seed)


def published(train: cl.Recording, test: cl.Recording, seed: int) -> dict:
    """The paper's settings, cut short."""
    settings = {"n_updates": PUBLISHED_UPDATES, "random_state": seed, "progress": False}
    return fit(cl.CRBM.as_published(**settings), train, test, seed)


def hand_name(n_hidden: int, l1: float, init: str, n_updates: int) -> str:
    """Name a setting, so that `by_hand` can read it."""
    return f"hand {n_hidden} {l1:g} {init} {n_updates}"


def by_hand(name: str, train: cl.Recording, test: cl.Recording, seed: int) -> dict:
    """Train with the setting that is named."""
    _, n_hidden, l1, init, n_updates = name.split()
    model = cl.CRBM(
        n_hidden=int(n_hidden), l1=float(l1), init=init, n_updates=int(n_updates), n_gibbs=6,
        jump_every=0, random_state=seed, progress=False,
    )  # fmt: skip
    return fit(model, train, test, seed, generates=int(n_updates) == LONG)


def grid(train: cl.Recording) -> list[str]:
    """The settings that are tried: M is the true number and its double, where there is one."""
    k = None if train.truth is None else train.truth.n_assemblies
    sizes = SIZES if k is None else (k, 2 * k)
    return [hand_name(*setting, SHORT) for setting in product(sizes, L1, ("pca", "random"))]


def worst_nrmse(found: dict) -> float:
    """The largest nRMSE of a run among those that have a scale; NaN is the worst."""
    nrmse = [s["nrmse"] for s in found["statistics"].values() if s["has_scale"]]
    return float(np.nan_to_num(max(nrmse, default=0.0), nan=np.inf))


def longer(runs: dict[str, dict]) -> list[str]:
    """Name the settings to train for longer: those of the largest gain in a short training."""
    short = [name for name in runs if name.endswith(f" {SHORT}")]
    best = sorted(short, key=lambda name: -runs[name]["gain_nats"])[:N_LONGER]
    return [name.removesuffix(f"{SHORT}") + f"{LONG}" for name in best]


def best_setting(runs: dict[str, dict]) -> str:
    """Name the long training with the smallest worst nRMSE of those within 2 % of the best gain."""
    long = {name: runs[name] for name in longer(runs)}
    gain = max(found["gain_nats"] for found in long.values())
    good = [name for name, found in long.items() if found["gain_nats"] >= NEARLY * gain]
    return min(good or long, key=lambda name: worst_nrmse(long[name]))


def rival(name: str, train: cl.Recording) -> dict:
    """Fit NMF, ICA or rotated PCA; what they find is scored alone."""
    with command.timed() as elapsed:
        found = RIVALS[name](train, train.truth.n_assemblies)
    times = {"cpu_s": elapsed.cpu_s, "wall_s": elapsed.wall_s}
    return times | scores.of_assemblies(found.scores, train.truth)
