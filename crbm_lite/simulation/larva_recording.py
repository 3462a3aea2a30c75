r"""The embedded default recording: a simulated larva with planted assemblies.

The anatomy, the structure between regions and the plan of assemblies belong to a template
(`crbm_lite.simulation.larva`), which depends only on the seed. An animal places its own neurons,
shifts the assemblies a little, and draws its members, effects and states. It spikes by the equation
of `crbm_lite.recordings.ground_truth`. Nothing is sampled from a cRBM.

The states are two-state Markov chains with dwell times of several seconds. The antiphasic pair
takes turns: each side is active for a gamma-distributed time (15 s on average, shape 4), and pauses
of 2 s lie between.

Calcium traces are the spikes convolved with

.. math:: k(t) = e^{-t/\tau_d} - e^{-t/\tau_r}, \qquad \tau_r = 0.15\,s,\ \tau_d = 2\,s,

which is taken at the middle of each frame and scaled to a peak of 0.25. Each neuron has a gain of
its own, and white noise of standard deviation 0.05 is added.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.signal import lfilter

from crbm_lite.checks.arguments import (
    as_array,
    as_count,
    as_flag,
    as_generator,
    as_number,
    as_rate_hz,
    is_integer,
)
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.simulation.larva import (
    REGION_NAMES,
    AssemblyPlan,
    plan_assemblies,
    plant_structure,
    sample_positions,
)
from crbm_lite.simulation.planted import draw_spikes, draw_states, draw_turns, shift_to_activity
from crbm_lite.simulation.projections import draw_excitability, plan_projections

__all__ = ["calcium_traces", "simulate_recording"]

_EFFECT = (1.8, 2.8)  # log-odds that an active assembly adds to a member
_CROSS_EFFECT = (-2.0, -1.0)  # what it adds to the members of its antiphasic partner
_PAUSE_S = 2.0  # between the turns of the antiphasic pair


def simulate_recording(
    n_neurons: int = 2000,
    n_frames: int = 4000,
    rate_hz: float = 2.5,
    random_state: int | np.random.Generator | None = 0,
    *,
    animal: int = 0,
    n_assemblies: int | None = None,
    background_fraction: float = 0.15,
    activity: float = 0.04,
    dff: bool = False,
    projecting: bool = False,
) -> Recording:
    """Simulate a recording of a larva's brain, with its ground truth.

    Parameters
    ----------
    n_neurons, n_frames : int
    rate_hz : float
        Frames per second.
    random_state : int, numpy.random.Generator or None
        Seed of the template; None draws one that differs every time. The same int gives the same
        template, and the same recording if the other arguments are the same too.
    animal : int
        Which animal of the template to simulate. Animals share regions and assemblies; each has
        its own neurons and dynamics.
    n_assemblies : int, optional
        Number of planted assemblies, at least 8. The default is 24 (N / 2000)^0.7, which gives 24
        for 2,000 neurons and about 200 for 40,000.
    background_fraction : float in [0, 1)
        Fraction of the neurons that belong to no assembly.
    activity : float in (0, 1)
        Mean spikes per neuron and frame.
    dff : bool
        Whether to add calcium traces (4 T N bytes).
    projecting : bool
        Whether all assemblies are drawn from the planted structure between regions, by
        `crbm_lite.simulation.projections`, for questions about structure and function. In the
        template's own plan most lie in one region.

    Returns
    -------
    Recording
        It has coordinates in um and, for each neuron, one label out of twenty regions. Its
        ``truth.structure`` is the planted connectivity between regions.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> recording = simulate_recording(random_state=0)
    >>> recording.n_frames, recording.n_neurons, recording.truth.n_assemblies
    (4000, 2000, 24)
    >>> other = simulate_recording(random_state=0, animal=1)
    >>> other.truth.names == recording.truth.names
    True
    """
    n_neurons = as_count(n_neurons, "n_neurons", 200)  # for twenty regions
    n_frames, animal = as_count(n_frames, "n_frames"), as_count(animal, "animal", 0)
    rate_hz = as_rate_hz(rate_hz)
    if not 0.5 <= rate_hz <= 100:
        raise ValueError(
            f"rate_hz is {rate_hz:g}: give 0.5 to 100, for which the dynamics are meant"
        )
    background_fraction = as_number(background_fraction, "background_fraction", "a fraction")
    activity = as_number(activity, "activity", "a fraction between 0 and 1")
    dff, projecting = as_flag(dff, "dff"), as_flag(projecting, "projecting")
    if not 0 <= background_fraction < 1:
        raise ValueError(f"background_fraction is {background_fraction}: give 0 <= x < 1")
    if not 0 < activity < 1:
        raise ValueError(f"activity is {activity}: give a fraction between 0 and 1")
    if n_assemblies is None:
        n_assemblies = max(8, round(24 * (n_neurons / 2000) ** 0.7))
    n_assemblies = as_count(n_assemblies, "n_assemblies")
    rng = as_generator(random_state)
    random_state = int(random_state if is_integer(random_state) else rng.integers(2**63))

    template_rng = np.random.default_rng([random_state, 0])
    structure = plant_structure(template_rng)
    plan = plan_projections if projecting else plan_assemblies
    plans = plan(n_assemblies, structure, template_rng)

    rng = np.random.default_rng([random_state, 1, animal])
    coordinates, region = sample_positions(n_neurons, rng)
    eligible = rng.random(n_neurons) >= background_fraction
    effects = _draw_effects(plans, coordinates, region, eligible, rng)
    states = _draw_plan_states(plans, n_frames, rate_hz, rng)
    base = rng.normal(0.0, 0.4, size=n_neurons)
    if projecting:
        base += draw_excitability(template_rng)[region]
    base = shift_to_activity(base, effects, states, activity)
    truth = GroundTruth(
        base,
        effects,
        states,
        tuple(p.name for p in plans),
        tuple(p.kind for p in plans),
        structure,
        REGION_NAMES,
    )
    spikes = draw_spikes(truth, rng)
    return Recording(
        spikes,
        rate_hz,
        coordinates=coordinates,
        labels=region[:, None] == np.arange(len(REGION_NAMES)),
        label_names=REGION_NAMES,
        provenance={
            "source": "simulated larva: crbm_lite.simulation.larva_recording.simulate_recording",
            "random_state": random_state,
            "animal": animal,
            **({"projecting": True} if projecting else {}),
        },
        dff=calcium_traces(spikes, rate_hz, rng) if dff else None,
        truth=truth,
    )


def calcium_traces(
    spikes: np.ndarray,
    rate_hz: float,
    random_state: int | np.random.Generator = 0,
    *,
    rise_s: float = 0.15,
    decay_s: float = 2.0,
    amplitude: float = 0.25,
    noise: float = 0.05,
) -> np.ndarray:
    """Turn spikes into noisy calcium traces by the kernel of the module's docstring.

    Parameters
    ----------
    spikes : (T, N) 0/1
    rate_hz : float
    random_state : int or numpy.random.Generator
    rise_s, decay_s : float
        Time constants of the kernel, 0 < rise_s < decay_s.
    amplitude : float
        Peak of the response to one spike, dF/F. The gains of the neurons are log-normal around it
        (20 %).
    noise : float
        Standard deviation of the white noise, dF/F.

    Returns
    -------
    (T, N) float32

    Raises
    ------
    ValueError
        If the time constants are not 0 < rise_s < decay_s.

    Examples
    --------
    >>> trace = calcium_traces(np.eye(50, 1), rate_hz=2.5, noise=0.0)
    >>> int(trace.argmax()), bool(trace[1] > trace[5] > trace[20] > 0)
    (1, True)
    """
    rate_hz, rise_s = as_rate_hz(rate_hz), as_number(rise_s, "rise_s", "seconds", positive=True)
    decay_s = as_number(decay_s, "decay_s", "seconds", positive=True)
    if not rise_s < decay_s:
        raise ValueError(f"rise_s is {rise_s} and decay_s {decay_s}: give 0 < rise_s < decay_s")
    rng = as_generator(random_state)
    spikes = as_array(spikes, "spikes")
    peak_s = np.log(decay_s / rise_s) * rise_s * decay_s / (decay_s - rise_s)
    peak = np.exp(-peak_s / decay_s) - np.exp(-peak_s / rise_s)
    gain = amplitude / peak * np.exp(rng.normal(0, 0.2, size=spikes.shape[1]))
    traces = np.empty(spikes.shape, dtype=np.float32)
    columns = max(1, 2**22 // spikes.shape[0])
    for start in range(0, spikes.shape[1], columns):
        tile = slice(start, start + columns)
        out = np.zeros(spikes[:, tile].shape)
        for sign, tau_s in ((1, decay_s), (-1, rise_s)):  # one recursion for each exponential
            decay = np.exp(-1 / (tau_s * rate_hz))
            out += sign * lfilter([np.sqrt(decay)], [1, -decay], spikes[:, tile], axis=0)
        out *= gain[tile]
        traces[:, tile] = out + noise * rng.standard_normal(out.shape, dtype=np.float32)
    return traces


def _draw_effects(
    plans: list[AssemblyPlan],
    coordinates: np.ndarray,
    region: np.ndarray,
    eligible: np.ndarray,
    rng: np.random.Generator,
) -> scipy.sparse.csr_array:
    """Choose the members of each assembly in one animal and draw the effects on them, (N, K)."""
    n_neurons = region.size
    mean_size = 1.7 * eligible.sum() / len(plans)
    n_tiles = sum(plan.kind == "tile" for plan in plans) // 2  # on each side
    members = []
    for plan in plans:
        size = max(1, round(plan.relative_size * mean_size))
        if plan.kind == "tile":
            n_inside = (eligible & (region == plan.regions[0])).sum()
            size = round(plan.relative_size * n_inside / n_tiles)
        if plan.kind == "dispersed":
            anywhere = np.flatnonzero(eligible)
            members.append(rng.choice(anywhere, size=min(size, anywhere.size), replace=False))
            continue
        blobs = []
        for b, (r, centre) in enumerate(zip(plan.regions, plan.centres_um, strict=True)):
            inside = np.flatnonzero(eligible & (region == r))
            n = min(max(1, size // len(plan.regions)), -(-2 * inside.size // 3))
            if plan.shares is not None:  # rounded at random, so that small shares count on average
                n = int(plan.shares[b] * inside.size + rng.random())
            distance = np.linalg.norm(coordinates[inside] - centre - rng.normal(0, 5, 3), axis=1)
            # Take the nearest neurons, with a ragged edge.
            ragged = distance * np.exp(rng.normal(0, 0.15, size=inside.size))
            blobs.append(inside[np.argsort(ragged, kind="stable")[:n]])
        members.append(np.concatenate(blobs))

    rows = list(members)
    columns = [np.full(m.size, k) for k, m in enumerate(members)]
    values = [rng.uniform(*_EFFECT, size=m.size) for m in members]
    pair = [k for k, plan in enumerate(plans) if plan.kind == "antiphasic"]
    for k, partner in (pair, pair[::-1]) if pair else ():
        rows.append(members[partner])
        columns.append(np.full(members[partner].size, k))
        values.append(rng.uniform(*_CROSS_EFFECT, size=members[partner].size))
    return scipy.sparse.csr_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(n_neurons, len(plans)),
    )


def _draw_plan_states(
    plans: list[AssemblyPlan], n_frames: int, rate_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the states of all assemblies in one animal, (T, K) bool."""
    # Each animal is a little slower or faster than the template.
    tempo = rate_hz * np.exp(rng.normal(0, 0.1, size=len(plans)))
    active = np.maximum(1.0, [p.active_s for p in plans] * tempo)
    inactive = np.maximum(1.0, [p.inactive_s for p in plans] * tempo)
    states = draw_states(n_frames, active, inactive, rng)
    pair = [k for k, plan in enumerate(plans) if plan.kind == "antiphasic"]
    if pair:
        active_frames = plans[pair[0]].active_s * rate_hz
        states[:, pair] = draw_turns(n_frames, active_frames, _PAUSE_S * rate_hz, rng)
    return states
