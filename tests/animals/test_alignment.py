"""Students: their gauge, their limit, bad input, and a truth that both animals share."""

from dataclasses import replace

import numpy as np
import pytest

import crbm_lite as cl
from crbm_lite.animals.alignment import align
from crbm_lite.animals.animal import Animal
from crbm_lite.animals.controls import trained_controls
from crbm_lite.animals.joint import train_jointly
from crbm_lite.animals.scores import score_alignment, state_correlations
from crbm_lite.animals.translation import translate
from crbm_lite.model.model import CRBM
from tests.animals.pairs import MODEL, K, aligned, larva, quiet, teacher


def shown(alignment, sender=None):
    """How well the student's members show the teacher's true states, by assembly."""
    one, student = sender or teacher(), alignment.student
    said = translate(one.model, student.model, one.recording)
    return state_correlations(said, student.recording.truth, one.recording.truth)


def test_a_translation_predicts_the_true_states_in_the_other_animal():
    found = aligned()
    assert shown(found).min() > 0.75
    back = translate(found.student.model, teacher().model, found.student.recording)
    truths = teacher().recording.truth, found.student.recording.truth
    assert state_correlations(back, *truths).min() > 0.75


def test_it_fails_for_another_plan_for_permuted_maps_and_without_a_start():
    for other in (aligned(plan=7), aligned(start="permuted maps"), aligned(start="random")):
        assert shown(other).mean() < 0.5


def test_units_keep_signs_and_order_and_the_potentials_of_the_teacher():
    found, one = aligned(), teacher().model
    on = (one.weights_ != 0).any(axis=0)
    assert on.sum() == K
    carried, student = found.before.model.weights_[:, on], found.student.model.weights_[:, on]
    r = np.corrcoef(carried.T, student.T)[:K, K:]
    assert (r.argmax(axis=1) == np.arange(K)).all() and np.diag(r).min() > 0.8
    for name in ("gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_"):
        np.testing.assert_allclose(
            getattr(found.student.model, name), getattr(one, name), rtol=1e-6, atol=1e-6
        )
    free = aligned(freeze_hidden=False).student.model
    assert np.abs(free.theta_plus_ - one.theta_plus_)[on].max() > 0.05


def test_the_scale_of_h_is_the_teacher_s_whatever_that_is():
    """A teacher whose h are three times as large has a student whose h are three times as large."""
    one, factor = teacher(), 3.0
    potential = np.stack(one.model.units.parameters)
    potential = potential / np.array([[factor**2], [factor**2], [factor], [factor]])
    large = CRBM.from_parameters(one.model.weights_ / factor, one.model.fields_, *potential)
    large.set_params(**MODEL)
    found = quiet(align, Animal(large, one.recording), larva(1), n_updates=300, random_state=0)
    expected = aligned().student.model
    np.testing.assert_allclose(found.student.model.weights_ * factor, expected.weights_, atol=1e-3)
    v = larva(1).spikes[:300]
    np.testing.assert_allclose(
        found.student.model.mean_h_given_v(v), factor * expected.mean_h_given_v(v), atol=1e-2
    )


def test_the_student_of_an_animal_s_own_second_half_is_its_teacher():
    whole = larva(0, n_frames=3000)
    first, second = whole.select_frames(slice(0, 1500)), whole.select_frames(slice(1500, 3000))
    one = Animal(quiet(CRBM(**MODEL).fit, first), first)
    found = quiet(align, one, second, n_updates=600, random_state=0)
    on = (one.model.weights_ != 0).any(axis=0)

    def correlations(x, y):
        return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T[on], y.T[on])])

    student, unseen = found.student.model, larva(0, n_frames=3400).spikes[3000:]
    assert correlations(student.weights_, one.model.weights_).min() > 0.9
    h = (m.mean_h_given_v(unseen) for m in (student, one.model))
    assert correlations(*h).min() > 0.97
    error = [np.abs(m.weights_ - one.model.weights_)[:, on].mean() for m in
             (student, found.before.model)]  # fmt: skip
    assert error[0] < error[1]


def test_hidden_statistics_come_closer_to_the_teacher_s_by_training():
    scores = score_alignment(aligned(), random_state=0)
    for each in (scores.quantiles, scores.covariance_hh):
        assert each["student"] < 0.6 * each["before"]
        assert each["student"] < each["permuted"]
    assert scores.maps["student"] > 0.8 and scores.maps["permuted"] < 0.2


def test_a_run_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path):
    options = {"n_updates": 60, "random_state": 3}
    whole = quiet(align, teacher(), larva(1), **options)
    path = tmp_path / "student.h5"
    quiet(align, teacher(), larva(1), checkpoint=path, checkpoint_every=40, **options)
    path.with_name("student.h5.previous").rename(path)
    again = quiet(align, teacher(), larva(1), checkpoint=path, resume=True, **options)
    np.testing.assert_array_equal(again.student.model.weights_, whole.student.model.weights_)


def test_units_without_tissue_are_reported():
    one, half = teacher(), larva(1)
    half = half.select_neurons(half.coordinates[:, 0] < 100)
    found = quiet(align, one, half, n_updates=20, random_state=0)
    centre = np.abs(one.model.weights_).T @ one.coordinates[:, 0]
    centre /= np.maximum(np.abs(one.model.weights_).sum(axis=0), 1e-9)
    on = (one.model.weights_ != 0).any(axis=0)
    assert len(found.without_tissue) > 0
    assert centre[found.without_tissue].min() > centre[on & (found.reach > 0.5)].max()


def test_several_teachers_count_as_one_animal():
    first, second = teacher(), aligned().student
    found = quiet(align, [first, second], larva(2), n_updates=200, random_state=0)
    assert shown(found).mean() > 0.8
    assert len(found.unseen_h) == round(0.25 * 3000)


