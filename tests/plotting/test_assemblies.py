"""Plates of assemblies show what they are given."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.plotting.assemblies import assembly_plates, plot_stability
from crbm_lite.validation.stability import StabilitySelection

RNG = np.random.default_rng(0)
WEIGHTS, PLACES = RNG.normal(size=(30, 6)), RNG.normal(size=(30, 3))


def drawn(ax):
    return np.asarray(ax.collections[0].get_array())


def test_plates_show_each_unit_once_the_largest_weights_on_top():
    axes = assembly_plates(WEIGHTS, PLACES, [5, 1, 2, 0, 3])
    assert [ax.get_title(loc="left") for ax in axes] == [f"HU {k}" for k in (5, 1, 2, 0, 3)]
    np.testing.assert_allclose(np.sort(drawn(axes[0])), np.sort(WEIGHTS[:, 5]))
    assert (np.diff(np.abs(drawn(axes[0]))) >= 0).all()


def test_a_pair_shares_a_plate_and_a_neuron_has_its_largest_weight():
    ax = assembly_plates(WEIGHTS, PLACES, [np.array([4, 2])], view="lateral")[0]
    assert ax.get_title(loc="left") == "HU 4 + 2" and ax.get_xlabel() == "y (µm)"
    np.testing.assert_allclose(np.abs(drawn(ax)), np.sort(np.abs(WEIGHTS[:, [4, 2]]).max(axis=1)))


def test_a_pair_has_a_hue_for_each_unit_and_draws_members_only():
    w = np.array([[0.9, 0.0], [0.4, 0.5], [-0.1, 0.8], [0.0, -0.2], [0.0, 0.0]])
    pair, alone = assembly_plates(w, PLACES[:5], [(0, 1), 0])
    # The first unit is negative, the second positive; weak weights of the other sign are left out.
    np.testing.assert_allclose(np.sort(drawn(pair)), [-0.9, 0.0, 0.0, 0.5, 0.8])
    hues = [ax.collections[0].get_cmap()(x) for ax in (pair, alone) for x in (0.0, 1.0)]
    assert len(set(hues)) == 4
    labels = [ax.get_ylabel() for ax in pair.figure.axes[2:]]
    assert labels == ["weight", "|weight| in the first (green) or second unit"]


def test_plates_write_the_unit_of_the_coordinates():
    ax = assembly_plates(WEIGHTS, PLACES, [0], coordinate_unit="pixel")[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (pixel)", "y (pixel)")


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="coordinates is None"):
        assembly_plates(np.eye(3), None, [0])
    with pytest.raises(ValueError, match="units is \\[\\]"):
        assembly_plates(np.eye(3), np.eye(3), [])
    with pytest.raises(ValueError, match=r"units holds 3: expected indices in 0\.\.2"):
        assembly_plates(np.eye(3), np.eye(3), [0, (1, 3)])


@pytest.mark.parametrize(
    ("weights", "places", "units", "named"),
    [
        (WEIGHTS[:, 0], PLACES, [0], "^weights"),
        (np.where(WEIGHTS[3, 0] == WEIGHTS, np.nan, WEIGHTS), PLACES, [0], "^weights"),
        (WEIGHTS[:0], PLACES[:0], [0], "^weights"),
        (WEIGHTS, np.where(PLACES[3, 0] == PLACES, np.nan, PLACES), [0], "^coordinates"),
        (WEIGHTS, PLACES + np.inf, [0], "^coordinates"),
        (WEIGHTS, PLACES[:, :2], [0], "^coordinates"),
        (WEIGHTS, PLACES[:5], [0], "^coordinates"),
        (WEIGHTS, PLACES, None, "^units"),
        (WEIGHTS, PLACES, 3, "^units"),
        (WEIGHTS, PLACES, [()], "^units"),
        (WEIGHTS, PLACES, [0.5], "^units"),
        (WEIGHTS, PLACES, ["a"], "^units"),
        (WEIGHTS, PLACES, [-1], "^units"),
    ],
)
def test_what_is_not_finite_or_does_not_fit_is_named(weights, places, units, named):
    with pytest.raises(ValueError, match=named):
        assembly_plates(weights, places, units)


def test_sparse_weights_are_drawn_too():
    sparse = scipy.sparse.csr_array(WEIGHTS)
    ours, dense = (assembly_plates(w, PLACES, [0])[0] for w in (sparse, WEIGHTS))
    np.testing.assert_array_equal(drawn(ours), drawn(dense))


def stability():
    """Two assemblies, since the middle unit has no weights; two runs, and one in shifted time."""
    weights = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 2.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0]])
    correlation = np.array([[0.2, 0.9], [0.4, 0.7]])
    membership = np.array([[0.1, 0.0], [0.5, 1.0], [0.9, 0.8], [0.2, 0.0]])
    null = np.array([[0.1, 0.15]])
    return StabilitySelection(weights, correlation, membership, 5.0, null, 0 * membership, 0.5)


def test_stability_shows_every_run_of_the_assemblies_in_use_most_stable_first():
    left, right = plot_stability(stability(), 0.8)
    shifted, halves, threshold = left.lines
    np.testing.assert_allclose(halves.get_ydata(), [0.9, 0.2, 0.7, 0.4])
    np.testing.assert_allclose(halves.get_xdata(), [0, 1, 0, 1])
    np.testing.assert_allclose(shifted.get_ydata(), [0.15, 0.1])
    assert set(threshold.get_ydata()) == {0.5} and set(right.lines[2].get_xdata()) == {0.8}


def test_the_share_of_members_counts_weights_of_the_model_only():
    halves = plot_stability(stability())[1].lines[1]
    np.testing.assert_allclose(halves.get_xdata(), [1.0, 0.8, 0.5, 0.2, 0.1])
    np.testing.assert_allclose(halves.get_ydata(), [0.2, 0.4, 0.6, 0.8, 1.0])


def test_stability_of_no_assembly_is_refused():
    nothing = np.zeros((3, 2))
    found = StabilitySelection(nothing, nothing[:2], nothing, 0.0, nothing[:1], nothing, 0.5)
    with pytest.raises(ValueError, match="no hidden unit with weights"):
        plot_stability(found)
