"""From the activity of one animal to that of another, through the hidden units that they share."""

from __future__ import annotations

import numpy as np

from crbm_lite.checks.arguments import as_generator
from crbm_lite.model.model import CRBM

__all__ = ["translate"]

_OUTPUTS = ("mean", "sample")


def translate(
    sender: CRBM,
    recipient: CRBM,
    v: object,
    *,
    output: str = "mean",
    random_state: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Say in the recipient's neurons what the sender's neurons say.

    Parameters
    ----------
    sender, recipient : CRBM
        Fitted, with the same hidden units (`crbm_lite.animals.alignment.align`).
    v : spikes (T, N) of the sender, in any form that ``fit`` takes
    output : {"mean", "sample"}, default "mean"
        "mean" gives E[v'|h] at h = E[h|v], the probability of a spike up to the curvature of its
        sigmoid. "sample" draws h from P(h|v), then v' from P(v'|h).
    random_state : int, numpy.random.Generator or None, default None
        Of the samples.

    Returns
    -------
    ndarray, shape (T, N')
        float64 probabilities, or uint8 spikes.

    Raises
    ------
    ValueError
        If the models have other numbers of hidden units, or the output is neither; SpikesError if v
        is not of the sender's neurons.

    Examples
    --------
    >>> potential = [1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]
    >>> one = CRBM.from_parameters(4 * np.eye(2), [-2.0, -2.0], *potential)
    >>> other = CRBM.from_parameters(np.array([[0, 4.0]]), [-2.0], *potential)
    >>> translate(one, other, [[1, 0], [0, 1]]).round(2)
    array([[0.12],
           [1.  ]])
    """
    if output not in _OUTPUTS:
        raise ValueError(f"output is {output!r}: give 'mean' or 'sample'")
    for name, model in (("sender", sender), ("recipient", recipient)):
        if not isinstance(model, CRBM):
            raise ValueError(f"{name} is a {type(model).__name__}: give a CRBM, an animal's model")
    if sender.units.n_hidden != recipient.units.n_hidden:
        raise ValueError(
            f"sender has {sender.units.n_hidden} hidden units and recipient "
            f"{recipient.units.n_hidden}: give models that share their units"
        )
    if output == "mean":
        return recipient.mean_v_given_h(sender.mean_h_given_v(v))
    rng = as_generator(random_state)
    return recipient.sample_v_given_h(sender.sample_h_given_v(v, rng), rng)