def test_three_animals_on_one_hidden_layer():
    animals = quiet(
        train_jointly, CRBM(**MODEL), [larva(k) for k in range(3)], n_updates=200, random_state=0
    )
    one, two = (a.model for a in animals[:2])
    np.testing.assert_allclose(two.units.parameters, one.units.parameters, rtol=1e-5, atol=1e-5)
    for sender, recipient in ((0, 1), (1, 2), (2, 0)):
        a, b = animals[sender], animals[recipient]
        said = translate(a.model, b.model, a.recording)
        r = state_correlations(said, b.recording.truth, a.recording.truth)
        assert r.mean() > 0.8


def test_the_cost_of_joint_training_is_linear_in_the_animals(monkeypatch):
    """Each animal is aligned once and trained once a sweep, always on as many values of h."""
    import crbm_lite.animals.alignment as alignment
    import crbm_lite.animals.joint as joint

    runs, real = [], alignment.train_student

    def counted(model, recording, start, h, term, **where):
        runs.append(len(h))
        return real(model, recording, start, h, term, **where)

    monkeypatch.setattr(alignment, "train_student", counted)
    monkeypatch.setattr(joint, "train_student", counted)
    larvae = [larva(k, n_neurons=60, n_frames=300) for k in range(4)]
    for n in (2, 4):
        runs.clear()
        model = CRBM(**MODEL | {"n_updates": 5})
        quiet(train_jointly, model, larvae[:n], n_updates=5, random_state=0)
        assert len(runs) == (n - 1) + n
        assert all(0 <= values - joint._N_VALUES < n for values in runs[-n:])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"hidden_share": 1.5}, "hidden_share is 1.5"),
        ({"start": "zero"}, "start is 'zero'"),
        ({"sigma_um": -1.0}, "sigma_um"),
        ({"l1": "auto"}, 'l1 is "auto"'),
    ],
)
def test_impossible_arguments_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        quiet(align, teacher(), larva(1), random_state=0, **change)


def test_recordings_that_do_not_fit_are_refused():
    one, other = teacher(), larva(1)
    for recording, match in (
        (replace(other, coordinates=None), "coordinates of the recording is None"),
        (replace(other, coordinate_unit="mm"), "coordinate_unit of the recording is 'mm'"),
        (replace(other, rate_hz=10.0), "rate_hz is 10 for the student and 2.5 for the teacher"),
        (larva(1, shift_um=5000.0), "no neuron of the student lies within"),
        ("a recording", "recording is a str: give a Recording"),
    ):
        with pytest.raises(ValueError, match=match):
            align(one, recording)
    found = quiet(align, one, replace(other, rate_hz=3.2), n_updates=5, random_state=0)
    assert "1.28 times as long" in found.notes[0]


def test_animals_that_do_not_fit_are_refused():
    one = teacher()
    with pytest.raises(ValueError, match="model has 250 neurons and recording 60"):
        Animal(one.model, larva(0, n_neurons=60))
    with pytest.raises(ValueError, match="give a fitted CRBM"):
        Animal("model", one.recording)
    with pytest.raises(ValueError, match="coordinates of the recording is None"):
        Animal(one.model, replace(one.recording, coordinates=None))
    names = [f"roi {i}" for i in range(250)]
    named = CRBM.from_parameters(one.model.weights_, one.model.fields_, *one.model.units.parameters)
    named.feature_names_in_ = np.array(names, dtype=object)
    Animal(named, replace(one.recording, names=names))
    with pytest.raises(ValueError, match="another order"):
        Animal(named, replace(one.recording, names=names[::-1]))
    with pytest.raises(ValueError, match="teacher is empty"):
        align([], larva(1))
    with pytest.raises(ValueError, match="give Animal"):
        align(one.model, larva(1))
    for recordings in ([larva(0)], larva(0)):
        with pytest.raises(ValueError, match="holds 1 animal"):
            train_jointly(CRBM(**MODEL), recordings)
    for wrong, match in (
        ({"hidden_share": 0}, "hidden_share is 0"),
        ({"hidden_share": "half"}, "hidden_share is 'half'"),
        ({"n_sweeps": -1}, "n_sweeps is -1"),
        ({"model": "a model"}, "model is a str"),
    ):
        given = {"model": CRBM(**MODEL), "recordings": [larva(0), larva(1)]} | wrong
        with pytest.raises(ValueError, match=match):
            train_jointly(**given)
    with pytest.raises(ValueError, match="recipient is a Animal: give a CRBM"):
        translate(one.model, one, one.recording)
    small = CRBM.from_parameters(one.model.weights_[:, :2], one.model.fields_,
                                 *np.stack(one.model.units.parameters)[:, :2])  # fmt: skip
    with pytest.raises(ValueError, match="share their units"):
        align([one, Animal(small, one.recording)], larva(1))
    with pytest.raises(ValueError, match="share their units"):
        translate(one.model, small, one.recording)


def test_controls_are_the_same_training_without_one_thing():
    found = quiet(trained_controls, teacher(), larva(1), n_updates=5, random_state=0)
    assert list(found) == ["permuted maps", "random start", "no h", "no v"]
    assert [a.hidden_share for a in found.values()] == [0.5, 0.5, 0.0, 1.0]
    maps = align.__globals__["interpolation"](
        teacher().coordinates, larva(1).coordinates, found["no h"].sigma_um
    ) @ (teacher().model.weights_ * found["no h"].scale)
    np.testing.assert_allclose(
        found["permuted maps"].before.model.weights_, np.roll(maps, 1, axis=1), atol=1e-5
    )
    assert np.abs(found["random start"].before.model.weights_).max() < 0.06


def test_public_names_are_at_hand():
    assert cl.align is align and cl.translate is translate
