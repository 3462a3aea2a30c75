r"""Assemblies that follow the planted structure: a seed region and the regions it projects to.

In the template of `crbm_lite.simulation.larva` most assemblies lie in one region, so the structure
between regions hardly shows in the spikes. Here every assembly has a seed region r, and it takes
from each other region q the share

.. math:: f_q = f \min(1, e^{\zeta_q} S_{rq} / S_{90}), \qquad \zeta_q \sim N(0, 0.3^2),

of its neurons. S is the planted structure, :math:`S_{90}` the ninth decile of its positive entries,
and f = 0.35 the share of the seed region itself. So regions that are strongly connected share more
members of more assemblies. Two targets of one seed are coupled even if there is no structure
between them, which is why functional connectivity follows S but never wholly.

Regions also differ in excitability, as they do in a brain: all neurons of a region, left and right,
get the same :math:`N(0, 0.6^2)` on top of their log-odds at rest. It belongs to the template.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.checks.arguments import as_count, as_numbers
from crbm_lite.simulation.larva import REGION_NAMES, AssemblyPlan, draw_dwell_times, sample_inside

__all__ = ["draw_excitability", "plan_projections"]

_SHARE = 0.35
_SPREAD = 0.3
_EXCITABILITY = 0.6


def plan_projections(
    n_assemblies: int, structure: np.ndarray, rng: np.random.Generator
) -> list[AssemblyPlan]:
    """Plan assemblies by the equation of the module; the regions are seeds in turn.

    Parameters
    ----------
    n_assemblies : int
    structure : (R, R) float64
        The planted structure, `crbm_lite.simulation.larva.plant_structure`.
    rng : numpy.random.Generator

    Returns
    -------
    list of AssemblyPlan
        Each has one blob in every region that it takes from, the seed first, and the shares.

    Raises
    ------
    ValueError
        If n_assemblies is below 1, or the structure is empty or does not have the larva's regions.

    Examples
    --------
    >>> from crbm_lite.simulation.larva import plant_structure
    >>> rng = np.random.default_rng(0)
    >>> plan = plan_projections(40, plant_structure(rng), rng)[0]
    >>> plan.kind, REGION_NAMES[plan.regions[0]], plan.shares[0]
    ('projecting', 'telencephalon_left', 0.35)
    """
    n_assemblies = as_count(n_assemblies, "n_assemblies")
    structure = as_numbers(structure, "structure")
    n_regions = len(REGION_NAMES)
    if structure.shape != (n_regions, n_regions) or not (structure > 0).any():
        raise ValueError(
            f"structure has shape {structure.shape}: give ({n_regions}, {n_regions}) strengths, "
            "some of them above 0"
        )
    strong = np.quantile(structure[structure > 0], 0.9)
    plans = []
    for k in range(n_assemblies):
        seed = k % n_regions
        reach = structure[seed] * np.exp(rng.normal(0, _SPREAD, size=n_regions)) / strong
        targets = np.flatnonzero(structure[seed])
        regions = (seed, *targets.tolist())
        plans.append(
            AssemblyPlan(
                f"{REGION_NAMES[seed]} and its targets {k}",
                "projecting",
                regions,
                np.concatenate([sample_inside(r, 1, rng) for r in regions]),
                relative_size=1.0,
                **draw_dwell_times(rng),
                shares=(_SHARE, *(_SHARE * np.minimum(1.0, reach[targets])).tolist()),
            )
        )
    return plans


def draw_excitability(rng: np.random.Generator) -> np.ndarray:
    """Draw what each region adds to the log-odds of its neurons, (R,); both sides get the same.

    Examples
    --------
    >>> draw_excitability(np.random.default_rng(0))[:4].round(2).tolist()
    [0.08, 0.08, -0.08, -0.08]
    """
    return np.repeat(rng.normal(0, _EXCITABILITY, size=len(REGION_NAMES) // 2), 2)
