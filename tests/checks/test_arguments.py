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
from crbm_lite.animals.translation import translate
from crbm_lite.assemblies.agreement import agreement, best_match_by_chance
from crbm_lite.assemblies.dynamics import HiddenStates, hidden_states
from crbm_lite.assemblies.export import export_csv, export_hdf5
from crbm_lite.assemblies.matching import symmetric_pairs
from crbm_lite.assemblies.members import (
    assemblies_of_weights,
    compactness,
    embedding,
    strong_weights,
)
from crbm_lite.assemblies.phase import phase_given_active
from crbm_lite.baselines import detectors
from crbm_lite.baselines.detectors.rotations import largest_shifted_eigenvalue
from crbm_lite.baselines.glm import fit_glm
from crbm_lite.baselines.graphical_lasso import graphical_lasso_couplings
from crbm_lite.baselines.ising import Ising
from crbm_lite.baselines.pca import fit_components
from crbm_lite.baselines.tuning import Sweep, cross_validate
from crbm_lite.baselines.vae import fit_vae
from crbm_lite.calcium.deconvolution import CalciumKernel
from crbm_lite.calcium.preprocessing import delta_f_over_f, filter_recordings
from crbm_lite.calcium.spike_scores import score_spikes
from crbm_lite.checks.arguments import as_count
from crbm_lite.checks.arrays import as_indices, finite_weights
from crbm_lite.connectivity.couplings import kept_by_weight_spread
from crbm_lite.connectivity.protocol import connectivity_of_animals
from crbm_lite.connectivity.regions import aggregate_regions, check_region_options
from crbm_lite.core.spikes import spikes_given_bits
from crbm_lite.datasets.fish import simulate_fish
from crbm_lite.datasets.fish_plan import plan_fish
from crbm_lite.importers.any_file import FORMATS, format_of
from crbm_lite.importers.binning import bin_spike_times
from crbm_lite.importers.spike_times import recording_from_spike_times
from crbm_lite.inspection.advice import advise, suggested_l1
from crbm_lite.plotting.interactive.video import save_video
from crbm_lite.plotting.interactive.viewer import view_assemblies
from crbm_lite.plotting.interactive.viewer_page import save_page
from crbm_lite.recordings.controls import independent_frames, shift_time, shift_traces
from crbm_lite.recordings.splits import split_recording
from crbm_lite.simulation.cyclic import simulate_cyclic_assemblies
from crbm_lite.simulation.larva import plan_assemblies
from crbm_lite.simulation.larva_recording import calcium_traces, simulate_recording
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.simulation.surrogates import simulate_surrogate
from crbm_lite.temporal.controls import reversed_in_time, shuffled_in_blocks
from crbm_lite.temporal.dwell import states_with_hysteresis
from crbm_lite.temporal.equilibrium import draw_equilibrium
from crbm_lite.temporal.scores import lagged_covariances, scored_frames
from crbm_lite.temporal.temporal_crbm import TemporalCRBM
from crbm_lite.training.checkpoint import CheckpointFile
from crbm_lite.validation.comparison import compare_moments
from crbm_lite.validation.frame_likelihood import log_likelihood
from crbm_lite.validation.likelihood import left_out_log_likelihood, left_out_nllh, nllh
from crbm_lite.validation.report import generated_frames, validate
from crbm_lite.validation.scales import model_scales
from crbm_lite.validation.selection import grid_search
from crbm_lite.validation.stability import stability_selection
from tests.importers import sample_files as samples

NAN, INF = np.nan, np.inf
V = samples.SPIKES
N = V.shape[1]
RNG = np.random.default_rng(0)
LONG = (RNG.random((1300, 5)) < 0.3).astype(np.uint8)
SQUARE = np.ones((20, 20))
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


