"""Stability selection on recordings whose assemblies are known, and on none."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone

from crbm_lite import CRBM, plant_recording
from crbm_lite.assemblies.matching import match_assemblies
from crbm_lite.recordings.recording import Recording
from crbm_lite.validation.stability import StabilitySelection, stability_selection

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODEL = CRBM(
    n_hidden=5, l1=0.01, n_updates=150, batch_size=100, n_chains=50, n_gibbs=5, random_state=0,
    progress=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def recording():
    """Four assemblies, 20 neurons of none; the model has a hidden unit more."""
    return plant_recording(
        110, 4, size_range=(20, 30), n_frames=1600, n_unassigned=20, random_state=0
    )


@pytest.fixture(scope="module")
def found(recording):
    return stability_selection(recording, MODEL, 8, n_null=2)


def test_planted_assemblies_are_found_and_nothing_in_shifted_time(recording, found):
    truth = recording.truth.membership
    match = match_assemblies(truth, found.weights)
    assert (np.abs(match.correlation) > 0.8).all()
    units = found.assemblies.units.tolist()
    places = [units.index(unit) for unit in match.second]
    assert (found.probability[places] >= 7 / 8).all()
    assert (found.null_probability == 0).all()
    assert (found.null_membership == 0).all()
    members = found.members(0.8)
    for planted, place in zip(match.first, places):
        is_member = truth[:, planted] != 0
        assert members[is_member, place].mean() > 0.4
        assert members[~is_member, place].mean() < 0.02
        assert found.membership[is_member, place].mean() > 0.75
        assert found.membership[~is_member, place].mean() < 0.15
    assert members.sum() > found.false_members(0.8) > 0


def test_an_assembly_of_half_of_the_recording_is_not_stable(recording):
    """Neurons that fire together in the first fifth only are an assembly there and nowhere else."""
    spikes = recording.spikes.copy()
    rng = np.random.default_rng(1)
    loners = recording.truth.unassigned
    together = rng.random(320) < 0.3
    spikes[:320, loners] = rng.random((320, 20)) < np.where(together, 0.6, 0.02)[:, None]
    found = stability_selection(spikes, MODEL, 8, n_null=0, n_blocks=5)
    planted = np.zeros((110, 1))
    planted[loners] = 1.0
    match = match_assemblies(planted, found.weights)
    assert abs(match.correlation[0]) > 0.6
    is_of_a_part = found.assemblies.units == match.second[0]
    assert found.probability[is_of_a_part].max() < found.probability[~is_of_a_part].min()
    assert found.null_correlation.shape == (0, len(found.assemblies))
    assert np.isnan(found.null_probability).all()


def test_halves_are_blocks_and_pairs_share_no_frame(recording):
    seen, seeds = [], []

    class Watched:
        def __init__(self, weights):
            self.weights_ = weights

    def fit(model, frames):
        seen.append(frames)
        seeds.append(model.random_state)
        return Watched(np.eye(110, 5))

    number = np.zeros((1600, 110), np.uint8)
    number[:, :11] = (np.arange(1600)[:, None] >> np.arange(11)) & 1  # a frame carries its index
    found = stability_selection(number, MODEL, 4, n_null=1, n_blocks=16, fit=fit, random_state=3)
    whole, *halves, null = (
        (v.toarray()[:, :11].astype(int) << np.arange(11)).sum(axis=1) for v in seen
    )
    np.testing.assert_array_equal(whole, np.arange(1600))
    for first, second in (halves[:2], halves[2:]):
        np.testing.assert_array_equal(np.sort(np.r_[first, second]), np.arange(1600))
        for half in (first, second):
            assert (np.diff(half) > 0).all()
            assert set(np.unique(half // 100, return_counts=True)[1]) == {100}
    assert not np.array_equal(halves[0], halves[2])
    assert len(null) == 800 and not np.isin(np.diff(null), (1, 101)).all()
    assert seeds == [0, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(found.probability, 1.0)
    np.testing.assert_array_equal(found.membership, np.eye(110, 5))
    assert found.n_members == 5


def test_trials_stay_whole_in_halves_and_in_shifted_frames():
    seen = []

    def fit(model, frames):
        seen.append(frames.toarray())
        return SimpleNamespace(weights_=np.eye(30, 5))

    v = (np.random.default_rng(0).random((1600, 30)) < 0.3).astype(np.uint8)
    trials = Recording(v, 2.5, discontinuities=np.arange(40, 1600, 40))
    stability_selection(trials, MODEL, 2, n_null=1, n_blocks=16, fit=fit)
    _, *halves, null = seen
    of_trials = v.reshape(40, 40, 30)
    for half in halves:
        for trial in half.reshape(-1, 40, 30):
            assert (trial == of_trials).all(axis=(1, 2)).any()
    counts = of_trials.sum(axis=1)
    for trial in null.reshape(-1, 40, 30):
        assert not (trial == of_trials).all(axis=(1, 2)).any()
        assert (trial.sum(axis=0) == counts).all(axis=1).any()


def of_given_runs(weights, *runs):
    """The stability of a model in runs whose weights are given."""
    model, given = clone(MODEL), iter(runs)
    model.weights_ = weights
    return stability_selection(
        np.eye(40, len(weights)), model, len(runs), n_null=0,
        fit=lambda model, frames: SimpleNamespace(weights_=next(given)),
    )  # fmt: skip


def test_counts_are_those_of_the_definition():
    """Runs that are given: the first has both assemblies, swapped and turned; the second one."""
    weights = np.zeros((8, 3))
    weights[:3, 0], weights[4:7, 1] = 1.0, 2.0
    first = np.zeros((8, 3))
    first[:4, 2], first[4:7, 0] = -1.0, 1.0
    second = np.zeros((8, 3))
    second[:3, 1] = 3.0
    second[7, 0] = 1.0
    found = of_given_runs(weights, first, second)
    np.testing.assert_array_equal(found.probability, [1.0, 0.5])
    expected = np.zeros((8, 2))
    expected[:3, 0], expected[3, 0], expected[4:7, 1] = 1.0, 0.5, 0.5
    np.testing.assert_array_equal(found.membership, expected)
    assert found.n_members == (7 + 4) / 2
    np.testing.assert_array_equal(found.members(0.6), expected > 0.6)
    assert found.table().splitlines()[1].split() == ["HU", "0", "3", "3", "100%", "0.89", "nan%"]


def test_a_side_of_a_unit_that_no_run_has_is_not_found():
    weights = np.zeros((12, 1))
    weights[:6, 0], weights[6:10, 0] = 1.0, -1.0
    half = np.where(weights > 0, weights, 0.0)
    found = of_given_runs(weights, half, half, -half)
    assert found.assemblies.names == ("HU 0 (+)", "HU 0 (\u2212)")
    np.testing.assert_array_equal(found.probability, [1.0, 0.0])
    np.testing.assert_array_equal(found.members(), np.hstack([weights > 0, weights < -1]))
    apart = np.hstack([half, weights - half])  # the two sides in two units, the second turned
    turned = of_given_runs(weights, apart, -weights)
    np.testing.assert_array_equal(turned.probability, [1.0, 1.0])
    np.testing.assert_array_equal(turned.members(), np.hstack([weights > 0, weights < 0]))


def test_a_neuron_with_the_other_sign_in_every_run_is_no_member():
    weights, run = np.zeros((20, 1)), np.zeros((20, 1))
    weights[:9, 0] = run[:8, 0] = 1.0
    run[8, 0] = -1.0
    found = of_given_runs(weights, run, run)
    assert found.probability[0] == 1.0
    np.testing.assert_array_equal(found.membership[:, 0], np.arange(20) < 8)


def test_runs_that_lost_all_weights_find_nothing():
    weights = np.zeros((8, 2))
    weights[:3, 0] = 1.0
    found = of_given_runs(weights, np.zeros((8, 2)), weights)
    np.testing.assert_array_equal(found.probability, [0.5])
    nothing = of_given_runs(0 * weights, weights, weights)
    assert nothing.probability.shape == (0,) and nothing.false_members() > 0
    assert len(nothing.table().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 1}, "n is 1: give an integer of 2"),
        ({"n_null": -1}, "n_null is -1: give an integer of 0"),
        ({"n_blocks": 1}, "n_blocks is 1"),
        ({"min_correlation": 0.0}, "min_correlation is 0.0"),
        ({"recording": np.full((4, 4), 2)}, "recording holds 2"),
    ],
)
def test_bad_options_are_named_before_anything_is_trained(change, message):
    with pytest.raises(ValueError, match=message):
        stability_selection(**({"recording": np.eye(40, 8), "model": MODEL} | change))
    nothing = np.zeros((2, 2))
    frozen = StabilitySelection(nothing, nothing, nothing, 0.0, nothing, nothing, 0.5)
    with pytest.raises(ValueError, match=r"probability is 0\.5"):
        frozen.false_members(0.5)
