"""The recordings, by name: surrogates, planted ones, and ones in which nothing is shared.

- "surrogate default 3": layout 3 of the published surrogates; "surrogate noise 4 3": the same
  layout with the level 4 of the series "noise". Series and levels are in `SERIES`. Spikes are what
  deconvolution gives with the kernel that was simulated. Layout and activity are drawn with the
  number of the layout as seed, so a layout is the same at all levels that do not concern it.
- "planted default 0", "planted overlap 0.5 0", ...: points of `benchmarks.planted_family` along
  `FAMILY`, each with its seed. They have no traces.
- "dev small", "larva" and the other names of `benchmarks.any_recording.recordings` that have a
  truth.
- "null ..." is one of the others with every cell shifted in time by its own amount.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import planted_family
from benchmarks.any_recording import recordings
from crbm_lite.calcium.deconvolution import CalciumKernel, deconvolve
from crbm_lite.simulation.surrogates import simulate_surrogate

N_LAYOUTS = 20
SERIES: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "cells": {str(v): {"degree": v} for v in (5, 8, 10, 17)},
    "overlap": {f"{x:g}": {"overlap_range": (x - 0.05, x)} for x in (0.1, 0.2, 0.3, 0.35)},
    "duration": {str(s): {"duration_s": float(s)} for s in (450, 900, 1800, 7200)},
    "noise": {str(sd): {"noise_sd": float(sd)} for sd in (1, 2, 4, 8)},
    "saturation": {str(k): {"saturation": float(k)} for k in (3, 10, 30, 100)},
}
# A small one for proof and for the chapter: the example of the authors' repository.
EXAMPLE = {"degree": 5, "n_assemblies": 5, "duration_s": 1800.0}

_POINT = {"n_neurons": 500, "n_assemblies": 10, "size_range": (20, 40), "n_frames": 4000,
          "activity_range": (0.03, 0.03), "overlap": 0.1}  # fmt: skip
FAMILY: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "overlap": {f"{x:g}": {"overlap": x} for x in (0.0, 0.25, 0.5)},
    "size": {"15": {"size_range": (15, 15)}, "100": {"size_range": (100, 100), "n_neurons": 1500},
             "200": {"size_range": (200, 200), "n_neurons": 3000}},
    "activity": {f"{a:g}": {"activity_range": (a, a)} for a in (0.005, 0.01, 0.08)},
    "assemblies": {"5": {"n_assemblies": 5}, "50": {"n_assemblies": 50, "n_neurons": 2000},
                   "200": {"n_assemblies": 200, "n_neurons": 8000}},
    "cells": {"91": {"n_neurons": 91, "n_assemblies": 4, "size_range": (15, 20)},
              "469": {"n_neurons": 469}, "5000": {"n_neurons": 5000, "n_assemblies": 60},
              "40000": {"n_neurons": 40_000, "n_assemblies": 200, "size_range": (80, 160)}},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """A recording as detectors get it, with its truth; a null one has no members.

    Attributes
    ----------
    spikes : (T, N) uint8
    traces : (T, N) float32 or None
    members : (N, K) bool
    states : (T, K) bool
    """

    spikes: np.ndarray
    traces: np.ndarray | None
    members: np.ndarray
    states: np.ndarray

    def inputs(self) -> dict[str, np.ndarray]:
        """What a method may be given: "spikes", and "traces" where there are any."""
        return {"spikes": self.spikes} | ({} if self.traces is None else {"traces": self.traces})

    def halves(self) -> tuple[Case, Case]:
        """The first and the second half of the frames."""
        middle = len(self.spikes) // 2
        return tuple(
            Case(self.spikes[part], None if self.traces is None else self.traces[part],
                 self.members, self.states[part])
            for part in (slice(middle), slice(middle, None))
        )  # fmt: skip


def _names() -> tuple[str, ...]:
    """The default of each family, then its series, then the nulls."""
    surrogates = ["surrogate default"]
    surrogates += [f"surrogate {s} {level}" for s, levels in SERIES.items() for level in levels]
    planted = ["planted default"]
    planted += [f"planted {s} {level}" for s, levels in FAMILY.items() for level in levels]
    layouts = [f"{name} {k}" for name in surrogates for k in range(N_LAYOUTS)]
    points = [f"{name} {k}" for name in planted for k in range(3)]
    nulls = [f"null {name} {k}" for name in (surrogates[0], planted[0]) for k in range(N_LAYOUTS)]
    return (*layouts, *points, "larva", *nulls)


NAMES = _names()


def load(name: str) -> Case:
    """Make a recording."""
    if name.startswith("null "):
        return shifted(load(name.removeprefix("null ")))
    kind, _, rest = name.partition(" ")
    if kind == "surrogate":
        return _surrogate(*_options(name, rest, SERIES, {"example": EXAMPLE}))
    if kind == "planted":
        point, seed = _options(name, rest, FAMILY, {})
        return _of_recording(planted_family.plant(_POINT | point, seed))
    recording = recordings.load(name)
    if recording.truth is None:
        raise SystemExit(f"{name} has no truth: its assemblies are not known")
    return _of_recording(recording)


def _options(name: str, rest: str, series: Mapping, more: Mapping) -> tuple[dict, int]:
    """Read "default 3" or "noise 4 3" as options and a seed."""
    *level, seed = rest.split()
    known = {("default",): {}} | {(key,): options for key, options in more.items()}
    known |= {(s, key): options for s, levels in series.items() for key, options in levels.items()}
    if tuple(level) not in known or not seed.isdigit():
        texts = ", ".join(" ".join(key) for key in known)
        raise SystemExit(f"{name}: give {name.split()[0]}, one of {texts}, and a number")
    return dict(known[tuple(level)]), int(seed)


def _surrogate(options: dict, seed: int) -> Case:
    simulated = simulate_surrogate(random_state=seed, **options)
    kernel = CalciumKernel(rise_s=0.01, decay_s=1.0 / math.log(2))  # a half-life of a second
    spikes = deconvolve(simulated.dff, simulated.rate_hz, kernel).spikes
    return Case(spikes, simulated.dff, simulated.membership, simulated.states)


def _of_recording(recording: object) -> Case:
    truth = recording.truth
    return Case(recording.spikes, None, truth.membership > 0, truth.states)


def shifted(case: Case, random_state: int = 0) -> Case:
    """Every cell shifted in time by itself, traces and spikes alike; nothing is left to find."""
    rng = np.random.default_rng(random_state)
    shift = rng.integers(len(case.spikes), size=case.spikes.shape[1])

    def turn(x: np.ndarray) -> np.ndarray:
        return np.stack([np.roll(column, k) for column, k in zip(x.T, shift)], axis=1)

    traces = None if case.traces is None else turn(case.traces)
    nobody = case.members[:, :0], case.states[:, :0]
    return replace(case, spikes=turn(case.spikes), traces=traces, members=nobody[0],
                   states=nobody[1])  # fmt: skip
