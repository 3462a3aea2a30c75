"""Figures with sliders: their numbers, what a page gets of them, and their live widgets."""

import base64
import re

import numpy as np
import pytest
from scipy.integrate import quad

from crbm_lite import CRBM
from crbm_lite.plotting.interactive.explorer import Explorer
from crbm_lite.plotting.interactive.explorer_page import lines_within, panels_data, panels_html
from crbm_lite.plotting.interactive.explorers import drelu_explorer, penalty_path, selection_surface
from crbm_lite.plotting.interactive.page_data import quantise_between
from crbm_lite.plotting.interactive.panels import Cells, Control, Lines
from crbm_lite.plotting.interactive.widgets import explore


@pytest.fixture(scope="module")
def drelu():
    return drelu_explorer()


@pytest.mark.parametrize("position", [(1, 1, 1, 5), (3, 0, 3, 3), (2, 3, 6, 0), (0, 1, 5, 6)])
def test_drelu_panels_are_the_integrals(drelu, position):
    numbers = [control.values[k] for control, k in zip(drelu.controls, position)]
    gp, gm, tp, tm = numbers

    def potential(h):
        up, down = max(h, 0.0), min(h, 0.0)
        return 0.5 * gp * up**2 + 0.5 * gm * down**2 + tp * up + tm * down

    def moment(power, value):
        f = lambda h: h**power * np.exp(-potential(h) + h * value)  # noqa: E731
        return sum(quad(f, a, b, epsabs=1e-12)[0] for a, b in ((-60, 0), (0, 60)))

    u, density, response = drelu.panels
    at = (*position, 0)
    for k in (3, 17, 30, 44):
        assert u.values[at][k] == pytest.approx(potential(u.x[k]), abs=1e-12)
        expected = np.exp(-potential(density.x[k])) / moment(0, 0.0)
        assert density.values[at][k] == pytest.approx(expected, rel=1e-6)
        mean = moment(1, response.x[k]) / moment(0, response.x[k])
        assert response.values[at][k] == pytest.approx(mean, rel=1e-5, abs=1e-8)


def test_drelu_notes_name_the_minima(drelu):
    h = np.linspace(-8, 8, 3201)  # beyond what is drawn, and with the kink on the grid
    for position in np.ndindex(drelu.notes.shape):
        gp, gm, tp, tm = (c.values[k] for c, k in zip(drelu.controls, position))
        up, down = np.maximum(h, 0), np.minimum(h, 0)
        u = 0.5 * gp * up**2 + 0.5 * gm * down**2 + tp * up + tm * down
        wells = h[1:-1][(u[1:-1] < u[:-2]) & (u[1:-1] <= u[2:])]
        named = re.findall(r"h = (−?[0-9.]+)", drelu.notes[position])
        named = [float(text.replace("−", "-")) for text in named]
        np.testing.assert_allclose(named, wells, atol=0.051, err_msg=str(position))


def model(l1, weights):
    ones, n = np.ones(weights.shape[1]), len(weights)
    machine = CRBM.from_parameters(weights, np.zeros(n), ones, ones, 0 * ones, 0 * ones)
    return machine.set_params(l1=l1)


def test_a_path_keeps_each_assembly_in_its_column():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(30, 3))
    thinner = np.where(np.abs(w) > 1, w, 0)[:, [2, 0, 1]]
    order = rng.permutation(30)
    path = penalty_path([model(0.01, w), model(0.02, thinner)], [0.5, 0.4], order)
    first, second = path.panels[0].values
    np.testing.assert_array_equal(first, w[order])
    np.testing.assert_array_equal(np.nan_to_num(second), np.where(np.abs(w) > 1, w, 0)[order])
    left = path.panels[1].values
    np.testing.assert_allclose(left[:, 0], [[1, np.mean(np.abs(w) > 1)]] * 2)
    assert np.isfinite(left[0, 1]).tolist() == [True, False]
    assert left[1, 1, 1] == left[1, 0, 1]


