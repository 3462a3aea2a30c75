"""The region matrix: values, names and what it refuses."""

import json

import numpy as np
import pytest

from crbm_lite.plotting.regions import region_matrix

NAMES = ("tectum_left", "tectum_right", "cerebellum_left")


def test_values_names_and_order():
    matrix = np.array([[1.0, 1e-2, 0.0], [1e-2, 10.0, np.nan], [0.0, np.nan, 1e-3]])
    figure = region_matrix(matrix, NAMES, "|J|", short_names=("TeL", "TeR", "CeL"))
    heat = figure.data[0]
    np.testing.assert_array_equal(heat.z, [[0, -2, np.nan], [-2, 1, np.nan], [np.nan, np.nan, -3]])
    assert heat.x == heat.y == ("tectum left", "tectum right", "cerebellum left")
    assert figure.layout.xaxis.ticktext == ("TeL", "TeR", "CeL")
    assert figure.layout.yaxis.autorange == "reversed"  # the first region on top
    assert all(part in heat.hovertemplate for part in ("%{x}", "%{y}", "%{z}"))
    assert heat.meta == figure.data[0].colorbar.title.text == "log10 |J|"


def test_a_matrix_among_others_has_a_letter():
    figure = region_matrix(np.ones((3, 3)), NAMES, "|J|", letter="B")
    assert [note.text for note in figure.layout.annotations] == ["<b>B</b>"]
    assert not region_matrix(np.ones((3, 3)), NAMES, "|J|").layout.annotations


def test_it_takes_the_width_of_the_page_and_survives_as_json():
    figure = region_matrix(np.ones((3, 3)), NAMES, "|J|")
    assert figure.layout.width is None
    assert json.loads(figure.to_json())["data"][0]["z"]


def test_rows_of_another_kind():
    fish = ("fish 1", "fish 2")
    figure = region_matrix(np.ones((2, 3)), NAMES, "share", row_names=fish)
    assert figure.data[0].y == fish
    assert figure.layout.yaxis.scaleanchor is None


def test_names_are_shown_as_they_are_even_if_they_look_like_numbers_or_tags():
    names = ("2", "10", "<b>1</b>")
    figure = region_matrix(np.diag([1.0, 2.0, 3.0]), names, "<i>|J|</i> %{x}")
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "category"
    heat = figure.data[0]
    assert heat.x[2] == heat.y[2] == "&#60;b&#62;1&#60;/b&#62;"
    # Plotly fills in a template once: what stands in `meta` is not read as a part of it.
    assert heat.meta == "log10 &#60;i&#62;|J|&#60;/i&#62; %{x}" and "%{meta}" in heat.hovertemplate


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((2, 3)), NAMES), {}, r"matrix has shape \(2, 3\)"),
        ((np.ones((3, 3)), ("a", "b", "a")), {}, "names holds 'a' twice"),
        ((np.ones((3, 3)), NAMES), {"short_names": ("a",)}, "short_names has 1"),
        ((np.zeros((3, 3)), NAMES), {}, "above 0"),
        ((np.full((3, 3), np.inf), NAMES), {}, "matrix holds infinity"),
        ((None, NAMES), {}, "matrix holds"),
        (([["a"]], ("b",)), {}, "matrix holds"),
        ((np.ones((3, 3)), None), {}, "^names is None"),
    ],
)
def test_what_does_not_fit_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        region_matrix(*arguments, "|J|", **options)
