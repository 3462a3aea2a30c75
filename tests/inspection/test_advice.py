"""Suggestions: components and times of planted assemblies, the rules against their table, cost."""

import tracemalloc
import warnings
from dataclasses import replace

import numba
import numpy as np
import pytest

from benchmarks.advice import read_table
from crbm_lite.inspection import advice as rules
from crbm_lite.inspection import cost
from crbm_lite.inspection.advice import advise, signal_components, suggested_l1
from crbm_lite.inspection.cost import measured_cost
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.files import Recording
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training import pair_covariances


@pytest.fixture(scope="module")
def good():
    return plant_recording(150, 4, (30, 36), 2600, n_unassigned=15, activity_range=(0.1, 0.1))


@pytest.fixture(scope="module")
def suggested_rows():
    """For every recording of the table the row nearest to the suggested lambda, and the best."""
    recordings = {}
    for row in read_table():
        if row["n_updates"] == 600:
            key = tuple(row[k] for k in ("n_neurons", "n_frames", "activity", "active_s"))
            recordings.setdefault(key, []).append(row)
    chosen = []
    for rows in recordings.values():
        l1 = suggested_l1(int(rows[0]["n_frames"]), rows[0]["activity"])
        nearest = min(rows, key=lambda row: abs(np.log(row["l1"] / l1)))
        chosen.append((nearest, max(row["nllh"] for row in rows)))
    assert len(chosen) == 43
    return chosen


def is_long_enough(row):
    return (
        row["n_frames"] / row["correlation_frames"] >= rules.INDEPENDENT_FRAMES
        and row["n_frames"] * row["activity"] >= rules.SPIKES_PER_NEURON
    )


def test_components_were_the_assemblies_and_all_were_found_where_t_sufficed(suggested_rows):
    long = [row for row, _ in suggested_rows if is_long_enough(row)]
    assert len(long) >= 6
    for row in long:
        assert row["n_components"] == row["n_found"] == row["n_assemblies"], row
    short = [row for row, _ in suggested_rows if not is_long_enough(row)]
    assert any(row["n_found"] < 0.7 * row["n_assemblies"] for row in short)
    # neither half of the rule would do
    assert any(
        row["n_found"] < 0.7 * row["n_assemblies"]
        and row["n_frames"] / row["correlation_frames"] >= rules.INDEPENDENT_FRAMES
        for row in short
    )


def test_suggested_lambda_came_near_the_best_where_t_sufficed(suggested_rows):
    long = [(row, best) for row, best in suggested_rows if is_long_enough(row)]
    assert len(long) >= 6
    for row, best in long:
        assert row["nllh"] > 0.9 * best, row
    assert any(row["nllh"] < 0.5 * best for row, best in suggested_rows if not is_long_enough(row))


def test_four_standard_errors_alone_are_too_much_for_sparse_recordings():
    sparse = [row for row in read_table() if row["activity"] == 0.01 and row["n_frames"] == 4000]
    sizes = {row["n_neurons"] for row in sparse}
    assert sizes == {100, 300, 1000, 3000}
    for n_neurons in sizes:
        nllh = {row["l1"]: row["nllh"] for row in sparse if row["n_neurons"] == n_neurons}
        suggested = nllh[suggested_l1(4000, 0.01)]
        assert suggested > 0.75 * max(nllh.values()) and nllh[0.01] < suggested / 4


def test_shared_rhythm_of_single_neurons_is_no_signal():
    """Slow neurons that share nothing fool the edge for independent frames, not the shifts."""
    rng = np.random.default_rng(3)
    slow = np.repeat(rng.random((100, 60)) < 0.1, 20, axis=0)
    z = (slow - slow.mean(0)) / slow.std(0)
    edge = (1 + np.sqrt(60 / 2000)) ** 2
    assert (np.linalg.eigvalsh(z.T @ z / 2000) > edge).sum() > 10
    assert signal_components(Recording(slow, 2.5))[0] <= 2


def test_components_of_many_short_stretches_are_held_against_a_control_too(good):
    for length in (1, 5, 50):
        cuts = np.arange(length, good.n_frames, length)
        assert signal_components(replace(good, discontinuities=cuts))[0] == 4


def test_components_are_the_planted_assemblies_and_last_as_long():
    found = {}
    for active_s in (2.0, 16.0):
        recording = plant_recording(
            400, 6, (60, 80), 6000, n_unassigned=40, active_s=active_s, inactive_s=6 * active_s,
            activity_range=(0.08, 0.08),
        )  # fmt: skip
        n, found[active_s] = signal_components(recording)
        assert n == 6
    # Two-state chains: tau = (1 + r) / (1 - r), r = 1 - 1/active - 1/inactive; spikes add noise.
    for active_s, tau in found.items():
        r = 1 - 1 / (2.5 * active_s) - 1 / (15 * active_s)
        assert 0.5 * (1 + r) / (1 - r) < tau < 1.2 * (1 + r) / (1 - r)


@pytest.mark.parametrize("factor", [1, 4])
def test_lambda_follows_the_standard_error(factor):
    rng = np.random.default_rng(0)
    z = np.where(rng.random(20_000 * factor) < 0.5, 1.0, -1.0)  # a unit of mean 0 and variance 1
    v = rng.random((z.size, 200)) < 0.3
    error = ((v - v.mean(axis=0)) * z[:, None]).mean(axis=0).std()
    assert suggested_l1(z.size, 0.3) == pytest.approx(4 * error, rel=0.15)


def test_lambda_is_a_tenth_of_a_small_activity_and_at_most_the_papers():
    assert suggested_l1(2000, 0.01) == pytest.approx(0.001)
    assert suggested_l1(2000, 0.08) == pytest.approx(0.008)
    assert suggested_l1(2000, 0.4) == 0.02


@pytest.mark.parametrize("n_hidden", [None, 7])
def test_the_advised_training_is_that_of_the_defaults(good, n_hidden):
    """There is one set of defaults: tests of the search show what it finds."""
    advised = advise(good, n_hidden, measure_cost=False).model().get_params()
    defaults = CRBM(n_hidden or "auto", random_state=0, progress=False).get_params()
    assert advised == defaults


def test_updates_are_told_apart_from_what_a_run_takes_besides(good, monkeypatch):
    ticks = iter(range(10**6))  # a second between two looks at the clock
    monkeypatch.setattr(cost.time, "process_time", lambda: float(next(ticks)))
    threads = numba.get_num_threads()
    for n_updates in (10, 1000):
        minutes, _ = measured_cost(good, 6, n_updates, {})
        assert 60 * minutes * threads == pytest.approx(1 + n_updates)


def test_memory_is_that_of_a_real_fit(good):
    _, memory_gb = measured_cost(good, 20, 100, {})
    model = CRBM(n_hidden=20, l1=0.02, n_updates=60, random_state=0, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(good)  # compiles, which takes more memory than the fit
        tracemalloc.start()
        model.fit(good)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 < 1e9 * memory_gb / (peak + good.spikes.nbytes) < 2


def test_memory_of_many_neurons_is_drawn_on_from_few(monkeypatch):
    # the certificate's covariances of up to 1,000 neurons do not grow with the recording
    monkeypatch.setattr(pair_covariances, "_N_NEURONS", 100)
    many = plant_recording(2400, 4, (200, 300), 400, n_unassigned=100)
    _, whole_gb = measured_cost(many, 30, 10, {})
    monkeypatch.setattr(cost, "_MOST_NEURONS", 1200)
    _, drawn_gb = measured_cost(many, 30, 10, {})
    assert drawn_gb == pytest.approx(whole_gb, rel=0.25)
