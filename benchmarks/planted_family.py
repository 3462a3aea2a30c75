"""A family of planted recordings: points to develop on, and points that are drawn to judge.

The family has 100 to 5,000 neurons, 1,000 to 10,000 frames and 5 to 100 assemblies of 20 to 200
neurons. Up to half of an assembly's members belong to another one as well. Activity is 0.5 to 10 %,
rates differ between neurons, assemblies stay active for 2 to 40 s, and two of them may take turns.
Each recording carries its memberships and states as ``truth``.

Who develops a method looks at `DEVELOPMENT` only. Its settings are then judged on `held_out`, whose
points nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import crbm_lite as cl

DEVELOPMENT: Mapping[str, Mapping[str, object]] = {
    "small": {"n_neurons": 100, "n_assemblies": 5, "size_range": (20, 22), "n_frames": 3000,
              "activity_range": (0.05, 0.05), "overlap": 0.2},
    "short": {"n_neurons": 400, "n_assemblies": 10, "size_range": (20, 40), "n_frames": 1000,
              "activity_range": (0.03, 0.03), "overlap": 0.0},
    "slow": {"n_neurons": 300, "n_assemblies": 8, "size_range": (20, 50), "n_frames": 6000,
             "activity_range": (0.04, 0.04), "overlap": 0.2, "active_s": 40.0, "inactive_s": 160.0},
    "uneven": {"n_neurons": 500, "n_assemblies": 10, "size_range": (20, 80), "n_frames": 4000,
               "activity_range": (0.03, 0.03), "overlap": 0.1, "base_sd": 1.2},
    "weak": {"n_neurons": 400, "n_assemblies": 8, "size_range": (30, 40), "n_frames": 6000,
             "activity_range": (0.04, 0.04), "overlap": 0.1, "effect_range": (1.2, 1.4)},
    "busy": {"n_neurons": 600, "n_assemblies": 15, "size_range": (30, 55), "n_frames": 5000,
             "activity_range": (0.1, 0.1), "overlap": 0.3, "base_sd": 0.6},
    "overlapping": {"n_neurons": 800, "n_assemblies": 12, "size_range": (50, 90), "n_frames": 4000,
                    "activity_range": (0.04, 0.04), "overlap": 0.5, "antiphasic": True},
    "many": {"n_neurons": 3000, "n_assemblies": 100, "size_range": (20, 40), "n_frames": 8000,
             "activity_range": (0.02, 0.02), "overlap": 0.1, "antiphasic": True},
    "sparse": {"n_neurons": 5000, "n_assemblies": 60, "size_range": (30, 60), "n_frames": 4000,
               "activity_range": (0.01, 0.01), "overlap": 0.0},
}  # fmt: skip
_HELD_OUT = 23  # with a seed it makes another stream than the seed alone


def held_out(seed: int) -> dict[str, object]:
    """Draw a point of the family at random, as options of `plant`."""
    rng = np.random.default_rng([_HELD_OUT, seed])

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    while True:
        active_s, activity = log_uniform(2, 40), log_uniform(0.005, 0.1)
        point = {
            "n_neurons": round(log_uniform(100, 5000)),
            "n_assemblies": round(log_uniform(5, 100)),
            "size_range": tuple(sorted(round(log_uniform(20, 200)) for _ in range(2))),
            "n_frames": round(log_uniform(1000, 10_000)),
            "activity_range": (activity, activity),
            "overlap": float(rng.uniform(0, 0.5)),
            "antiphasic": bool(rng.random() < 0.5),
            "base_sd": float(rng.uniform(0.2, 1.2)),
            "active_s": active_s,
            "inactive_s": active_s * float(rng.uniform(3, 10)),
        }
        largest = point["n_assemblies"] * point["size_range"][1] * (1 - point["overlap"] / 2)
        if largest <= 0.95 * point["n_neurons"]:
            return point


def plant(point: Mapping[str, object], random_state: int = 0) -> cl.Recording:
    """Simulate the recording of a point; neurons that are in no assembly are what is left over."""
    return cl.plant_recording(n_unassigned=0, random_state=random_state, **point)
