"""The volume on a small brain made by hand, its surface against spheres, and the real atlas."""

import numpy as np
import pytest

from crbm_lite.datasets.atlas import load_atlas
from crbm_lite.datasets.atlas_volume import MIDLINE_UM, AtlasVolume, load_atlas_volume
from crbm_lite.datasets.registry import DatasetUnavailable
from crbm_lite.datasets.surfaces import surface_of


def small_volume():
    """Region 1 is a block across the midline, region 3 lies on the left, region 26 are the eyes."""
    region = np.zeros((621, 304, 60), np.uint8, order="F")
    region[250:400, 40:200, 10:50] = 1
    region[300:320, 90:110, 20:40] = 0  # a hole: unlabelled tissue
    region[200:250, 60:160, 10:50] = 3
    region[0:60, 40:200, 10:50] = 26
    return AtlasVolume(region)


@pytest.fixture(scope="module")
def volume():
    try:
        return load_atlas_volume()
    except DatasetUnavailable as reason:
        pytest.skip(f"zebrafish-atlas: {reason}")


def test_drawn_voxels_lie_in_their_region_and_on_their_side():
    small, rng = small_volume(), np.random.default_rng(0)
    for region in (0, 1, 4):
        places = small.coordinates_um(small.draw_voxels(region, 500, rng), rng)
        np.testing.assert_array_equal(small.region_at(places), region)
        assert ((places[:, 0] > MIDLINE_UM + 0.4) == (region % 2)).all()


def test_draws_reach_the_whole_region():
    small, rng = small_volume(), np.random.default_rng(0)
    places = small.coordinates_um(small.draw_voxels(1, 4000, rng), rng)
    np.testing.assert_allclose(places.min(axis=0), [311 * 0.798, 104 * 0.798, 20], atol=1.0)
    np.testing.assert_allclose(places.max(axis=0), [400 * 0.798, 264 * 0.798, 100], atol=1.0)


def test_nose_is_high_and_back_is_high():
    small, rng = small_volume(), np.random.default_rng(0)
    nose_and_back = small.coordinates_um(np.array([0]), rng)[0]
    tail_and_belly = small.coordinates_um(np.array([621 * 304 * 60 - 1]), rng)[0]
    assert nose_and_back[1] > tail_and_belly[1]
    assert nose_and_back[2] > tail_and_belly[2]
    assert nose_and_back[0] < tail_and_belly[0]


def test_unlabelled_tissue_is_the_hole_and_not_the_water():
    small, rng = small_volume(), np.random.default_rng(0)
    voxels = small.draw_unlabelled(30, 2000, rng)
    np.testing.assert_array_equal(small.plane_of(voxels), 30)
    places = small.coordinates_um(voxels, rng)
    np.testing.assert_array_equal(small.region_at(places), -1)
    in_hole = (places[:, 0] > 300 * 0.798) & (places[:, 0] < 320 * 0.798)
    assert in_hole.mean() > 0.3  # the rest lies on the rough edge of the cells
    assert places[:, 0].min() > 180 * 0.798  # the eyes are no brain


def test_places_outside_have_no_region():
    assert small_volume().region_at(np.array([[-5.0, 10, 10], [1e4, 10, 10]])).tolist() == [-1, -1]


def test_bad_input():
    with pytest.raises(ValueError, match="region is 10: give one that has voxels"):
        small_volume().draw_voxels(10, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="coordinates has shape"):
        small_volume().region_at(np.zeros(3))
    with pytest.raises(ValueError, match="cell_um is 5"):
        small_volume().outline(5)


@pytest.mark.parametrize(("radius", "close"), [(3.0, 0.15), (6.5, 0.03)])
def test_surface_of_a_sphere(radius, close):
    x, y, z = np.mgrid[-9:10, -9:10, -9:10]
    vertices, triangles = surface_of(-np.sqrt(x**2 + y**2 + z**2), -radius)
    assert np.abs(np.linalg.norm(vertices - 9, axis=1) - radius).max() < 0.2
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    volume = (a * np.cross(b, c)).sum() / 6  # positive where triangles face outward
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=close)  # of flat triangles
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    )
    once, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert (counts == 2).all()  # closed
    assert len(vertices) - len(once) + len(triangles) == 2  # Euler


def test_surface_refuses_what_is_open_or_flat():
    with pytest.raises(ValueError, match="reaches the level on a face"):
        surface_of(np.ones((3, 3, 3)), 0.5)
    with pytest.raises(ValueError, match="density has shape"):
        surface_of(np.ones((3, 3)), 0.5)


def test_outline_wraps_the_brain_and_leaves_the_eyes_out():
    vertices, triangles = small_volume().outline(18.0)
    assert triangles.max() == len(vertices) - 1
    low = np.array([200 * 0.798, 104 * 0.798, 20])
    high = np.array([400 * 0.798, 264 * 0.798, 100])
    np.testing.assert_allclose(vertices.min(axis=0), low, atol=12)
    np.testing.assert_allclose(vertices.max(axis=0), high, atol=12)


def test_sides_of_the_real_atlas_agree_with_the_labels(volume):
    """Where the left half of a region has more voxels, it has more of the fish's neurons."""
    counts = load_atlas().n_neurons.sum(axis=0)
    size = np.bincount(volume.region[:311].ravel(order="F"), minlength=37)[1:]
    size = np.stack([size, np.bincount(volume.region[311:].ravel(order="F"), minlength=37)[1:]])
    many = (np.minimum(counts[::2], counts[1::2]) > 50) & (size.min(axis=0) > 0)
    left, right = counts[::2][many], counts[1::2][many]
    voxels, neurons = np.log(size[0, many] / size[1, many]), np.log(left / right)
    assert many.sum() == 23
    assert np.corrcoef(voxels, neurons)[0, 1] == pytest.approx(0.667, abs=0.005)


def test_real_anatomy_lies_as_it_should(volume):
    rng, names = np.random.default_rng(0), load_atlas().names
    middle = {
        name: volume.coordinates_um(volume.draw_voxels(names.index(name), 50, rng), rng).mean(
            axis=0
        )
        for name in ("Pallium_left", "Tectum_left", "MO_stripe_5_left", "Caudal_hypothalamus_left")
    }
    assert middle["Pallium_left"][1] > middle["Tectum_left"][1] > middle["MO_stripe_5_left"][1]
    assert middle["Tectum_left"][2] > middle["Caudal_hypothalamus_left"][2] + 100


def test_real_outline_is_small_and_closed(volume):
    vertices, triangles = volume.outline()
    assert 1000 < len(triangles) < 10_000
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    inside_um3 = (a * np.cross(b, c)).sum() / 6
    assert inside_um3 == pytest.approx(volume.brain.sum() * 6.384**2 * 6, rel=0.05)
