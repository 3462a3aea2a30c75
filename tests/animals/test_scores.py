"""Scores: formulas, limits where the answer is known, and that controls are controls."""

import numpy as np
import pytest

from crbm_lite.animals.alignment import Alignment
from crbm_lite.animals.animal import Animal
from crbm_lite.animals.scores import (
    nrmse_of_entries,
    score_alignment,
    score_translation,
    state_correlations,
)
from crbm_lite.animals.translation import translate
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording
from tests.animals.pairs import aligned, larva, random_machine, teacher


@pytest.fixture(scope="module")
def scores():
    return score_translation(teacher(), aligned().student, random_state=0)


def test_the_nrmse_is_over_that_of_all_permutations():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=200), rng.normal(1, 2, size=200)
    shuffled = [np.mean((x - rng.permutation(y)) ** 2) for _ in range(3000)]
    expected = np.sqrt(np.mean((x - y) ** 2) / np.mean(shuffled))
    assert nrmse_of_entries(x, y) == pytest.approx(expected, rel=0.01)
    assert np.isnan(nrmse_of_entries(np.ones(3), np.ones(3)))


def test_frames_and_free_energies_of_a_translation_are_near_the_best(scores):
    assert scores.frames["translated"] > 0.8
    assert max(scores.frames["permuted"], scores.frames["other frames"]) < 0.4
    assert scores.mean_v["own"] <= scores.mean_v["translated"] < scores.mean_v["permuted"]
    assert abs(scores.free_energy["translated"]) < 0.3
    assert scores.free_energy["shuffled"] == 1.0 < scores.free_energy["neurons shuffled"]


def test_free_energies_and_covariances_are_blind_to_wrong_units_that_are_as_often_active(scores):
    """Why no score goes without its control: these two cannot tell a translation from nonsense."""
    assert abs(scores.free_energy["permuted"] - scores.free_energy["translated"]) < 0.2
    covariance = scores.covariance_vv
    assert covariance["permuted"] < covariance["translated"] + 0.1


def test_every_score_has_a_control_and_the_table_has_them_all(scores):
    for each in vars(scores).values():
        assert {"translated", "permuted"} <= each.keys() and len(each) >= 3
    found = score_alignment(aligned(), random_state=0)
    for each in (found.quantiles, found.covariance_hh, found.maps):
        assert each.keys() == {"student", "before", "permuted"}
    assert len(scores.table().splitlines()) == 4 and len(found.table().splitlines()) == 3
    assert scores.table().startswith("activity of neurons, nRMSE")


def test_an_animal_translated_to_itself_is_its_own_resampling():
    one = teacher()
    found = score_translation(one, one, random_state=0)
    assert found.frames["translated"] > 0.85
    assert found.mean_v["translated"] == pytest.approx(found.mean_v["own"], abs=0.03)
    assert abs(found.free_energy["translated"]) < 0.05


def test_the_contrast_of_free_energies_is_that_of_the_definition():
    """Frames by hand: the model's own, and every neuron's spikes at other times."""
    one, student = teacher(), aligned().student
    v = student.recording.spikes
    rng = np.random.default_rng(5)
    own = translate(student.model, student.model, v, output="sample", random_state=1)
    said = translate(one.model, student.model, one.recording, output="sample", random_state=2)
    median = [np.median(student.model.free_energy(x)) for x in (said, own, rng.permuted(v, axis=0))]
    expected = (median[0] - median[1]) / (median[2] - median[1])
    found = score_translation(one, student, random_state=0).free_energy["translated"]
    assert found == pytest.approx(expected, abs=0.05)


def test_states_are_those_of_the_sender_and_members_those_of_the_recipient():
    one, other = larva(0), larva(1)
    members = (other.truth.membership > 0).astype(float)
    shown = one.truth.states @ members.T  # a frame shows the members of what is active
    found = state_correlations(shown, other.truth, one.truth)
    assert found.min() > 0.5
    wrong = state_correlations(shown[::-1], other.truth, one.truth)
    assert np.abs(wrong).max() < 0.4
    with pytest.raises(ValueError, match="activity has shape"):
        state_correlations(shown[:, 1:], other.truth, one.truth)


def test_a_translation_is_encoding_and_decoding():
    one, other = random_machine(7, 2, 0), random_machine(5, 2, 1)
    v = np.random.default_rng(0).integers(0, 2, (40, 7))
    expected = other.mean_v_given_h(one.mean_h_given_v(v))
    np.testing.assert_array_equal(translate(one, other, v), expected)
    many = translate(one, other, np.repeat(v[:1], 40_000, axis=0), output="sample", random_state=0)
    h = one.sample_h_given_v(np.repeat(v[:1], 40_000, axis=0), np.random.default_rng(1))
    np.testing.assert_allclose(many.mean(axis=0), other.mean_v_given_h(h).mean(axis=0), atol=0.015)
    with pytest.raises(ValueError, match="output is 'median'"):
        translate(one, other, v, output="median")


def test_animals_of_other_units_are_refused():
    other = larva(1)
    with pytest.raises(ValueError, match="share their units"):
        score_translation(teacher(), Animal(random_machine(250, 3, 0), other))


def small_animal(n_neurons, n_hidden, seed, field=-1.0):
    """A machine of quadratic units and weak weights, and 200 frames of as many spikes."""
    rng = np.random.default_rng(seed)
    one = np.ones(n_hidden)
    weights = rng.uniform(0.2, 0.5, (n_neurons, n_hidden))
    model = CRBM.from_parameters(weights, np.full(n_neurons, field), one, one, 0 * one, 0 * one)
    v = rng.random((200, n_neurons)) < 1 / (1 + np.exp(-field))
    places = rng.uniform(0, 50, (n_neurons, 3))
    return Animal(model, Recording(v.astype(np.uint8), 2.5, coordinates=places))


@pytest.mark.filterwarnings("error")
def test_frames_that_are_mostly_empty_have_no_contrast_of_free_energies():
    """The median frame is empty whether spikes are shuffled or not: 0 / 0, and no error."""
    sender, recipient = (small_animal(6, 2, seed, field=-6.0) for seed in (0, 1))
    found = score_translation(sender, recipient, random_state=0)
    assert np.isnan(list(found.free_energy.values())).all()
    assert found.mean_v["own"] >= 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("n_sender", "n_recipient"), [(1, 6), (6, 1), (1, 1)])
def test_a_single_neuron_has_no_pairs_and_no_frames_in_space(n_sender, n_recipient):
    sender, recipient = small_animal(n_sender, 2, 0), small_animal(n_recipient, 2, 1)
    found = score_translation(sender, recipient, random_state=0)
    assert np.isnan(list(found.frames.values())).all()
    assert np.isnan(list(found.covariance_vv.values())).all() == (n_recipient == 1)
    # A single neuron at other times has the same frames in another order.
    assert np.isnan(list(found.free_energy.values())).all() == (n_recipient == 1)


def test_a_single_hidden_unit_has_one_entry_of_covariances():
    """The student and its teacher are one model, whose h are drawn anew."""
    one = small_animal(6, 1, 0)
    h = one.model.sample_h_given_v(one.model.sample(4000, random_state=1), 2)
    alone = Alignment(one, (one,), one, 0.5, h, 20.0, np.ones(1), np.ones(1), ())
    found = score_alignment(alone, random_state=0)
    assert found.covariance_hh["student"] == 1.0  # one entry in whatever order is as far
    assert found.quantiles["student"] < 0.2
    assert found.map_correlation.shape == (1,)
