"""The benchmark of detectors: its recordings, what it keeps, and its table."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from benchmarks import command, stored
from benchmarks.detectors import __main__ as benchmark
from benchmarks.detectors import methods, real, recordings
from crbm_lite.baselines.detectors.detection import DetectedAssemblies
from crbm_lite.validation.likelihood import nllh_given_probabilities

EXAMPLE = recordings.load("surrogate example 0")


class TestRecordings:
    def test_a_layout_is_the_same_at_all_levels_that_do_not_concern_it(self):
        noisy, plain = (recordings._options(f"surrogate {x}", x, recordings.SERIES, {})
                        for x in ("noise 4 3", "default 3"))  # fmt: skip
        assert noisy == ({"noise_sd": 4.0}, 3) and plain == ({}, 3)

    def test_every_series_has_four_levels_and_twenty_layouts(self):
        assert [len(levels) for levels in recordings.SERIES.values()] == [4] * 5
        surrogates = [name for name in recordings.NAMES if name.startswith("surrogate")]
        assert len(surrogates) == len(set(surrogates)) == 21 * 20

    def test_spikes_of_a_surrogate_are_deconvolved(self):
        assert EXAMPLE.spikes.shape == EXAMPLE.traces.shape == (3600, 91)
        on, cells = EXAMPLE.states[:, 0], EXAMPLE.members[:, 0]
        assert EXAMPLE.spikes[on][:, cells].mean() > 0.8 > 0.2 > EXAMPLE.spikes[~on].mean()

    def test_planted_ones_come_from_the_family_and_others_by_name(self):
        case = recordings.load("planted cells 91 1")
        assert case.spikes.shape == (4000, 91) and case.traces is None
        assert list(case.inputs()) == ["spikes"] and case.members.shape == (91, 4)
        assert recordings.load("dev small").members.shape == (100, 5)
        for name in ("surrogate noise 3 0", "planted default", "surrogate noise 4 x"):
            with pytest.raises(SystemExit, match=f"{name}: give"):
                recordings.load(name)

    def test_nulls_are_shifted_and_have_nobody(self):
        null = recordings.load("null surrogate example 0")
        assert null.members.shape == (91, 0) and null.states.shape == (3600, 0)
        for x, y in ((null.spikes, EXAMPLE.spikes), (null.traces, EXAMPLE.traces)):
            np.testing.assert_array_equal(np.sort(x, axis=0), np.sort(y, axis=0))
        own = EXAMPLE.members[:, 0]
        r = [np.corrcoef(x.traces[:, own].T)[np.triu_indices(own.sum(), 1)].mean()
             for x in (EXAMPLE, null)]  # fmt: skip
        assert r[0] > 0.1 > 5 * abs(r[1])

    def test_halves_are_the_whole(self):
        first, second = EXAMPLE.halves()
        np.testing.assert_array_equal(np.vstack([first.spikes, second.spikes]), EXAMPLE.spikes)
        assert len(second.states) == len(second.traces) == 1800


def perfect(x, n_assemblies, seed):
    """Finds the truth of the example, where it is there at all."""
    case = EXAMPLE if len(x) == 3600 else EXAMPLE.halves()[0]
    calls.append((len(x), n_assemblies))
    return DetectedAssemblies("perfect", case.members, case.members * 1.0, case.states * 1.0)


calls = []


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path / "table.json")
    monkeypatch.setitem(stored.TABLES, "", stored.TABLES["benchmarks/results/detectors.json"])
    monkeypatch.setattr(benchmark, "METHODS", {"perfect": perfect})
    monkeypatch.setattr(recordings, "load", lambda name: EXAMPLE)
    calls.clear()
    return benchmark.RESULTS


def test_what_is_stored_is_not_measured_again_and_the_truth_scores_one(kept):
    for halves in (False, True, True):
        benchmark.run("surrogate example 0", "perfect", 0, ("spikes",), halves)
    assert calls == [(3600, None), (3600, 5), (1800, None), (1800, None)]
    found = benchmark.stored.read(kept)["surrogate example 0"]
    own = found["perfect, spikes, own K, seed 0"]["own"]
    assert own["best_match"] == own["precision"] == own["activity_r"] == 1.0
    assert found["perfect, spikes, halves, seed 0"] == {"stability": 1.0}
    shown = benchmark.table({"surrogate example 0": found}, ("surrogate example 0",))
    assert "perfect, spikes" in shown and "  1.00" in shown


def test_in_a_null_recording_what_is_found_is_counted(kept, monkeypatch):
    null = recordings.shifted(EXAMPLE)
    monkeypatch.setattr(recordings, "load", lambda name: null)
    benchmark.run("null surrogate example 0", "perfect", 0, ("traces",), True)
    found = benchmark.stored.read(kept)["null surrogate example 0"]
    assert list(found) == ["perfect, traces, own K, seed 0"]
    assert found["perfect, traces, own K, seed 0"]["n_detected"] == 5
    assert benchmark._mean(list(found.values()), "false") == 5.0


def test_nothing_found_is_a_best_match_of_zero():
    run = {"own": {"best_match": None, "n_found": 0, "n_true": 5}, "cpu_s": 1.0}
    assert benchmark._mean([run], "BM") == benchmark._mean([run], "found") == 0.0
    assert benchmark._number(float("nan")) is None


def test_methods_get_what_suits_them():
    assert methods.suits("SGC", "traces", 40_000) and not methods.suits("cRBM", "traces", 91)
    assert methods.suits("Ising", "spikes", 469) and not methods.suits("Ising", "spikes", 5000)
    with pytest.raises(SystemExit, match="give some of cRBM"):
        benchmark.main(methods=("SCG",), recordings=())


class TestReal:
    """Two groups of ten cells that are on together, and ten cells on their own."""

    rng = np.random.default_rng(0)
    on = np.repeat(rng.random((2000, 2)) < 0.3, 10, axis=1)
    v = np.hstack(
        [rng.random(on.shape) < np.where(on, 0.6, 0.05), rng.random((2000, 10)) < 0.2]
    ).astype(np.uint8)
    members = np.repeat(np.eye(3, dtype=bool)[:, :2], 10, axis=0)

    def score(self, members):
        return real.left_out(members, self.v[:1500], self.v[1500:])["left_out"]

    def test_members_predict_a_cell_left_out_nearly_as_well_as_bayes_rule(self):
        """The posterior of the state given how many of the nine others are active.

        Its probability saturates at 0.6, and that of a logistic regression does not.
        """
        n_active = self.v[1500:, :20].reshape(500, 2, 10).sum(axis=2).repeat(10, axis=1)
        n_others = n_active - self.v[1500:, :20]
        log_odds = logit(0.3) + n_others * logit(0.6) - n_others * logit(0.05)
        log_odds += 9 * (np.log(0.4) - np.log(0.95))
        of_bayes = nllh_given_probabilities(
            self.v[1500:, :20], 0.05 + 0.55 * expit(log_odds)
        ).median
        p = [real._probability(self.members, self.v[:1500], self.v[1500:], i) for i in range(20)]
        found = nllh_given_probabilities(self.v[1500:, :20], np.stack(p, axis=1)).median
        assert 0.8 * of_bayes < found < 1.02 * of_bayes

    def test_no_cell_predicts_itself_and_wrong_members_predict_nothing(self):
        assert self.score(np.eye(30, dtype=bool)) < 0.35  # each predicts the others, none itself
        alone = real._probability(np.eye(30, dtype=bool)[:, :1], self.v[:1500], self.v[1500:], 0)
        np.testing.assert_array_equal(alone, np.full(500, self.v[:1500, 0].mean()))
        wrong = np.zeros((30, 1), dtype=bool)
        wrong[20:25] = True
        assert abs(self.score(wrong)) < 0.02 < 0.1 < self.score(self.members)
        assert abs(self.score(self.members[:, :0])) < 0.02

    def test_a_run_is_kept_with_both_rules_and_stability(self, kept, monkeypatch):
        monkeypatch.setattr(real, "frames", lambda name: (self.v[:1500], self.v[1500:]))
        found = DetectedAssemblies("always", self.members, self.members * 1.0, np.zeros((9, 2)))
        monkeypatch.setattr(benchmark, "METHODS", {"always": lambda x, k, seed: found})
        benchmark.run_real("dorsal", "always", 0)
        run = benchmark.stored.read(kept)["dorsal"]["always, spikes, own K, seed 0"]
        assert run["stability"] == 1.0 and run["n_detected"] == 2
        assert (
            run["own"] == run["otsu"] == real.left_out(self.members, self.v[:1500], self.v[1500:])
        )
        shown = benchmark.table_of_real(
            {"dorsal": {"always, spikes, own K, seed 0": run}}, ("dorsal",)
        )
        assert "always" in shown and "1.000" in shown

    def test_only_the_tectum_has_published_members(self):
        with pytest.raises(SystemExit, match="nasal has no published assemblies"):
            real.published_members("nasal", 5)


def test_the_peak_of_memory_is_seen():
    with command.memory_peak() as memory:
        np.ones(30_000_000)
    assert math.isnan(memory.peak_mb) or 200 < memory.peak_mb < 300
