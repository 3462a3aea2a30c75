"""The recordings, by name: real ones, simulated ones, and ones in which nothing is shared.

- Real: three retinas, the smaller sample "nasal 58" of one (every eighth unit), the tectum, and the
  mean dF/F of 67 regions.
- Simulated: the larva, waves, and the points "dev ..." of `benchmarks.planted_family`.
- "held-out 0", "held-out 1", ... are drawn points of that family. They are not among `NAMES`: who
  chooses settings must not see them.
- "null ..." is one of the others with every neuron shifted in time by its own amount. What neurons
  share is then chance, and no unit should be found. Each seed shifts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.special import expit

import crbm_lite as cl
from benchmarks import planted_family
from benchmarks.like_for_like import RETINAS
from crbm_lite.calcium.deconvolution import GCAMP6S, infer_kernel
from crbm_lite.recordings.controls import shift_time


def nasal_58() -> cl.Recording:
    """Every eighth unit of a retina."""
    retina = cl.load_retina(RETINAS["nasal"])
    return retina.select_neurons(np.arange(0, retina.n_neurons, 8))


def tectum() -> cl.Recording:
    """114 cells, deconvolved with the kernel that fits them."""
    file = cl.fetch("zebrafish-tectum").paths["zf_20151104-f1.mat"]
    options = {"keys": {"spikes": "activity_matrix"}, "time_axis": 1, "rate_hz": 2.2}
    first = cl.import_recording(file, **options, kernel=GCAMP6S)
    return cl.import_recording(file, **options, kernel=infer_kernel(first.dff, first.rate_hz))


def regions() -> cl.Recording:
    """67 regions with cells, active where their dF/F is a standard deviation above its mean.

    The files do not state the rate. One frame a second is taken, and no score depends on it.
    """
    dff = np.load(cl.fetch("zebrafish-regions").paths["timeseries_regions_fish6.npy"]).T
    dff = dff[:, dff.std(axis=0) > 0]
    return cl.Recording(dff > dff.mean(axis=0) + dff.std(axis=0), rate_hz=1.0)


def waves(n_neurons: int = 300, n_frames: int = 6000, random_state: int = 0) -> cl.Recording:
    """Bands of activity that cross a square of neurons in random directions, 0.5 s a frame.

    A wave begins every 30 s on average and crosses the square in 5 s. Where it is, a neuron fires
    with a probability of 0.6, and elsewhere with 0.02 on average.
    """
    rng = np.random.default_rng(random_state)
    places = rng.uniform(-0.5, 0.5, size=(n_neurons, 2))
    inside = np.zeros((n_frames, n_neurons), dtype=bool)
    for start in np.flatnonzero(rng.random(n_frames) < 1 / 60):
        angle = rng.uniform(0, 2 * np.pi)
        along = places @ [np.cos(angle), np.sin(angle)]
        for frame in range(start, min(start + 14, n_frames)):  # the diagonal takes 14 frames
            inside[frame] |= np.abs(along + 0.7 - (frame - start) / 10) < 0.1
    rest = expit(rng.normal(-4.0, 0.5, size=n_neurons))
    spikes = rng.random(inside.shape) < np.where(inside, 0.6, rest)
    return cl.Recording(spikes, 2.0, np.pad(places, ((0, 0), (0, 1))), provenance="waves")


_MAKE: Mapping[str, Callable[[], cl.Recording]] = {
    "tectum": tectum,
    "regions": regions,
    "nasal 58": nasal_58,
    **{f"dev {name}": lambda point=point: planted_family.plant(point)
       for name, point in planted_family.DEVELOPMENT.items()},
    "waves": waves,
    "dorsal": lambda: cl.load_retina(RETINAS["dorsal"]),
    "nasal": lambda: cl.load_retina(RETINAS["nasal"]),
    "larva": cl.simulate_recording,
    "maccione": lambda: cl.load_retina(RETINAS["maccione"]),
}  # fmt: skip
NULLS = ("null tectum", "null nasal 58", "null dev small", "null dev short")
NAMES = (*_MAKE, *NULLS)


def load(name: str, seed: int = 0) -> cl.Recording:
    """Return a recording; only those in which nothing is shared depend on the seed."""
    if name.startswith("null "):
        recording = load(name.removeprefix("null "))
        return replace(recording, spikes=shift_time(recording, seed), truth=None, dff=None)
    if name.startswith("held-out "):
        seed = int(name.removeprefix("held-out "))
        return planted_family.plant(planted_family.held_out(seed), seed)
    if name not in _MAKE:
        raise SystemExit(f"{name}: give some of {', '.join(NAMES)}, held-out 0, held-out 1, ...")
    return _MAKE[name]()
