"""Eq. 20-22 by loops over neurons, statistics against their definitions, and the real atlas."""

import warnings

import numpy as np
import pytest
from scipy import stats

from crbm_lite.connectivity.region_statistics import (
    Conservation,
    compare,
    conservation,
    log_normality,
    region_pairs,
)
from crbm_lite.connectivity.structure import average_connectivity, structural_connectivity
from crbm_lite.datasets.atlas import load_atlas
from crbm_lite.datasets.registry import DatasetUnavailable


@pytest.fixture(scope="module")
def atlas():
    try:
        return load_atlas()
    except DatasetUnavailable as reason:
        pytest.skip(f"zebrafish-atlas: {reason}")


def symmetric(rng, n, zero=0.0):
    upper = np.triu(rng.lognormal(size=(n, n)) * (rng.random((n, n)) >= zero))
    return upper + np.triu(upper, 1).T


# ---------------------------------------------------------------------- tracings


def tracings(rng, n=30, n_regions=6):
    lengths = rng.exponential(50.0, (n, n_regions)) * (rng.random((n, n_regions)) < 0.4)
    soma = rng.integers(-1, n_regions - 1, n)  # the last region has no soma of its own
    return lengths, soma, rng.uniform(1e3, 1e4, n_regions)


def mirrored(lengths, soma, mirror):
    both = [(dict(enumerate(row)), s) for row, s in zip(lengths, soma)]
    for row, s in zip(lengths, soma):
        both.append(({mirror[r]: x for r, x in enumerate(row)}, mirror[s] if s >= 0 else -1))
    return both


def by_loops(neurons, volumes, formula):
    n_regions = len(volumes)
    out = np.zeros((n_regions, n_regions))
    for r in range(n_regions):
        for q in range(n_regions):
            if formula == 20:
                mine = [row for row, s in neurons if s == r]
                if mine:
                    out[r, q] = sum(row[q] for row in mine) / (volumes[q] * len(mine))
            elif r != q:
                in_both = [
                    row for row, s in neurons if (row[r] > 0 or s == r) and (row[q] > 0 or s == q)
                ]
                if in_both:
                    total = sum(row[r] + row[q] for row in in_both)
                    out[r, q] = total / (len(in_both) * (volumes[r] + volumes[q]))
    return (out + out.T) / 2


@pytest.mark.parametrize("formula", [20, 21])
@pytest.mark.parametrize("with_mirror", [False, True])
def test_structural_connectivity_neuron_by_neuron(formula, with_mirror):
    lengths, soma, volumes = tracings(np.random.default_rng(0))
    mirror = np.array([1, 0, 3, 2, 5, 4])
    neurons = [(dict(enumerate(row)), s) for row, s in zip(lengths, soma)]
    if with_mirror:
        neurons = mirrored(lengths, soma, mirror)
    ours = structural_connectivity(
        lengths, soma, volumes, mirror=mirror if with_mirror else None, formula=formula
    )
    np.testing.assert_allclose(ours, by_loops(neurons, volumes, formula), rtol=1e-12)
    np.testing.assert_array_equal(ours, ours.T)
    if with_mirror:
        volumes = (volumes + volumes[mirror]) / 2
        ours = structural_connectivity(lengths, soma, volumes, mirror=mirror, formula=formula)
        np.testing.assert_allclose(ours, ours[np.ix_(mirror, mirror)], rtol=1e-12)


