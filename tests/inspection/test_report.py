"""Findings: each check sees the defect planted for it, and stays quiet without."""

from dataclasses import replace

import numpy as np
import pytest

from crbm_lite.inspection.report import check_recording
from crbm_lite.recordings.files import Recording
from crbm_lite.simulation.planted import plant_recording


@pytest.fixture(scope="module")
def good():
    return plant_recording(150, 4, (30, 36), 2600, n_unassigned=15, activity_range=(0.1, 0.1))


def altered(recording, change):
    """The recording with spikes that a function changed in place."""
    spikes = recording.spikes.copy()
    change(spikes)
    return Recording(spikes, recording.rate_hz)


def check(recording, **options):
    return check_recording(recording, measure_cost=False, **options)


def test_a_good_recording_has_nothing_to_complain_about(good):
    report = check(good)
    assert [f.name for f in report.findings if f.level != "ok"] == []
    assert report.worst == "ok"
    assert len({f.name for f in report.findings}) == len(report.findings) == 12


def test_a_page_of_text(good):
    bad = altered(good, lambda v: v.__setitem__((slice(None), slice(0, 30)), 0))
    text = str(check_recording(bad))
    lines = text.splitlines()
    assert 15 < len(lines) <= 50
    assert max(map(len, lines)) <= 100
    assert "look     silent       30 neurons never spike (0, 1, 2, 3, 4, ...)" in text
    assert "-> leave them out with recording.select_neurons" in text
    assert f"cl.CRBM(n_hidden={check(bad).advice.n_hidden}, " in text
    assert "measured here" in text


def test_swapped_axes(good):
    swapped = Recording(np.ascontiguousarray(good.spikes[:600].T), good.rate_hz)
    assert check(swapped).finding("orientation").level == "problem"


@pytest.mark.parametrize(
    ("name", "change", "neurons"),
    [
        ("silent", lambda v: v.__setitem__((slice(None), [3, 7]), 0), (3, 7)),
        ("hyperactive", lambda v: v.__setitem__((slice(0, 1600), 5), 1), (5,)),
        ("duplicates", lambda v: v.__setitem__((slice(None), 9), v[:, 4]), (9,)),
        ("dead", lambda v: v.__setitem__((slice(900, 1900), 11), 0), (11,)),
    ],
)
def test_neurons_that_deserve_a_look(name, change, neurons, good):
    found = check(altered(good, change)).finding(name)
    assert (found.level, found.neurons) == ("look", neurons)
    assert found.todo
    assert check(good).finding(name).neurons == ()


@pytest.mark.parametrize(("share", "dead"), [(0.15, ()), (0.25, (2,))])
def test_dead_is_a_fifth_of_the_recording_at_least(share, dead, good):
    def stop(v):
        v[:, 2] = np.arange(len(v)) % 3 == 0
        v[: round(share * len(v)), 2] = 0

    assert check(altered(good, stop)).finding("dead").neurons == dead


def test_activity_against_the_threshold(good):
    rng = np.random.default_rng(0)
    thin = altered(good, lambda v: np.multiply(v, rng.random(v.shape) < 0.15, out=v))
    found = check(thin).finding("activity")
    assert found.level == "problem"
    assert found.value == pytest.approx(thin.spikes.mean())
    assert check(good).finding("activity").value == pytest.approx(good.spikes.mean())


def test_upsampled_frames(good):
    double = Recording(np.repeat(good.spikes[:1000], 2, axis=0), 5.0)
    found = check(double).finding("rate")
    assert found.level == "problem"
    assert "50%" in found.text


@pytest.mark.parametrize(("rate_hz", "level"), [(1000.0, "look"), (0.1, "look"), (4.0, "ok")])
def test_rate(rate_hz, level, good):
    assert check(replace(good, rate_hz=rate_hz)).finding("rate").level == level


def test_artefacts(good):
    flash = altered(good, lambda v: v.__setitem__(slice(700, 703), 1))
    found = check(flash).finding("artefacts")
    assert (found.level, found.value) == ("look", 3.0)
    assert "first 700" in found.text


def test_drift_is_told_from_slow_states(good):
    rng = np.random.default_rng(1)

    def fade(v):
        v[1000:] &= rng.random(v[1000:].shape) < 0.4

    assert check(altered(good, fade)).finding("drift").level == "look"
    slow = plant_recording(
        200, 4, (40, 50), 4000, n_unassigned=20, active_s=20, inactive_s=120,
        activity_range=(0.05, 0.06),
    )  # fmt: skip
    assert check(slow).finding("drift").value < 0.1


def test_ceiling_is_the_correlation_of_train_and_test_covariances(good):
    from crbm_lite.recordings.splits import split_train_test

    train, test = split_train_test(good)
    upper = np.triu_indices(150, 1)
    c = [np.cov(x.spikes.T)[upper] for x in (train, test)]
    found = check(good).finding("ceiling")
    assert found.value == pytest.approx(np.corrcoef(c)[0, 1], abs=1e-4)


def test_independent_neurons_have_no_ceiling_pairs_or_components():
    rng = np.random.default_rng(2)
    noise = Recording(rng.random((2000, 100)) < 0.05, 2.5)
    report = check(noise)
    levels = [report.finding(name).level for name in ("ceiling", "pairs", "length")]
    assert levels == ["problem", "look", "problem"]
    assert report.advice.n_components == 0
    assert report.finding("pairs").value < 0.02


def test_the_method_is_the_function(good):
    report = good.check(n_hidden=3)
    assert report.findings == check(good, n_hidden=3).findings


def test_short_recordings_are_said_to_be_short(good):
    report = check(good.select_frames(slice(0, 200)))
    assert report.finding("length").level == "look"
    assert not report.advice.is_long_enough
    many = check(good, n_hidden=40)
    assert many.advice.n_hidden == 40
    assert "M = 6 is usual" in many.finding("length").todo
    assert "as asked; 1.4 x 4 components make 6" in str(many.advice)


def test_components_of_a_sample_of_the_neurons_are_a_lower_limit(good, monkeypatch):
    monkeypatch.setattr("crbm_lite.inspection.advice._MOST_NEURONS", good.n_neurons - 1)
    counted = f"components of {good.n_neurons - 1} neurons"
    assert f"1.4 x 4 {counted}: take more, all neurons show more" in str(check(good).advice)
    many = check(good, n_hidden=40)
    assert f"as asked; 1.4 x 4 {counted} make 6" in str(many.advice)
    assert many.finding("length").level == "ok"  # who knows how many assemblies there are
    assert f"noise of {good.n_neurons - 1} neurons" in many.finding("length").text
    spikes = good.spikes.copy()
    spikes[:, 0] = 0  # what never spikes is not counted, so that the others are all
    assert not check(Recording(spikes, good.rate_hz)).advice.is_lower_limit


def test_impossible_questions(good):
    with pytest.raises(ValueError, match="at least 20 frames"):
        check(good.select_frames(slice(0, 10)))
    with pytest.raises(ValueError, match="n_hidden is 0"):
        check(good, n_hidden=0)
    with pytest.raises(ValueError, match="no such finding"):
        check(good).finding("none")


def test_hardly_anything_varies():
    spikes = np.zeros((100, 5))
    spikes[::7, 2] = 1
    report = check(Recording(spikes, 2.0))
    assert report.finding("pairs").level == "problem"
    assert report.finding("silent").neurons == (0, 1, 3, 4)
    assert check(Recording(np.zeros((100, 5)), 2.0)).worst == "problem"
