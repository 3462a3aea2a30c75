"""The viewer's data come back, its choices are right, and bad input is named."""

import base64
import json
import re

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.plotting.interactive.page_data import quantise_places
from crbm_lite.plotting.interactive.scene import brain_outline
from crbm_lite.plotting.interactive.viewer import view_assemblies
from crbm_lite.plotting.interactive.viewer_figure import unit_color
from crbm_lite.plotting.interactive.viewer_page import scene_data, scene_html
from crbm_lite.plotting.interactive.widgets import browse_assemblies

RNG = np.random.default_rng(0)
N, M, T = 300, 4, 50
PLACES = RNG.uniform(size=(N, 3)) * [400, 900, 250]
W = RNG.normal(size=(N, M)) * (RNG.random((N, M)) < 0.2)
W[:, 2] = 0.0
LABELS = np.c_[PLACES[:, 0] < 200, PLACES[:, 0] >= 200, np.zeros(N), PLACES[:, 1] < 300] != 0
NAMES = ("left", "right", "empty", "tail")
H = RNG.normal(size=(T, M))
H[:, 3] = np.nan


@pytest.fixture(scope="module")
def viewer():
    return view_assemblies(
        W, PLACES, labels=scipy.sparse.csr_array(LABELS), label_names=NAMES, activity=H, rate_hz=2.5
    )


def decoded(data, key, kind):
    return np.frombuffer(base64.b64decode(data[key]), dtype=f"<{kind}")


def test_units_without_weights_and_empty_regions_are_left_out(viewer):
    assert viewer.choices == ("HU 0", "HU 1", "HU 3", "left", "right", "tail")
    np.testing.assert_array_equal(viewer.activity[:, 1], H[:, 1])
    named = view_assemblies(W, PLACES, unit_names=["a", "b", "empty", "d"])
    assert named.choices == ("a", "b", "d") and scene_data(named)["units"] == ["a", "b", "d"]


def test_a_choice_holds_the_assembly_or_the_strongest_weights_of_the_region(viewer):
    assembly = viewer.selection(2)
    np.testing.assert_array_equal(assembly.neurons, np.flatnonzero(W[:, 3]))
    np.testing.assert_array_equal(assembly.weights, W[W[:, 3] != 0, 3])
    region = viewer.selection(5)
    np.testing.assert_array_equal(region.neurons, np.flatnonzero(LABELS[:, 3]))
    rows = W[LABELS[:, 3]]
    np.testing.assert_array_equal(np.abs(region.weights), np.abs(rows).max(axis=1))
    assert region.unit == np.abs(rows[:, [0, 1, 3]]).mean(axis=0).argmax()
    assert assembly.strongest is None
    used = rows[:, [0, 1, 3]]
    expected = np.where(used.any(axis=1), np.abs(used).argmax(axis=1), -1)
    np.testing.assert_array_equal(region.strongest, expected)
    assert (expected == -1).any()
    with pytest.raises(ValueError, match="choice is 6"):
        viewer.selection(6)


def test_neurons_of_a_region_have_the_colour_of_their_strongest_unit(viewer):
    chosen, trace = viewer.selection(5), viewer.figure(5).data[2]
    assert list(trace.marker.color) == [unit_color(k) for k in chosen.strongest]
    assert len({unit_color(k) for k in range(-1, 200)}) == 201
    first = int(np.flatnonzero(chosen.strongest == 2)[0])
    assert trace.text[first].endswith(f"HU 3, weight {chosen.weights[first]:.3f}")
    silent = int(np.flatnonzero(chosen.strongest == -1)[0])
    assert "no unit" in trace.text[silent]
    assert "colour" in viewer.notes[5] and viewer.figure(0).data[2].marker.cmax is not None
    assert scene_data(viewer)["unit_colors"] == [unit_color(k) for k in range(-1, 3)]