def test_the_two_meanings_of_n_in_equation_21():
    """Two neurons in both regions, one in the first only: divided by two, or by all three."""
    lengths, soma, volumes = [[4.0, 0.0], [2.0, 1.0], [9.0, 0.0]], [1, 0, 0], [1.0, 2.0]
    total = (4.0 + 0.0) + (2.0 + 1.0)
    for divide_by, n in (("both", 2), ("all", 3)):
        matrix = structural_connectivity(lengths, soma, volumes, formula=21, divide_by=divide_by)
        assert matrix[0, 1] == matrix[1, 0] == pytest.approx(total / (n * 3.0))
    options = {"mirror": [0, 1], "formula": 21}
    both, twice = (
        structural_connectivity(lengths, soma, volumes, **options, divide_by=d)
        for d in ("both", "all")
    )
    assert both[0, 1] == pytest.approx(2 * total / (4 * 3.0))
    assert twice[0, 1] == pytest.approx(2 * total / (6 * 3.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"soma_region": [0]}, r"soma_region \(1,\)"),
        ({"lengths_um": -np.ones((30, 6))}, "lengths_um or volumes_um3 holds"),
        ({"volumes_um3": np.zeros(6)}, "lengths_um or volumes_um3 holds"),
        ({"soma_region": np.full(30, 6)}, "soma_region holds other values"),
        ({"mirror": [1, 2, 0, 3, 4, 5]}, "mirror does not pair"),
        ({"formula": 19}, "formula is 19"),
        ({"formula": 21, "divide_by": "some"}, "divide_by is 'some'"),
    ],
)
def test_bad_tracings_are_named(change, message):
    names = ("lengths_um", "soma_region", "volumes_um3")
    good = dict(zip(names, tracings(np.random.default_rng(0))))
    with pytest.raises(ValueError, match=message):
        structural_connectivity(**(good | change))


# ---------------------------------------------------------------------- Eq. 22


@pytest.mark.parametrize("missing", ["skip", "zero"])
def test_average_over_animals_entry_by_entry(missing):
    rng = np.random.default_rng(1)
    matrices = np.array([symmetric(rng, 5) for _ in range(3)])
    counts, frames = rng.integers(1, 50, (3, 5)), np.array([100.0, 250.0, 400.0])
    counts[0, 2] = 3
    matrices[0, 2], matrices[0, :, 2] = np.nan, np.nan
    matrices[:, 4], matrices[:, :, 4] = np.nan, np.nan  # nobody has region 4
    ours = average_connectivity(matrices, counts, frames, missing=missing)
    for r in range(5):
        for q in range(5):
            top = bottom = 0.0
            for a in range(3):
                weight = frames[a] * (counts[a, r] + counts[a, q])
                if np.isnan(matrices[a, r, q]):
                    bottom += weight * (missing == "zero")
                else:
                    top, bottom = top + weight * matrices[a, r, q], bottom + weight
            if 4 in (r, q):
                assert np.isnan(ours[r, q])
            else:
                assert ours[r, q] == pytest.approx(top / bottom, rel=1e-12)
    np.testing.assert_array_equal(ours, ours.T)


def test_bad_averages_are_named():
    matrices = [np.ones((2, 2))] * 2
    for arguments, message in (
        (([], [[1, 1]]), r"matrices has shape \(0,\)"),
        ((matrices, [[1, 1]]), r"n_neurons has shape \(1, 2\)"),
        ((matrices, [[1, 1], [1, -1]]), "negative"),
    ):
        with pytest.raises(ValueError, match=message):
            average_connectivity(*arguments)
    with pytest.raises(ValueError, match="missing is 'mean'"):
        average_connectivity(matrices, [[1, 1]] * 2, missing="mean")


# ---------------------------------------------------------------------- comparison


@pytest.mark.parametrize("within", [True, False])
def test_compare_is_scipy_on_the_right_pairs(within):
    rng = np.random.default_rng(2)
    f, c = symmetric(rng, 12), symmetric(rng, 12, zero=0.4)
    f[3], f[:, 3] = np.nan, np.nan
    pairs = [
        (f[i, j], c[i, j])
        for i in range(12)
        for j in range(i if within else i + 1, 12)
        if 3 not in (i, j)
    ]
    x, y = np.array(pairs).T
    result = compare(f, c, within=within)
    assert result.spearman_r == pytest.approx(stats.spearmanr(x[y > 0], y[y > 0])[0])
    ks = stats.ks_2samp(x[y > 0], x[y == 0])
    assert (result.ks_statistic, result.ks_p) == pytest.approx((ks.statistic, ks.pvalue))
    assert (result.n_connected, result.n_unconnected) == ((y > 0).sum(), (y == 0).sum())
    one, two = np.log10(x[y > 0]), np.log10(x[y == 0])
    width = np.sqrt((one.var() * one.size + two.var() * two.size) / (x.size - 2))
    ratio = stats.norm(one.mean(), width).pdf(-0.3) / stats.norm(two.mean(), width).pdf(-0.3)
    assert result.evidence_ratio(10**-0.3) == pytest.approx(ratio)


