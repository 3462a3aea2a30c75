"""The simulated fish: anatomy of the labels, targets of the paper, truth, bits."""

import numpy as np
import pytest
import scipy.sparse

from crbm_lite.datasets.atlas import load_atlas
from crbm_lite.datasets.atlas_volume import load_atlas_volume
from crbm_lite.datasets.fish import _N_FRAMES, _RATE_HZ, simulate_fish
from crbm_lite.datasets.fish_plan import plan_fish
from crbm_lite.datasets.fish_positions import place_neurons, share_out, thin_labels
from crbm_lite.datasets.fish_spikes import draw_bursts
from crbm_lite.datasets.fish_states import plan_modes
from crbm_lite.datasets.fish_targets import assembly_traces, fish_targets
from crbm_lite.datasets.registry import DatasetUnavailable
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.simulation.planted import plant_recording


@pytest.fixture(scope="module")
def atlas():
    try:
        return load_atlas()
    except DatasetUnavailable as reason:
        pytest.skip(f"zebrafish-atlas: {reason}")


@pytest.fixture(scope="module")
def fish(atlas):
    return simulate_fish(3, scale=0.1, random_state=0)


@pytest.fixture(scope="module")
def plans(atlas):
    return plan_fish(atlas, load_atlas_volume())


@pytest.fixture(scope="module")
def small(atlas):
    return simulate_fish(8, scale=0.02, random_state=0)


def region_of(recording):
    return np.where(recording.labels.any(axis=1), recording.labels.argmax(axis=1), -1)


# ---------------------------------------------------------------------- counts and places


def test_shares_add_up_and_differ_from_the_quota_by_less_than_one():
    counts = np.random.default_rng(0).integers(0, 500, size=60)
    for scale in (0.01, 0.1, 0.37, 1.0):
        kept = share_out(counts, scale)
        assert kept.sum() == round(scale * counts.sum())
        assert (np.abs(kept - scale * counts) < 1).all()
    np.testing.assert_array_equal(share_out(counts, 1.0), counts)


def test_thinning_keeps_order_and_all_at_full_size():
    labels = np.array([5, -1, 5, 2, 2, 5, -1, 2])
    np.testing.assert_array_equal(thin_labels(labels, 1.0, np.random.default_rng(0)), labels)
    half = thin_labels(labels, 0.5, np.random.default_rng(0))
    assert sorted(half.tolist()) == [-1, 2, 2, 5] or sorted(half.tolist()) == [-1, 2, 5, 5]


def test_another_time_and_activity_leave_the_anatomy_and_the_members(small):
    other = simulate_fish(8, scale=0.02, minutes=3.0, activity=0.1, random_state=0)
    np.testing.assert_array_equal(other.coordinates, small.coordinates)
    np.testing.assert_array_equal(other.truth.membership, small.truth.membership)
    assert other.n_frames == round(180 * small.rate_hz)
    assert other.activity.mean() == pytest.approx(0.1, rel=0.15)


def test_fewer_assemblies_are_the_first_of_the_plan(small):
    fewer = simulate_fish(8, scale=0.02, n_assemblies=30, minutes=1.0, random_state=0)
    assert fewer.truth.names == small.truth.names[:30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 0.0}, "minutes is 0.0: give the length, a positive number"),
        ({"activity": 1.0}, "activity is 1.0: give spikes per frame between 0 and 1"),
        ({"n_assemblies": 0}, "n_assemblies is 0: give 30 to 200"),
    ],
)
def test_impossible_fish_are_refused(atlas, options, message):
    with pytest.raises(ValueError, match=message):
        simulate_fish(8, scale=0.02, **options)


def test_counts_per_region_are_those_of_the_labels(atlas, fish):
    labels = atlas.labels[2]
    wanted = share_out(np.bincount(labels + 1, minlength=73), 0.1)
    np.testing.assert_array_equal(np.bincount(region_of(fish) + 1, minlength=73), wanted)
    assert fish.n_neurons == round(0.1 * labels.size)
    assert fish.label_names == atlas.names


def test_full_size_has_the_label_of_every_neuron(atlas):
    labels = atlas.labels[7]
    np.testing.assert_array_equal(thin_labels(labels, 1.0, np.random.default_rng(0)), labels)


def test_places_lie_in_the_voxels_of_their_region(fish):
    np.testing.assert_array_equal(load_atlas_volume().region_at(fish.coordinates), region_of(fish))


def test_unlabelled_neurons_lie_in_planes_of_labelled_ones(fish):
    plane = np.floor(fish.coordinates[:, 2] / 2).astype(int)
    labelled = fish.labels.any(axis=1)
    assert set(plane[~labelled]) <= set(plane[labelled])


def test_no_neuron_in_a_region_is_an_error(atlas):
    with pytest.raises(ValueError, match="labels has no neuron in a region"):
        place_neurons(np.array([-1, -1]), load_atlas_volume(), np.random.default_rng(0))


def test_rates_and_durations_have_the_papers_mean_and_spread():
    assert np.mean(_RATE_HZ) == pytest.approx(3.9)
    assert np.std(_RATE_HZ, ddof=1) == pytest.approx(0.8, abs=0.05)
    duration_s = np.divide(_N_FRAMES, _RATE_HZ)
    assert duration_s.mean() == pytest.approx(1514, abs=5)
    assert duration_s.std(ddof=1) == pytest.approx(238, abs=15)
    assert _N_FRAMES[:3] == (5500, 6000, 5553)