def test_a_surface_is_drawn_with_the_ends_of_the_body_named():
    corners = np.array([[0, 0, 0], [400, 0, 0], [200, 900, 0], [200, 450, 250]], float)
    faces = np.array([[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]])
    given = view_assemblies(W, PLACES, surface=(corners, faces))
    mesh = given.figure(0).data[0]
    assert mesh.type == "mesh3d"
    np.testing.assert_array_equal(np.c_[mesh.x, mesh.y, mesh.z], corners)
    np.testing.assert_array_equal(np.c_[mesh.i, mesh.j, mesh.k], faces)
    marks = {mark.text: mark for mark in given.figure(0).layout.scene.annotations}
    assert set(marks) == {"L", "R", "rostral", "caudal"}
    assert marks["L"].x <= 0 and marks["R"].x >= 400
    assert marks["caudal"].y <= 0 and marks["rostral"].y >= 900
    data = json.loads(json.dumps(scene_data(given)))
    np.testing.assert_array_equal(decoded(data, "triangles", "u4").reshape(3, -1).T, faces)
    np.testing.assert_allclose(decoded(data, "outline", "f4").reshape(3, -1).T, corners)
    assert data["figure"]["data"][0]["type"] == "mesh3d"
    assert len(data["figure"]["layout"]["scene"]["annotations"]) == 4


