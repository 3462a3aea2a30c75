"""Planted recordings and the simulated larva against what their docstrings promise."""

import numpy as np
import pytest
import scipy.sparse
from scipy.spatial.distance import pdist

from crbm_lite.connectivity.region_statistics import compare
from crbm_lite.connectivity.regions import region_connectivity
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.simulation.larva import (
    REGION_NAMES,
    plan_assemblies,
    plant_structure,
    sample_positions,
)
from crbm_lite.simulation.larva_recording import calcium_traces, simulate_recording
from crbm_lite.simulation.planted import draw_spikes, draw_states, plant_recording
from crbm_lite.simulation.projections import plan_projections
from crbm_lite.validation.likelihood import nllh_given_probabilities


def dwells(state):
    """Lengths of the active and of the inactive runs that are complete, in frames."""
    edges = np.flatnonzero(np.diff(state.astype(int))) + 1
    lengths, active = np.diff(edges), state[edges[:-1]]
    return lengths[active], lengths[~active]


@pytest.fixture(scope="module")
def planted():
    return plant_recording(random_state=3)


@pytest.fixture(scope="module")
def larva():
    return simulate_recording(random_state=0)


class TestGroundTruth:
    truth = GroundTruth(
        base_logit=[-2.0, 0.0, 1.0],
        effects=scipy.sparse.csr_array([[3.0, 0.0], [1.0, -2.0], [0.0, 0.0]]),
        states=[[False, False], [True, False], [True, True]],
        names=("a", "b"),
        kinds=("x", "x"),
    )

    def test_probability_is_the_logistic_function_of_added_log_odds(self):
        logit = [[-2, 0, 1], [1, 1, 1], [1, -1, 1]]
        expected = 1 / (1 + np.exp(-np.array(logit, dtype=float)))
        np.testing.assert_allclose(self.truth.probability(), expected, rtol=1e-12)
        np.testing.assert_allclose(self.truth.probability([2, 0]), expected[[2, 0]], rtol=1e-12)
        np.testing.assert_allclose(self.truth.probability(slice(1, 2)), expected[1:2], rtol=1e-12)

    def test_membership_is_signed(self):
        np.testing.assert_array_equal(self.truth.membership, [[1, 0], [1, -1], [0, 0]])
        np.testing.assert_array_equal(self.truth.unassigned, [2])

    def test_tiles_make_up_the_whole(self, monkeypatch):
        monkeypatch.setattr("crbm_lite.recordings.ground_truth._TILE", 6)
        tiles = list(self.truth.tiles())
        assert [frames for frames, _ in tiles] == [slice(0, 2), slice(2, 3)]
        np.testing.assert_array_equal(
            np.concatenate([p for _, p in tiles]), self.truth.probability()
        )

    def test_couplings_of_the_assemblies_by_hand(self):
        effects, variance = self.truth.coupling_factor()
        np.testing.assert_allclose(variance, [2 / 9, 2 / 9])
        j = (effects * variance) @ effects.T
        assert j[0, 1] == pytest.approx(3.0 * 1.0 * 2 / 9)
        assert j[1, 1] == pytest.approx((1.0 + 4.0) * 2 / 9)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="effects has 1 rows"):
            GroundTruth([0, 0], np.ones((1, 1)), [[True]], ("a",), ("x",))
        with pytest.raises(ValueError, match="states has shape"):
            GroundTruth([0], np.ones((1, 1)), [[True, True]], ("a",), ("x",))
        with pytest.raises(ValueError, match="names has 2 entries"):
            GroundTruth([0], np.ones((1, 1)), [[True]], ("a", "b"), ("x",))


def test_states_are_markov_chains_of_the_given_dwell_times():
    states = draw_states(200_000, [10.0, 4.0], [30.0, 6.0], np.random.default_rng(0))
    for k, (active, inactive) in enumerate([(10, 30), (4, 6)]):
        for lengths, mean in zip(dwells(states[:, k]), (active, inactive), strict=True):
            # A geometric time of mean m has standard deviation sqrt(m (m - 1)).
            error = 5 * np.sqrt(mean * (mean - 1) / lengths.size)
            assert lengths.mean() == pytest.approx(mean, abs=error)
            assert lengths.std() == pytest.approx(np.sqrt(mean * (mean - 1)), rel=0.1)
    assert abs(np.corrcoef(states.T)[0, 1]) < 0.03
    starts = [draw_states(1, [10.0], [30.0], np.random.default_rng(s))[0, 0] for s in range(2000)]
    assert np.mean(starts) == pytest.approx(0.25, abs=0.05)  # stationary from the first frame