ONE_UNIT = CRBM.from_parameters(np.ones((N, 1)), -np.ones(N), [1], [1], [0], [0])
TRACES = np.random.default_rng(0).normal(size=(50, 2))
RAN = Recording(V, 2.0)
DETECTORS = (
    "ica", "varimax", "promax", "sgc", "core", "svd", "nmf", "louvain", "ising", "kmeans", "crbm",
)  # fmt: skip
LABELLED = Recording(V, 2.0, labels=np.ones((N, 1), bool), label_names=("a",))
SEEDED = {  # what takes a seed or a generator
    "sample": lambda seed: ONE_UNIT.sample(3, random_state=seed),
    "log_partition": lambda seed: ONE_UNIT.log_partition("ais", random_state=seed),
    "validate": lambda seed: validate(ONE_UNIT, V, V, seed),
    "log_likelihood": lambda seed: log_likelihood(ONE_UNIT, V, random_state=seed),
    "compare_moments": lambda seed: compare_moments(V, V, V, random_state=seed),
    "generated_frames": lambda seed: next(generated_frames(ONE_UNIT, V, random_state=seed)),
    "strong_weights": lambda seed: strong_weights(np.eye(3), random_state=seed),
    "compactness": lambda seed: compactness(np.eye(3), np.eye(3), random_state=seed),
    "advise": lambda seed: advise(RAN, measure_cost=False, random_state=seed),
    "check_recording": lambda seed: check_recording(RAN, measure_cost=False, random_state=seed),
    "translate": lambda seed: translate(ONE_UNIT, ONE_UNIT, V, output="sample", random_state=seed),
    "draw_equilibrium": lambda seed: draw_equilibrium(ONE_UNIT, 4, seed),
    "shuffled_in_blocks": lambda seed: shuffled_in_blocks(RAN, random_state=seed),
    "TemporalCRBM": lambda seed: TemporalCRBM(ONE_UNIT, random_state=seed).fit(RAN),
    "CRBM": lambda seed: CRBM(random_state=seed).fit(V),
    "fit_components": lambda seed: fit_components(V, 2, random_state=seed),
    "independent_frames": lambda seed: independent_frames([0.5], 3, random_state=seed),
    "shift_time": lambda seed: shift_time(V, random_state=seed),
    "shift_traces": lambda seed: shift_traces(TRACES, random_state=seed),
    "plant_recording": lambda seed: plant_recording(random_state=seed),
    "simulate_recording": lambda seed: simulate_recording(random_state=seed),
    "simulate_fish": lambda seed: simulate_fish(1, scale=0.01, random_state=seed),
    "simulate_cyclic_assemblies": lambda seed: simulate_cyclic_assemblies(random_state=seed),
    **{
        f"detect_by_{name}": lambda seed, name=name: getattr(detectors, f"detect_by_{name}")(
            V, 2, random_state=seed
        )
        for name in DETECTORS
    },
}


@pytest.mark.parametrize("seed", ["a", -1, 1.5], ids=repr)
@pytest.mark.parametrize("door", SEEDED)
def test_what_is_no_seed(door, seed):
    words = f"random_state is {seed!r}: give an integer of 0 or more, a numpy.random.Generator"
    clearly([words], SEEDED[door], seed)


def never_trained(model, frames):
    raise AssertionError("a seed is looked at before anything is trained")


@pytest.mark.parametrize("seed", ["a", -1, 1.5, None, np.random.default_rng(0)], ids=str)
@pytest.mark.parametrize(
    "call",
    [
        lambda seed: hidden_states(TRACES, seed),
        lambda seed: stability_selection(V, CRBM(), 2, fit=never_trained, random_state=seed),
        lambda seed: connectivity_of_animals(
            CRBM(), [LABELLED], fit=never_trained, random_state=seed
        ),
    ],
    ids=["hidden_states", "stability_selection", "connectivity_of_animals"],
)
def test_what_is_no_whole_number_where_a_seed_must_be_one(call, seed):
    clearly(["random_state is ", "give an integer of 0 or more"], call, seed)


def test_seeds_and_numbers_of_small_integer_types_do_not_overflow():
    seeds = []

    def fit(model, frames):
        seeds.append(model.random_state)
        return ONE_UNIT

    stability_selection(V, CRBM(), 2, n_null=1, n_blocks=2, fit=fit, random_state=np.uint8(254))
    assert seeds == [None, 254, 255, 256]
    small = {"n_chains": np.int8(2), "n_steps": np.int8(20), "burn_in": np.int8(100)}
    plain = {name: int(value) for name, value in small.items()}
    found, expected = (ONE_UNIT.sample(4, random_state=0, **x) for x in (small, plain))
    np.testing.assert_array_equal(found, expected)
    bits = np.packbits(V[:, :3], axis=1)
    np.testing.assert_array_equal(spikes_given_bits(bits, np.uint8(3)).dense(), V[:, :3])


@pytest.mark.parametrize("draw", ["sample_h_given_v", "sample_v_given_h"])
def test_a_seed_is_a_generator_too(draw):
    given = V if draw == "sample_h_given_v" else np.zeros((4, 1))
    found, expected = (getattr(ONE_UNIT, draw)(given, rng) for rng in (3, np.random.default_rng(3)))
    np.testing.assert_array_equal(found, expected)
    clearly(["rng is 'a'"], getattr(ONE_UNIT, draw), given, "a")


