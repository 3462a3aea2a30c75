"""The published files: the layout in which they are written, and their energy by enumeration."""

import h5py
import numpy as np
import pytest

from crbm_lite.animals.published import (
    crbm_given_standardised,
    import_shared_model,
    import_shared_recording,
)
from crbm_lite.core.partition import all_states
from crbm_lite.files.errors import RecordingError

N, M = 9, 2


def standardised(seed=0):
    """Numbers of a standardised model, as the published files name them."""
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.normal(0, 0.6, (N, M)),
        "theta_v": rng.normal(-0.5, 0.5, N),
        "theta": rng.normal(0, 0.5, M),
        "gamma": np.array([1.3, -0.8]),  # that package takes |gamma|
        "delta": np.array([-0.7, 0.9]),
        "xi": np.array([1.5, -0.4]),
        "offset_v": rng.uniform(0.1, 0.4, N),
        "scale_v": rng.uniform(0.8, 1.4, N),
        "offset_h": rng.normal(0, 0.7, M),
        "scale_h": rng.uniform(0.7, 1.5, M),
    }


def potential(x, h):
    """U of the published package: a sum of two halves, from theta, gamma, Delta, xi."""
    eta = x["xi"] / (1 + np.abs(x["xi"]))
    size, up, down = np.abs(x["gamma"]), np.maximum(h, 0), np.minimum(h, 0)
    right = size / (1 + eta) * up**2 / 2 - (x["theta"] + x["delta"] / (1 + eta)) * up
    left = size / (1 - eta) * down**2 / 2 - (x["theta"] - x["delta"] / (1 - eta)) * down
    return right + left


def energy(x, v, h):
    """The standardised energy of v (n, N) and h (k, M), (n, k)."""
    v_hat = (v - x["offset_v"]) / x["scale_v"]
    h_hat = (h - x["offset_h"]) / x["scale_h"]
    interaction = v_hat @ x["weights"] @ h_hat.T
    return -(v @ x["theta_v"])[:, None] + potential(x, h).sum(axis=1) - interaction


def write_model(path, x, **change):
    """A file of a model: Julia's columns are the rows of HDF5."""
    arrays = {
        "weights": x["weights"].T.astype(np.float32),
        "VisibleLayer/params": x["theta_v"][:, None],
        "HiddenLayer/params": np.stack([x[k] for k in ("theta", "gamma", "delta", "xi")], axis=1),
    }
    names = ("offset_v", "offset_h", "scale_v", "scale_h")
    arrays |= {f"Standardization/{k}": x[k] for k in names}
    with h5py.File(path, "w") as file:
        for key, array in (arrays | change).items():
            if array is not None:
                file[f"brainRBM/RBM/{key}"] = array
    return path


@pytest.fixture
def grid():
    """Values of both hidden units, and the volume of a cell."""
    x = np.linspace(-14, 14, 561)
    return np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, M), (x[1] - x[0]) ** 2


def test_the_converted_model_has_the_log_p_and_the_means_of_the_standardised_one(tmp_path, grid):
    x = standardised()
    model = import_shared_model(write_model(tmp_path / "bRBM.h5", x))
    states, (h, cell) = all_states(N)[::7], grid
    weight = np.exp(-energy(x, states.astype(float), h)) * cell
    log_p = np.log(weight.sum(axis=1))  # but for a constant
    found = -model.free_energy(states)
    np.testing.assert_allclose(found - found[0], log_p - log_p[0], atol=2e-3)
    mean_h = weight @ h / weight.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.mean_h_given_v(states), mean_h, atol=2e-3)


def test_the_energies_differ_by_a_constant_only():
    x = standardised(3)
    model = crbm_given_standardised(**x)
    rng = np.random.default_rng(1)
    v, h = rng.integers(0, 2, (40, N)), rng.normal(0, 2, (40, M))
    theirs = np.diagonal(energy(x, v.astype(float), h))
    ours = model.energy(v, h)
    assert np.ptp(ours - theirs) < 1e-9
    w = x["weights"] / np.outer(x["scale_v"], x["scale_h"])
    constant = x["offset_v"] @ w @ x["offset_h"]
    np.testing.assert_allclose(theirs - ours, -constant, atol=1e-9)


def test_a_recording_is_read_with_neurons_in_rows_of_coordinates(tmp_path):
    rng = np.random.default_rng(0)
    spikes, places = rng.integers(0, 2, (20, 5), dtype=np.uint8), rng.uniform(0, 300, (5, 3))
    with h5py.File(tmp_path / "DATA_F.h5", "w") as file:
        file["Data/spikes"], file["Data/coords"] = spikes, places.T
        file["Data/name"] = "F"
    found = import_shared_recording(tmp_path / "DATA_F.h5", rate_hz=2.5)
    np.testing.assert_array_equal(found.spikes, spikes)
    np.testing.assert_array_equal(found.coordinates, places)
    assert (found.rate_hz, found.coordinate_unit) == (2.5, "um")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"weights": None}, "brainRBM/RBM/weights"),
        ({"HiddenLayer/params": np.ones((M, 3))}, "expected four"),
        ({"weights": np.full((M, N), np.nan)}, "give M finite numbers"),
        ({"Standardization/scale_h": np.ones(5)}, "brainRBM/RBM"),
    ],
)
def test_a_damaged_model_is_refused_by_name(change, match, tmp_path):
    path = write_model(tmp_path / "m.h5", standardised(), **change)
    with pytest.raises(RecordingError, match=match):
        import_shared_model(path)


def test_a_foreign_recording_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "DATA_F.h5", "w") as file:
        file["Data/spikes"] = np.eye(5, dtype=np.uint8)
        file["Data/coords"] = np.zeros((5, 3))
    with pytest.raises(RecordingError, match=r"coords has shape \(5, 3\): expected \(3, 5\)"):
        import_shared_recording(tmp_path / "DATA_F.h5", rate_hz=2.5)
