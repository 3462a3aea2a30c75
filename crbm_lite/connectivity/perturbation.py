r"""Perturbation in silico: hold neurons or hidden units, and let the model generate the rest.

When some units of a cRBM are held, the rest is again a cRBM. Neurons held at a add the constant
:math:`\sum_{i \in A} w_{i\mu} a_i` to the inputs, which is the same as subtracting it from both
slopes :math:`\theta_{\mu,\pm}` of Eq. 13. Hidden units held at b add :math:`\sum_{\mu \in B}
w_{i\mu} b_\mu` to the fields. So the model's own chains sample the rest exactly (Eq. 8 and 11).

A hidden unit held at 0 acts on no neuron: silencing an assembly and ablating it are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from crbm_lite.checks.arguments import as_count, as_generator, as_numbers
from crbm_lite.checks.arrays import as_indices
from crbm_lite.connectivity.regions import region_given_neuron

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["Response", "condition", "perturb", "response_by_region"]


def _held(values: Mapping[int, float] | None, n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is {values!r}: give units and values, {name}={{3: 0, 7: 0}}")
    index = as_indices(list(values), n, name) if values else np.empty(0, np.int64)
    held = as_numbers(list(values.values()), name)
    if not np.isfinite(held).all():
        raise ValueError(f"{name} holds NaN or infinity: give finite values")
    if index.size == n:
        raise ValueError(f"{name} holds all {n} units: leave at least one free")
    return index, held


def condition(
    model: CRBM,
    neurons: Mapping[int, int] | None = None,
    hidden: Mapping[int, float] | None = None,
) -> CRBM:
    """Make the cRBM of the units that are not held: P(v_rest, h_rest | what is held).

    Parameters
    ----------
    model : CRBM
    neurons : mapping of int to 0 or 1, optional
        Neurons that are held, and their values. ``dict.fromkeys(members, 0)`` silences the members
        of an assembly.
    hidden : mapping of int to float, optional
        Hidden units that are held, and their values in standard deviations. 0 takes the unit out.

    Returns
    -------
    CRBM
        It has the free neurons and hidden units, in their order, with the names of the neurons.

    Raises
    ------
    ValueError
        If a unit does not exist, a value is impossible or nothing is left free.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[1.0], [2.0]], [0, 0], [1], [1], [0], [0])
    >>> condition(pair, neurons={0: 1}).theta_plus_
    array([-1.])
    """
    from crbm_lite.model.model import CRBM

    check_is_fitted(model, "weights_")
    n, m = model.weights_.shape
    still, v = _held(neurons, n, "neurons")
    fixed, h = _held(hidden, m, "hidden")
    if not np.isin(v, (0, 1)).all():
        raise ValueError(f"neurons holds the value {v[~np.isin(v, (0, 1))][0]:g}: give 0 or 1")
    weights = model.weights_
    free_v, free_h = np.delete(np.arange(n), still), np.delete(np.arange(m), fixed)
    fields = model.fields_ + weights[:, fixed].astype(np.float64) @ h
    drive = v @ weights[still].astype(np.float64)
    gamma_plus, gamma_minus, theta_plus, theta_minus = model.units.parameters
    rest = CRBM.from_parameters(
        weights[np.ix_(free_v, free_h)],
        fields[free_v],
        gamma_plus[free_h],
        gamma_minus[free_h],
        (theta_plus - drive)[free_h],
        (theta_minus - drive)[free_h],
    )
    if hasattr(model, "feature_names_in_"):
        rest._set_names(model.feature_names_in_[free_v])
    return rest


@dataclass(frozen=True, eq=False)
class Response:
    """Activity of every neuron with and without a perturbation.

    Attributes
    ----------
    activity, baseline : ndarray, shape (N,)
        Spikes per frame with the perturbation, and of the model left alone.
    standard_error : ndarray, shape (N,)
        Standard error of the difference, from the spread over chains; 0 for neurons that are held.
    held : ndarray of bool, shape (N,)
        Neurons that were held.
    """

    activity: np.ndarray
    baseline: np.ndarray
    standard_error: np.ndarray
    held: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """Activity minus baseline, spikes per frame, shape (N,)."""
        return self.activity - self.baseline


def perturb(
    model: CRBM,
    *,
    neurons: Mapping[int, int] | None = None,
    hidden: Mapping[int, float] | None = None,
    n_samples: int = 3000,
    n_chains: int = 100,
    n_steps: int = 20,
    burn_in: int = 20,
    random_state: int | np.random.Generator | None = None,
) -> Response:
    """Hold neurons or hidden units, let the model generate the rest, and compare activities.

    Parameters
    ----------
    model : CRBM
    neurons, hidden : mapping, optional
        See `condition`.
    n_samples, n_chains, n_steps, burn_in : int
        As in ``CRBM.sample`` (defaults 3,000, 100, 20 and 20). Whole saves of all chains are used.
        There must be at least two chains.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    Response
        The equilibrium that the model predicts. It says nothing about time, nor about causes that
        the recording cannot tell from correlation.

    Raises
    ------
    ValueError
        As `condition`; or if there are fewer than two chains, or fewer samples than chains.

    Examples
    --------
    >>> import numpy as np
    >>> from crbm_lite import CRBM
    >>> pair = CRBM.from_parameters([[3.0], [3.0]], [-9, -9], [1], [1], [0], [0])
    >>> response = perturb(pair, neurons={0: 1}, random_state=0)
    >>> bool(response.change[1] > 0.3)
    True
    """
    n_chains = as_count(n_chains, "n_chains", 2)  # a standard error takes two, and a sample of each
    n_samples = as_count(n_samples, "n_samples", n_chains)
    rest = condition(model, neurons, hidden)
    rng = as_generator(random_state)
    n_saves = n_samples // n_chains
    free = np.ones(model.n_features_in_, bool)
    free[list(neurons or ())] = False
    options = {"n_chains": n_chains, "n_steps": n_steps, "burn_in": burn_in, "random_state": rng}

    def chain_means(machine: CRBM, kept: np.ndarray) -> np.ndarray:
        start = None
        if hasattr(model, "chains_"):  # states of the trained model are a better start than none
            start = model.chains_[rng.integers(len(model.chains_), size=n_chains)][:, kept]
        frames = machine.sample(n_saves * n_chains, start=start, **options)
        return frames.reshape(n_saves, n_chains, -1).mean(axis=0)

    alone = chain_means(model, np.ones_like(free))
    changed = chain_means(rest, free)
    activity = np.zeros(len(free))
    activity[free] = changed.mean(axis=0)
    for i, value in (neurons or {}).items():
        activity[i] = value
    error = np.zeros(len(free))
    spread = changed.var(axis=0, ddof=1) + alone[:, free].var(axis=0, ddof=1)
    error[free] = np.sqrt(spread / n_chains)
    return Response(activity, alone.mean(axis=0), error, ~free)


def response_by_region(response: Response, labels: object) -> np.ndarray:
    """Average the change over the free neurons of each region; NaN where there are none.

    Parameters
    ----------
    response : Response
    labels : vector (N,) or matrix (N, R)
        See `crbm_lite.connectivity.regions.region_given_neuron`.

    Returns
    -------
    ndarray, shape (R,)
        Spikes per frame.

    Raises
    ------
    ValueError
        If there is not one label for each neuron.

    Examples
    --------
    >>> import numpy as np
    >>> r = Response(np.array([1.0, 0.3, 0.1]), np.full(3, 0.1), np.zeros(3), np.arange(3) == 0)
    >>> response_by_region(r, [0, 0, 1]).round(3)
    array([0.2, 0. ])
    """
    region, n_regions = region_given_neuron(labels)
    if len(region) != len(response.held):
        raise ValueError(
            f"labels has {len(region)} neurons: give {len(response.held)}, as response"
        )
    counted = (region >= 0) & ~response.held
    count = np.bincount(region[counted], minlength=n_regions)
    total = np.bincount(region[counted], response.change[counted], minlength=n_regions)
    return np.divide(total, count, out=np.full(n_regions, np.nan), where=count > 0)