@pytest.mark.parametrize("value", ["no", None, 1], ids=repr)
def test_what_is_neither_true_nor_false(value):
    clearly([f"progress is {value!r}: give True or False"], CRBM(1, 0.0, 2, progress=value).fit, V)
    clearly([f"resume is {value!r}: give True or False"], CRBM(1, 0.0, 2).fit, V, resume=value)
    temporal = TemporalCRBM(ONE_UNIT, progress=value)
    clearly([f"progress is {value!r}: give True or False"], temporal.fit, RAN)


@pytest.mark.parametrize("path", [None, 3, "", b"x"], ids=repr)
def test_what_is_no_path_of_a_result(path, tmp_path):
    clearly(["path is"], CRBM.load, path)
    clearly(["path is"], ONE_UNIT.save, path)
    for write in (export_csv, export_hdf5):
        clearly(["path is"], write, path, np.eye(3), None)
    viewer = view_assemblies(np.eye(3), np.eye(3))
    clearly(["path is"], save_page, viewer, path)
    clearly(["path is"], save_video, viewer, path)
    clearly(["folder is"], grid_search, CRBM(), RAN, [1], [0.0], [0], path)


STATES = HiddenStates(TRACES, TRACES > 0, np.zeros(2), -np.ones(2))
PLACES = np.c_[np.arange(-3.0, 3.0), np.zeros((6, 2))]
UNTRAINED = CRBM(1, 0.0, 2)


@pytest.mark.parametrize("value", ["a", None, NAN, [1.0], True], ids=repr)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: log_likelihood(ONE_UNIT, V, max_gap=x), "max_gap"),
        (lambda x: symmetric_pairs(np.eye(6), PLACES, min_correlation=x), "min_correlation"),
        (lambda x: symmetric_pairs(np.eye(6), PLACES, midline=[] if x is None else x), "midline"),
        (lambda x: states_with_hysteresis(TRACES, STATES, x), "margin"),
        (lambda x: stability_selection(V, UNTRAINED, n_blocks=2, min_correlation=x),
         "min_correlation"),
        (lambda x: suggested_l1(100, x), "activity"),
        (lambda x: grid_search(UNTRAINED, RAN, [1], [x], [0], "none"), "l1"),
    ],
    ids=["log_likelihood", "pairs", "midline", "hysteresis", "stability", "suggested_l1", "grid"],
)  # fmt: skip
def test_what_is_no_number(call, name, value):
    clearly([f"{name} is "], call, value)


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", None, True, NAN, [4]])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda n: CheckpointFile("m.h5", n), "checkpoint_every"),
        (lambda n: phase_given_active([0.5, 0.25], n), "n_hidden"),
        (lambda n: simulate_cyclic_assemblies(n_runs=n), "n_runs"),
        (lambda n: check_region_options(2, 3, n, "pairs"), "min_neurons"),
        (lambda n: as_count(n, "n_steps"), "n_steps"),
        (lambda n: suggested_l1(n, 0.1), "n_frames"),
        (lambda n: best_match_by_chance([1], [1], n), "n_neurons"),
        (lambda n: lagged_covariances(TRACES, -1 if n == 0 else n), "n_lags"),
        (lambda n: embedding(np.eye(3), at_least=-1 if n == 0 else n), "at_least"),
        (lambda n: validate(ONE_UNIT, V, V, n_scatter=-1 if n == 0 else n), "n_scatter"),
        (lambda n: compare_moments(V, V, V, n_scatter=-1 if n == 0 else n), "n_scatter"),
        (lambda n: plant_recording(n_neurons=n), "n_neurons"),
        (lambda n: plant_recording(n_frames=n), "n_frames"),
        (lambda n: plant_recording(n_assemblies=n), "n_assemblies"),
        (lambda n: simulate_recording(n), "n_neurons"),
        (lambda n: simulate_recording(200, n), "n_frames"),
        (lambda n: simulate_surrogate(n), "degree"),
        (lambda n: fit_components(V, n), "n_components"),
        (lambda n: cross_validate(V, (1,), lambda a, b: [0.0], n), "n_folds"),
        (lambda n: split_recording(V, n_neurons=4 if n is None else n, n_segments=n), "n_segments"),
        (lambda n: independent_frames([0.5], n), "n_frames"),
        (lambda n: fit_vae(V, n, 0.1), "n_hidden"),
        (lambda n: plan_assemblies(n, SQUARE, RNG), "n_assemblies"),
        (lambda n: plan_fish(None, None, n), "n_assemblies"),
        (lambda n: largest_shifted_eigenvalue(V - 0.5, RNG, n), "n_shifts"),
    ],
)
def test_what_is_no_count(call, name, value):
    clearly([f"{name} is {value!r}", f"{name} is -1"], call, value)