@pytest.mark.parametrize("options", [{}, {"overlap": 0.5, "antiphasic": True, "base_sd": 1.0}])
def test_spikes_have_the_true_probabilities(options):
    truth = plant_recording(50, 3, (10, 15), n_frames=40, n_unassigned=5, **options).truth
    rng = np.random.default_rng(1)
    mean = np.mean([draw_spikes(truth, rng) for _ in range(2000)], axis=0)
    p = truth.probability()
    assert np.max(np.abs(mean - p) / np.sqrt(p * (1 - p) / 2000)) < 5.5  # of 2,000 numbers
    assert abs(np.sum(mean - p)) < 5 * np.sqrt(np.sum(p * (1 - p)) / 2000)


class TestPlanted:
    def test_sizes_overlap_and_neurons_in_none(self, planted):
        membership = planted.truth.membership
        assert membership.shape == (2000, 20)
        sizes = membership.sum(axis=0)
        assert sizes.min() >= 80
        assert sizes.max() <= 180
        assert planted.truth.unassigned.size == 300
        memberships = membership.sum(axis=1)
        assert memberships.max() > 1
        assert np.unique(np.sort(planted.truth.unassigned)[:10]).max() < 1000  # spread, no block

    @pytest.mark.parametrize("seed", range(3))
    def test_activity_and_ceiling(self, seed):
        recording = plant_recording(random_state=seed)
        assert 0.038 < recording.activity.mean() < 0.052
        test = recording.select_frames(slice(2800, 4000))
        nllh = nllh_given_probabilities(test.spikes, test.truth.probability).nllh
        assert 0.11 < np.nanmedian(nllh) < 0.15

    def test_members_fire_when_their_assembly_is_active(self, planted):
        truth, spikes = planted.truth, planted.spikes
        for k in range(3):
            members = truth.membership[:, k] > 0
            active = truth.states[:, k]
            assert spikes[active][:, members].mean() > 2.5 * spikes[~active][:, members].mean()

    def test_more_overlap_sparser_and_too_few_places(self):
        dense = plant_recording(
            300, 30, size_range=(60, 90), n_frames=200, n_unassigned=0, activity_range=(0.02, 0.02)
        )
        assert dense.truth.membership.sum(axis=1).mean() > 6
        assert dense.activity.mean() == pytest.approx(0.02, abs=0.005)
        thin = plant_recording(300, 2, size_range=(20, 20), n_frames=100, n_unassigned=10)
        assert thin.truth.unassigned.size == 260

    def test_same_seed_same_recording(self, planted):
        np.testing.assert_array_equal(plant_recording(random_state=3).spikes, planted.spikes)
        assert (plant_recording(random_state=4).spikes != planted.spikes).any()
        a = plant_recording(random_state=np.random.default_rng(3))
        np.testing.assert_array_equal(a.spikes, planted.spikes)

    @pytest.mark.parametrize("overlap", [0.0, 0.13, 0.5, 1.0])
    def test_a_share_of_every_assembly_is_shared_with_one_other(self, overlap):
        truth = plant_recording(
            900, 12, size_range=(30, 70), n_frames=10, n_unassigned=20, overlap=overlap
        ).truth
        sizes = truth.membership.sum(axis=0)
        assert 30 <= sizes.min() < sizes.max() <= 70
        n_memberships = truth.membership.sum(axis=1)
        assert n_memberships.max() <= 2
        shared = truth.membership[n_memberships == 2].sum(axis=0)
        lost = np.round(overlap * sizes) - shared
        assert set(lost) <= {0, 1} and lost.sum() == np.round(overlap * sizes).sum() % 2
        assert truth.unassigned.size == 900 - (n_memberships > 0).sum() >= 20

    def test_two_assemblies_of_one_size_can_share_all(self):
        membership = plant_recording(
            50, 2, size_range=(20, 20), n_frames=10, n_unassigned=30, overlap=1.0
        ).truth.membership
        np.testing.assert_array_equal(membership[:, 0], membership[:, 1])

    def test_an_antiphasic_pair_takes_turns(self):
        recording = plant_recording(
            200, 4, (30, 40), 20_000, 20, overlap=0.2, antiphasic=True, active_s=8.0
        )
        left, right, *others = recording.truth.states.T
        assert not (left & right).any()
        assert np.corrcoef(left, right)[0, 1] < -0.5
        assert abs(np.corrcoef(others)[0, 1]) < 0.1
        for state in (left, right):
            assert state.mean() == pytest.approx(8 / (2 * (8 + 2)), rel=0.05)
            assert dwells(state)[0].mean() / recording.rate_hz == pytest.approx(8.0, rel=0.1)
        assert recording.truth.kinds == ("antiphasic", "antiphasic", "planted", "planted")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"overlap": -0.1}, "overlap is -0.1"),
            ({"overlap": 1.1}, "overlap is 1.1"),
            ({"overlap": 0.5, "n_assemblies": 1}, "sizes that are more alike"),
            ({"overlap": 0.1, "n_assemblies": 30}, "may belong to one"),
            ({"antiphasic": True, "n_assemblies": 1}, "needs two"),
            ({"n_neurons": 0}, "n_neurons is 0"),
            ({"n_assemblies": 0}, "n_assemblies is 0"),
            ({"n_frames": 0}, "n_frames is 0"),
            ({"n_unassigned": -1}, "n_unassigned is -1"),
            ({"size_range": (80, 1701)}, r"1\.\.1700"),
            ({"size_range": (90, 80)}, "size_range is"),
            ({"size_range": (0, 80)}, "size_range is"),
            ({"activity_range": (0.0, 0.1)}, "activity_range is"),
            ({"activity_range": (0.2, 0.1)}, "activity_range is"),
            ({"rate_hz": 0.0}, "rate_hz is"),
            ({"active_s": 0.1}, "active_s is"),
            ({"inactive_s": 0.0}, "inactive_s is"),
        ],
    )
    def test_bad_input(self, change, message):
        with pytest.raises(ValueError, match=message):
            plant_recording(**change)