# ---------------------------------------------------------------------- targets


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_targets_at_a_tenth_of_the_size(atlas, fish, seed):
    recording = fish if seed == 0 else simulate_fish(3, scale=0.1, random_state=seed)
    targets = fish_targets(recording)
    missed = [f"{t.quantity}: {t.measured:.3f}" for t in targets if t.planted and not t.holds]
    assert missed == []
    assert all(np.isfinite(t.measured) for t in targets)
    spread = np.quantile(recording.activity, [0.05, 0.95])
    assert spread[1] > 5 * spread[0]  # activity is broad over neurons


def test_targets_need_a_fish():
    with pytest.raises(ValueError, match="give one of simulate_fish"):
        fish_targets(plant_recording(200, 4, (20, 30), 300, 50))


# ---------------------------------------------------------------------- truth


def test_members_fire_more_while_their_assembly_is_on(fish):
    states, member = fish.truth.states, fish.truth.membership > 0
    ratio = []
    for k in np.flatnonzero(member.sum(axis=0) >= 10):
        spikes = fish.spikes[:, member[:, k]]
        ratio.append(spikes[states[:, k]].mean() / spikes[~states[:, k]].mean())
    assert len(ratio) > 150
    assert min(ratio) > 1.2
    assert np.median(ratio) > 2


def test_just_the_planted_share_of_neurons_belongs_to_no_assembly(fish):
    none = ~(fish.truth.membership > 0).any(axis=1)
    assert none.sum() == round(0.065 * fish.n_neurons)


def test_fifty_seven_labels_hold_neurons(atlas):
    assert (atlas.n_neurons.sum(axis=0) > 0).sum() == 57


def test_the_antiphasic_pair_takes_turns_and_gates_two_others(fish):
    kinds = np.array(fish.truth.kinds)
    left, right = fish.truth.states[:, kinds == "antiphasic"].T
    assert not (left & right).any()
    gated = fish.truth.states[:, kinds == "gated"].T
    for side, follower in zip((left, right), gated, strict=True):
        assert follower.any()
        assert not (follower & ~side).any()


def test_activity_is_what_the_truth_says(fish):
    expected = np.mean([p.mean(axis=0) for _, p in fish.truth.tiles()], axis=0)
    assert np.corrcoef(expected, fish.activity)[0, 1] > 0.95
    assert fish.activity.mean() == pytest.approx(expected.mean(), rel=0.02)


def test_traces_tell_the_states(fish):
    traces, step = assembly_traces(fish), round(fish.rate_hz)
    on = fish.truth.states[::step]
    r = [np.corrcoef(x, s)[0, 1] for x, s in zip(traces.T, on.T, strict=True)]
    assert np.median(r) > 0.6


def test_spikes_come_in_bursts_of_the_given_length():
    n = 4000
    truth = GroundTruth(
        np.full(n, np.log(0.2 / 0.8)), scipy.sparse.csr_array((n, 1)), np.zeros((400, 1)), ("a",),
        ("x",),
    )  # fmt: skip
    for hold in (1.0, 4.0):
        spikes = draw_bursts(truth, hold, np.random.default_rng(0)).astype(float)
        assert spikes.mean() == pytest.approx(0.2, abs=0.003)
        r = np.corrcoef(spikes[:-1].ravel(), spikes[1:].ravel())[0, 1]
        assert r == pytest.approx(1 - 1 / hold, abs=0.01)
    with pytest.raises(ValueError, match=r"hold_frames is 0\.5"):
        draw_bursts(truth, 0.5, np.random.default_rng(0))


# ---------------------------------------------------------------------- plan, seeds, input


def test_animals_share_the_plan(atlas, plans, fish):
    other = simulate_fish(1, scale=0.02, random_state=5)
    assert other.truth.names == fish.truth.names
    half = plan_fish(atlas, load_atlas_volume(), 100)
    assert [p.name for p in half] == [p.name for p in plans[:100]]
    kinds = [p.kind for p in plans]
    assert [kinds.count(k) for k in ("antiphasic", "gated", "pathway", "tile")] == [2, 2, 1, 18]
    assert kinds.count("dispersed") == 8


def test_mirror_images_lie_on_the_other_side_and_switch_alike(plans):
    modes = plan_modes(plans)
    paired = [k for k, plan in enumerate(plans) if plan.mirror >= 0]
    assert len(paired) > 100
    for k in paired:
        image = plans[plans[k].mirror]
        assert image.mirror == k
        assert image.regions == tuple(r ^ 1 for r in plans[k].regions)
        np.testing.assert_allclose(modes.loads[k], modes.loads[plans[k].mirror])


def test_spanning_assemblies_have_two_to_six_regions(plans):
    n = [len(set(plan.regions)) for plan in plans if plan.kind == "spanning"]
    assert min(n) >= 2
    assert max(n) <= 6


def test_same_seed_same_bits_and_other_fish_differ(small):
    again = simulate_fish(8, scale=0.02, random_state=0)
    np.testing.assert_array_equal(again.spikes, small.spikes)
    np.testing.assert_array_equal(again.coordinates, small.coordinates)
    np.testing.assert_array_equal(again.truth.states, small.truth.states)
    other = simulate_fish(7, scale=0.02, random_state=0)
    assert other.n_frames != small.n_frames
    fresh = simulate_fish(8, scale=0.02, random_state=1)
    assert (fresh.spikes != small.spikes).any()
    assert (fresh.truth.states != small.truth.states).any()


def test_the_three_smallest_have_half_as_many_assemblies(small, fish):
    assert (small.truth.n_assemblies, fish.truth.n_assemblies) == (100, 200)


@pytest.mark.parametrize(("k", "scale"), [(0, 1.0), (9, 1.0), (1, 0.0), (1, 1.5)])
def test_bad_arguments(k, scale):
    with pytest.raises(ValueError, match=r"give a (fish of the paper|share of the neurons)"):
        simulate_fish(k, scale=scale)
