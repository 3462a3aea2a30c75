"""No door reads under a mask, and none follows the indices of a damaged sparse matrix."""

import numpy as np
import pytest
import scipy.sparse

from crbm_lite import CRBM, Recording, validate
from crbm_lite.assemblies.dynamics import (
    hidden_states,
    n_active,
    principal_variance,
    time_constants_s,
    ward_order,
)
from crbm_lite.assemblies.matching import match_assemblies
from crbm_lite.assemblies.members import assemblies_of_weights, compactness, regional_occupancy
from crbm_lite.assemblies.phase import phase_given_active
from crbm_lite.baselines.glm import fit_glm
from crbm_lite.baselines.pca import fit_components
from crbm_lite.baselines.tuning import cross_validate
from crbm_lite.calcium.deconvolution import deconvolve
from crbm_lite.calcium.preprocessing import align_planes, delta_f_over_f
from crbm_lite.calcium.spike_scores import score_spikes
from crbm_lite.checks.sparse import as_sparse
from crbm_lite.connectivity.perturbation import condition
from crbm_lite.connectivity.region_matrices import as_squares, matrix_given_pairs
from crbm_lite.connectivity.region_statistics import compare, log_normality
from crbm_lite.connectivity.regions import (
    aggregate_regions,
    region_connectivity,
    region_given_neuron,
)
from crbm_lite.connectivity.structure import average_connectivity, structural_connectivity
from crbm_lite.core.drelu import DReLU
from crbm_lite.core.spikes import as_spikes
from crbm_lite.importers.binning import bin_spike_times
from crbm_lite.importers.cells import centres_given_footprints
from crbm_lite.importers.spike_times import recording_from_spike_times
from crbm_lite.measures import correlations_of_columns, effective_number
from crbm_lite.plotting.interactive.viewer import view_assemblies
from crbm_lite.recordings.controls import independent_frames, shift_time
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.theory.maximum_entropy import boltzmann, solve, with_pairs
from crbm_lite.validation.anova import anova_type_ii
from crbm_lite.validation.likelihood import left_out_nllh, nllh, nllh_given_probabilities
from crbm_lite.validation.moments import sample_moments
from crbm_lite.validation.nrmse import score_entries

RNG = np.random.default_rng(0)
V = (RNG.random((40, 4)) < 0.4).astype(np.uint8)
ONE = np.eye(4)
H = RNG.standard_normal((40, 2))
LABELS = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
WEIGHTS = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 2.0], [0.1, 0.3]])
SQUARE = np.array([[1.0, 0.2], [0.2, 1.0]])
MODEL = CRBM.from_parameters(WEIGHTS, -np.ones(4), [1, 1], [1, 1], [0, 0], [0, 0])
PARAMETERS = {"weights": WEIGHTS, "fields": np.zeros(4), "gamma_plus": np.ones(2),
              "gamma_minus": np.ones(2), "theta_plus": np.zeros(2),
              "theta_minus": np.zeros(2)}  # fmt: skip


def fitted(v):
    return CRBM(2, n_updates=9, batch_size=10, random_state=0, progress=False).fit(v)


def recording(**changed):
    return Recording(**{"spikes": V, "rate_hz": 2.0} | changed)