class TestLarva:
    def test_a_brain_of_twenty_regions(self, larva):
        assert larva.label_names == REGION_NAMES
        assert len(REGION_NAMES) == 20
        assert (larva.labels.sum(axis=1) == 1).all()
        assert larva.labels.sum(axis=0).min() >= 5
        low, high = larva.coordinates.min(axis=0), larva.coordinates.max(axis=0)
        assert (low >= 0).all()
        assert (high <= [400, 900, 250]).all()
        assert (high - low > [350, 800, 200]).all()
        for r, name in enumerate(REGION_NAMES):
            x = larva.coordinates[larva.labels[:, r], 0]
            assert (x < 200).all() if name.endswith("left") else (x > 200).all()

    def test_activity_is_sparse_and_heterogeneous(self, larva):
        assert 0.03 < larva.activity.mean() < 0.05
        assert np.quantile(larva.activity, 0.95) > 4 * np.quantile(larva.activity, 0.05)
        assert larva.constant_neurons.size == 0

    def test_kinds_of_assemblies(self, larva):
        kinds = np.array(larva.truth.kinds)
        assert (kinds == "antiphasic").sum() == 2
        assert set(kinds) == {"antiphasic", "tile", "dispersed", "compact", "spanning"}
        assert len(set(larva.truth.names)) == kinds.size == 24
        rng = np.random.default_rng(0)
        many = plan_assemblies(120, plant_structure(rng), rng)
        assert sum(p.kind == "tile" for p in many) == 18

    def test_compact_assemblies_are_compact_and_dispersed_ones_are_not(self, larva):
        membership = larva.truth.membership > 0
        typical = pdist(larva.coordinates).mean()
        for k, kind in enumerate(larva.truth.kinds):
            spread = pdist(larva.coordinates[membership[:, k]]).mean() / typical
            if kind == "dispersed":
                assert spread > 0.8
            elif kind != "spanning":
                assert spread < 0.4
            if kind in ("tile", "compact"):  # and more compact than the region that it lies in
                region = larva.labels[:, larva.labels[membership[:, k]].any(axis=0)][:, 0]
                whole = pdist(larva.coordinates[region]).mean() / typical
                assert spread < (0.85 if kind == "tile" else 0.95) * whole
            regions = larva.labels[membership[:, k]].any(axis=0).sum()
            expected = {"dispersed": range(10, 21), "spanning": [2]}.get(kind, [1])
            assert regions in expected

    def test_background_neurons_are_in_none(self, larva):
        assert larva.truth.unassigned.size >= 0.13 * larva.n_neurons
        none = simulate_recording(400, 30, background_fraction=0.9, n_assemblies=8).truth.unassigned
        assert none.size >= 0.85 * 400

    def test_the_antiphasic_pair_takes_turns(self, larva):
        pair = [k for k, kind in enumerate(larva.truth.kinds) if kind == "antiphasic"]
        left, right = larva.truth.states[:, pair].T
        assert not (left & right).any()
        assert np.corrcoef(left, right)[0, 1] < -0.6
        long = simulate_recording(200, 40_000, n_assemblies=8)
        lengths_s = dwells(long.truth.states[:, pair[0]])[0] / long.rate_hz
        assert lengths_s.mean() == pytest.approx(15.0, rel=0.1)
        membership = larva.truth.membership[:, pair]
        np.testing.assert_array_equal(membership[:, 0], -membership[:, 1])
        members = membership[:, 0] == 1
        assert larva.spikes[left][:, members].mean() > 4 * larva.spikes[right][:, members].mean()
        trace = [larva.spikes[:, membership[:, 0] == s].mean(axis=1) for s in (1, -1)]
        assert np.corrcoef(trace)[0, 1] < -0.3

    def test_spikes_are_those_of_the_truth(self, larva):
        nllh = nllh_given_probabilities(larva.spikes, larva.truth.probability).nllh
        members = np.setdiff1d(np.arange(larva.n_neurons), larva.truth.unassigned)
        assert np.median(nllh[members]) > 0.1
        assert abs(np.median(nllh[larva.truth.unassigned])) < 0.01

    def test_animals_share_a_template(self, larva):
        other = simulate_recording(random_state=0, animal=1)
        assert other.truth.names == larva.truth.names
        assert other.truth.kinds == larva.truth.kinds
        np.testing.assert_array_equal(other.truth.structure, larva.truth.structure)
        assert (other.coordinates != larva.coordinates).any()
        assert (other.truth.states != larva.truth.states).any()
        for k, kind in enumerate(larva.truth.kinds):
            if kind == "dispersed":
                continue
            centres = [
                r.coordinates[r.truth.membership[:, k] > 0].mean(axis=0) for r in (larva, other)
            ]
            assert np.linalg.norm(centres[0] - centres[1]) < 40
        elsewhere = simulate_recording(300, 20, random_state=1)
        assert (elsewhere.truth.structure != larva.truth.structure).any()

    def test_same_seed_same_recording_and_traces_do_not_change_it(self, larva):
        again = simulate_recording(random_state=0, dff=True)
        np.testing.assert_array_equal(again.spikes, larva.spikes)
        assert again.dff.shape == larva.spikes.shape
        assert larva.dff is None

    def test_the_plan_does_not_depend_on_the_number_of_neurons(self):
        a, b = (simulate_recording(n, 20, n_assemblies=30) for n in (300, 900))
        assert a.truth.names == b.truth.names

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"n_neurons": 100}, "n_neurons is 100"),
            ({"n_frames": 0}, "n_frames is 0"),
            ({"rate_hz": 0}, "rate_hz is 0"),
            ({"animal": -1}, "animal is -1"),
            ({"n_assemblies": 5}, "n_assemblies is 5"),
            ({"background_fraction": 1.0}, "background_fraction is 1"),
            ({"activity": 0.0}, "activity is 0"),
        ],
    )
    def test_bad_input(self, change, message):
        with pytest.raises(ValueError, match=message):
            simulate_recording(**change)


