"""Arguments of the wrong type: every public entry names the argument, the file or the key."""

import os

import numpy as np
import pytest

from crbm_lite import (
    CRBM,
    Recording,
    check_recording,
    fetch,
    import_recording,
    load_recording,
    load_retina,
    save_recording,
    split_train_test,
)
from crbm_lite.assemblies.phase import phase_given_active
from crbm_lite.baselines.tuning import Sweep
from crbm_lite.checks.arguments import as_count
from crbm_lite.connectivity.regions import aggregate_regions, check_region_options
from crbm_lite.importers.any_file import FORMATS, format_of
from crbm_lite.importers.binning import bin_spike_times
from crbm_lite.importers.spike_times import recording_from_spike_times
from crbm_lite.simulation.cyclic import simulate_cyclic_assemblies
from crbm_lite.temporal.controls import reversed_in_time, shuffled_in_blocks
from crbm_lite.temporal.scores import scored_frames
from crbm_lite.training.checkpoint import CheckpointFile
from tests.importers import sample_files as samples

NAN, INF = np.nan, np.inf
V = samples.SPIKES
N = V.shape[1]
CRYPTIC = ("NoneType'", "object is not", "has no attribute", "not supported", "argument must be a",
           "could not convert", "inhomogeneous", "(TypeError)", "(AttributeError)")  # fmt: skip


def clearly(words, call, *arguments, kinds=ValueError, **options):
    """The call fails, and its one-line message holds one of the words and nothing of Python's."""
    with pytest.raises(kinds) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert any(word in message for word in words), message
    assert "\n" not in message and not any(word in message for word in CRYPTIC), message


@pytest.mark.parametrize("format", [None, "crbm_lite", *FORMATS])
def test_a_path_that_is_none(format):
    options = {"bin_s": 0.5} if format == "spike_times" else {}
    for path in (None, 3, 1.5, ["a"], {"a": 1}, "", "a\0b", b"x", np.ones(3)):
        clearly(["path is"], import_recording, path, format, **options)
    clearly(["path is"], load_recording, None)
    clearly(["path is"], format_of, None)


@pytest.mark.parametrize("format", [None, "crbm_lite", *FORMATS])
def test_what_lies_at_the_path_is_no_such_file(format, tmp_path):
    options = {"bin_s": 0.5} if format == "spike_times" else {}
    empty, folder, loop, circle = (tmp_path / x for x in ("empty", "folder", "loop", "circle"))
    empty.touch(), folder.mkdir(), loop.symlink_to(loop), circle.mkdir()
    (circle / "plane0").symlink_to(circle)
    for path in (
        empty,
        folder,
        loop,
        circle,
        tmp_path / "none",
        empty / "below",
        tmp_path / ("x" * 300),
    ):
        kinds = (ValueError, FileNotFoundError)
        clearly([path.name], import_recording, path, format, kinds=kinds, **options)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(tmp_path):
    for ending in ("npz", "h5"):
        path = tmp_path / f"mine.{ending}"
        path.touch(mode=0)
        clearly([f"{path}: Permission denied"], import_recording, path)


WRONG = {  # values that no importer takes
    "rate_hz": (0, -1, NAN, INF, "2", [2.0], True, {}, 1j),
    "threshold": (NAN, INF, "1", [1, 2], {}, np.array(["a"]), [[1]], object(), 1j),
    "amplitude_fraction": (0, -1, NAN, INF, "1", [1], {}, True),
    "kernel": ("GCAMP6S", 3, (0.1, 1)),
    "time_axis": (2, -1, "0", None, [0]),
    "coordinate_unit": (3, None, ["um"], ""),
    "keys": (["spikes"], "spikes", 3, {"x": "y"}, {"spikes": 3}, {"spikes": None}, {3: "spikes"}),
    "bin_s": (0, -1, NAN, INF, "1", [1], None, True),
    "start_s": (NAN, INF, "1", [1], {}, 1e300),
    "stop_s": (NAN, INF, "1", [1], {}, 1e300, -5),
    "traces": (3, None, ["F"], "spks "),
    "um_per_pixel": (0, -1, NAN, INF, "1", [1], True),
    "um_per_plane": (0, -1, NAN, "1"),
    "neuropil": (NAN, INF, "1", [1], {}, None),
    "accepted_only": ("no", None, 2),
    "keep_unlabelled": ("no", None), "dff": ("no", None),
    "series": (3, ["units"], {}, ""),
    "delimiter": (3, "", None, "ab"),
    "leave_out": ("t", 3, {}, [1.5], [None], ["none"], b"t"), "header": ("no", 2),
    "trial_axis": (3, -1, "0", [0]), "clip_negative": ("no", None, 2),
    "sample_rate_hz": (0, -1, NAN, "1"),
    "time_column": (3, ["t"], {}, ""),
    "coordinates": (3, None, "x"),
    "made_up": (1,),
}  # fmt: skip
WRITERS = {
    "numpy": (samples.write_npz, {}),
    "matlab": (samples.write_mat5, {}),
    "csv": (samples.write_csv, {"time_column": "t"}),
    "hdf5": (samples.write_hdf5, {}),
    "suite2p": (samples.write_suite2p, samples.HALF),
    "caiman": (samples.write_caiman, samples.HALF),
    "nwb": (samples.write_nwb, {"bin_s": 0.4}),
    "phy": (samples.write_phy, {"bin_s": 0.4}),
    "spike_times": (samples.write_spike_times, {"bin_s": 0.4}),
    "published": (samples.write_published, {}),
    "retinal_waves": (samples.write_retina, {}),
    "crbm_lite": (samples.write_native, {}),
}