def test_a_path_refuses_what_does_not_fit():
    a, b = model(0.01, np.ones((3, 2))), model(0.02, np.ones((3, 2)))
    with pytest.raises(ValueError, match="increasing order of l1"):
        penalty_path([b, a], [1, 1])
    with pytest.raises(ValueError, match="two or more"):
        penalty_path([a], [1])
    with pytest.raises(ValueError, match=r"scores has shape \(1,\)"):
        penalty_path([a, b], [1])


def test_a_surface_shows_the_smallest_m_below_and_leaves_out_what_is_not_finite():
    explorer = selection_surface(
        [2, 4, 8], [0.01, 0.1], {"score": [[0, -np.inf], [0.5, 0.9], [0.1, np.nan]]}
    )
    cells = explorer.panels[0]
    assert cells.rows == ("8", "4", "2")
    np.testing.assert_array_equal(cells.values[0], [[0.1, np.nan], [0.5, 0.9], [0, np.nan]])
    assert explorer.notes[0] == "score: largest at M = 4, λ = 0.1, where it is 0.90"
    far = selection_surface([2], [0.01, 0.1], {"score": [[-7.0, 0.5]]})
    sent = panels_data(far)["panels"][0]  # one bad cell leaves the others their colours
    assert sent["limits"] == [-7, 0.5] and sent["color_limits"] == [[0, 0.5]]
    assert panels_data(small())["panels"][1]["color_limits"][0] == [-1, 1]
    losses = {"nats": [[-0.17, -0.15]], "share": [[0.2, 0.4]]}  # each has colours of its own
    sent = panels_data(selection_surface([2], [0.01, 0.1], losses))["panels"][0]
    assert sent["color_limits"] == [[-0.17, -0.15], [0, 0.4]]
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        selection_surface([2], [0.01, 0.1], {"score": [[1.0]]})
    with pytest.raises(ValueError, match="surfaces holds one without a finite value"):
        selection_surface([2], [0.01], {"score": [[np.nan]]})


def small():
    y = np.array([[[0.0, 1.0, np.nan]], [[np.nan, 2.0, np.nan]]])
    cells = np.array([[[-1.0, 1.0]], [[0.0, np.nan]]])
    return Explorer(
        (Control("which", (1.0, 2.0)),),
        (
            Lines("a", "x", "y", np.arange(3.0), y, (0.0, 2.0)),
            Cells("b", "x", "y", ("p", "q"), (), cells, (-1.0, 1.0)),
        ),
        np.array(["first", "second"], dtype=object),
    )


def test_the_page_gets_every_value_to_half_a_step():
    explorer = small()
    data = panels_data(explorer)
    assert data["shape"] == [2] and data["notes"] == ["first", "second"]
    for panel, sent in zip(explorer.panels, data["panels"]):
        steps = np.frombuffer(base64.b64decode(sent["values"]), np.uint16).astype(float)
        low, high = sent["limits"]
        back = np.where(steps == 65535, np.nan, low + steps / 65534 * (high - low))
        np.testing.assert_allclose(
            back.reshape(panel.values.shape), panel.values, atol=(high - low) / 131068 + 1e-12
        )
    assert quantise_between(np.array([5.0]), (0.0, 1.0)) == 65534


def test_a_line_ends_where_it_leaves_its_limits(drelu):
    beyond = (0, 1, 0, 1)  # a response that goes beyond 6 on the way
    response = drelu.panels[2].values[beyond]
    y = [-9.0, -2.0, -0.5, 0.5, 2.0, np.nan, 3.0, 0.0, 5.0]
    kept = lines_within(np.array(y), (-1.0, 1.0))
    np.testing.assert_array_equal(kept, [np.nan, -2, -0.5, 0.5, 2, np.nan, 3, 0, 5])
    data = panels_data(drelu)["panels"][2]
    steps = np.frombuffer(base64.b64decode(data["values"]), "u2").reshape(
        drelu.panels[2].values.shape
    )
    outside = np.abs(response) > 6
    assert outside.sum() > 5
    assert (steps[beyond][outside] == 65534).sum() == 1  # the first point outside
    assert (steps[beyond][outside] == 65535).sum() == outside.sum() - 1


