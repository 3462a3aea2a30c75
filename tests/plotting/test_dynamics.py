"""Panels of the dynamics show what they are given, and survive what is not there."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from crbm_lite.assemblies.dynamics import ward_order
from crbm_lite.plotting import dynamics as panels
from crbm_lite.plotting.style import COLOR_DATA


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_ward_raster_and_correlations():
    x = np.random.default_rng(1).normal(size=(40, 5))
    x[:, 4] = np.nan
    axes = panels.plot_ward(x, 2.0)
    order = ward_order(x)[0]
    np.testing.assert_allclose(axes[1].images[0].get_array(), np.nan_to_num(x)[:, order].T)
    kept = np.flatnonzero(order != 4)
    r = np.asarray(axes[2].images[0].get_array())[np.ix_(kept, kept)]
    np.testing.assert_allclose(r, np.corrcoef(x[:, order[kept]].T))


def test_clusters_have_colours_and_lines_between_them():
    source = np.random.default_rng(2).normal(size=(60, 3))
    axes = panels.plot_ward(source[:, [0, 0, 1, 1, 1, 2, 2]], 2.0, n_clusters=3)
    merges = {
        matplotlib.colors.to_hex(lines.get_color()[0]): len(lines.get_segments())
        for lines in axes[0].collections
    }
    assert merges.pop(COLOR_DATA) == 2  # these join the clusters
    assert sorted(merges.values()) == [1, 1, 2]
    heights = sorted(line.get_ydata()[0] for line in axes[1].lines)
    assert len(heights) == 2 and all(h % 1 == 0.5 for h in heights)


def test_traces_are_filled_where_active():
    x = np.array([[1.0, -2.0], [-1.0, 2.0], [3.0, np.nan]])
    ax = panels.plot_traces(x, 1.0, [1, 0])
    traces = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 3]
    np.testing.assert_allclose(traces[0], [-2, 2, 0])
    np.testing.assert_allclose(np.diff(traces[1]), [-2, 4])
    assert len(ax.collections) == 2
    with pytest.raises(ValueError, match="units selects nothing"):
        panels.plot_traces(x, 1.0, [])


def test_variance_density_and_periods():
    x = np.array([[2, 1], [2, -1], [-2, 1], [-2, -1.0]])
    np.testing.assert_allclose(panels.plot_variance(x).lines[0].get_ydata(), [0.8, 1])
    rng = np.random.default_rng(0)
    two = np.where(rng.random((4000, 3)) < 0.5, -1, 1) + 0.1 * rng.normal(size=(4000, 3))
    bars = panels.plot_density(np.c_[10 * two, np.full(4000, np.nan), np.ones(4000)]).patches
    height = {round(b.get_x() + b.get_width() / 2, 1): b.get_height() for b in bars}
    assert height[1.0] > 20 * height[0.0] and height[-1.0] > 20 * height[0.0]
    ax = panels.plot_periods([20.0, 30.0], [4.0, np.nan, 4.0])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["hidden units, median 25 s", "neurons, median 4 s"]
    assert sum(b.get_height() for b in ax.containers[1]) == pytest.approx(1)


def test_active_units_show_their_phase():
    ax = panels.plot_active_units(np.r_[np.full(30, 4.0), np.nan], 40)
    assert ax.get_title(loc="left") == "compositional: median m / M = 0.10"
    assert sum(b.get_height() for b in ax.containers[0]) == 30


def test_nothing_to_show_is_no_crash():
    nothing = np.full((10, 2), np.nan)
    assert not panels.plot_density(nothing).patches
    assert panels.plot_periods([np.nan], [np.nan]).get_title(loc="left").endswith("not defined")
    panels.plot_variance(nothing)
    panels.plot_traces(nothing, 1.0, [0])
    panels.plot_ward(nothing, 1.0)
    assert "undetermined" in panels.plot_active_units([np.nan], 20).get_title(loc="left")
    for figure in map(plt.figure, plt.get_fignums()):
        figure.canvas.draw()
    with pytest.raises(ValueError, match="activity has shape"):
        panels.plot_ward(np.zeros((5, 1)), 1.0)
    with pytest.raises(ValueError, match="n_clusters is 3"):
        panels.plot_ward(np.eye(5)[:, :2], 1.0, 3)


@pytest.mark.parametrize("rate_hz", [0, -1.0, np.nan, np.inf, None, "2"])
def test_an_impossible_rate_is_named(rate_hz):
    for panel, arguments in ((panels.plot_ward, ()), (panels.plot_traces, ([0],))):
        with pytest.raises(ValueError, match="rate_hz is"):
            panel(np.eye(5), rate_hz, *arguments)


@pytest.mark.parametrize("units", [[3], [-1], [0.5], ["a"], None, 1, [[0, 1]], [True, False]])
def test_an_absent_unit_is_named(units):
    with pytest.raises(ValueError, match=r"^units"):
        panels.plot_traces(np.eye(3), 1.0, units)


@pytest.mark.parametrize(
    "activity",
    [None, np.zeros(5), np.zeros((5, 0)), np.zeros((0, 3)), np.full((5, 3), np.inf),
     np.zeros((5, 3), complex), [["a", "b"]] * 3, np.zeros((3, 3, 3)), [[1.0, 2.0], [3.0]]],
)  # fmt: skip
def test_activity_that_is_no_traces_is_named(activity):
    for panel in (
        lambda x: panels.plot_ward(x, 1.0), lambda x: panels.plot_traces(x, 1.0, [0]),
        panels.plot_variance, panels.plot_density,
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^activity"):
            panel(activity)


def test_binary_activity_is_traces_too():
    assert len(panels.plot_ward(np.eye(4, 3) > 0, 1.0)) == 3


@pytest.mark.parametrize("wrong", [[0.0], [-1.0, 2.0], [np.inf], ["a"], None])
def test_durations_that_are_none_are_named(wrong):
    with pytest.raises(ValueError, match="hidden_units_s"):
        panels.plot_periods(wrong, [1.0])
    with pytest.raises(ValueError, match="neurons_s"):
        panels.plot_periods([1.0], wrong)
    with pytest.raises(ValueError, match=r"n_clusters is 1\.5"):
        panels.plot_ward(np.eye(3), 1.0, 1.5)
