"""Findings: each check sees the defect planted for it, and stays quiet without."""

from dataclasses import replace

import numpy as np
import pytest

from crbm_lite.inspection.report import check_recording
from crbm_lite.recordings.controls import shift_time
from crbm_lite.recordings.files import Recording
from crbm_lite.simulation.larva_recording import simulate_recording
from crbm_lite.simulation.planted import draw_states, plant_recording


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
    assert "look     silent       30 neurons never spike (numbers 0, 1, 2, 3, 4, ..." in text
    assert "-> leave them out with recording.select_neurons" in text
    assert text.endswith("  cl.CRBM().fit(train)")
    assert "measured here" in text
    assert check_recording(bad).page("type this\nand that").endswith("  type this\n  and that")


def test_neurons_are_told_by_their_names(good):
    spikes = np.array(good.spikes)
    spikes[:, [4, 7]] = 0
    names = [f"roi {2 * i}" for i in range(good.n_neurons)]
    found = check(Recording(spikes, good.rate_hz, names=names)).finding("silent")
    assert found.text == "2 neurons never spike (names roi 8, roi 14)"
    assert found.neurons == (4, 7)
    spikes[:, 7] = good.spikes[:, 7]
    found = check(Recording(spikes, good.rate_hz, names=names)).finding("silent")
    assert found.text == "1 neuron never spikes (name roi 8)"


def test_swapped_axes(good):
    for n_frames in (600, 2600):
        swapped = Recording(np.ascontiguousarray(good.spikes[:n_frames].T), good.rate_hz)
        assert check(swapped).finding("orientation").level == "problem"


def clusters(active_frames, n_frames=3000):
    """Eight assemblies of twelve neurons each, one beside the other."""
    rng = np.random.default_rng(0)
    states = draw_states(n_frames, np.full(8, active_frames), np.full(8, 9 * active_frames), rng)
    return rng.random((n_frames, 96)) < np.where(np.repeat(states, 12, axis=1), 0.6, 0.02)


@pytest.mark.parametrize(("active_frames", "n_regions"), [(1.0, 1), (1.3, 1), (1.3, 2)])
def test_sorted_neurons_are_not_taken_for_swapped_axes(active_frames, n_regions):
    """Activity that lasts, or states that do not come back, tell neurons from frames."""
    region = np.arange(96) % n_regions  # every assembly has neurons in each
    spikes = clusters(active_frames)[:, np.argsort(region, kind="stable")]
    found = check(Recording(spikes, 2.5)).finding("orientation")
    assert found.level == "look"
    assert "fine if you sorted the neurons" in found.todo
    rng = np.random.default_rng(1)
    disordered = Recording(spikes[:, rng.permutation(96)], 2.5)
    assert check(disordered).finding("orientation").level == "ok"


def test_the_sorted_larva_has_no_problem():
    larva = simulate_recording(600, 2000, random_state=0)
    strongest = np.abs(larva.truth.effects.toarray()).argmax(axis=1)
    order = np.argsort(strongest, kind="stable")
    assert check(Recording(larva.spikes[:, order], larva.rate_hz)).worst != "problem"


def test_correlations_do_not_reach_across_gaps(good):
    pieces = np.array_split(good.spikes, 650)
    order = np.random.default_rng(0).permutation(650)
    spikes = np.concatenate([pieces[i] for i in order])
    cuts = np.arange(4, 2600, 4)
    joined, cut = (
        check(Recording(spikes, 2.5, discontinuities=x)).finding("orientation").value
        for x in ((), cuts)
    )
    whole = check(good).finding("orientation").value
    assert joined < 0.85 * whole
    assert cut == pytest.approx(whole, rel=0.1)


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


def test_bursts_with_pauses_are_not_dead(good):
    rng = np.random.default_rng(0)
    spikes = good.spikes.copy()
    spikes[:, :2] = 0
    for start in (100, 800, 1500, 2200):  # bursts, with pauses of a quarter of the recording
        spikes[start : start + 90, 0] = rng.random(90) < 0.8
    for start in (100, 300, 500, 700, 900, 1100, 1300):  # such bursts, until it stops
        spikes[start : start + 90, 1] = rng.random(90) < 0.8
    assert check(Recording(spikes, 2.5)).finding("dead").neurons == (1,)


def test_neurons_of_a_few_spikes_are_no_duplicates(good):
    spikes = good.spikes.copy()
    spikes[:, :2] = 0
    spikes[[500, 900], :2] = 1
    assert check(Recording(spikes, 2.5)).finding("duplicates").neurons == ()


def test_low_activity_is_no_problem_where_assemblies_stand_out():
    thin = plant_recording(
        200, 4, (40, 50), 8000, n_unassigned=20, activity_range=(0.012, 0.012), effect_range=(3, 4)
    )
    report = check(thin)
    assert (report.finding("activity").level, report.worst) == ("look", "look")