def test_the_planted_structure():
    structure = plant_structure(np.random.default_rng(0))
    np.testing.assert_array_equal(structure, structure.T)
    np.testing.assert_array_equal(np.diag(structure), 0)
    np.testing.assert_array_equal(structure[::2, ::2], structure[1::2, 1::2])  # left as right
    assert (structure[::2, 1::2].diagonal() > 0).all()  # mirror images are connected
    off = structure[np.triu_indices(20, 1)]
    assert 0.25 < (off == 0).mean() < 0.55


def test_spanning_assemblies_follow_the_structure():
    rng = np.random.default_rng(1)
    structure = plant_structure(rng)
    counts = np.zeros((20, 20))
    for plan in plan_assemblies(2000, structure, rng):
        if plan.kind == "spanning":
            a, b = sorted(plan.regions)
            counts[a, b] += 1
    pairs = np.triu_indices(20, 1)
    assert (counts[structure == 0] == 0).all()
    assert np.corrcoef(counts[pairs], structure[pairs])[0, 1] > 0.9


class TestProjecting:
    def test_a_seed_takes_shares_of_its_targets_by_their_structure(self):
        rng = np.random.default_rng(1)
        structure = plant_structure(rng)
        plans = plan_projections(400, structure, rng)
        shares = np.zeros((20, 20))
        for k, plan in enumerate(plans):
            assert plan.regions[0] == k % 20
            assert plan.shares[0] == 0.35 >= max(plan.shares)
            assert set(plan.regions[1:]) == set(np.flatnonzero(structure[k % 20]))
            shares[k % 20, list(plan.regions)] += np.array(plan.shares) / 20
        cut = np.quantile(structure[structure > 0], 0.9)
        weak = (structure > 0) & (structure < 0.4 * cut)  # never at the largest share
        expected = 0.35 * structure[weak] / cut * np.exp(0.3**2 / 2)
        assert shares[weak] / expected == pytest.approx(1.0, abs=0.35)
        assert (shares[weak] / expected).mean() == pytest.approx(1.0, abs=0.03)
        with pytest.raises(ValueError, match="n_assemblies is 0"):
            plan_projections(0, structure, rng)

    def test_members_are_the_shares_of_the_plan(self):
        options = {"n_frames": 20, "n_assemblies": 20, "projecting": True}
        larva = simulate_recording(4000, background_fraction=0.0, **options)
        rng = np.random.default_rng([0, 0])
        plans = plan_projections(20, plant_structure(rng), rng)
        labels = np.asarray(larva.labels).astype(int)
        members = labels.T @ (larva.truth.membership != 0)
        for k, plan in enumerate(plans):
            expected = np.zeros(20)
            expected[list(plan.regions)] = plan.shares
            np.testing.assert_allclose(members[:, k], expected * labels.sum(axis=0), atol=1.0)
        assert set(larva.truth.kinds) == {"projecting"}
        assert larva.provenance["projecting"] is True

    def test_regions_differ_in_excitability_and_animals_agree(self):
        rest = []
        for animal in range(2):
            larva = simulate_recording(6000, 20, animal=animal, n_assemblies=20, projecting=True)
            labels = np.asarray(larva.labels).astype(float)
            mean = labels.T @ larva.truth.base_logit / labels.sum(axis=0)
            rest.append(mean - mean.mean())
        np.testing.assert_allclose(rest[0][::2], rest[0][1::2], atol=0.2)  # left as right
        np.testing.assert_allclose(rest[0], rest[1], atol=0.2)
        assert rest[0].std() > 0.3

    def test_planted_couplings_follow_the_structure_and_in_the_template_hardly(self):
        r_s = {}
        for projecting in (False, True):
            larva = simulate_recording(1500, 500, n_assemblies=20, projecting=projecting)
            truth = larva.truth
            planted = region_connectivity(*truth.coupling_factor(), larva.labels).values
            r_s[projecting] = compare(planted, truth.structure, within=False).spearman_r
        assert r_s[True] > 0.6
        assert r_s[False] < 0.3


