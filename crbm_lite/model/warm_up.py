"""Compiling the kernels of a training ahead of the first one."""

from __future__ import annotations

import time
import warnings

import numpy as np
from numba.core import event

from crbm_lite.core.left_out import log_likelihood_given_others
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM

__all__ = ["warm_up"]

_N_LARGE, _M_LARGE = 1000, 200  # so large that the steps read a dense W whole


def warm_up() -> tuple[int, float]:
    """Compile the kernels that `CRBM.fit` needs, whatever its settings are, and keep them.

    Returns
    -------
    int
        How many functions were compiled: none, where all had been kept.
    float
        The seconds that it took.
    """
    began = time.perf_counter()
    rng = np.random.default_rng(0)
    state = rng.random((300, 2)) < 0.3  # two assemblies, for a start from the data
    v = rng.random((300, _N_LARGE)) < 0.05 + 0.5 * np.repeat(state, _N_LARGE // 2, axis=1)
    short = {
        "n_updates": 20, "n_gibbs": 1, "n_chains": 4, "batch_size": 10, "jump_every": 1,
        "progress": False, "random_state": 0,
    }  # fmt: skip
    few = v[:, :: _N_LARGE // 20]
    with event.install_listener("numba:compile", event.RecordingListener()) as compiled:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so short a training does not converge
            model = CRBM(n_hidden=2, init="pca", l1=0.0, **short).fit(few)
            CRBM(n_hidden=2, init="random", l1=1.0, **short).fit(few)
            CRBM(n_hidden=_M_LARGE, init="random", l1=0.0, **short).fit(v)
        spikes = as_spikes(few)
        # the search for settings weighs models so
        log_likelihood_given_others(spikes, model.weights_, model.fields_, model.units)
    n_compiled = sum(1 for _, what in compiled.buffer if what.is_start)
    return n_compiled, time.perf_counter() - began