def test_activity_against_the_threshold(good):
    rng = np.random.default_rng(0)
    thin = altered(good, lambda v: np.multiply(v, rng.random(v.shape) < 0.15, out=v))
    found = check(thin).finding("activity")
    assert found.level == "look"
    assert "threshold is 0.02" in found.text
    assert found.value == pytest.approx(thin.spikes.mean())
    assert check(good).finding("activity").value == pytest.approx(good.spikes.mean())


@pytest.mark.parametrize(
    ("factor", "todo"),
    [
        (2, "every second frame"),
        (3, "every third frame"),
        (5, "every 5th frame"),
        (2.5, "2 of 5 frames"),
        (5 / 3, "3 of 5 frames"),
    ],
)
@pytest.mark.parametrize("gap", [False, True])
def test_upsampled_frames(factor, todo, gap, good):
    frames = np.floor(np.arange(2500) / factor + 1e-9).astype(int)
    double = Recording(good.spikes[frames], 5.0)
    if gap:
        double = double.select_frames(np.delete(np.arange(2500), slice(700, 713)))
    found = check(double).finding("rate")
    assert found.level == "problem"
    assert found.todo.endswith(todo)
    assert f"{1 - 1 / factor:.0%}"[:-2] in found.text


def bursts(n_frames=3000, n_neurons=80):
    """One assembly at a time, in which the same neurons hold on for a few frames."""
    rng = np.random.default_rng(0)
    members = [rng.permutation(n_neurons)[:20] for _ in range(6)]
    spikes, frame = np.zeros((n_frames, n_neurons), dtype=np.uint8), 0
    while frame < n_frames:
        frame += rng.geometric(1 / 12)
        stop = frame + rng.integers(2, 9)
        spikes[frame:stop, members[rng.integers(6)]] = 1
        frame = stop
    return spikes


def test_bursts_are_not_taken_for_upsampling():
    report = check(Recording(bursts(), 2.5))
    found = report.finding("rate")
    assert found.level == "look" and "repeat the one before" in found.text
    assert report.worst == "look"
    double = np.repeat(bursts(1500), 2, axis=0)
    assert check(Recording(double, 2.5)).finding("rate").level == "problem"


def test_frames_repeat_where_spikes_are_sparse_and_last():
    spikes = np.zeros((6000, 40), dtype=np.uint8)
    rng = np.random.default_rng(0)
    for i in range(40):
        for start in rng.integers(5990, size=12):
            spikes[start : start + rng.integers(3, 9), i] = 1
    report = check(Recording(spikes, 2.5))
    assert report.finding("rate").level == "ok"
    assert "repeat the one before" in report.finding("rate").text
    assert report.finding("drift").value < 0.1  # a burst is one event, not five


def test_a_gap_is_no_repetition():
    spikes = np.tile(np.eye(2, 6, dtype=np.uint8), (100, 1)).repeat(2, axis=0)
    assert "repeat the one before" in check(Recording(spikes, 2.5)).finding("rate").text
    cut = Recording(spikes, 2.5, discontinuities=np.arange(1, 400, 2))
    assert "repeat the one before" not in check(cut).finding("rate").text


@pytest.mark.parametrize(("rate_hz", "level"), [(1000.0, "look"), (0.1, "look"), (4.0, "ok")])
def test_rate(rate_hz, level, good):
    assert check(replace(good, rate_hz=rate_hz)).finding("rate").level == level


def test_artefacts(good):
    flash = altered(good, lambda v: v.__setitem__(slice(700, 703), 1))
    found = check(flash).finding("artefacts")
    assert (found.level, found.value) == ("look", 3.0)
    assert found.text == "3 frames with more than 64% of the neurons, 700 to 702"
    assert found.frames == (700, 701, 702)
    names = {"np": np, "recording": flash}
    exec(found.code, names)  # what the page says to type
    assert names["recording"].n_frames == good.n_frames - 3
    assert names["recording"].discontinuities.tolist() == [700]
    assert check(names["recording"]).finding("artefacts").level == "ok"
    assert found.code in str(check(flash))  # in one line


def test_a_single_artefact_is_told_in_the_singular(good):
    found = check(altered(good, lambda v: v.__setitem__(1500, 1))).finding("artefacts")
    assert found.text == "1 frame with more than 64% of the neurons, 1500"
    assert "np.r_[1500]" in found.code