@pytest.mark.parametrize("format", WRITERS)
def test_options_that_are_none(format, tmp_path):
    write, good = WRITERS[format]
    path = tmp_path / ("mine.npz" if format == "numpy" else "mine.nwb")
    write(path)
    assert import_recording(path, format, **good).n_frames
    for name, values in WRONG.items():
        for value in values:
            options = good | {name: value}
            if format == "matlab" and name == "bin_s" and value is None:
                continue  # only cells of spike times need it
            if name in ("threshold", "kernel"):
                options.pop("amplitude_fraction", None)
            if name == "neuropil" and format == "suite2p":
                options = {"traces": "F", "threshold": 0.1, "neuropil": value}
            clearly(
                [name], import_recording, path, format, kinds=(ValueError, TypeError), **options
            )
    for value in (3, "x", [], {}, ""):
        clearly(["format is"], import_recording, path, value)


SPIKE_TIMES = (None, 3, "abc", b"abc", object(), np.array(3.0), np.ones(3), [3, 4], ["a", "b"],
               {"a": None}, {"a": "x"}, {"a": 3}, [[1, [2]]], {"a": [None]}, [[True]],
               [[1j]])  # fmt: skip


@pytest.mark.parametrize("times_s", SPIKE_TIMES, ids=lambda x: type(x).__name__)
def test_spike_times_that_are_none(times_s):
    clearly(["times_s is", "spike times: neuron"], recording_from_spike_times, times_s, 0.5)


@pytest.mark.parametrize(
    ("neuron", "n_neurons", "word"),
    [(None, 1, "neuron has"), ([0], 1, "neuron has"), ([0.0, 0.0], 1, "neuron has"),
     ([0, 5], 1, "neuron holds 0..5"), ([0, -1], 1, "neuron holds -1..0"), ([0, 0], 0, "n_neurons"),
     ([0, 0], "a", "n_neurons"), ([0, 0], None, "n_neurons"), ([0, 0], 1.5, "n_neurons")],
)  # fmt: skip
def test_whose_spikes_they_are(neuron, n_neurons, word):
    clearly([word], bin_spike_times, [0.1, 1.0], neuron, n_neurons, 0.5)


RECORDING = {
    "spikes": (None, 3, "a", ["a"], {}, [[1, [2]]], object(), V * 1j, V.astype(object), [[]], V[0],
               np.ma.array(V, mask=V == 0)),
    "rate_hz": (*WRONG["rate_hz"], None),
    "coordinates": (3, "a", ["a"] * N, {}, [[1, 2, 3], [1]], np.ones((N, 3)) * 1j, object(),
                    np.full((N, 3), "x"), np.ma.masked_less(np.ones((N, 3)), 2)),
    "coordinate_unit": WRONG["coordinate_unit"],
    "labels": (3, "a", ["a"] * N, {}, [[1], [1, 2]], np.full((N, 2), 0.5), object()),
    "names": (3, {}, object(), "abcde", ["a"] * N),
    "provenance": (3, ["a"], None, [1, 2]),
    "discontinuities": (3, "a", ["a"], [1.5], [0], [30], [[1]], [None]),
    "dff": (3, "a", {}, np.full(V.shape, "x"), V[:5], [[1], [1, 2]], V * 1j, object()),
    "truth": (3, "a", {}, object()),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDING)
