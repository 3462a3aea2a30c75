"""Three figures with sliders: the dReLU, a path over lambda, and a surface over (M, lambda).

The potential is that of Eq. 13; `crbm_lite.core.drelu` computes it, the densities and the means.
Each function returns an `Explorer`. A page shows it without a kernel, and
`crbm_lite.plotting.interactive.widgets.explore` shows it with ipywidgets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from crbm_lite.checks.arguments import as_array, as_numbers
from crbm_lite.checks.arrays import as_indices
from crbm_lite.core.drelu import DReLU
from crbm_lite.measures import correlations_of_columns
from crbm_lite.plotting.interactive.explorer import Explorer
from crbm_lite.plotting.interactive.panels import Cells, Control, Lines

if TYPE_CHECKING:
    from crbm_lite.model.model import CRBM

__all__ = ["drelu_explorer", "penalty_path", "selection_surface"]

_GAMMAS = (0.5, 1.0, 3.0, 20.0)
_THETAS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def drelu_explorer() -> Explorer:
    """Put the four numbers of a dReLU on sliders: potential, density without input, mean response.

    Returns
    -------
    Explorer
        Its controls are gamma_plus, gamma_minus, theta_plus and theta_minus, with the signs of
        Eq. 13.

    Examples
    --------
    >>> explorer = drelu_explorer()
    >>> print(explorer.notes[1, 1, 3, 3])
    one well: the lowest potential is at h = 0
    >>> print(explorer.notes[1, 1, 1, 5])
    two wells, at h = −2 and h = 2
    """
    grid = np.meshgrid(_GAMMAS, _GAMMAS, _THETAS, _THETAS, indexing="ij")
    gamma_plus, gamma_minus, theta_plus, theta_minus = (g.ravel() for g in grid)
    units = DReLU(gamma_plus, gamma_minus, theta_plus, theta_minus)
    h, inputs = np.linspace(-5, 5, 61), np.linspace(-4, 4, 61)
    many = (1, units.n_hidden)
    potential = units.potential(np.tile(h[:, None], many))
    density = np.exp(-potential - units.cumulant(np.zeros(many)))
    response = units.mean(np.tile(inputs[:, None], many))
    shape = grid[0].shape

    def panel(title: str, xlabel: str, ylabel: str, x: np.ndarray, y: np.ndarray, *limits: float):
        return Lines(title, xlabel, ylabel, x, y.T.reshape(*shape, 1, len(x)), limits)

    above = np.where(theta_plus < 0, -theta_plus / gamma_plus, np.nan)
    below = np.where(theta_minus > 0, -theta_minus / gamma_minus, np.nan)
    notes = [_wells(a, b) for a, b in zip(above, below)]
    return Explorer(
        (
            Control("γ₊, curvature above 0", _GAMMAS, 1),
            Control("γ₋, curvature below 0", _GAMMAS, 1),
            Control("θ₊, slope above 0", _THETAS, 1),
            Control("θ₋, slope below 0", _THETAS, 5),
        ),
        (
            panel("potential", "h", "U(h) (nats)", h, potential, -5.0, 12.0),
            panel("without input", "h", "P(h) at I = 0", h, density, 0.0, 1.0),
            panel("response", "input I", "mean of h given I", inputs, response, -6.0, 6.0),
        ),
        np.array(notes, dtype=object).reshape(shape),
    )


def _wells(above: float, below: float) -> str:
    places = [f"h = {h:.2g}".replace("-", "−") for h in (below, above) if np.isfinite(h)]
    if len(places) == 2:
        return f"two wells, at {places[0]} and {places[1]}"
    return f"one well: the lowest potential is at {places[0] if places else 'h = 0'}"


def penalty_path(
    models: Sequence[CRBM],
    scores: Sequence[float],
    neurons: Sequence[int] | None = None,
    score_name: str = "score",
) -> Explorer:
    """Put lambda on a slider: the weights of each model, how many are left, and its score.

    Parameters
    ----------
    models : sequence of CRBM
        Fitted to one recording, with the same number of hidden units, in increasing order of `l1`.
    scores : sequence of float
        A number for each model; NaN where there is none.
    neurons : sequence of int, optional
        Order of the rows, for example by planted assembly; by default their own.
    score_name : str
        Default "score".

    Returns
    -------
    Explorer
        Hidden units are matched from one model to the next by correlation, so that a column keeps
        its assembly along the path.

    Raises
    ------
    ValueError
        If there are fewer than two models, one is not fitted, their shapes differ, `l1` does not
        increase, a model has no score (NaN is one), or a neuron does not exist.

    Examples
    --------
    >>> from crbm_lite import CRBM
    >>> def model(l1, w):
    ...     machine = CRBM.from_parameters(w, np.zeros(3), [1], [1], [0], [0])
    ...     return machine.set_params(l1=l1)
    >>> path = penalty_path(
    ...     [model(0.01, [[1.0], [0.5], [0.1]]), model(0.02, [[1.0], [0.4], [0.0]])], [0.5, 0.4])
    >>> print(path.notes[1])
    λ = 0.02: 2 of 3 weights are left, 1 of 1 units have any; score 0.40
    """
    from sklearn.utils.validation import check_is_fitted

    for model in models:
        check_is_fitted(model, "weights_")
    penalties = [float(getattr(model, "l1_", model.l1)) for model in models]
    shapes = {model.weights_.shape for model in models}
    if len(models) < 2 or len(shapes) != 1 or not np.all(np.diff(penalties) > 0):
        raise ValueError(
            f"models has l1 {penalties} and shapes {sorted(shapes)}: give two or more of the same "
            "sizes, in increasing order of l1"
        )
    scores = as_array(scores, "scores")
    if scores.shape != (len(models),) or scores.dtype.kind not in "fiu" or np.isinf(scores).any():
        raise ValueError(
            f"scores has shape {scores.shape}, dtype {scores.dtype}: give {len(models)} finite "
            "numbers, one for each model, or NaN"
        )
    weights = [np.asarray(models[0].weights_, np.float64)]
    for model in models[1:]:
        weights.append(_in_order_of(np.asarray(model.weights_, np.float64), weights[-1]))
    stack = np.stack(weights)
    if neurons is not None:
        stack = stack[:, as_indices(neurons, stack.shape[1], "neurons")]
    left = np.count_nonzero(stack, axis=(1, 2))
    notes = [
        f"λ = {l1:g}: {n:,} of {stack[0].size:,} weights are left, "
        f"{np.count_nonzero(w.any(axis=0))} of {w.shape[1]} units have any; "
        f"{score_name} {_text(score)}"
        for l1, n, w, score in zip(penalties, left, stack, scores)
    ]
    size = np.abs(stack)
    limit = float(np.quantile(size[size > 0], 0.98)) if size.any() else 1.0
    texts = tuple(f"{l1:g}" for l1 in penalties)
    share = left / stack[0].size
    return Explorer(
        (Control("λ", tuple(penalties), len(models) // 2),),
        (
            Cells(
                "weights", "hidden unit", "neuron", (), (), np.where(stack == 0, np.nan, stack),
                (-limit, limit),
            ),
            _along_path("weights that are left", "share", texts, share),
            _along_path(score_name, score_name, texts, scores.astype(np.float64)),
        ),
        np.array(notes, dtype=object),
    )  # fmt: skip


def _text(score: float) -> str:
    return f"{round(score, 2) + 0.0:.2f}".replace("-", "−")  # no minus in front of zero


def _in_order_of(weights: np.ndarray, before: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    return weights[:, linear_sum_assignment(-correlations_of_columns(before, weights))[1]]


def _along_path(title: str, label: str, texts: tuple[str, ...], y: np.ndarray) -> Lines:
    """Draw the whole curve at every position, and a dot at the value of the position."""
    n = len(y)
    dots = np.where(np.eye(n, dtype=bool), y, np.nan)
    both = np.stack([np.tile(y, (n, 1)), dots], axis=1)
    known = y[np.isfinite(y)]
    limits = (float(known.min(initial=0.0)), max(1e-9, 1.05 * float(known.max(initial=0.0))))
    return Lines(title, "λ", label, np.arange(n, dtype=float), both, limits, texts)


def selection_surface(
    n_hidden: Sequence[int], l1: Sequence[float], surfaces: Mapping[str, np.ndarray]
) -> Explorer:
    """Choose a surface over (M, lambda) from a menu; each cell shows its number.

    Parameters
    ----------
    n_hidden : sequence of R int
    l1 : sequence of C float
    surfaces : mapping of str to (R, C) float
        By name; larger is better. Colours go from 0 to the largest value of a surface, and from
        its smallest if none is above 0. Values that are not finite are left empty.

    Returns
    -------
    Explorer

    Raises
    ------
    ValueError
        If there is no surface, one has another shape, or none has a finite value.

    Examples
    --------
    >>> explorer = selection_surface([2, 4], [0.01, 0.02], {"score": [[0.1, 0.2], [0.8, 0.3]]})
    >>> print(explorer.notes[0])
    score: largest at M = 4, λ = 0.01, where it is 0.80
    """
    shape = (len(n_hidden), len(l1))
    stack = [as_numbers(surface, f"surface {name}") for name, surface in surfaces.items()]
    if not stack or any(s.shape != shape for s in stack):
        raise ValueError(
            f"surfaces has shapes {[s.shape for s in stack]}: give one or more of shape {shape}"
        )
    if not all(np.isfinite(s).any() for s in stack):
        raise ValueError("surfaces holds one without a finite value: give a number to show")
    notes = []
    for name, surface in zip(surfaces, stack):
        finite = np.where(np.isfinite(surface), surface, -np.inf)
        i, j = np.unravel_index(finite.argmax(), shape)
        notes.append(
            f"{name}: largest at M = {n_hidden[i]}, λ = {l1[j]:g}, where it is {surface[i, j]:.2f}"
        )
    values = np.stack(stack)[:, ::-1]  # the smallest M is drawn below, as in a diagram
    values[~np.isfinite(values)] = np.nan
    least, most = np.nanmin(values, axis=(1, 2)), np.nanmax(values, axis=(1, 2))
    least = np.where(most > 0, 0.0, least)
    colors = np.stack([least, np.maximum(most, least + 1e-9)], axis=1)
    cells = Cells(
        "surface over M and λ", "λ", "M", tuple(f"{x:g}" for x in l1),
        tuple(str(m) for m in n_hidden[::-1]), values,
        (min(0.0, float(np.nanmin(values))), max(1e-9, float(np.nanmax(values)))), colors,
    )  # fmt: skip
    return Explorer((Control("Show", tuple(surfaces)),), (cells,), np.array(notes, dtype=object))