@pytest.mark.parametrize("value", [1, -1, 2.5, "3", True, NAN])
def test_what_is_no_subsample(value):
    clearly([f"n_neurons is {value!r}"], split_recording, V, n_neurons=value)


@pytest.mark.parametrize("value", [-1, 0.5, "3", None, True])
def test_what_is_no_tolerance(value):
    clearly([f"tolerance is {value!r}"], score_spikes, V, V, value)


def same(first, second):
    """Whether two results hold the same numbers."""
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(getattr(a, "spikes", a), getattr(b, "spikes", b))


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int64])
def test_counts_of_few_bits_do_not_overflow(integer):
    """120 + 120 and 120 times 120 are beyond one byte."""
    n, ten = integer(120), integer(10)
    same(split_recording(LONG, n_segments=ten).bounds, split_recording(LONG).bounds)
    made = [plant_recording(k, 4, (20, 30), k, m) for k, m in ((n, ten), (120, 10))]
    same(made[:1], made[1:])
    runs = [simulate_cyclic_assemblies(2, k, 1, 3, 4, random_state=0) for k in (n, 120)]
    same([runs[0].recording], [runs[1].recording])
    same(independent_frames([0.5], n, 0).toarray(), independent_frames([0.5], 120, 0).toarray())
    ising = Ising([-1.0, 0.0], np.zeros((2, 2)))
    start = np.zeros((1, 2))
    args = [{"n_saved": k, "n_steps": j, "burn_in": k} for k, j in ((n, ten), (120, 10))]
    same(*(ising.sample(start, **a, random_state=0) for a in args))


@pytest.mark.parametrize("value", ["a", None, NAN, INF, [1.0, 2.0]])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: fit_glm(V, x), "l2"),
        (lambda x: fit_glm(V, 1.0, tol=x), "tol"),
        (lambda x: graphical_lasso_couplings(V, x), "alpha"),
        (lambda x: fit_vae(V, 2, x), "l1"),
        (lambda x: kept_by_weight_spread([], x), "low"),
        (lambda x: kept_by_weight_spread([], 0.0, x), "high"),
        (lambda x: delta_f_over_f(np.ones((9, 2)), 2.0, quantile=x), "quantile"),
        (lambda x: filter_recordings([Recording(V, 2.0)], x), "min_activity"),
        (lambda x: CalciumKernel(x, 1.0), "rise_s"),
        (lambda x: CalciumKernel(1.0, x), "decay_s"),
        (lambda x: calcium_traces(V, 2.0, rise_s=x), "rise_s"),
        (lambda x: plant_recording(rate_hz=x), "rate_hz"),
        (lambda x: plant_recording(active_s=x), "active_s"),
        (lambda x: plant_recording(base_sd=x), "base_sd"),
        (lambda x: simulate_recording(200, 9, x), "rate_hz"),
        (lambda x: simulate_recording(200, 9, activity=x), "activity"),
        (lambda x: simulate_cyclic_assemblies(coupling=x), "coupling"),
        (lambda x: simulate_cyclic_assemblies(max_rate=x), "max_rate"),
        (lambda x: simulate_surrogate(step_s=x), "step_s"),
        (lambda x: simulate_fish(1, scale=x), "scale"),
    ],
)
def test_what_is_no_number_for_a_simulation_or_a_baseline(call, name, value):
    clearly([f"{name} is {value!r}"], call, value)


@pytest.mark.parametrize("seed", [None, np.random.default_rng(0)], ids=["None", "Generator"])
def test_seeds_that_are_no_integers(seed):
    assert simulate_recording(200, 20, random_state=seed).n_frames == 20
    assert fit_components(V, 2, "nmf", random_state=seed).loadings.shape == (N, 2)