def test_recording(name):
    for value in RECORDING[name]:
        clearly([name], Recording, **{"spikes": V, "rate_hz": 2.0} | {name: value})
    clearly(["label_names"], Recording, V, 2.0, labels=np.eye(N, 2), label_names="ab")


def test_the_other_entries(tmp_path):
    good = Recording(np.random.default_rng(0).random((60, 6)) < 0.3, 2.0)
    for value in (None, 3, "a", V):
        clearly(["recording is a"], check_recording, value)
        clearly(["recording is a"], save_recording, tmp_path / "a.h5", value)
    for value in (0, -1, 1.5, "a", NAN, [3]):
        clearly(["n_hidden"], check_recording, good, value, measure_cost=False)
    for value in ("a", -1, 1.5, [1, "a"]):
        clearly(["random_state is"], check_recording, good, measure_cost=False, random_state=value)
    for value in (3, None, "x", []):
        clearly(["layout is"], save_recording, tmp_path / "a.h5", good, layout=value)
    clearly(["path is"], save_recording, None, good)
    clearly(["it is a folder"], save_recording, tmp_path, good, kinds=IsADirectoryError)
    for value in (None, 3, "", "nothing", ["retinal-waves"], "retinal-waves/", "../x", b"x"):
        clearly(["name is"], fetch, value)
    for value in (3, "", ["a"]):
        clearly(["manifest is"], fetch, "retinal-waves", manifest=value)
    clearly(["name is"], load_retina, None)
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_numbers(tmp_path):
    """In arguments, and in the provenance that is written as JSON."""
    made = recording_from_spike_times([[0.1, 1.0]], np.float32(0.5), stop_s=np.int64(2))
    assert (made.rate_hz, made.n_frames) == (2.0, 4)
    odd = {"bin": np.float32(0.5), "index": np.arange(2), "where": tmp_path, "n": np.int64(3)}
    path = save_recording(tmp_path / "a.h5", Recording(V, np.float32(2), provenance=odd))
    expected = {"bin": 0.5, "index": [0, 1], "where": str(tmp_path), "n": 3}
    assert load_recording(path).provenance == expected


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", None, True, NAN, [4]])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda n: CheckpointFile("m.h5", n), "checkpoint_every"),
        (lambda n: phase_given_active([0.5, 0.25], n), "n_hidden"),
        (lambda n: simulate_cyclic_assemblies(n_runs=n), "n_runs"),
        (lambda n: check_region_options(2, 3, n, "pairs"), "min_neurons"),
        (lambda n: as_count(n, "n_steps"), "n_steps"),
    ],
    ids=["checkpoint", "phase", "cyclic", "regions", "count"],
)
def test_what_is_no_count(call, name, value):
    clearly([f"{name} is {value!r}"], call, value)


@pytest.mark.parametrize(
    "call", [split_train_test, check_recording, reversed_in_time, shuffled_in_blocks, scored_frames]
)
@pytest.mark.parametrize("value", [V, None, "a.h5"], ids=["array", "None", "path"])
def test_what_is_no_recording(call, value):
    clearly(["recording is a "], call, value)


@pytest.mark.parametrize(
    "weights", [np.eye(2) * 1j, np.empty((0, 2)), np.empty((2, 0)), np.array([["a", "b"]] * 2)],
    ids=["complex", "no neurons", "no units", "texts"],
)  # fmt: skip
def test_parameters_that_make_no_model(weights):
    one = np.ones(weights.shape[1])
    fields = np.zeros(len(weights))
    clearly(["weights has "], CRBM.from_parameters, weights, fields, one, one, 0 * one, 0 * one)


def test_a_matrix_with_nan_is_not_averaged_over_regions():
    """One silent neuron makes a row of NaN in a matrix of correlations."""
    matrix = np.ones((4, 4))
    matrix[0, 1:] = matrix[1:, 0] = NAN
    clearly(["matrix holds NaN"], aggregate_regions, matrix, [0, 0, 1, 1], min_neurons=2)


def test_a_start_that_only_a_search_tries():
    model = CRBM(n_hidden=2, l1=0.01, n_updates=5, init="nmf", progress=False)
    clearly(["init is 'nmf'"], model.fit, np.tile(V, (20, 1)))


def test_a_sweep_without_a_score_says_so():
    clearly(["scores has NaN"], lambda: Sweep((1, 2), np.full((3, 2), NAN)).best)
