"""The benchmark's recordings, scores and bars, on cases made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

import crbm_lite as cl
from benchmarks import planted_family, stored
from benchmarks.any_recording import __main__ as benchmark
from benchmarks.any_recording import bars, methods, recordings, scores
from crbm_lite.baselines.independent import fit_independent
from crbm_lite.recordings.ground_truth import GroundTruth
from crbm_lite.validation.comparison import STATISTICS


class TestRecordings:
    def test_null_recordings_keep_rates_and_share_nothing(self):
        planted = planted_family.plant(planted_family.DEVELOPMENT["small"])
        null = recordings.load("null dev small", seed=1)
        np.testing.assert_array_equal(null.spikes.sum(axis=0), planted.spikes.sum(axis=0))
        assert null.truth is None
        assert (null.spikes != recordings.load("null dev small", seed=2).spikes).any()
        members = planted.truth.membership[:, 0] > 0
        pairs = np.triu_indices(members.sum(), 1)
        shared = [np.corrcoef(r.spikes[:, members].T)[pairs].mean() for r in (planted, null)]
        assert shared[0] > 0.04 > 5 * abs(shared[1])

    def test_held_out_recordings_are_asked_for_by_name(self):
        assert not [name for name in recordings.NAMES if "held-out" in name]
        point = planted_family.held_out(2)
        held_out = recordings.load("held-out 2")
        assert held_out.spikes.shape == (point["n_frames"], point["n_neurons"])
        with pytest.raises(SystemExit, match="give some of tectum"):
            recordings.load("tectun")

    def test_waves_cross_the_square(self):
        recording = recordings.waves(400, 3000)
        population = recording.spikes.mean(axis=1)
        assert 0.01 < np.median(population) < 0.04
        near = np.linalg.norm(recording.coordinates - recording.coordinates[0], axis=1)
        r = np.corrcoef(recording.spikes.T)[0]
        order = np.argsort(near)
        assert r[order[1:30]].mean() > 2 * r[order[-30:]].mean()


def truth_of(effects):
    n_neurons, k = np.shape(effects)
    names = tuple(f"assembly {i}" for i in range(k))
    states = np.zeros((2, k), dtype=bool)
    return GroundTruth(np.zeros(n_neurons), scipy.sparse.csr_array(effects), states, names, names)


class TestScores:
    def test_the_gain_is_that_over_the_rates_of_training(self):
        train, test = [[0, 0], [1, 1], [1, 1], [0, 0]], [[1, 1], [0, 0]]
        assert scores.gain_over_independent(fit_independent(train), train, test) == 0.0
        pair = cl.CRBM.from_parameters([[2.0], [2.0]], [-4, -4], [1], [1], [0], [0])
        p = 1 / (1 + np.exp(-np.array([-2.0, 2.0])))  # log-odds -4 + w^2 / 2 + w^2 v_j
        expected = 2 * (np.log(1 - p[0]) + np.log(p[1])) / 2 - 2 * np.log(0.5)
        assert scores.gain_over_independent(pair, train, test) == pytest.approx(expected)

    def test_exact_assemblies_in_another_order(self):
        effects = np.kron(np.eye(3), np.ones((4, 1)))
        found = scores.of_assemblies(2.0 * effects[:, [2, 0, 1]], truth_of(effects))
        assert found == {"n_found": 3, "mean_r": pytest.approx(1.0), "n_planted": 3}

    def test_a_missed_assembly_counts_as_zero_and_a_mixed_one_once(self):
        effects = np.kron(np.eye(4), np.ones((4, 1)))
        mixed = effects[:, :1] + effects[:, 1:2]  # r = 1 / sqrt(3) with either
        found = scores.of_assemblies(mixed, truth_of(effects))
        assert found == {"n_found": 1, "mean_r": pytest.approx(3**-0.5 / 4), "n_planted": 4}

    def test_two_signs_of_a_unit_are_two_assemblies(self):
        effects = np.kron(np.eye(3), np.ones((4, 1)))
        unit = effects[:, :1] - effects[:, 1:2]
        assert scores.of_assemblies(unit, truth_of(effects))["n_found"] == 2
        silencing = effects - effects[:, [1, 0, 2]] * [1, 1, 0]
        assert scores.of_assemblies(effects, truth_of(silencing))["mean_r"] == pytest.approx(1.0)


def run(gain=1.0, nrmse=0.0, cpu_s=1.0, error=0.01, **other):
    score = {"nrmse": nrmse, "nrmse_error": error, "rmse": 1.0, "rmse_optimal": 1.0}
    statistics = {name: score | {"has_scale": True} for name in STATISTICS}
    usual = {"gain_nats": gain, "cpu_s": cpu_s, "verdict": "converged", "units_alive": 3}
    return usual | {"statistics": statistics} | other


class TestBestSetting:
    def test_the_short_ones_of_largest_gain_are_trained_for_longer(self):
        gains = dict(zip(methods.L1, (1.0, 5.0, 2.0, 4.0, 3.0), strict=True))
        runs = {f"hand 10 {l1:g} pca 3000": run(gain) for l1, gain in gains.items()}
        long = ["hand 10 0.001 pca 6000", "hand 10 0.004 pca 6000", "hand 10 0.01 pca 6000"]
        assert methods.longer(runs) == long
        for gain, nrmse, best in (((9, 8.9, 8), (0.5, 0.1, 0), 1), ((9, 8.7, 8), (0.5, 0.1, 0), 0)):
            runs |= {name: run(*of) for name, *of in zip(long, gain, nrmse, strict=True)}
            assert methods.best_setting(runs) == long[best]

    def test_the_grid_knows_the_number_of_planted_assemblies(self):
        sizes = {name.split()[1] for name in methods.grid(SimpleNamespace(truth=None))}
        assert sizes == {"10", "20", "40"}
        truth = SimpleNamespace(truth=SimpleNamespace(n_assemblies=7))
        assert {name.split()[1] for name in methods.grid(truth)} == {"7", "14"}


BY_HAND = {
    "hand 10 0.001 pca 3000, seed 0": run(2.0, 0.02, 10.0),
    "hand 10 0.001 pca 6000, seed 0": run(2.0, 0.02, 10.0),
    "hand 10 0.001 pca 6000, seed 1": run(2.0, 0.02, 10.0),
}


class TestBars:
    def passed(self, *runs, rivals=()):
        found = BY_HAND | {f"automatic, seed {k}": of for k, of in enumerate(runs)}
        return {bar.name: bar.passed for bar in bars.bars(found | dict(rivals))}

    def test_as_good_passes_everything(self):
        passed = self.passed(run(1.97, 0.06, 29.0), run(2.1, 0.0, 5.0))
        assert len(passed) == 9 and all(passed.values())

    def test_the_worst_seed_counts(self):
        good = run(2.0, 0.02, 10.0)
        for bad, names in (
            (run(1.95, 0.02, 10.0), {"automatic: gain", "automatic: verdict"}),
            (run(2.0, 0.08, 10.0), {f"automatic: nRMSE {name}" for name in STATISTICS}),
            (run(2.0, 0.02, 31.0), {"automatic: CPU"}),
            (run(2.0, 0.02, 10.0, verdict="diverged"), {"no divergence", "automatic: verdict"}),
        ):
            assert {name for name, passed in self.passed(good, bad).items() if not passed} == names

    def test_sampling_error_excuses_and_undetermined_is_no_verdict(self):
        assert self.passed(run(2.0, 0.2, 10.0, error=0.19))["automatic: nRMSE v"]
        undetermined = run(1.0, 0.02, 10.0, verdict="undetermined")
        assert self.passed(undetermined)["automatic: verdict"]

    def test_without_a_scale_the_rmse_over_that_of_the_training_data_counts(self):
        for rmse, optimal, good in ((3.12, 3.0, True), (3.18, 3.0, False), (0.0, 0.0, False)):
            found = run(2.0, nrmse=9.0)
            for score in found["statistics"].values():
                score |= {"has_scale": False, "rmse": rmse, "rmse_optimal": optimal}
            assert self.passed(found)["automatic: nRMSE hh"] == good

    def test_planted_assemblies_against_the_best_rival(self):
        rivals = {"NMF, seed 0": {"n_found": 5, "mean_r": 0.6},
                  "ICA, seed 0": {"n_found": 4, "mean_r": 0.7}}  # fmt: skip
        for n_found, r, good in ((5, 0.7, True), (4, 0.9, False), (6, 0.65, False)):
            found = run(2.0, n_found=n_found, mean_r=r, n_planted=6)
            assert self.passed(found, rivals=rivals)["assemblies"] == good

    def test_one_unit_in_twenty_null_recordings_is_allowed(self):
        empty, alive = {"units_alive": 0}, {"units_alive": 2}
        assert bars.bar_of_nulls([empty] * 19 + [alive]).passed
        assert not bars.bar_of_nulls([empty] * 18 + [alive] * 2).passed

    def test_without_runs_there_is_nothing_to_show(self):
        assert bars.table({}, ("tectum",)) == ""
        shown = bars.table({"tectum": BY_HAND | {"automatic, seed 0": run(1.0)}}, ("tectum",))
        assert "automatic: gain         FAIL  1.000 nats; by hand 2.000" in shown


def test_what_the_present_code_has_measured_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path / "table.json")
    monkeypatch.setitem(stored.TABLES, "", stored.TABLES["benchmarks/results/any_recording.json"])
    monkeypatch.setattr(benchmark, "load", lambda name, seed: small_recording())
    calls = []

    def by_hand(name, train, test, seed):
        calls.append((name, seed))
        return run(gain=float(name.split()[2]))

    monkeypatch.setattr(methods, "by_hand", by_hand)
    for seed in (0, 1, 1):
        benchmark.Measurements("small", seed).run_by_hand()
    assert len(calls) == len(set(calls)) == 2 * 5 * 2 + 3 + 1
    assert calls[-1][1] == 1
    found = stored.read(benchmark.RESULTS)["small"]
    assert len(found) == len(calls)
    monkeypatch.setattr(stored.Origin, "digest", lambda origin, part: "of other code")
    benchmark.Measurements("small", 1).run_by_hand()
    assert len(calls) == 2 * len(found)


def small_recording():
    return cl.plant_recording(60, 2, (10, 20), 200, 10)
