"""The style, and the palette seen with three kinds of colour blindness and in dark pages."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from crbm_lite.plotting.interactive.explorer_page import _ON_DARK
from crbm_lite.plotting.style import (
    COLOR_NEGATIVE,
    COLOR_POSITIVE,
    PAIRED,
    PALETTE,
    diverging_colormap,
    panel_letters,
    sequential_colormap,
    style_context,
    use_style,
)

# Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
SIMULATIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(color, vision):
    seen = np.clip(SIMULATIONS[vision] @ linear(color), 0, 1)
    x = TO_XYZ @ seen / TO_XYZ.sum(axis=1)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(a, b, vision):
    return np.linalg.norm(lab(a, vision) - lab(b, vision))


def contrast(a, b):
    y = sorted(0.05 + TO_XYZ[1] @ linear(color) for color in (a, b))
    return y[1] / y[0]


def cycle():
    return tuple(
        to_hex(c).upper() for c in matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    )


def test_the_style_has_the_palette_and_its_context_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    with style_context():
        assert cycle() == PALETTE
    assert dict(matplotlib.rcParams) == before


def test_the_style_in_use_is_that_of_the_context():
    with style_context():
        expected = dict(matplotlib.rcParams)
    with matplotlib.rc_context():
        use_style()
        assert cycle() == PALETTE
        assert dict(matplotlib.rcParams) == expected


def test_signed_colours_are_grey_at_zero_and_amounts_darken():
    ends = [to_hex(diverging_colormap()(x)).upper() for x in (0.0, 1.0)]
    assert ends == [COLOR_NEGATIVE, COLOR_POSITIVE]
    assert np.ptp(diverging_colormap()(0.5)[:3]) < 0.05
    brightness = [lab(sequential_colormap()(x)[:3], "normal")[0] for x in np.linspace(0, 1, 20)]
    assert (np.diff(brightness) < 0).all()


def test_the_simulation_confuses_what_it_should():
    red, green = "#C00000", "#5A5A00"
    assert distance(red, green, "normal") > 40
    assert distance(red, green, "protanopia") < 25
    assert distance("#FFFFFF", "#000000", "tritanopia") == pytest.approx(100, abs=1)


def test_panels_have_letters_row_by_row():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2)
    panel_letters(axes)
    assert [ax.texts[0].get_text() for ax in axes.ravel()] == list("ABCD")
    panel_letters((axes[0, 0], axes[:, 1]), first="E")
    assert [ax.texts[1].get_text() for ax in (axes[0, 0], *axes[:, 1])] == list("EFG")
    for ax in axes.ravel():  # above the panel and left of it, where nothing is drawn
        place = ax.texts[0].get_window_extent()
        assert place.x0 < ax.bbox.x0 and place.y0 > ax.bbox.y1
    plt.close(figure)


@pytest.mark.parametrize("vision", SIMULATIONS)
def test_the_hues_of_a_pair_differ(vision):
    assert distance(PAIRED[0], PAIRED[2], vision) > 20


@pytest.mark.parametrize("vision", SIMULATIONS)
def test_any_two_colours_of_the_palette_differ(vision):
    for a, b in itertools.combinations(PALETTE, 2):
        assert distance(a, b, vision) > 10, (a, b)
    for a, b in itertools.combinations(PALETTE[:4], 2):  # those that are used first
        assert distance(a, b, vision) > 15, (a, b)
    for a, b in itertools.combinations(_ON_DARK, 2):
        assert distance(a, b, vision) > 10, (a, b)


@pytest.mark.parametrize("vision", SIMULATIONS)
def test_positive_and_negative_differ_from_each_other_and_from_zero(vision):
    zero = diverging_colormap()(0.5)[:3]
    assert distance(COLOR_POSITIVE, COLOR_NEGATIVE, vision) > 50
    assert distance(COLOR_POSITIVE, zero, vision) > 30
    assert distance(COLOR_NEGATIVE, zero, vision) > 30


def test_lines_stand_out_from_both_themes():
    dark = "#121212"  # of the site's dark theme
    assert all(contrast(color, "#FFFFFF") >= 2.8 for color in PALETTE[:4])
    assert all(contrast(color, dark) >= 3 for color in _ON_DARK)
