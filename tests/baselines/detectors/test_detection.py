"""Thresholds by their formulas, and the pieces that detectors share."""

import numpy as np
import pytest

from crbm_lite.baselines.detectors.communities import louvain_communities
from crbm_lite.baselines.detectors.detection import (
    DetectedAssemblies,
    as_activity,
    candidate_frames,
    chance_coactivity,
    chance_correlation,
    event_raster,
    members_by_otsu,
    otsu_threshold,
    standardised,
)
from crbm_lite.baselines.detectors.factors import detect_by_nmf, predicted_given_rank
from crbm_lite.baselines.detectors.patterns import similarity_graph
from crbm_lite.baselines.detectors.rotations import largest_shifted_eigenvalue, principal_axes


def test_chance_coactivity_is_the_quantile_over_permutations_in_time():
    rng = np.random.default_rng(0)
    v = rng.random((400, 30)) < rng.uniform(0.02, 0.4, size=30)
    counts = np.concatenate([rng.permuted(v, axis=0).sum(axis=1) for _ in range(200)])
    for quantile in (0.5, 0.95, 0.99):
        n = chance_coactivity(v.mean(axis=0), quantile)
        assert (counts <= n).mean() > quantile - 0.005
        assert (counts <= n - 1).mean() < quantile + 0.005


def test_candidate_frames_are_peaks_above_chance():
    v = np.zeros((50, 20))
    v[[10, 11, 30], :8] = 1
    v[11, 8:12] = 1
    v[40, :2] = 1
    assert candidate_frames(v).tolist() == [11, 30]


def test_events_of_traces_exceed_two_standard_deviations_and_binary_ones_stay():
    x = np.random.default_rng(0).normal(size=(500, 3)) * [1.0, 5.0, 0.0] + 7
    expected = (x - x.mean(axis=0)) > 2 * x.std(axis=0)
    expected[:, 2] = False
    np.testing.assert_array_equal(event_raster(x), expected)
    v = np.random.default_rng(0).random((40, 5)) < 0.9
    np.testing.assert_array_equal(event_raster(v), v)


def test_chance_correlation_of_independent_frames_is_that_of_the_normal_law():
    x = np.random.default_rng(0).normal(size=(500, 100))
    r = chance_correlation(x, 0.05, np.random.default_rng(1))
    assert r == pytest.approx(1.645 / np.sqrt(500), rel=0.05)


def test_principal_axes_are_the_same_from_either_side():
    z = standardised(np.random.default_rng(0).normal(size=(40, 60)))
    values, vectors = principal_axes(z)
    exact = np.linalg.eigvalsh(z.T @ z / 40)[::-1]
    np.testing.assert_allclose(values, exact[:40], atol=1e-10)
    np.testing.assert_allclose(z.T @ (z @ vectors[:, :5]) / 40, vectors[:, :5] * values[:5])


def test_the_largest_shifted_eigenvalue_follows_marchenko_and_pastur_for_white_noise():
    z = standardised(np.random.default_rng(0).normal(size=(800, 200)))
    edge = (1 + np.sqrt(200 / 800)) ** 2
    assert largest_shifted_eigenvalue(z, np.random.default_rng(1), 20) == pytest.approx(edge, 0.03)


def test_the_threshold_maximises_the_variance_between_two_groups():
    x = np.random.default_rng(0).normal([0.0] * 30 + [4.0] * 10)

    def between(cut):
        low, high = x[x <= cut], x[x > cut]
        return low.size * high.size * (low.mean() - high.mean()) ** 2

    assert otsu_threshold(x) == max(np.sort(x)[:-1], key=between)
    assert otsu_threshold(np.array([2.0, 2.0])) == otsu_threshold(np.array([])) == np.inf


def test_negative_scores_count_as_zero_and_nothing_splits_a_constant():
    scores = np.array([[5.0, 1.0], [5.0, 1.0], [-9.0, 1.0], [0.1, 1.0]])
    assert members_by_otsu(scores).T.tolist() == [[True, True, False, False], [False] * 4]
    found = DetectedAssemblies("by hand", scores > 2, scores, np.zeros((3, 2)))
    assert found.by_common_rule().members.sum() == 2 and found.select([0]).n_assemblies == 1


def modularity(graph, labels, resolution=1.0):
    degree = graph.sum(axis=1)
    excess = graph - resolution * np.outer(degree, degree) / degree.sum()
    return (excess * np.equal.outer(labels, labels)).sum() / degree.sum()


def test_louvain_reaches_the_largest_modularity_of_all_cuts_of_a_small_graph():
    rng = np.random.default_rng(0)
    for seed in range(5):
        graph = np.triu(rng.random((7, 7)) * (rng.random((7, 7)) < 0.6), 1)
        graph += graph.T
        best = max(modularity(graph, cut) for cut in all_cuts(7))
        found = [modularity(graph, louvain_communities(graph, 1.0, s)) for s in range(20)]
        assert max(found) == pytest.approx(best), seed


def all_cuts(n):
    if not n:
        return [np.empty(0, dtype=int)]
    return [np.append(c, k) for c in all_cuts(n - 1) for k in range(int(c.max(initial=-1)) + 2)]


def test_a_larger_resolution_makes_smaller_communities():
    graph = np.kron(np.eye(3), np.ones((4, 4))) + 0.05
    np.fill_diagonal(graph, 0)
    n = [len(np.unique(louvain_communities(graph, gamma))) for gamma in (0.1, 1.0, 20.0)]
    assert n == [1, 3, 12]
    assert len(np.unique(louvain_communities(np.zeros((4, 4))))) == 4


def test_the_graph_of_similar_frames_has_ties_and_as_few_pieces_as_can_be():
    patterns = np.random.default_rng(0).random((60, 40)) < 0.2
    graph = similarity_graph(patterns).toarray()
    assert (graph == graph.T).all() and not graph.diagonal().any()
    assert graph.sum(axis=1).min() >= np.ceil(np.log(60))


def test_hidden_entries_are_predicted_at_the_true_rank():
    rng = np.random.default_rng(0)
    x = (rng.random((200, 3)) < 0.3) @ (rng.random((3, 40)) < 0.3).astype(float)
    x += 0.6 * rng.random(x.shape)
    scores = [predicted_given_rank(x, k, np.random.default_rng(1)) for k in (1, 3)]
    assert scores[1] > 0.6 > scores[0] + 0.1
    assert detect_by_nmf(x).n_assemblies == 4  # the mean of the noise is one, too
    assert predicted_given_rank(rng.random((100, 20)), 4, rng) < 0


def test_sparse_matrices_recordings_and_lists_come_in():
    import scipy.sparse

    import crbm_lite as cl

    v = np.eye(3)
    for x in (v, scipy.sparse.csr_array(v), cl.Recording(v, 1.0), v.tolist()):
        np.testing.assert_array_equal(as_activity(x), v)