def test_positions_lie_in_their_regions():
    coordinates, region = sample_positions(5000, np.random.default_rng(0))
    tectum = coordinates[region == REGION_NAMES.index("tectum_right")] - [300, 540, 165]
    radius = np.linalg.norm(tectum / [95, 125, 80], axis=1)
    assert radius.min() >= 0.6
    assert radius.max() <= 1
    assert (np.diff(region) >= 0).all()


def test_calcium_traces_are_the_convolution():
    rng = np.random.default_rng(0)
    spikes = (rng.random((60, 3)) < 0.1).astype(np.uint8)
    rate_hz, rise_s, decay_s = 4.0, 0.2, 1.5
    traces = calcium_traces(spikes, rate_hz, 0, rise_s=rise_s, decay_s=decay_s, noise=0.0)
    t = (np.arange(60) + 0.5) / rate_hz
    kernel = np.exp(-t / decay_s) - np.exp(-t / rise_s)
    for i in range(3):
        expected = np.convolve(spikes[:, i], kernel)[:60]
        gain = traces[:, i].sum() / expected.sum()
        np.testing.assert_allclose(traces[:, i], gain * expected, rtol=1e-5, atol=1e-7)
    noise = calcium_traces(np.zeros((5000, 2)), rate_hz, 1, noise=0.05)
    assert noise.std() == pytest.approx(0.05, rel=0.05)
    with pytest.raises(ValueError, match="rise_s is 2"):
        calcium_traces(spikes, rate_hz, rise_s=2.0, decay_s=1.0)
