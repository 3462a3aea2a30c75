r"""Type II analysis of variance with continuous covariates.

How much of a response is owed to each covariate, given the others? Least squares is fitted with the
covariate and without it. With RSS the residual sums of squares,

.. math:: F = \frac{RSS_{without} - RSS_{with}}{RSS_{full} / (n - k)}

follows F(1, n - k) if the covariate has no effect, where k is the number of coefficients of the
full model. Type II means that a main effect is tested beside all other main effects but not beside
the interactions that contain it. The full model sets the denominator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from crbm_lite.checks.arguments import as_numbers

__all__ = ["Anova", "anova_type_ii"]


@dataclass(frozen=True)
class Anova:
    """The effects of an analysis of variance, one entry per effect.

    Parameters
    ----------
    names : tuple of str
        Covariates, then interactions as "a:b".
    slopes : tuple of float
        Coefficients in the full model, in units of the response per unit of the covariate.
    f_values, p_values : tuple of float
    degrees_of_freedom : int
        Degrees of freedom of the residual; each effect has one.
    """

    names: tuple[str, ...]
    slopes: tuple[float, ...]
    f_values: tuple[float, ...]
    p_values: tuple[float, ...]
    degrees_of_freedom: int

    def p_value(self, name: str) -> float:
        """Look up the P value of an effect by its name.

        Raises
        ------
        ValueError
            If there is no such effect.
        """
        if name not in self.names:
            raise ValueError(f"name is {name!r}: the effects are {', '.join(self.names)}")
        return self.p_values[self.names.index(name)]

    def table(self) -> str:
        """Plain text, one line per effect: slope, F and P."""
        width = max(len("effect"), *map(len, self.names))
        head = f"F(1, {self.degrees_of_freedom})"
        lines = [f"{'effect':>{width}}    slope {head:>10}        P"]
        for row in zip(self.names, self.slopes, self.f_values, self.p_values, strict=True):
            name, slope, f_value, p_value = row
            lines.append(f"{name:>{width}} {slope:8.3g} {f_value:10.1f} {p_value:8.1g}")
        return "\n".join(lines)


def anova_type_ii(
    response: ArrayLike, covariates: Mapping[str, ArrayLike], *, interactions: bool = False
) -> Anova:
    """Test the effect of each covariate, given the others (the module's equation).

    Parameters
    ----------
    response : (n,) float
    covariates : mapping of name to (n,) float
        Continuous. Take logarithms beforehand where ratios matter.
    interactions : bool
        Whether products of two covariates are part of the full model (default False).

    Returns
    -------
    Anova

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there are too few values, or a covariate is
        constant or follows from the others.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.standard_normal((2, 40))
    >>> found = anova_type_ii(3 * a + rng.standard_normal(40), {"a": a, "b": b})
    >>> found.p_value("a") < 0.001 < found.p_value("b")
    True
    """
    from scipy.stats import f as f_distribution

    y = as_numbers(response, "response")
    columns = {name: as_numbers(x, name) for name, x in covariates.items()}
    if not columns:
        raise ValueError("covariates is empty: give at least one")
    for name, x in {"response": y, **columns}.items():
        if y.ndim != 1 or x.shape != y.shape:
            raise ValueError(f"{name} has shape {x.shape}: give (n,), one value per observation")
        if not np.isfinite(x).all():
            raise ValueError(f"{name} holds NaN or infinity: leave these observations out")
    main = list(columns)
    pairs = list(combinations(main, 2)) if interactions else []
    columns |= {f"{a}:{b}": columns[a] * columns[b] for a, b in pairs}
    freedom = y.size - 1 - len(columns)
    if freedom < 1:
        raise ValueError(
            f"response has {y.size} values for {1 + len(columns)} coefficients: give more"
        )

    def fit(names: list[str]) -> tuple[np.ndarray, float]:
        design = np.column_stack([np.ones(y.size), *(columns[name] for name in names)])
        scale = np.linalg.norm(design, axis=0)
        scale[scale == 0] = 1.0
        solution, _, rank, _ = np.linalg.lstsq(design / scale, y, rcond=1e-10)
        if rank < design.shape[1]:
            raise ValueError(
                f"covariates {', '.join(names)} depend on each other or are constant: leave one out"
            )
        return solution / scale, float(np.sum((y - design / scale @ solution) ** 2))

    everything = list(columns)
    coefficients, rss_full = fit(everything)
    f_values = []
    for effect in everything:
        # A main effect is not tested beside the interactions that contain it.
        beside = main if effect in main else everything
        without = fit([name for name in beside if name != effect])[1]
        f_values.append((without - fit(beside)[1]) / (rss_full / freedom))
    return Anova(
        tuple(everything),
        tuple(float(x) for x in coefficients[1:]),
        tuple(f_values),
        tuple(float(x) for x in f_distribution.sf(f_values, 1, freedom)),
        freedom,
    )