def shaken(good, shares, traces=None, discontinuities=()):
    """The recording with these shares of active neurons, and this dF/F, from frame 1500 on."""
    rng = np.random.default_rng(0)
    spikes = np.array(good.spikes)
    dff = rng.normal(0.2, 0.1, spikes.shape).astype(np.float32)
    for k, share in enumerate(shares):
        spikes[1500 + k] = np.arange(good.n_neurons) < share * good.n_neurons
    for k, height in enumerate(traces or ()):
        dff[1500 + k] += height
    return Recording(
        spikes, good.rate_hz, dff=None if traces is None else dff, discontinuities=discontinuities
    )


def test_an_event_lasts_as_long_as_its_traces_are_above_half_of_their_height(good):
    """Deconvolution puts the spikes of a jump of dF/F into its first frame."""
    at_once, heights = (1.0, 0.3, 0.1, 0.1, 0.1), (1.7, 1.8, 1.7, 1.6, 1.5, 0.7)
    found = check(shaken(good, at_once, heights)).finding("artefacts")
    assert found.frames == tuple(range(1500, 1505)) and found.value == 5.0
    assert found.text.endswith("of the neurons, 1500; the whole event is 1500 to 1504")
    assert check(shaken(good, at_once)).finding("artefacts").frames == (1500,)
    cut = check(shaken(good, at_once, heights, discontinuities=[1502])).finding("artefacts")
    assert cut.frames == (1500, 1501)  # time jumps there


def test_frames_with_half_as_many_active_neurons_belong_to_the_event(good):
    found = check(shaken(good, (0.3, 0.75, 1.0, 0.75, 0.3))).finding("artefacts")
    assert found.frames == (1501, 1502, 1503)
    found = check(shaken(good, (0.3, 0.6, 1.0, 0.6, 0.3))).finding("artefacts")
    assert found.frames == (1501, 1502, 1503)  # below the limit, above half of the height
    assert found.text.endswith("of the neurons, 1502; the whole event is 1501 to 1503")


def test_traces_that_do_not_rise_take_no_ordinary_frames_along(good):
    """Half of a small height is an ordinary frame."""
    slow = 0.2 + 0.01 * np.sin(2 * np.pi * (np.arange(good.n_frames) - 1500) / 100 + np.pi / 6)
    traces = np.tile(slow[:, None], good.n_neurons)
    flash = replace(shaken(good, (1.0,)), dff=traces)
    assert check(flash).finding("artefacts").frames == (1500,)


def test_artefacts_in_many_frames_do_not_raise_their_own_limit(good):
    frames = np.random.default_rng(0).choice(good.n_frames, good.n_frames // 30, replace=False)
    shaken = altered(good, lambda v: v.__setitem__(frames, 1))
    found = check(shaken).finding("artefacts")
    assert (found.level, found.value) == ("look", frames.size)
    assert found.frames == tuple(np.sort(frames))
    assert found.text.count(",") == 6 and found.text.endswith(", ...")
    names = {"np": np, "recording": shaken}
    exec(found.code, names)
    assert names["recording"].n_frames == good.n_frames - frames.size


def test_there_is_no_word_on_leaving_most_of_a_recording_out():
    always = Recording(np.ones((100, 40)), 2.5)
    found = check(always).finding("artefacts")
    assert (found.value, found.code) == (100.0, "")


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


def test_a_low_ceiling_is_a_problem_only_if_shifted_neurons_reach_it_too():
    faint = plant_recording(
        300, 3, (60, 80), 3000, n_unassigned=100, activity_range=(0.05, 0.05),
        effect_range=(1.3, 1.4),
    )  # fmt: skip
    found = check(faint).finding("ceiling")
    assert found.value < 0.15
    assert found.level == "look"
    assert "if neurons are shifted in time" in found.text
    shifted = Recording(shift_time(faint, 0).toarray(), 2.5)
    assert check(shifted).finding("ceiling").level == "problem"


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
    assert "leave n_hidden out" in many.finding("length").todo
    assert "as asked" in str(many.advice)
    assert "cl.CRBM(n_hidden=40).fit(train)" in str(many.advice)


def test_components_of_a_sample_of_the_neurons_are_a_lower_limit(good, monkeypatch):
    monkeypatch.setattr("crbm_lite.inspection.advice._MOST_NEURONS", good.n_neurons - 1)
    assert check(good).advice.is_lower_limit
    many = check(good, n_hidden=40)
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
    with pytest.raises(ValueError, match="name is 'none': give a finding, one of"):
        check(good).finding("none")


def test_hardly_anything_varies():
    spikes = np.zeros((100, 5))
    spikes[::7, 2] = 1
    report = check(Recording(spikes, 2.0))
    assert report.finding("pairs").level == "problem"
    assert report.finding("silent").neurons == (0, 1, 3, 4)
    assert check(Recording(np.zeros((100, 5)), 2.0)).worst == "problem"