def test_compare_leaves_zeros_out_of_the_gaussians_only():
    rng = np.random.default_rng(6)
    f, c = symmetric(rng, 8), symmetric(rng, 8, zero=0.4)
    linked = np.argwhere(np.triu(c) > 0)[0]
    with_zero = f.copy()
    with_zero[*linked] = with_zero[*linked[::-1]] = 0.0
    gap = f.copy()
    gap[*linked] = gap[*linked[::-1]] = np.nan
    one, two = compare(with_zero, c), compare(gap, c)
    assert (one.mean_connected, one.width) == pytest.approx((two.mean_connected, two.width))
    assert one.n_connected == two.n_connected + 1


def test_compare_without_one_of_the_groups_says_nan():
    f = symmetric(np.random.default_rng(3), 4)
    result = compare(f, np.zeros((4, 4)))
    assert np.isnan([result.spearman_r, result.ks_p, result.width]).all()
    for bad, message in (
        (-np.ones((4, 4)), "structural holds -1: give 0 or more"),
        (np.triu(f), "structural is not symmetric"),
        (f[:3], r"functional has shape \(4, 4\), structural \(3, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(f, bad)


def test_log_normality_tells_a_log_normal_from_an_exponential():
    rng = np.random.default_rng(4)
    good = log_normality(rng.lognormal(-5, 1.2, 1500))
    bad = log_normality(rng.exponential(1.0, 1500))
    assert good.shapiro_p > 0.01 > bad.shapiro_p
    assert abs(good.skewness) < 0.2 < abs(bad.skewness)
    assert bad.probability_plot_r2 < good.probability_plot_r2 <= 1
    for values in (rng.lognormal(-5, 1.2, 300), rng.normal(10, 1, 300)):
        log_normal = stats.lognorm(*stats.lognorm.fit(values, floc=0))
        normal = stats.norm(*stats.norm.fit(values))
        gain = (log_normal.logpdf(values) - normal.logpdf(values)).mean()
        assert log_normality(values).gain_over_normal == pytest.approx(gain, abs=1e-6)
    with_gaps = np.concatenate([[np.nan, 0.0, -1.0], rng.lognormal(size=20)])
    assert log_normality(with_gaps).log10_values.size == 20
    with pytest.raises(ValueError, match="8 or more"):
        log_normality(np.ones(3))


@pytest.mark.parametrize("within", [True, False])
def test_conservation_is_pearson_of_log10_on_common_regions(within):
    rng = np.random.default_rng(5)
    base = symmetric(rng, 9)
    stack = [base * symmetric(rng, 9) ** 0.5 for _ in range(3)]
    stack[1][2], stack[1][:, 2] = np.nan, np.nan
    result = conservation(stack, within=within)
    kept = [r for r in range(9) if r != 2]
    a, b = (np.log10(m[np.ix_(kept, kept)][region_pairs(8, within=within)]) for m in stack[:2])
    assert result.pearson_r[0, 1] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert result.n_pairs[0, 1] == a.size
    off = [result.pearson_r[i, j] for i, j in ((0, 1), (0, 2), (1, 2))]
    assert result.mean() == pytest.approx(np.mean(off))
    assert result.mean(with_self=True) == pytest.approx((3 + np.sum(off)) / 6)


def test_plain_matrices_with_gaps_are_enough():
    """Published values: lists of rows, NaN for missing regions, scales of 1e-6, no zeros by NaN."""
    rng = np.random.default_rng(7)
    c = symmetric(rng, 10, zero=0.3)
    animals = [1e-6 * (c + 0.05) * symmetric(rng, 10) for _ in range(4)]
    for lacks, matrix in zip((2, 5, 5, 9), animals):
        matrix[lacks], matrix[:, lacks] = np.nan, np.nan
    listed = [matrix.tolist() for matrix in animals]
    average = average_connectivity(listed, np.full((4, 10), 20).tolist())
    np.testing.assert_allclose(average, np.nanmean(animals, axis=0), rtol=1e-12)
    assert average_connectivity(listed, np.full((4, 10), 20), missing="zero")[5, 0] == (
        pytest.approx(np.nansum([m[5, 0] for m in animals]) / 4)
    )
    structural = c.copy()
    structural[7], structural[:, 7] = np.nan, np.nan
    result = compare(average.tolist(), structural.tolist())
    assert result.n_connected + result.n_unconnected == 9 * 10 // 2
    known = ~np.isnan(structural[region_pairs(10)])
    x, y = average[region_pairs(10)][known], structural[region_pairs(10)][known]
    assert result.spearman_r == pytest.approx(stats.spearmanr(x[y > 0], y[y > 0])[0])
    alike = conservation(listed)
    assert alike.n_pairs[0, 1] == 8 * 9 // 2 and alike.n_pairs[1, 2] == 9 * 10 // 2
    assert log_normality(listed[0]).log10_values.size == 81
    assert np.isnan(compare(np.full((4, 4), np.nan), np.ones((4, 4))).spearman_r)


def test_eight_animals_correlated_with_themselves_turn_060_into_069():
    r = np.where(np.eye(8, dtype=bool), 1.0, 0.60)
    eight = Conservation(r, np.ones((8, 8), int))
    assert eight.mean() == pytest.approx(0.60)
    assert round(eight.mean(with_self=True), 2) == 0.69


def test_what_cannot_be_computed_is_nan_without_a_warning():
    ones = np.ones((4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alike = compare(ones, ones)  # nothing to rank
        assert np.isnan([alike.spearman_r, alike.ks_p, alike.width]).all()
        assert np.isnan(alike.evidence_ratio([0.1, 1.0])).all()
        same = conservation([ones, ones])
        assert np.isnan(same.pearson_r).all() and same.n_pairs[0, 1] == 10
        assert np.isnan(same.mean()) and np.isnan(same.mean(with_self=True))
        rng = np.random.default_rng(8)
        ranked = compare(symmetric(rng, 9), symmetric(rng, 9, zero=0.3))
        assert np.isnan(ranked.evidence_ratio([0.0, -1.0, np.nan])).all()
        assert ranked.evidence_ratio([1.0])[0] > 0
        large = log_normality(10 ** rng.normal(size=6000))
        assert np.isnan(large.shapiro_p) and large.dagostino_p > 1e-4
        small = log_normality(10 ** rng.normal(size=12))
        assert np.isnan(small.dagostino_p) and 0 <= small.shapiro_p <= 1
    with pytest.raises(ValueError, match="values are all 1: give values that differ"):
        log_normality(np.ones(10))


def test_infinite_values_are_unknown_ones():
    rng = np.random.default_rng(9)
    f, c = symmetric(rng, 8), symmetric(rng, 8, zero=0.3)
    with_nan, with_inf = f.copy(), f.copy()
    with_nan[2, 5] = with_nan[5, 2] = np.nan
    with_inf[2, 5] = with_inf[5, 2] = np.inf
    assert compare(with_nan, c) == compare(with_inf, c)


def test_tests_of_normality_see_what_is_not():
    rng = np.random.default_rng(10)
    good, bad = 10 ** rng.normal(size=400), 10 ** rng.exponential(size=400)
    assert log_normality(good).dagostino_p > 0.01 > log_normality(bad).dagostino_p
    expected = stats.normaltest(np.log10(bad)).pvalue
    assert log_normality(bad).dagostino_p == pytest.approx(expected)


@pytest.mark.parametrize(
    "change", [{"mirror": [0, 5]}, {"mirror": [0.0, 1.0]}, {"volumes_um3": [1.0, np.inf]}]
)
def test_impossible_mirrors_and_volumes_are_named(change):
    good = {"lengths_um": [[1.0, 2.0]], "soma_region": [0], "volumes_um3": [1.0, 1.0]}
    with pytest.raises(ValueError, match=next(iter(change))):
        structural_connectivity(**(good | change))


def test_impossible_weights_of_an_average_are_named():
    one = [np.ones((2, 2))]
    for numbers, frames in (([[1, np.nan]], None), ([[1, 1]], [np.nan])):
        with pytest.raises(ValueError, match="give finite numbers of 0 or more"):
            average_connectivity(one, numbers, frames)
    with pytest.raises(ValueError, match="different shapes"):
        average_connectivity([np.ones((2, 2)), np.ones((3, 3))], np.ones((2, 2)))


# ---------------------------------------------------------------------- the eight fish


def test_numbers_of_neurons_of_the_eight_fish(atlas):
    sizes = [44055, 65517, 52518, 43439, 26353, 45082, 25259, 23446]
    assert [x.size for x in atlas.labels] == sizes
    in_a_region = [37475, 54825, 44118, 36988, 22252, 37739, 21777, 19665]
    np.testing.assert_array_equal(atlas.n_neurons.sum(axis=1), in_a_region)


def test_fifty_regions_have_five_neurons_on_both_sides_on_average(atlas):
    used = atlas.used_regions()
    assert len(used) == 50
    assert (atlas.n_neurons[:, used].mean(axis=0) >= 5).all()
    assert (atlas.n_neurons.mean(axis=0) >= 5).sum() == 52  # two more on one side only
    with_five = (atlas.n_neurons[:, used] >= 5).sum(axis=1)
    np.testing.assert_array_equal(with_five, [38, 50, 47, 44, 44, 44, 43, 43])


def test_weights_of_the_average_are_sums_of_neurons(atlas):
    """A matrix of ones in fish 2 only, zeros elsewhere: Eq. 22 returns its share of the weight."""
    counts = atlas.n_neurons
    matrices = np.zeros((8, 72, 72))
    matrices[1] = 1.0
    share = average_connectivity(matrices, counts)
    r, q = atlas.names.index("Tectum_left"), atlas.names.index("Cerebellum_right")
    weights = counts[:, r] + counts[:, q]
    assert share[r, q] == weights[1] / weights.sum()
    assert np.isnan(share).sum() == sum(
        1 for a in range(72) for b in range(72) if counts[:, [a, b]].sum() == 0
    )


def test_structural_matrix_is_joined_by_name(atlas):
    c = atlas.structure
    np.testing.assert_array_equal(c, c.T)
    assert (np.diag(c) == 0).all() and (c >= 0).all()
    assert (c[region_pairs(72, within=False)] == 0).sum() == 1229
    rows = [n for n in atlas.names if n.startswith(("MO_stripe", "Medial_octavolateral"))]
    assert rows[-1] == "Medial_octavolateral_nucleus_right"
    # a plain copy of the file's order would differ in these rows and only there
    from crbm_lite.datasets.registry import fetch

    text = fetch("zebrafish-atlas").paths["connectivity_matrix.csv"].read_text().splitlines()
    header = [x.strip('"').lower() for x in text[0].split(",")[1:]]
    line = next(x for x in text if x.startswith('"medial_octavolateral_nucleus_LEFT"'))
    values = dict(zip(header, map(float, line.split(",")[1:])))
    mine = c[atlas.names.index("Medial_octavolateral_nucleus_left")]
    for region in ("Tectum_left", "MO_stripe_1_left", "MO_stripe_5_right", "Cerebellum_right"):
        assert mine[atlas.names.index(region)] == values[region.lower()]
    assert mine.max() > 0