SPARSE_TOO = {  # a door, and what goes in
    "fit": (fitted, V),
    "transform": (MODEL.transform, V),
    "score": (MODEL.score, V),
    "reconstruct": (MODEL.reconstruct, V),
    "free_energy": (MODEL.free_energy, V),
    "energy": (lambda v: MODEL.energy(v, H), V),
    "sample start": (lambda v: MODEL.sample(40, n_chains=40, start=v, burn_in=0, n_steps=1), V),
    "as_spikes": (as_spikes, V),
    "nllh": (lambda v: nllh(MODEL, v), V),
    "left_out_nllh": (lambda v: left_out_nllh(MODEL, v), V),
    "nllh_given_probabilities": (lambda v: nllh_given_probabilities(v, np.full(4, 0.5)), V),
    "sample_moments": (sample_moments, V),
    "validate": (lambda v: validate(MODEL, v, V, 0, n_chains=40, n_saved=2, n_steps=1), V),
    "fit_glm": (lambda v: fit_glm(v, l2=1.0), V),
    "fit_components": (lambda v: fit_components(v, 2), V),
    "cross_validate": (lambda v: cross_validate(v, (1,), lambda a, b: [0.0]), V),
    "shift_time": (shift_time, V),
    "Recording": (lambda v: recording(spikes=v), V),
    "labels of a Recording": (lambda x: recording(labels=x), LABELS),
    "from_parameters weights": (
        lambda w: CRBM.from_parameters(*(PARAMETERS | {"weights": w}).values()),
        WEIGHTS,
    ),
    "assemblies_of_weights": (assemblies_of_weights, WEIGHTS),
    "match_assemblies": (lambda w: match_assemblies(w, WEIGHTS), WEIGHTS),
    "regional_occupancy": (lambda x: regional_occupancy(WEIGHTS, x), LABELS),
    "region_given_neuron": (region_given_neuron, LABELS),
    "region_connectivity": (
        lambda w: region_connectivity(w, np.ones(2), [0, 0, 1, 1], min_neurons=2),
        WEIGHTS,
    ),
    "view_assemblies": (lambda w: view_assemblies(w, np.ones((4, 3))), WEIGHTS),
    "footprints": (lambda a: centres_given_footprints(a, (2, 2)), ONE),
}
DENSE = {
    "h of mean_v_given_h": (MODEL.mean_v_given_h, H),
    "h of energy": (lambda h: MODEL.energy(V, h), H),
    **{
        f"from_parameters {name}": (
            lambda x, name=name: CRBM.from_parameters(*(PARAMETERS | {name: x}).values()),
            value,
        )
        for name, value in PARAMETERS.items()
    },
    "independent_frames": (lambda x: independent_frames(x, 5), np.full(4, 0.5)),
    "DReLU": (lambda x: DReLU(x, [1.0], [0.0], [0.0]), np.ones(1)),
    "inputs of DReLU": (MODEL.units.mean, H),
    "condition": (lambda x: condition(MODEL, hidden={0: x[0]}), np.ones(1)),
    "coordinates": (lambda x: recording(coordinates=x), np.ones((4, 3))),
    "names": (lambda x: recording(names=x), np.array(["a", "b", "c", "d"])),
    "discontinuities": (lambda x: recording(discontinuities=x), np.array([3, 5])),
    "dff": (lambda x: recording(dff=x), RNG.random((40, 4)).astype(np.float32)),
    "select_neurons": (recording().select_neurons, np.array([1, 2])),
    "hidden_states": (hidden_states, H),
    "n_active": (lambda x: n_active(H, x), np.zeros(2)),
    "ward_order": (ward_order, H),
    "principal_variance": (principal_variance, H),
    "time_constants_s": (lambda x: time_constants_s(x, 2.0), V),
    "compactness": (lambda x: compactness(x, RNG.random((4, 3)), n_shuffles=2), LABELS),
    "phase": (lambda x: phase_given_active(x, 20), np.ones(5)),
    "deconvolve": (lambda x: deconvolve(x, 2.5), RNG.random((60, 2))),
    "delta_f_over_f": (lambda x: delta_f_over_f(x, 2.5), 100 + RNG.random((60, 2))),
    "background": (lambda x: delta_f_over_f(100 + RNG.random((60, 2)), 2.5, x), np.ones(2)),
    "align_planes": (lambda x: align_planes(RNG.random((9, 2)), 2.0, x), np.full(2, 0.1)),
    "score_spikes": (lambda x: score_spikes(x, V), V),
    "as_squares": (lambda x: as_squares([x], "matrices"), SQUARE),
    "matrix_given_pairs": (lambda x: matrix_given_pairs("ab", "bb", x), np.ones(2)),
    "compare": (lambda x: compare(x, SQUARE), SQUARE),
    "log_normality": (log_normality, 1 + RNG.random(30)),
    "aggregate_regions": (lambda x: aggregate_regions(x, [0, 0, 1, 1], min_neurons=2), np.eye(4)),
    "mean_variance": (
        lambda x: region_connectivity(WEIGHTS, x, [0, 0, 1, 1], min_neurons=2),
        np.ones(2),
    ),
    "average_connectivity": (lambda x: average_connectivity([SQUARE], [x]), np.ones(2)),
    "structural_connectivity": (
        lambda x: structural_connectivity(x, [0, 1], [1.0, 1.0]),
        np.array([[0.0, 6.0], [3.0, 0.0]]),
    ),
    "bin_spike_times": (
        lambda x: bin_spike_times(x, np.zeros(3, int), 1, 0.5),
        np.array([0.1, 0.7, 1.2]),
    ),
    "recording_from_spike_times": (
        lambda x: recording_from_spike_times([x], 0.5),
        np.array([0.1, 0.7, 1.2]),
    ),
    "correlations_of_columns": (correlations_of_columns, H),
    "effective_number": (lambda x: effective_number(x, 1), H),
    "activity of the viewer": (
        lambda x: view_assemblies(WEIGHTS, np.ones((4, 3)), activity=x),
        H,
    ),
    "with_pairs": (with_pairs, ONE),
    "boltzmann": (lambda x: boltzmann([[0.0], [1.0]], x), np.zeros(1)),
    "solve": (lambda x: solve([[0.0], [1.0]], x), np.full(1, 0.5)),
    "anova": (lambda x: anova_type_ii(x, {"a": np.arange(20.0)}), RNG.random(20)),
    "probabilities": (lambda p: nllh_given_probabilities(V, p), np.full(V.shape, 0.5)),
    "score_entries": (
        lambda x: score_entries(x, x, x, np.random.default_rng(0)),
        np.array([0.1, 0.2, 0.3, 0.4]),
    ),
    "frame_weights": (lambda x: fit_glm(V, 1.0, frame_weights=x), np.ones(40)),
}
DOORS = SPARSE_TOO | DENSE


