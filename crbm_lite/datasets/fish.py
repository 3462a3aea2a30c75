"""A simulated fish with the anatomy of the paper's: the counterpart of one of its eight recordings.

Regions, their neurons and the structure between them are the atlas'
(`crbm_lite.datasets.atlas`, `crbm_lite.datasets.atlas_volume`). Positions, assemblies, members,
states and spikes are drawn by the modules `fish_positions`, `fish_plan`, `fish_members`,
`fish_states` and `fish_spikes`. Nothing is sampled from a cRBM. The page "A brain of the paper's
size" holds what was aimed at against what comes out.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.checks.arguments import as_generator, as_number, is_integer
from crbm_lite.datasets.atlas import load_atlas
from crbm_lite.datasets.atlas_volume import load_atlas_volume
from crbm_lite.datasets.fish_members import draw_members, effects_given_members
from crbm_lite.datasets.fish_plan import plan_fish
from crbm_lite.datasets.fish_positions import place_neurons, thin_labels
from crbm_lite.datasets.fish_spikes import draw_bursts
from crbm_lite.datasets.fish_states import draw_fish_states
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.simulation.planted import shift_to_activity

__all__ = ["simulate_fish"]

# Mean 3.9 Hz (s.d. 0.8) and 1,514 s (238), as in the paper. The frames of fish 1 to 3 are known
# (5,500, 6,000, 5,553); the other numbers of each fish are not, and were set to fit.
_RATE_HZ = (3.6, 4.0, 3.7, 3.1, 4.6, 2.7, 5.2, 4.3)
_N_FRAMES = (5500, 6000, 5553, 5518, 5474, 5049, 6396, 6506)
_N_ASSEMBLIES = (200, 200, 200, 200, 100, 200, 100, 100)  # 100 in the three smallest
_ACTIVITY = (0.03, 0.045)
_BASE_SD = 0.5  # of the log-odds at rest
_UNASSIGNED = 0.065
_HOLD_S = 0.5


def simulate_fish(
    k: int,
    *,
    scale: float = 1.0,
    n_assemblies: int | None = None,
    minutes: float | None = None,
    activity: float | None = None,
    random_state: int | np.random.Generator | None = None,
) -> Recording:
    """Simulate fish k of the paper's eight, with its ground truth.

    It has exactly the neurons of that fish, region by region, each in the voxels of its region. All
    fish share the plan of assemblies and differ in neurons, members and states.

    Parameters
    ----------
    k : int
        Fish 1 to 8.
    scale : float in (0, 1]
        Share of its neurons; 1 (default) makes up to 65,517 neurons by 6,000 frames, in a minute
        and 2 GB. The frames stay.
    n_assemblies : int from 30 to 200, optional
        How many of the plan's assemblies it has; by default 200, or 100 in the three smallest fish.
    minutes : float, optional
        Length of the recording; by default that of the fish, some 25.
    activity : float in (0, 1), optional
        Mean number of spikes of a neuron in a frame; by default drawn from 0.03 to 0.045.
    random_state : int or numpy.random.Generator, optional
        Seed of the fish; None draws one that differs every time. The plan does not depend on it.

    Returns
    -------
    Recording
        ``coordinates`` in um; ``labels`` (N, 72), left and right columns by name; ``truth`` with
        effects, states and the atlas' structural matrix.

    Raises
    ------
    DatasetUnavailable
        If the atlas is neither at hand nor within reach.
    ValueError
        If k, scale, n_assemblies, minutes or activity is out of range.

    Examples
    --------
    >>> simulate_fish(9)
    Traceback (most recent call last):
    ValueError: k is 9: give a fish of the paper, 1 to 8
    """
    if not is_integer(k) or not 1 <= k <= 8:
        raise ValueError(f"k is {k!r}: give a fish of the paper, 1 to 8")
    scale = as_number(scale, "scale", "a share of the neurons, 0.01 to 1")
    if not 0.01 <= scale <= 1:
        raise ValueError(f"scale is {scale}: give a share of the neurons, 0.01 to 1")
    if minutes is not None:
        minutes = as_number(minutes, "minutes", "the length", positive=True)
    if activity is not None:
        activity = as_number(activity, "activity", "spikes per frame")
    if activity is not None and not 0 < activity < 1:
        raise ValueError(f"activity is {activity}: give spikes per frame between 0 and 1")
    rng = as_generator(random_state)
    seed = int(random_state if is_integer(random_state) else rng.integers(2**63))
    atlas, volume = load_atlas(), load_atlas_volume()
    rng = np.random.default_rng([seed, k])
    rate_hz, n_frames = _RATE_HZ[k - 1], _N_FRAMES[k - 1]
    if minutes is not None:
        n_frames = max(1, round(60 * minutes * rate_hz))

    labels = thin_labels(atlas.labels[k - 1], scale, rng)
    coordinates = place_neurons(labels, volume, rng)
    if n_assemblies is None:
        n_assemblies = _N_ASSEMBLIES[k - 1]
    plans = plan_fish(atlas, volume, n_assemblies)
    member = draw_members(plans, coordinates, labels, _UNASSIGNED, rng)
    effects = effects_given_members(member, plans, rng)
    states = draw_fish_states(plans, n_frames, rate_hz, rng)
    base = rng.normal(0, _BASE_SD, size=labels.size)
    drawn = rng.uniform(*_ACTIVITY)
    truth = GroundTruth(
        shift_to_activity(base, effects, states, drawn if activity is None else activity),
        effects,
        states,
        tuple(plan.name for plan in plans),
        tuple(plan.kind for plan in plans),
        atlas.structure,
        atlas.names,
    )
    return Recording(
        draw_bursts(truth, max(1.0, _HOLD_S * rate_hz), rng),
        rate_hz,
        coordinates=coordinates,
        labels=labels[:, None] == np.arange(len(atlas.names)),
        label_names=atlas.names,
        provenance={
            "source": "simulated fish: crbm_lite.datasets.fish.simulate_fish",
            "anatomy": "van der Plas, Tubiana et al. 2023, eLife 12:e83139; "
            "Kunst et al. 2019, Neuron 103:21-38",
            "fish": int(k),
            "scale": float(scale),
            "random_state": int(seed),
        },
        truth=truth,
    )
