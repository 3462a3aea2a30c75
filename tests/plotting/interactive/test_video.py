"""A video has a frame for each choice, and shows its neurons where they are."""

import numpy as np
import pytest
from PIL import Image

from crbm_lite.plotting.interactive import video
from crbm_lite.plotting.interactive.viewer import view_assemblies

# neurons on a ring; each assembly is one side of it
ANGLE = np.linspace(0, 2 * np.pi, 400, endpoint=False)
PLACES = np.c_[100 * np.cos(ANGLE), 100 * np.sin(ANGLE), np.zeros(400)]
W = np.maximum(np.c_[PLACES[:, 0], -PLACES[:, 0], PLACES[:, 1]] - 50, 0) / 50


@pytest.fixture(scope="module")
def viewer():
    return view_assemblies(W, PLACES, activity=np.random.default_rng(0).normal(size=(50, 3)))


def frames_of(path):
    with Image.open(path) as gif:
        shown = []
        for k in range(gif.n_frames):
            gif.seek(k)
            shown.append((np.asarray(gif.convert("RGB"), float), gif.info["duration"]))
    return shown


def middle_of_colour(frame):
    """The mean column of the coloured pixels of the brain, which lies above the trace."""
    upper = frame[: len(frame) * 3 // 4]
    strength = upper.max(axis=2) - upper.min(axis=2)
    return np.average(np.arange(upper.shape[1]), weights=(strength > 60).sum(axis=0))


def test_each_assembly_is_seen_for_its_time_and_where_it_is(viewer, tmp_path):
    path = viewer.save_video(tmp_path / "all.gif", seconds_each=0.5)
    (right, ms), (left, _), (top, _) = frames_of(path)
    assert ms == 500
    assert middle_of_colour(left) + 100 < middle_of_colour(top) < middle_of_colour(right) - 100
    (only, _), (again, _) = frames_of(viewer.save_video(tmp_path / "two.gif", choices=[1, 0]))
    np.testing.assert_allclose(middle_of_colour(only), middle_of_colour(left), atol=3)
    np.testing.assert_allclose(middle_of_colour(again), middle_of_colour(right), atol=3)


def test_a_surface_gives_the_outline(tmp_path):
    corners = np.random.default_rng(0).uniform(-150, 150, size=(500, 3))
    surface = (corners, np.array([[0, 1, 2]]))
    viewer = view_assemblies(W, PLACES, surface=surface)
    assert len(frames_of(viewer.save_video(tmp_path / "surface.gif"))) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.avi", {}, r"give the name of a \.gif or an \.mp4"),
        ("a.gif", {"choices": [0, 7]}, "choice is 7: give 0 to 2"),
        ("a.gif", {"choices": []}, "choices is empty"),
        ("a.gif", {"seconds_each": 0.0}, "seconds_each is 0.0: give"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(viewer, tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        viewer.save_video(tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_without_ffmpeg_an_mp4_is_refused(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(video.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"no program ffmpeg: install it, or give a \.gif"):
        viewer.save_video(tmp_path / "a.mp4")
