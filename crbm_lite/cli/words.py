"""What the commands say in the words of the command line, and of a model in one line."""

from __future__ import annotations

import re

import numpy as np

import crbm_lite
from crbm_lite.assemblies.similar import similar_assemblies
from crbm_lite.inspection.findings import counted
from crbm_lite.training.certificate import explanation

__all__ = ["as_typed", "settings_line", "similar_lines", "verdict_line"]

_MOST_LINES = 5
_TYPED = (
    (r"\((n_updates|n_gibbs|n_hidden|l1)\)", lambda m: f"(--{m[1].replace('_', '-')})"),
    (r"\bleave n_hidden out", "leave --n-hidden out"),
    (r"\ba smaller learning_rate", "a smaller --learning-rate"),
    (r"\bn_(chains|steps|saved)\b", r"--n-\1"),
    (r"\bcheck\(\) (says|counts)", r"crbm-lite inspect \1"),
    (r"by the same call with resume=True", "with --resume"),
    (r"with recording\.select_neurons", "by crbm-lite import ... --leave-out (suite2p, CSV)"),
    (r"transpose the array|build the Recording from the transposed array",
     "give crbm-lite import ... --time-axis 1"),
)  # fmt: skip


def as_typed(text: str) -> str:
    """Name options and commands where a text of the library names arguments and methods.

    Examples
    --------
    >>> as_typed("give the run more updates (n_updates): check() says what it takes")
    'give the run more updates (--n-updates): crbm-lite inspect says what it takes'
    """
    for python, typed in _TYPED:
        text = re.sub(python, typed, text)
    return text


def settings_line(model: crbm_lite.CRBM) -> str:
    """Say in one line what a fitted model ended with: lambda, hidden units, and whether refitted.

    Examples
    --------
    >>> settings_line(crbm_lite.CRBM.from_parameters([[0.5]], [0.0], [1], [1], [0], [0]))
    '1 hidden unit in use'
    """
    n_used = int(np.count_nonzero((model.weights_ != 0).any(axis=0)))
    said = [(counted(n_used, "hidden unit") if n_used else "no hidden unit") + " in use"]
    report = getattr(model, "report_", None)
    l1 = model.l1 if report is None else report.chosen_l1
    if n_used and hasattr(model, "verdict_") and not isinstance(l1, str):
        is_refit = getattr(model, "refit_", 0.0) > 0.0
        said = [f"lambda {l1:.2g}", *said, *["refitted without penalty"] * is_refit]
    return ", ".join(said)


def similar_lines(weights: np.ndarray, threshold: float = 0.0) -> list[str]:
    """Name the assemblies that share most of their members, a line for each pair; five at most.

    Examples
    --------
    >>> similar_lines(np.array([[1.0, 0.5], [1.0, 0.7], [0.9, 0.0]]))
    ['HU 0 and HU 1 share 2 of 3 members: perhaps one assembly, see stability_selection']
    """
    pairs = similar_assemblies(weights, threshold)
    lines = [
        f"{a} and {b} share {both} of {one} members: perhaps one assembly, see stability_selection"
        for a, b, both, one in pairs[:_MOST_LINES]
    ]
    left = len(pairs) - len(lines)
    return lines + [f"and {counted(left, 'pair')} more like these"] * (left > 0)


def verdict_line(model: crbm_lite.CRBM) -> str:
    """Say why a training ended as it did, and what to do, in options of ``crbm-lite train``.

    A lambda that was set by hand is named where it may have taken all weights away.
    """
    text = as_typed(explanation(model.verdict_, model.certificate_))
    is_by_hand = not isinstance(model.l1, str)
    if not is_by_hand or model.verdict_ not in ("no structure", "collapsed"):
        return text
    why, _, look = text.partition("What to do: ")
    by_hand = f"take a smaller lambda than --l1 {model.l1:g}, or leave it out"
    if model.verdict_ == "no structure":
        by_hand += f"; if that does not help, {look}"
    return f"{why}What to do: {by_hand}"
