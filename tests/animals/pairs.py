"""Small animals whose shared plan is known, and a teacher of them, made once for all tests."""

import warnings
from functools import cache

import numpy as np
import scipy.sparse

from crbm_lite.animals.alignment import align
from crbm_lite.animals.animal import Animal
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.recordings.recording import Recording
from crbm_lite.simulation.planted import draw_states

K, SIDE_UM = 5, 200.0


def larva(seed, plan=0, n_neurons=250, n_frames=1500, rate_hz=2.5, shift_um=0.0):
    """An animal of a plan: five balls in a cube, each an assembly with states of its own."""
    rng = np.random.default_rng([plan, seed])
    centres = np.random.default_rng(plan).uniform(50, SIDE_UM - 50, (K, 3))
    places = rng.uniform(0, SIDE_UM, (n_neurons, 3))
    distance = np.linalg.norm(places[:, None] - centres, axis=2)
    effects = scipy.sparse.csr_array(np.where(distance < 60, 3.0, 0.0))
    states = draw_states(n_frames, np.full(K, 10.0), np.full(K, 30.0), rng)
    truth = GroundTruth(np.full(n_neurons, -3.0), effects, states, tuple("abcde"), ("compact",) * K)
    spikes = rng.random((n_frames, n_neurons)) < truth.probability()
    return Recording(spikes.astype(np.uint8), rate_hz, coordinates=places + shift_um, truth=truth)


def quiet(function, *args, **kwargs):
    """Call without warnings: verdicts of short trainings are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


MODEL = {"n_hidden": K + 1, "l1": 0.01, "n_updates": 600, "n_gibbs": 4, "random_state": 0,
         "progress": False}  # fmt: skip


@cache
def teacher():
    recording = larva(0)
    return Animal(quiet(CRBM(**MODEL).fit, recording), recording)


@cache
def aligned(seed=1, plan=0, **options):
    options = {"n_updates": 300, "random_state": 0} | options
    return quiet(align, teacher(), larva(seed, plan), **options)


def random_machine(n_neurons, n_hidden, seed):
    rng = np.random.default_rng(seed)
    potential = np.concatenate([rng.uniform(0.7, 1.5, (2, n_hidden)),
                                rng.normal(0, 0.7, (2, n_hidden))])  # fmt: skip
    return CRBM.from_parameters(
        rng.normal(0, 0.8, (n_neurons, n_hidden)), rng.normal(-1, 0.5, n_neurons), *potential
    )