def test_the_page_is_small_and_asks_no_other_host(drelu):
    html = panels_html(small())
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
    assert html.count('type="range"') == 1
    assert len(panels_html(drelu)) < 600_000


def test_draw_shows_the_same_numbers():
    import matplotlib.pyplot as plt

    figure = small().draw([1])
    lines, cells = figure.axes[:2]
    np.testing.assert_array_equal(lines.lines[0].get_ydata(), [np.nan, 2, np.nan])
    assert lines.lines[0].get_marker() == "o"
    np.testing.assert_array_equal(cells.images[0].get_array().filled(np.nan), [[0, np.nan]])
    plt.close(figure)
    with pytest.raises(ValueError, match="position is"):
        small().draw([2])


def test_panels_must_fit_the_controls():
    y = np.zeros((3, 1, 4))
    panel = Lines("a", "x", "y", np.arange(4.0), y, (0.0, 1.0))
    with pytest.raises(ValueError, match="values of panel 'a' has shape"):
        Explorer((Control("c", (1.0, 2.0)),), (panel,), np.array(["", ""]))
    with pytest.raises(ValueError, match="notes has shape"):
        Explorer((Control("c", (1.0, 2.0)),), (panel,), np.array([""]))
    two, notes = (Control("c", (1.0, 2.0)),), np.array(["", ""])
    with pytest.raises(ValueError, match="panels is empty"):
        Explorer(two, (), notes)
    with pytest.raises(ValueError, match="start of control 'c' is 2"):
        Explorer((Control("c", (1.0, 2.0), 2),), (panel,), notes)
    y = np.zeros((2, 1, 4))
    with pytest.raises(ValueError, match="x of panel 'a' has shape"):
        Explorer(two, (Lines("a", "x", "y", np.arange(3.0), y, (0.0, 1.0)),), notes)
    for limits in ((1.0, 1.0), (0.0, np.inf), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="limits of panel 'a'"):
            Explorer(two, (Lines("a", "x", "y", np.arange(4.0), y, limits),), notes)


@pytest.mark.parametrize("position", [[0.5], ["0"], [-1], [0, 0], []])
def test_a_position_that_is_none_is_named(position):
    with pytest.raises(ValueError, match="position is"):
        small().draw(position)


@pytest.mark.parametrize(
    ("scores", "neurons", "named"),
    [
        ([0.1], None, "^scores"), ([0.1, np.inf], None, "^scores"), (["a", "b"], None, "^scores"),
        ([0.1, 0.2], [5], "^neurons"), ([0.1, 0.2], [-1], "^neurons"), ([0.1, 0.2], [], "^neurons"),
        ([0.1, 0.2], [0.5], "^neurons"),
    ],
)  # fmt: skip
def test_what_does_not_belong_to_a_path_is_named(scores, neurons, named):
    w = np.eye(5, 2)
    models = [
        CRBM.from_parameters(w, np.zeros(5), [1, 1], [1, 1], [0, 0], [0, 0]).set_params(l1=l1)
        for l1 in (0.01, 0.02)
    ]
    with pytest.raises(ValueError, match=named):
        penalty_path(models, scores, neurons)
    with pytest.raises(ValueError, match="not fitted"):
        penalty_path([CRBM(l1=0.01), CRBM(l1=0.02)], [0.1, 0.2])


def test_a_path_without_any_score_is_drawn():
    import matplotlib.pyplot as plt

    parameters = (np.zeros(5), [1, 1], [1, 1], [0, 0], [0, 0])
    models = [CRBM.from_parameters(np.eye(5, 2), *parameters).set_params(l1=x) for x in (1, 2)]
    path = penalty_path(models, [np.nan, np.nan])
    assert path.notes[0].endswith("score nan")
    plt.close(path.draw())


def test_live_sliders_redraw_at_their_position(drelu, monkeypatch):
    drawn = []
    draw = Explorer.draw
    monkeypatch.setattr(Explorer, "draw", lambda self, p: drawn.append(p) or draw(self, p))
    box = explore(small())
    slider, note, _ = box.children
    assert note.value == "first"
    slider.value = "2"
    assert note.value == "second" and drawn == [(0,), (1,)]
    assert len(explore(drelu).children) == 6