def test_without_a_surface_nothing_is_named_and_bad_ones_are_refused(viewer):
    assert scene_data(viewer)["triangles"] is None
    assert not viewer.figure(0).layout.scene.annotations
    with pytest.raises(ValueError, match="surface is a str: give"):
        view_assemblies(W, PLACES, surface="atlas")
    for faces in ([[0, 1, 9]], [[0, 1]], [[0.0, 1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"surface\[1\] has shape"):
            view_assemblies(W, PLACES, surface=(np.zeros((3, 3)), np.array(faces)))


def test_what_the_page_carries_is_what_was_given_up_to_rounding(viewer):
    data = json.loads(json.dumps(scene_data(viewer)))
    assert data["units"] == ["HU 0", "HU 1", "HU 3"] and data["neurons"] == N
    neurons, steps = decoded(data, "weight_neurons", "u2"), decoded(data, "weights", "i1")
    back = np.zeros((N, 3))
    for k, (a, b) in enumerate(zip(data["weight_starts"], data["weight_starts"][1:])):
        back[neurons[a:b], k] = steps[a:b] * data["weight_step"][k]
    given = W[:, [0, 1, 3]]
    assert ((back != 0) == (given != 0)).all()  # a small weight is rounded up, not away
    assert (np.abs(back - given) <= np.abs(given).max(axis=0) / 127 * (1 + 1e-9)).all()
    large = np.abs(given) > np.abs(given).max(axis=0) / 127
    assert (np.abs(back - given) * large <= np.abs(given).max(axis=0) / 254 * (1 + 1e-9)).all()
    places = decoded(data, "places", "u2").reshape(3, N).T
    np.testing.assert_allclose(data["low"] + np.array(data["step"]) * places, PLACES, atol=0.01)
    h = decoded(data, "activity", "i1").reshape(3, T).T * data["activity_step"]
    np.testing.assert_allclose(h[:, 0], H[:, 0], atol=np.abs(H[:, 0]).max() / 253)
    assert not h[:, 2].any()
    starts = data["label_starts"]
    np.testing.assert_array_equal(
        decoded(data, "label_neurons", "u2")[starts[2] : starts[3]], np.flatnonzero(LABELS[:, 3])
    )


def test_a_unit_that_never_switches_and_the_hover_say_so(viewer):
    assert viewer.notes[2].endswith("never switches")
    assert "never" not in viewer.notes[0]
    figure = viewer.figure(0)
    first = np.flatnonzero(W[:, 0])[0]
    expected = ", ".join(n for n, inside in zip(NAMES, LABELS[first]) if inside)
    assert figure.data[2].text[0] == expected
    assert figure.data[3].x[1] == 0.4
    assert not np.any(viewer.figure(2).data[3].y)  # NaN is drawn at 0


def test_axes_and_hover_write_the_unit_and_the_names_that_were_given(viewer):
    axes = viewer.figure(0).layout.scene
    assert [a.ticksuffix for a in (axes.xaxis, axes.yaxis, axes.zaxis)] == [" µm"] * 3
    names = [f"roi {7 * i}" for i in range(N)]
    other = view_assemblies(W, PLACES, names=names, coordinate_unit="pixel")
    axes = other.figure(0).layout.scene
    assert [a.ticksuffix for a in (axes.xaxis, axes.yaxis, axes.zaxis)] == [" pixel"] * 3
    neurons = np.flatnonzero(W[:, 0])
    assert list(viewer.figure(0).data[2].customdata) == neurons.tolist()
    assert list(other.figure(0).data[2].customdata) == [names[i] for i in neurons]
    assert scene_data(other)["names"] == names and scene_data(viewer)["names"] is None
    suffix = scene_data(other)["figure"]["layout"]["scene"]["xaxis"]["ticksuffix"]
    assert suffix == " pixel"


def test_outline_surrounds_the_neurons_and_a_plane_has_one_section():
    for n_neurons, n_sections in ((300, 1), (1300, 3), (4000, 8)):
        line = brain_outline(RNG.uniform(size=(n_neurons, 3)))
        assert len(np.unique(line[np.isfinite(line[:, 2]), 2])) == n_sections
    flat = brain_outline(PLACES * [1, 1, 0])
    assert set(flat[np.isfinite(flat[:, 2]), 2]) == {0.0}
    for axis in (0, 1):
        assert np.nanmin(flat[:, axis]) < np.quantile(PLACES[:, axis], 0.05)
        assert np.nanmax(flat[:, axis]) > np.quantile(PLACES[:, axis], 0.95)
    assert brain_outline(PLACES[:3]).shape == (0, 3)
    assert np.isfinite(quantise_places(np.ones((2, 3)))[2]).all()


def test_an_output_is_small_and_a_saved_page_holds_no_data(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr("plotly.io.renderers.default", "plotly_mimetype")
    html = scene_html(viewer)
    assert len(html) < 100_000 and "receive" in html
    assert len(re.findall("<option", html)) == 6
    page = viewer.save(tmp_path / "brain.html")
    text = page.read_text(encoding="utf-8")
    assert "weight_neurons" not in text.replace("data.weight_neurons", "")
    assert (tmp_path / "brain_data.js").read_text().startswith('crbmViewer.receive("viewer",{')
    with pytest.raises(ValueError, match=r"\.html"):
        viewer.save(tmp_path / "brain")


def test_the_widget_follows_its_list_and_its_buttons(viewer):
    box = browse_assemblies(viewer)
    menu, back, forth = box.children[0].children
    forth.click()
    assert menu.value == 1 and box.children[1].value == viewer.notes[1]
    menu.value = 5
    forth.click()
    assert menu.value == 0
    back.click()
    assert menu.value == 2


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="coordinates is None"):
        view_assemblies(W, None)
    with pytest.raises(ValueError, match="weights is all 0"):
        view_assemblies(0 * W, PLACES)
    with pytest.raises(ValueError, match="labels has shape"):
        view_assemblies(W, PLACES, labels=LABELS[:5])
    with pytest.raises(ValueError, match="activity has shape"):
        view_assemblies(W, PLACES, activity=H[:, :2])
    with pytest.raises(ValueError, match="label_names has 1"):
        view_assemblies(W, PLACES, labels=LABELS, label_names=["one"])
    with pytest.raises(ValueError, match="weights holds NaN"):
        view_assemblies(np.where(W > 0, np.nan, W), PLACES)
    with pytest.raises(ValueError, match="coordinates holds NaN"):
        view_assemblies(W, np.where(PLACES > 300, np.nan, PLACES))
    with pytest.raises(ValueError, match="activity holds infinity"):
        view_assemblies(W, PLACES, activity=np.full((T, M), np.inf))
    with pytest.raises(ValueError, match="rate_hz is inf"):
        view_assemblies(W, PLACES, activity=H, rate_hz=np.inf)
    with pytest.raises(ValueError, match=r"activity has shape .* dtype"):
        view_assemblies(W, PLACES, activity=np.full((T, M), "a"))
    with pytest.raises(ValueError, match="label_names holds 'a' twice"):
        view_assemblies(W, PLACES, labels=LABELS, label_names=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match="names has 2 entries"):
        view_assemblies(W, PLACES, names=["a", "b"])
    with pytest.raises(ValueError, match=r"unit_names has 3 entries: .* 4 hidden units"):
        view_assemblies(W, PLACES, unit_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="unit_names holds 'a' twice"):
        view_assemblies(W, PLACES, unit_names=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match="coordinate_unit is None"):
        view_assemblies(W, PLACES, coordinate_unit=None)
    for choice in (-1, 99, 1.5, "a", True):
        with pytest.raises(ValueError, match="choice is"):
            view_assemblies(W, PLACES).figure(choice)
    arrays = view_assemblies(W, PLACES, labels=LABELS, label_names=np.array(NAMES))
    assert arrays.label_names == ("left", "right", "tail")
    alone = view_assemblies(W[:, :1], PLACES)  # one unit, no labels, no activity
    assert alone.choices == ("HU 0",) and "densest" not in alone.notes[0]
    assert alone.figure(0).layout.xaxis.title.text == "no activity was given"