@pytest.mark.parametrize("call", [filter_recordings, lambda x: connectivity_of_animals(CRBM(), x)])
def test_what_is_no_list_of_recordings(call):
    clearly(["recordings is a Recording: give a list"], call, Recording(V, 2.0))
    clearly(["recordings is a NoneType: give a list"], call, None)
    clearly(["recordings[1] is a ndarray: give a list"], call, [Recording(V, 2.0), V])
    clearly(["recordings is empty: give one"], call, [])


def test_correlations_that_the_graphical_lasso_cannot_take():
    twins = np.c_[V, V[:, 0]]
    for alpha in (0, 1e-9):
        clearly([f"alpha is {alpha:g}: the correlations of v are"], graphical_lasso_couplings,
                twins, alpha)  # fmt: skip
    clearly(["alpha is -1: give"], graphical_lasso_couplings, V, -1)
    clearly(["v has 1 neuron: give two"], graphical_lasso_couplings, V[:, :1])


@pytest.mark.parametrize("traces", [[1.0, 2.0], np.empty((0, 2))])
def test_what_are_no_traces(traces):
    clearly(["traces has shape"], shift_traces, traces)
    assert shift_traces([[1.0], [2.0]], 0).sum() == 3.0


def test_what_are_no_probabilities_and_no_frames():
    clearly(["activity is no list"], independent_frames, [], 3)
    clearly(["dtype float64: give a list of frame"], Recording, V, 2.0, discontinuities=[3.0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, np.uint64, bool])
def test_weights_and_indices_of_any_integers(dtype):
    """Negated and subtracted, numbers without a sign would wrap."""
    for weights in (
        np.ones((3, 1)),
        np.array([[3, 0], [1, 2]]) if dtype is not bool else np.eye(2),
    ):
        found = assemblies_of_weights(weights.astype(dtype))
        wanted = assemblies_of_weights(weights.astype(float))
        np.testing.assert_array_equal(found.sizes, wanted.sizes)
        np.testing.assert_array_equal(found.members, wanted.members)
    assert finite_weights(np.ones((2, 2), dtype)).dtype == np.float64
    if dtype is not bool:
        clearly(
            ["frames must increase"], Recording(V, 2.0).select_frames, np.array([9, 5, 3], dtype)
        )
        assert as_indices(np.array([2, 0], dtype), 3, "units").dtype == np.int64


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


NOT_FITTED = {
    "validate": lambda model: validate(model, V, V),
    "nllh": lambda model: nllh(model, V),
    "left_out_nllh": lambda model: left_out_nllh(model, V),
    "left_out_log_likelihood": lambda model: left_out_log_likelihood(model, V),
    "log_likelihood": lambda model: log_likelihood(model, V),
    "model_scales": lambda model: model_scales(model, RAN),
}


@pytest.mark.parametrize("door", NOT_FITTED)
@pytest.mark.parametrize("model", [CRBM(), TemporalCRBM(CRBM())], ids=lambda x: type(x).__name__)
def test_models_that_are_not_fitted(door, model):
    clearly([f"This {type(model).__name__} instance is not fitted"], NOT_FITTED[door], model)


class Predictor:
    """It predicts neurons, and neither hidden units nor whole frames."""

    def mean_v_given_others(self, v):
        return np.full(v.shape, 0.5)


@pytest.mark.parametrize(
    "call",
    [lambda: log_likelihood(Predictor(), V), lambda: nllh(Predictor(), V),
     lambda: validate(Predictor(), V, V), lambda: left_out_nllh(None, V)],
    ids=["log_likelihood", "nllh", "validate", "left_out_nllh"],
)  # fmt: skip
def test_models_of_another_kind(call):
    clearly(["model is a Predictor: give", "model is a NoneType: give"], call)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([np.eye(3), np.eye(3) > 0], "detected has dtype float64"),
        ([np.ones(3, bool), np.eye(3) > 0], "detected has shape (3,)"),
        ([np.eye(3) > 0, np.eye(3) > 0, np.zeros((9, 2)), np.zeros((9, 3))], "activity has shape"),
        ([np.eye(3) > 0, np.eye(3) > 0, np.zeros((9, 3)), np.zeros((8, 3))], "activity has shape"),
        ([np.eye(3) > 0, np.eye(3) > 0, np.zeros((9, 3)), np.zeros((9, 4))], "activity has shape"),
        ([np.eye(3) > 0, np.eye(3) > 0, np.zeros(9), np.zeros((9, 3))], "activity has shape"),
    ],
)
def test_assemblies_that_cannot_be_compared(arguments, word):
    clearly([word], agreement, *arguments)
