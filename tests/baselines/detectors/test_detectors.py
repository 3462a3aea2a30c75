"""Every detector finds exactly the blocks of a noiseless recording; nulls give none."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse

import crbm_lite as cl
from crbm_lite.assemblies.agreement import mean_shared
from crbm_lite.baselines.detectors import (
    assemblies_of_model,
    detect_by_core,
    detect_by_crbm,
    detect_by_ica,
    detect_by_ising,
    detect_by_kmeans,
    detect_by_louvain,
    detect_by_nmf,
    detect_by_promax,
    detect_by_sgc,
    detect_by_svd,
    detect_by_varimax,
    louvain_communities,
)
from crbm_lite.recordings.controls import shift_traces

DETECTORS = {
    "ICA-CS": partial(detect_by_ica, n_shifts=20),
    "ICA-MP": partial(detect_by_ica, null="mp"),
    "promax-CS": partial(detect_by_promax, n_shifts=20),
    "promax-MP": partial(detect_by_promax, null="mp"),
    "varimax": detect_by_varimax,
    "SGC": detect_by_sgc,
    "CORE": detect_by_core,
    "SVD": detect_by_svd,
    "NMF": detect_by_nmf,
    "k-means": detect_by_kmeans,
    "Louvain": detect_by_louvain,
    "Ising": detect_by_ising,
}
# Those whose number of assemblies is held against chance.
WITH_SIGNIFICANCE = ("ICA-CS", "promax-CS", "NMF", "Louvain")
SIZES = (6, 7, 8, 9)
RNG_FRAMES = (np.random.default_rng(1).random((300, 12)) < 0.3).astype(int)


@pytest.fixture(scope="module")
def blocks():
    """Four blocks of 6 to 9 of 80 cells, each active alone in frames of its own."""
    rng = np.random.default_rng(0)
    state = np.zeros((600, 4), dtype=bool)
    frames = rng.permutation(np.arange(1, 600, 2))  # never two frames in a row
    for k, n in enumerate((15, 20, 25, 30)):
        state[frames[30 * k : 30 * k + n], k] = True
    members = np.zeros((80, 4), dtype=bool)
    order, start = rng.permutation(80), 0
    for k, size in enumerate(SIZES):
        members[order[start : start + size], k] = True
        start += size
    return state.astype(int) @ members.T.astype(int), members, state


@pytest.mark.parametrize("told", [False, True], ids=["own K", "true K"])
@pytest.mark.parametrize("name", DETECTORS)
def test_noiseless_blocks_are_found_exactly(blocks, name, told):
    v, members, state = blocks
    found = DETECTORS[name](v, 4 if told else None)
    assert found.n_assemblies == 4
    assert mean_shared(found.members, members) == 1.0
    assert found.members.shape == found.scores.shape == (80, 4)
    order = (found.members.T.astype(int) @ members).argmax(axis=0)
    r = np.corrcoef(found.activity[:, order].T, state.T)[:4, 4:]
    np.testing.assert_allclose(np.diag(r), 1.0, atol=0.03)


@pytest.mark.parametrize("name", ["ICA-CS", "promax-CS", "SGC", "Louvain"])
def test_traces_do_as_well_as_spikes(blocks, name):
    v, members, _ = blocks
    noise = np.random.default_rng(1).normal(size=v.shape)
    found = DETECTORS[name](2.0 + 8.0 * v + noise)
    assert mean_shared(found.members, members) > 0.95


@pytest.mark.parametrize("name", WITH_SIGNIFICANCE)
def test_nothing_is_found_where_nothing_is_shared(name):
    n_found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        slow = rng.random((80, 30)) < 0.1  # each cell by itself, in bursts of five frames
        v = shift_traces(np.repeat(slow, 5, axis=0), rng) & (rng.random((400, 30)) < 0.8)
        n_found += DETECTORS[name](v, random_state=seed).n_assemblies > 0
    assert n_found <= 2  # 5 % each: more than two of ten in one case of eighty


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_is_found_where_nothing_changes(name, value):
    v = np.full((60, 12), value)
    assert DETECTORS[name](v).n_assemblies == 0


def test_marchenko_pastur_is_too_low_for_slow_cells_and_shifts_are_not():
    rng = np.random.default_rng(0)
    slow = shift_traces(np.repeat(rng.normal(size=(60, 60)), 10, axis=0), rng)
    assert detect_by_promax(slow, null="mp").n_assemblies > 3
    assert detect_by_promax(slow, n_shifts=20).n_assemblies == 0


def test_a_sign_of_a_hidden_unit_is_an_assembly_if_it_is_strong_and_has_members():
    weights = np.zeros((40, 4))
    weights[:10, 0], weights[10:20, 0] = 2.0, -0.9  # the other sign is less than half as large
    weights[10:20, 1], weights[20:26, 1] = -1.0, 0.5
    weights[30:34, 2] = 3.0  # four members are too few, and the last unit has none
    zeros, ones = np.zeros(4), np.ones(4)
    model = cl.CRBM.from_parameters(weights, np.full(40, -2.0), ones, ones, zeros, zeros)
    v = np.eye(40)
    found = assemblies_of_model(model, v)
    expected = [range(10), range(20, 26), range(10, 20)]
    assert [set(np.flatnonzero(own)) for own in found.members.T] == [set(x) for x in expected]
    h = model.mean_h_given_v(v)
    np.testing.assert_allclose(found.activity, np.c_[h[:, 0], h[:, 1], -h[:, 1]])
    assert (found.scores >= 0).all() and found.scores.max(axis=0).tolist() == [2.0, 0.5, 1.0]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("number", [0, -1, -3, 2.0, "2", True])
def test_a_number_of_assemblies_that_is_none_is_named(name, number):
    with pytest.raises(ValueError, match=f"n_assemblies is {number!r}: give an integer"):
        DETECTORS[name](RNG_FRAMES, number)
    with pytest.raises(ValueError, match=f"n_assemblies is {number!r}: give an integer"):
        detect_by_crbm(RNG_FRAMES, number)


ROTATIONS = [name for name in DETECTORS if name.startswith(("ICA", "promax", "varimax"))]


@pytest.mark.parametrize("name", ROTATIONS)
def test_no_more_rotated_axes_than_the_rank(name):
    twins = np.repeat(RNG_FRAMES[:, :3], 4, axis=1)
    found = DETECTORS[name](twins, 3)
    if not name.startswith("promax"):  # which merges
        scores = found.scores[::4]  # the axes are three, however they are turned
        assert np.linalg.matrix_rank(scores, tol=1e-6) == 3
    with pytest.raises(ValueError, match="n_assemblies is 4: give an integer from 1 to 3, or None"):
        DETECTORS[name](twins, 4)
    with pytest.raises(ValueError, match="x has no cell that changes"):
        DETECTORS[name](np.zeros((50, 9)), 3)


def test_the_graph_of_louvain_stays_and_entries_of_one_edge_add_up():
    graph = scipy.sparse.csr_array(np.kron(np.eye(2), np.ones((3, 3))))
    twice = scipy.sparse.csr_array(
        (np.tile(graph.data / 2, 2), np.tile(graph.indices, 2), 2 * graph.indptr), graph.shape
    )
    twice.indices = np.concatenate([np.tile(row, 2) for row in np.split(graph.indices, 6)])
    before = graph.toarray()
    labels = louvain_communities(graph)
    np.testing.assert_array_equal(graph.toarray(), before)
    np.testing.assert_array_equal(louvain_communities(twice), labels)


def test_wrong_input_is_named():
    for detect in (detect_by_louvain, detect_by_ising):
        with pytest.raises(ValueError, match="least is 0"):
            detect(RNG_FRAMES, least=0)
    v = np.eye(20)
    for detect in (detect_by_ica, detect_by_promax, detect_by_varimax):
        with pytest.raises(ValueError, match="n_assemblies is 21"):
            detect(v, 21)
        with pytest.raises(ValueError, match="null is 'tw'"):
            detect(v, null="tw")
    with pytest.raises(ValueError, match="n_assemblies is 0"):
        detect_by_nmf(v, 0)
    with pytest.raises(ValueError, match="x holds NaN"):
        detect_by_sgc(np.full((5, 5), np.nan))
    with pytest.raises(ValueError, match=r"x has shape \(5,\)"):
        detect_by_louvain(np.zeros(5))