@pytest.mark.parametrize("door", DOORS)
def test_a_mask_is_refused(door):
    enter, good = DOORS[door]
    enter(good)
    enter(np.ma.array(good, mask=False))  # it hides nothing
    mask = np.zeros(good.shape, bool)
    mask.flat[0] = True
    masked = np.ma.array(good, mask=mask)
    for value in (masked, list(masked)):  # the list holds masked rows, or one masked number
        with pytest.raises(ValueError, match="masked entries"):
            enter(value)


def change(attribute, place, value):
    def damage(matrix):
        array = getattr(matrix, attribute).copy()
        array[place] = value
        setattr(matrix, attribute, array)

    return damage


def cut(attribute):
    return lambda matrix: setattr(matrix, attribute, getattr(matrix, attribute)[:-1])


FAR = 2**30
DAMAGES = {
    "an index far outside": ("csr csc bsr", change("indices", 0, FAR)),
    "an index just outside": ("csr csc bsr", change("indices", -1, 1000)),
    "a negative index": ("csr csc bsr", change("indices", 0, -FAR)),
    "starts that fall": ("csr csc bsr", change("indptr", 1, FAR)),
    "a negative start": ("csr csc bsr", change("indptr", 1, -5)),
    "the first start is late": ("csr csc bsr", change("indptr", 0, 1)),
    "the last start is far": ("csr csc bsr", change("indptr", -1, FAR)),
    "a start is missing": ("csr csc bsr", cut("indptr")),
    "an index is missing": ("csr csc bsr", cut("indices")),
    "an entry is missing": ("csr csc bsr", cut("data")),
    "starts that are fractions": ("csr csc", lambda m: setattr(m, "indptr", m.indptr + 0.5)),
    "a row far outside": ("coo", lambda m: setattr(m, "coords", (m.row + FAR, m.col))),
    "a negative column": ("coo", lambda m: setattr(m, "coords", (m.row, m.col - FAR))),
    "a column is missing": ("coo", lambda m: setattr(m, "coords", (m.row, m.col[:-1]))),
    "entries are missing": ("coo", cut("data")),
    "a column of a list is far": ("lil", lambda m: m.rows[0].append(FAR) or m.data[0].append(1)),
    "a list has more columns": ("lil", lambda m: m.rows[0].append(1)),
    "offsets are missing": ("dia", cut("offsets")),
    "a key is far": ("dok", lambda m: m._dict.__setitem__((FAR, 0), 1)),
    "entries are masked": ("csr csc bsr coo", lambda m: setattr(
        m, "data", np.ma.array(m.data, mask=True))),
}  # fmt: skip
KINDS = ["csr", "csc", "bsr", "coo", "lil", "dia", "dok"]
AT_THE_CHECK = [("as_sparse", kind, damage) for damage, (kinds, _) in DAMAGES.items()
                for kind in kinds.split()]  # fmt: skip
