"""Whatever counts, lists, draws or stores assemblies agrees with the one definition of them."""

import csv
import re

import h5py
import numpy as np
import pytest

from crbm_lite import CRBM, Recording, view_assemblies
from crbm_lite.assemblies.export import export_csv, export_hdf5
from crbm_lite.assemblies.members import (
    assemblies_of_weights,
    assembly_sizes,
    embedding,
    strong_weights,
)
from crbm_lite.baselines.detectors.model_units import assemblies_of_model
from crbm_lite.cli.commands import command_line
from crbm_lite.plotting.assemblies import plot_stability
from crbm_lite.plotting.interactive.page_data import quantise_weights
from crbm_lite.recordings.files import save_recording
from crbm_lite.validation.scales import model_scales
from crbm_lite.validation.stability import StabilitySelection

# One unit of one sign, one with weak weights of the other, one two-sided, one turned, one empty.
W = np.zeros((40, 5))
W[:12, 0] = 1.0
W[5:20, 1], W[20:26, 1] = 0.8, -0.39
W[10:18, 2], W[18:30, 2] = 0.5, -1.0
W[30:40, 3], W[0, 3], W[1:4, 3] = -2.0, 0.9, 1e-4
SIZES, UNITS, SIGNS = [12, 15, 8, 12, 10], [0, 1, 2, 2, 3], [1, 1, 1, -1, -1]
NAMES = ("HU 0", "HU 1", "HU 2 (+)", "HU 2 (−)", "HU 3")


@pytest.fixture(scope="module")
def model():
    return CRBM.from_parameters(W, np.full(40, -2.0), *np.ones((2, 5)), *np.zeros((2, 5)))


@pytest.fixture(scope="module")
def recording():
    spikes = (np.random.default_rng(0).random((200, 40)) < 0.3).astype(np.uint8)
    return Recording(spikes, 2.0, coordinates=np.random.default_rng(1).random((40, 3)))


@pytest.fixture(scope="module")
def expected():
    """The definition, written out: neurons whose weights in a unit are not 0 and of one sign."""
    members = []
    for unit in range(5):
        w = W[:, unit]
        for sign in (1, -1):
            side = {i for i in range(40) if w[i] * sign > 0}
            largest = max((w[i] * sign for i in side), default=0)
            if side and largest >= 0.5 * np.abs(w).max():
                members.append(side)
    return members


def sets(members):
    return [set(np.flatnonzero(column)) for column in np.asarray(members).T]


def test_the_definition(expected):
    found = assemblies_of_weights(W)
    assert sets(found.members) == expected
    assert found.sizes.tolist() == SIZES == [len(side) for side in expected]
    assert (found.units.tolist(), found.signs.tolist(), found.names) == (UNITS, SIGNS, NAMES)


def test_sizes_embedding_detectors_and_scales_agree(model, recording, expected):
    assert assembly_sizes(W).tolist() == SIZES
    for n in (1, 2):
        share = np.mean([sum(i in side for side in expected) >= n for i in range(40)])
        assert embedding(W, at_least=n) == share
    detected = assemblies_of_model(model, recording)
    assert sets(detected.members) == expected
    h = model.mean_h_given_v(recording)
    np.testing.assert_allclose(detected.activity, h[:, UNITS] * SIGNS)
    assert ((detected.scores > 0) == detected.members).all()
    scales = model_scales(model, recording)
    assert (scales.n_assemblies, scales.size) == (5, np.median(SIZES))


def test_stability_selection_agrees(expected):
    import matplotlib.pyplot as plt

    r, found_always = np.ones((3, 5)), assemblies_of_weights(W).members.astype(float)
    found = StabilitySelection(W, r, found_always, 60.0, 0 * r, 0 * found_always, 0.5)
    assert sets(found.members()) == expected
    rows = [re.split(r"\s{2,}", line) for line in found.table().splitlines()[1:]]
    assert {row[0]: (int(row[1]), int(row[2])) for row in rows} == {
        name: (n, n) for name, n in zip(NAMES, SIZES, strict=True)
    }
    axes = plot_stability(found)
    assert axes[1].lines[1].get_xdata().size == sum(SIZES)
    plt.close(axes[0].figure)


def test_the_exported_tables_agree(tmp_path, expected):
    with export_csv(tmp_path / "a.csv", W, None).open(newline="", encoding="utf-8") as file:
        of_csv = [row["assemblies"] for row in csv.DictReader(file)]
    with h5py.File(export_hdf5(tmp_path / "a.h5", W, None)) as file:
        of_hdf5 = list(file["assemblies"].asstr())
    for texts in (of_csv, of_hdf5):
        named = [set(text.split(";")) for text in texts]
        assert [{i for i in range(40) if name in named[i]} for name in NAMES] == expected


def test_the_command_line_agrees(tmp_path, model, recording, monkeypatch):
    from click.testing import CliRunner

    model.save(tmp_path / "m.h5")
    save_recording(tmp_path / "r.h5", recording)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(command_line, ["export", "m.h5", "r.h5", "a.csv"])
    assert "40 neurons, 5 assemblies" in said.output


def test_the_viewer_says_what_it_draws_and_how_many_of_them_are_members():
    viewer = view_assemblies(W, np.random.default_rng(1).random((40, 3)))
    drawn = [viewer.selection(k).neurons for k in range(4)]
    steps = quantise_weights(viewer.weights)[0]
    for k, neurons in enumerate(drawn):  # the page draws what the picture draws
        assert sorted(neurons) == sorted(steps.indices[steps.indptr[k] : steps.indptr[k + 1]])
    said = [[int(n) for n in re.findall(r"\b(\d+)\b", note.split(", strongest")[0])][1:]
            for note in viewer.notes]  # fmt: skip
    assert said == [[12], [21, 15, 6], [20, 8, 12], [14, 10, 4]]
    assert [numbers[0] for numbers in said] == list(map(len, drawn))


def test_thresholds_by_number_and_by_name():
    above = assemblies_of_weights(W, 0.6)
    assert above.sizes.tolist() == [12, 15, 12, 10]
    assert above.names == ("HU 0", "HU 1", "HU 2", "HU 3")
    rng = np.random.default_rng(0)
    w = rng.normal(size=(500, 8))
    strong = strong_weights(w, random_state=0)
    assert np.abs(w)[strong.per_neuron > 0].max(axis=1).min() >= strong.threshold
    found = assemblies_of_weights(w, "strong")
    # Both sides of such units are as large, so that no strong weight is left out.
    np.testing.assert_array_equal(found.members.sum(axis=1), strong.per_neuron)
    assert assembly_sizes(np.repeat(np.eye(2), 5, axis=0), "strong").tolist() == [5, 5]
    for threshold in (-1, "weak", np.nan):
        with pytest.raises(ValueError, match="threshold is"):
            assemblies_of_weights(w, threshold)
    with pytest.raises(ValueError, match="two hidden units"):
        assemblies_of_weights(w[:, :1], "strong")
    none = assemblies_of_weights(np.zeros((3, 2)))
    assert (len(none), none.names, none.members.shape) == (0, (), (3, 0))
