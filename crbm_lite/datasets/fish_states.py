r"""When the assemblies of a simulated fish are active: slow modes, switching, turns.

The drive of assembly k is a sum of slow Gaussian processes of unit variance,

.. math:: x_k(t) = \sqrt{a}\, \sum_d L_{kd} f_d(t) + \sqrt{b}\; g_{j(k)}(t)
          + \sqrt{1 - a - b}\; e_k(t),

three brain-wide modes f (a = 0.68), twelve local ones g (b = 0.25) and one of its own, e.
Assemblies with neighbouring seeds share a local mode. An assembly is active while its drive is
above the level that it exceeds for its fraction of the time. The loads L have length 1; they and
the fractions belong to the plan, and a mirror image has those of its original. The antiphasic pair
takes turns instead (`crbm_lite.simulation.planted.draw_turns`), and an assembly that it gates is
active only while its side is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri

from crbm_lite.datasets.atlas_volume import MIDLINE_UM
from crbm_lite.datasets.fish_plan import FishAssembly
from crbm_lite.simulation.planted import draw_turns

__all__ = ["SlowModes", "draw_fish_states", "plan_modes"]

_SEED = 83140  # of the modes, which belong to the species
_WIDE, _LOCAL = 0.68, 0.25  # a, b
_N_MODES = 3
_N_LOCAL = 12
_N_CLUSTERS = 8
_SPREAD = 0.25  # of the loads around their cluster's
_PLACED = 0.75  # of the assemblies, that have the cluster of their place
_ACTIVE = 0.255  # median share of the time
_MODE_S, _LOCAL_S, _OWN_S = 6.0, 4.5, 3.0  # widths of the smoothing
_TURN_S = 15.0
_PAUSE_S = 2.0
_GATED_ACTIVE = 0.55


@dataclass(frozen=True, eq=False)
class SlowModes:
    """How the assemblies hang on the modes.

    Parameters
    ----------
    loads : (K, 3) float64
        Of the brain-wide modes; rows of length 1.
    local : (K,) int
        The local mode of each assembly.
    active : (K,) float64
        Share of the time that it is active.
    """

    loads: np.ndarray
    local: np.ndarray
    active: np.ndarray


def plan_modes(plans: list[FishAssembly]) -> SlowModes:
    """Draw the loads of the assemblies; the same plan gives the same loads.

    Parameters
    ----------
    plans : list of K FishAssembly

    Returns
    -------
    SlowModes
    """
    rng, n = np.random.default_rng(_SEED), len(plans)
    cluster = rng.normal(size=(_N_CLUSTERS // 2, _N_MODES))
    cluster /= np.linalg.norm(cluster, axis=1)[:, None]
    cluster = np.concatenate([cluster, -cluster])  # so that about as many are on at any time
    local = _local_modes(plans, rng)
    cluster_of_place = rng.permutation(_N_LOCAL) % _N_CLUSTERS
    loads, active = np.empty((n, _N_MODES)), np.empty(n)
    for k, plan in enumerate(plans):
        c = cluster_of_place[local[k]] if rng.random() < _PLACED else rng.integers(_N_CLUSTERS)
        load = cluster[c] + rng.normal(0, _SPREAD, size=_N_MODES)
        loads[k] = load / np.linalg.norm(load)
        active[k] = np.clip(_ACTIVE * np.exp(rng.normal(0, 0.25)), 0.1, 0.45)
        if 0 <= plan.mirror < k:
            loads[k], active[k] = loads[plan.mirror], active[plan.mirror]
        if plan.kind == "gated":
            active[k] = _GATED_ACTIVE
    return SlowModes(loads, local, active)


def _local_modes(plans: list[FishAssembly], rng: np.random.Generator) -> np.ndarray:
    """Group assemblies by the place of their seed, left and right together."""
    local = rng.integers(_N_LOCAL, size=len(plans))  # stays for the dispersed ones
    placed = [k for k, plan in enumerate(plans) if plan.regions]
    seeds = np.array([plans[k].centres_um[0] for k in placed])
    seeds[:, 0] = np.abs(seeds[:, 0] - MIDLINE_UM)
    local[placed] = kmeans2(seeds, _N_LOCAL, minit="++", rng=rng)[1]
    return local


def draw_fish_states(
    plans: list[FishAssembly], n_frames: int, rate_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the states of the assemblies of one fish.

    Parameters
    ----------
    plans : list of K FishAssembly
    n_frames : int
    rate_hz : float
    rng : numpy.random.Generator

    Returns
    -------
    (T, K) bool
    """
    modes, n = plan_modes(plans), len(plans)
    wide = _slow(n_frames, _N_MODES, _MODE_S * rate_hz, rng) @ modes.loads.T
    local = _slow(n_frames, _N_LOCAL, _LOCAL_S * rate_hz, rng)[:, modes.local]
    own = _slow(n_frames, n, _OWN_S * rate_hz, rng)
    drive = np.sqrt(_WIDE) * wide + np.sqrt(_LOCAL) * local + np.sqrt(1 - _WIDE - _LOCAL) * own
    states = drive > -ndtri(modes.active)
    kinds = np.array([plan.kind for plan in plans])
    pair, gated = np.flatnonzero(kinds == "antiphasic"), np.flatnonzero(kinds == "gated")
    states[:, pair] = draw_turns(n_frames, _TURN_S * rate_hz, _PAUSE_S * rate_hz, rng)
    states[:, gated] &= states[:, pair]
    return states


def _slow(n_frames: int, n: int, width: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth white noise by a Gaussian of a width in frames; (T, n), mean 0 and variance 1."""
    margin = int(np.ceil(5 * width))
    noise = rng.normal(size=(n_frames + 2 * margin, n))
    smooth = gaussian_filter1d(noise, width, axis=0, truncate=5.0)[margin : margin + n_frames]
    return smooth * np.sqrt(2 * width * np.sqrt(np.pi))