AT_EVERY_DOOR = [
    (door, *case)
    for door in SPARSE_TOO
    for case in (
        ("csr", "an index far outside"),
        ("csc", "starts that fall"),
        ("coo", "a row far outside"),
    )
]


@pytest.mark.parametrize(("door", "kind", "damage"), AT_THE_CHECK + AT_EVERY_DOOR)
def test_a_damaged_sparse_matrix_is_refused(door, kind, damage):
    enter, good = SPARSE_TOO.get(door, (lambda v: as_sparse(v, "v"), V))
    matrix = scipy.sparse.coo_array(good).asformat(kind)
    DAMAGES[damage][1](matrix)
    with pytest.raises(ValueError, match=f"damaged {kind} matrix|masked entries"):
        enter(matrix)


@pytest.mark.parametrize("door", SPARSE_TOO)
def test_a_sound_one_goes_in(door):
    enter, good = SPARSE_TOO[door]
    enter(scipy.sparse.csr_matrix(good))


def entered_otherwise(good):
    """The same matrix: in two halves, its zeros stored, the last column first."""
    n_rows, n_columns = good.shape
    data = np.repeat(good[:, ::-1] / 2, 2, axis=1).ravel()
    columns = np.tile(np.repeat(np.arange(n_columns)[::-1], 2), n_rows)
    return scipy.sparse.csr_array(
        (data, columns, 2 * n_columns * np.arange(n_rows + 1)), good.shape
    )


def test_each_number_has_one_entry_and_the_matrix_given_stays():
    odd = entered_otherwise(WEIGHTS)
    parts = [x.copy() for x in (odd.data, odd.indices, odd.indptr)]
    found, plain = as_sparse(odd, "x"), scipy.sparse.csr_array(WEIGHTS)
    for name, before in zip(("data", "indices", "indptr"), parts, strict=True):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
        np.testing.assert_array_equal(getattr(odd, name), before)
    assert np.shares_memory(as_sparse(plain, "x").data, plain.data)


@pytest.mark.parametrize("definition", ["signed_sum", "mean_absolute"])
def test_how_labels_are_entered_does_not_matter(definition):
    wanted = regional_occupancy(WEIGHTS, LABELS, definition)
    odd = entered_otherwise(LABELS)
    twice = scipy.sparse.csr_array(  # True and True make True
        (np.ones(5, bool), [0, 0, 0, 1, 1], [0, 2, 3, 4, 5]), shape=(4, 2)
    )
    for labels in (odd, odd.tocsc(), twice):
        np.testing.assert_array_equal(regional_occupancy(WEIGHTS, labels, definition), wanted)
        np.testing.assert_array_equal(region_given_neuron(labels)[0], [0, 0, 1, 1])


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_labels_of_nan_are_named(form):
    labels = form(np.where(LABELS, np.nan, 0.0))
    with pytest.raises(ValueError, match="labels holds NaN: give"):
        regional_occupancy(WEIGHTS, labels)


def test_how_planted_effects_are_entered_does_not_matter():
    effects = np.sign(WEIGHTS) * [1.0, -1.0]
    effects[3] = 0.0
    truth = GroundTruth(np.zeros(4), entered_otherwise(effects), np.eye(2), "ab", "cd")
    np.testing.assert_array_equal(truth.membership, effects)
    np.testing.assert_array_equal(truth.unassigned, [3])
    effects[0, 0] = np.nan
    with pytest.raises(ValueError, match="effects holds NaN"):
        GroundTruth(np.zeros(4), scipy.sparse.csr_array(effects), np.eye(2), "ab", "cd")


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_stay(kind):
    matrix = scipy.sparse.random_array((6, 9), density=0.3, rng=np.random.default_rng(1))
    assert (as_sparse(matrix.asformat(kind), "x") != matrix.tocsr()).nnz == 0
