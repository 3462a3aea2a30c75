r"""Which hidden units need jumps: those that plain Gibbs sampling leaves where they are.

A look takes twenty updates. It keeps :math:`m = E[h_\mu | v]` of every chain at its beginning, and
compares it with the values ten to nineteen updates later,

.. math:: 1 - \rho_\mu = \frac{\langle (m_t - m_0)^2 \rangle / 2}{\mathrm{Var}(m)} ,

where :math:`\rho` is the correlation over that time. What a unit does within a well is over by
then, so :math:`\rho` is about the changes of well. The variance is the mean of those over the data
and over the chains: chains that are all in one well do not look fast.

A unit jumps after two looks in a row in which rho was above 0.55, so when it takes more than about
twenty-five updates to forget where it was. A unit that jumps says nothing about Gibbs sampling, so
every ten looks its jumps pause for one, and end if rho is below 0.4 in it. The units take turns:
one that was slow because its neurons wait for another's jump is found to be fast, and stays so
while the other one pauses for a single look.

Which units jump does not change within an update, and each update leaves the model's distribution
invariant. The choice follows from the past of the same chains, though, as the parameters of a
training do. Sampling is exact once the choice is fixed, as in certificates and in `CRBM.sample`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np

__all__ = ["LOOKS_TO_BEGIN", "UPDATES_OF_A_LOOK", "begin_watch", "watched"]

UPDATES_OF_A_LOOK = 20
LOOKS_TO_BEGIN = 2
_LOOKS_OF_JUMPS = 10  # from one pause to the next
_BEGINS_BELOW, _ENDS_ABOVE = 0.45, 0.6  # 1 - rho
_LEAST_VARIANCE = (
    1e-9  # E[h|v] of a unit without weights varies by rounding errors, where Var(h) = 1
)


def begin_watch(n_chains: int, n_hidden: int) -> dict[str, np.ndarray]:
    """Begin to watch the units of chains, none of which jumps.

    Returns
    -------
    dict
        ``place``, the updates of the present look that are made; ``reference`` (chains, M), E[h|v]
        at its beginning; ``moved`` and ``spread`` (M,), sums of numerator and denominator over its
        later half; ``was_still`` (M,), whether the unit kept its state in the last look; ``age``
        (M,), the looks with jumps since its last pause; ``jumping`` (M,), whether it jumps now; and
        ``slow`` (M,), whether it jumps or only pauses.
    """
    none = np.zeros(n_hidden, bool)
    return {
        "place": np.array(0),
        "reference": np.zeros((n_chains, n_hidden)),
        "moved": np.zeros(n_hidden),
        "spread": np.zeros(n_hidden),
        "was_still": none,
        "age": np.zeros(n_hidden, np.int64),
        "jumping": none,
        "slow": none,
    }


def watched(
    watch: Mapping[str, np.ndarray], m: np.ndarray, spread: np.ndarray, xp: ModuleType = np
) -> dict[str, np.ndarray]:
    """Watch one more update; at the end of a look, decide which units jump from then on.

    Parameters
    ----------
    watch : mapping
        See `begin_watch`; it is left as it is.
    m : ndarray, shape (chains, M)
        E[h|v] of the chains after the update.
    spread : ndarray, shape (M,)
        The variance of E[h|v] elsewhere, such as over the data.
    xp : module, default numpy
        Computes: numpy, or jax.numpy within a compiled program.

    Examples
    --------
    >>> watch, still = begin_watch(2, 1), np.array([[-1.0], [1.0]])
    >>> for _ in range(LOOKS_TO_BEGIN * UPDATES_OF_A_LOOK):
    ...     watch = watched(watch, still, still.var(axis=0))
    >>> watch["jumping"]
    array([ True])
    """
    place, jumping, slow = watch["place"], watch["jumping"], watch["slow"]
    reference = xp.where(place == 0, m, watch["reference"])
    is_late = place >= UPDATES_OF_A_LOOK // 2
    moved_now = 0.5 * ((m - reference) ** 2).mean(axis=0)
    moved = xp.where(is_late, watch["moved"] + moved_now, 0.0)
    spread = xp.where(is_late, watch["spread"] + 0.5 * (spread + m.var(axis=0)), 0.0)
    is_end = place == UPDATES_OF_A_LOOK - 1
    is_still = moved < xp.where(slow, _ENDS_ABOVE, _BEGINS_BELOW) * spread
    is_still = is_still & (spread > _LEAST_VARIANCE * UPDATES_OF_A_LOOK)
    turn = xp.arange(m.shape[1]) % _LOOKS_OF_JUMPS  # units that begin together pause in turns
    age = xp.where(jumping, watch["age"] + 1, xp.where(slow, 0, turn))
    age = xp.where(is_end, age, watch["age"])
    slow = xp.where(is_end & ~jumping, is_still & (slow | watch["was_still"]), slow)
    return {
        "place": (place + 1) % UPDATES_OF_A_LOOK,
        "reference": reference,
        "moved": moved,
        "spread": spread,
        "was_still": xp.where(is_end, is_still & ~jumping, watch["was_still"]),
        "age": age,
        "jumping": xp.where(is_end, slow & (age < _LOOKS_OF_JUMPS), jumping),
        "slow": slow,
    }
