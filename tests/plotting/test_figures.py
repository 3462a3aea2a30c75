"""Figures: what is drawn is what was given, with units on the axes and the declared colours."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from crbm_lite.plotting import figures as plotting
from crbm_lite.validation.likelihood import nllh_given_probabilities
from crbm_lite.validation.nrmse import score_entries
from crbm_lite.validation.report import ValidationReport


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def example_score(rng, n):
    x = rng.gamma(2.0, size=n)
    return score_entries(x, x + 0.1 * rng.normal(size=n), x, rng, n_scatter=3000)


def example_report(rng):
    v = (rng.random((50, 20)) < 0.2).astype(np.uint8)
    scores = {name: example_score(rng, 100) for name in ("v", "h", "vh", "vv", "hh")}
    likelihood = nllh_given_probabilities(v, rng.random((50, 20)))
    return ValidationReport(
        **scores,
        left_out=likelihood,
        nllh=likelihood,
        l1=0.0,
        n_train=50,
        n_test=50,
        n_generated=100,
    )


def image_of(ax):
    """Pixels of the figure: drawing must work to the end, not only building the artists."""
    ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())


# ---------------------------------------------------------------- validation


@pytest.mark.parametrize("name", ["v", "h", "vh", "vv", "hh"])
@pytest.mark.parametrize("n", [100, 5000])
def test_score_density_shows_data_against_model(rng, name, n):
    score = example_score(rng, n)
    ax = plotting.score_density(score, name)
    assert ax.get_xlabel().startswith("data: ")
    assert ax.get_ylabel().startswith("model: ")
    assert "(" in ax.get_xlabel()  # the unit
    title = ax.get_title(loc="left")
    assert f"r = {score.pearson_r:.2f}" in title
    assert f"nRMSE = {score.nrmse:.2f}" in title
    assert ax.get_xlim() == ax.get_ylim() == tuple(score.density.edges[[0, -1]])
    drawn = ax.collections[0]
    if n == 100:
        np.testing.assert_array_equal(drawn.get_offsets()[:, 0], score.density.data)
        np.testing.assert_array_equal(drawn.get_offsets()[:, 1], score.density.model)
    else:
        # pcolormesh has rows along y: the model is vertical
        counts = np.ma.filled(drawn.get_array(), 0).reshape(score.density.counts.shape)
        np.testing.assert_array_equal(counts, score.density.counts.T)
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    assert image_of(ax).std() > 0


def test_score_density_of_nothing_is_an_empty_panel():
    ax = plotting.score_density(score_entries(*[np.empty(0)] * 3, np.random.default_rng(0)), "vh")
    assert not ax.collections
    assert "nan" in ax.get_title(loc="left")


def test_score_density_refuses_another_name(rng):
    with pytest.raises(ValueError, match="'spam'"):
        plotting.score_density(example_score(rng, 10), "spam")


def test_nllh_distribution_counts_every_neuron_that_is_scored(rng):
    v = (rng.random((50, 20)) < 0.2).astype(np.uint8)
    v[:, 3] = 0
    likelihood = nllh_given_probabilities(v, rng.random((50, 20)))
    ax = plotting.nllh_distribution(likelihood)
    assert sum(patch.get_height() for patch in ax.patches) == 19
    assert likelihood.nllh[np.isfinite(likelihood.nllh)].min() < -1
    assert f"{likelihood.median:.2f}" in ax.get_title(loc="left")
    assert "nLLH" in ax.get_xlabel()
    assert "count" in ax.get_ylabel()
    nobody = plotting.nllh_distribution(nllh_given_probabilities(np.zeros((4, 2)), np.full(2, 0.5)))
    assert sum(patch.get_height() for patch in nobody.patches) == 0


def test_report_plot_has_six_labelled_panels(rng):
    axes = example_report(rng).plot()
    assert axes.shape == (6,)
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title(loc="left") for ax in axes)
    assert len({ax.figure for ax in axes}) == 1
    assert image_of(axes[0]).std() > 0


# ---------------------------------------------------------------- recordings


def test_raster_puts_spikes_at_their_time_and_neuron():
    spikes = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1]])
    ax = plotting.raster(spikes, rate_hz=2.0)
    points = set(map(tuple, np.column_stack(ax.lines[0].get_data())))
    assert points == {(0.0, 0), (0.5, 2), (1.0, 1), (1.0, 2)}
    assert ax.get_xlabel() == "time (s)"
    assert ax.get_xlim() == (0, 1.5)
    ordered = plotting.raster(spikes, rate_hz=2.0, order=[2, 0])
    points = set(map(tuple, np.column_stack(ordered.lines[0].get_data())))
    assert points == {(0.0, 1), (0.5, 0), (1.0, 0)}
    assert ordered.get_ylim() == (-0.5, 1.5)


def test_raster_refuses_bad_input():
    with pytest.raises(ValueError, match="rate_hz is 0"):
        plotting.raster(np.eye(3), rate_hz=0)
    with pytest.raises(ValueError, match="give only 0 and 1"):
        plotting.raster(np.full((3, 3), 2), rate_hz=1.0)


@pytest.mark.parametrize(
    ("view", "columns"), [("dorsal", (0, 1)), ("lateral", (1, 2)), ("frontal", (0, 2))]
)
def test_brain_scatter_projects_and_draws_the_strongest_last(rng, view, columns):
    coordinates, values = 100 * rng.random((50, 3)), rng.normal(size=50)
    values[7] = np.nan
    ax = plotting.brain_scatter(coordinates, values, view=view, limit=2.0, label="w (1/s.d.)")
    (points,) = ax.collections
    drawn = np.asarray(points.get_array())
    assert len(drawn) == 49
    assert (np.diff(np.abs(drawn)) >= 0).all()
    order = [np.flatnonzero(values == value)[0] for value in drawn]
    np.testing.assert_array_equal(points.get_offsets(), coordinates[order][:, columns])
    assert points.get_clim() == (-2.0, 2.0)
    names = [f"{'xyz'[c]} (µm)" for c in columns]
    assert [ax.get_xlabel(), ax.get_ylabel()] == names
    assert points.colorbar.ax.get_ylabel() == "w (1/s.d.)"


def test_brain_scatter_writes_the_unit_of_the_coordinates():
    ax = plotting.brain_scatter(np.eye(3), np.ones(3), coordinate_unit="pixel")
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["x (pixel)", "y (pixel)"]


@pytest.mark.parametrize(("inches", "area"), [(2.0, 0.75 * 144**2 / 4000), (0.5, 1.0), (9.0, 20.0)])
def test_markers_together_fill_most_of_the_brain(rng, inches, area):
    figure = plt.figure(figsize=(inches, inches))
    ax = figure.add_axes((0, 0, 1, 1))
    corners = [[0, 0, 0], [100, 50, 9]]  # half as high as wide: half of the square is used
    coordinates = np.r_[corners, rng.uniform(*corners, (1998, 3))]
    plotting.brain_scatter(coordinates, rng.normal(size=2000), ax)
    np.testing.assert_allclose(ax.collections[0].get_sizes(), area)


def test_brain_scatter_in_three_dimensions(rng):
    coordinates, values = 100 * rng.random((50, 3)), np.zeros(50)
    ax = plotting.brain_scatter(coordinates, values, view="3d", coordinate_unit="mm")
    assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()] == ["x (mm)", "y (mm)", "z (mm)"]
    assert image_of(ax).std() > 0


def test_brain_scatter_draws_into_given_axes_and_keeps_the_input(rng):
    _, ax = plt.subplots()
    coordinates, values = 100 * rng.random((5, 3)), rng.normal(size=5)
    kept = coordinates.copy(), values.copy()
    assert plotting.brain_scatter(coordinates, values, ax) is ax
    np.testing.assert_array_equal(coordinates, kept[0])
    np.testing.assert_array_equal(values, kept[1])


@pytest.mark.parametrize(
    ("coordinates", "values", "view", "message"),
    [
        (np.ones((5, 2)), np.ones(5), "dorsal", r"^coordinates has shape \(5, 2\)"),
        (np.ones((5, 3)), np.ones(4), "dorsal", r"expected \(4, 3\)"),
        (np.ones((5, 3)), np.ones(5), "ventral", "'ventral'"),
        (None, np.ones(5), "dorsal", "^coordinates is None"),
        (np.diag([1, np.nan, 1]), np.ones(3), "3d", "^coordinates holds NaN"),
        (np.ones((5, 3)), np.full(5, np.nan), "3d", "^values"),
        (np.ones((5, 3)), None, "dorsal", "^values"),
        (np.ones((0, 3)), np.ones(0), "dorsal", "^values"),
    ],
)
def test_brain_scatter_refuses_bad_input(coordinates, values, view, message):
    with pytest.raises(ValueError, match=message):
        plotting.brain_scatter(coordinates, values, view=view)


@pytest.mark.parametrize("limit", [0, -1.0, np.nan, "a"])
def test_brain_scatter_refuses_a_limit_that_is_none(limit):
    with pytest.raises(ValueError, match=r"^limit is"):
        plotting.brain_scatter(np.eye(3), np.ones(3), view="3d", limit=limit)


@pytest.mark.parametrize("order", [[3], [-1], [0.5], [], ["a"], [0, 0], [[0]], [True, False]])
def test_raster_refuses_an_order_of_other_neurons(order):
    with pytest.raises(ValueError, match=r"^order"):
        plotting.raster(np.eye(3), 1.0, order=order)


def test_raster_draws_the_neurons_of_a_mask():
    ax = plotting.raster(np.eye(3), 1.0, order=np.array([True, False, True]))
    assert ax.lines[0].get_ydata().tolist() == [0, 1] and ax.get_ylim() == (-0.5, 1.5)
