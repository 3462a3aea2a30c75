"""The grid search: the rule, the surfaces, what is saved and what a restart skips."""

import json
import math
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording
from crbm_lite.recordings.splits import split_train_test
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.validation import selection
from crbm_lite.validation.likelihood import left_out_log_likelihood
from crbm_lite.validation.report import validate
from crbm_lite.validation.selection import GridSearch, Run, RunsFailed, grid_search

RECORDING = plant_recording(
    40, 3, size_range=(10, 15), n_frames=400, n_unassigned=5, random_state=0
)
OTHER = plant_recording(40, 3, size_range=(10, 15), n_frames=400, n_unassigned=5, random_state=1)
MODEL = CRBM(n_updates=20, batch_size=50, n_chains=20, n_gibbs=3)
SHORT = {"n_chains": 20, "n_saved": 3, "n_steps": 2, "burn_in": 2}


def a_run(n_hidden, l1, seed, worst, nllh=0.1, left_out=-0.2):
    score = -math.inf if math.isnan(worst) else 1 - worst
    return Run("r", n_hidden, l1, seed, (worst, 0.0, 0.0, 0.0, 0.0), (0.01,) * 5, (True,) * 5,
               score, left_out, nllh, 0.5, "converged", 1.0)  # fmt: skip


def test_of_two_middle_values_the_worse_one_counts():
    runs = [a_run(2, 0.1, seed, worst, 0.1 + worst, -worst) for seed, worst in ((0, 0.2), (1, 0.6))]
    search = GridSearch(tuple(runs), (2,), (0.1,), 2)
    assert search.surface("v") == 0.6 and search.surface() == pytest.approx(0.4)
    assert search.surface("left_out_log_likelihood") == -0.6
    unknown = GridSearch((runs[0], replace(runs[1], nrmse=(math.nan,) * 5)), (2,), (0.1,), 2)
    assert np.isnan(unknown.surface("v"))


def test_an_nrmse_without_a_scale_says_nothing_in_surface_and_table():
    told = a_run(2, 0.1, 0, 0.3)
    untold = replace(told, seed=1, nrmse=(-25.8, 0.0, 0.0, 0.0, 0.0), has_scale=(False,) * 5)
    search = GridSearch((told, untold, replace(untold, l1=0.2)), (2,), (0.1, 0.2), 3)
    np.testing.assert_array_equal(search.surface("v"), [[0.3, np.nan]])
    lines = search.table().splitlines()
    assert lines[1].split()[2:4] == ["0.30", "0.00"]
    assert lines[2].split()[2:7] == ["-"] * 5


def test_other_code_that_scores_makes_another_run(tmp_path, monkeypatch):
    arguments = (MODEL, RECORDING, [2], [0.01], [0], tmp_path)
    grid_search(*arguments, validation=SHORT)
    digest = selection.source_digest
    monkeypatch.setattr(
        selection,
        "source_digest",
        lambda *folders: digest(*folders) + "0" * ("validation" in folders),
    )
    assert grid_search(*arguments, validation=SHORT).n_computed == 1


def test_the_best_cell_has_the_largest_median_over_seeds():
    runs = [a_run(m, lam, seed, worst, nllh, left_out)
            for m, lam, worsts, nllh, left_out in [(2, 0.1, (0.5, 0.5, 0.5), 0.1, -0.3),
                                                   (2, 0.2, (0.1, 0.6, 0.7), 0.2, -0.1),
                                                   (4, 0.1, (0.9, 0.4, 0.3), 0.3, -0.2),
                                                   (4, 0.2, (0.0, math.nan, math.nan), 0.4, -0.4)]
            for seed, worst in enumerate(worsts)]  # fmt: skip
    search = GridSearch(tuple(runs), (2, 4), (0.1, 0.2), 12)
    np.testing.assert_allclose(search.surface(), [[0.5, 0.4], [0.6, -np.inf]])
    assert np.isnan(search.surface("v")[1, 1])
    assert search.best() == search.best("left_out_log_likelihood") == (2, 0.2)
    assert search.best("score") == (4, 0.1)
    assert search.best("median_nllh") == (4, 0.2)
    assert "best by left-out log-likelihood: M = 2, lambda = 0.2" in search.table()
    assert "best by min (1 - nRMSE): M = 4, lambda = 0.1" in search.table()
    assert "best by median nLLH: M = 4, lambda = 0.2" in search.table()
    with pytest.raises(ValueError, match="quantity is 'w'"):
        search.surface("w")
    with pytest.raises(ValueError, match="by is 'v'"):
        search.best("v")
    lost = GridSearch((a_run(2, 0.1, 0, math.nan),), (2,), (0.1,), 1)
    with pytest.raises(ValueError, match=r"score is not defined .* lost their weights"):
        lost.best("score")
    assert lost.best() == (2, 0.1)
    assert "none by min (1 - nRMSE): score is not defined" in lost.table()


def test_a_single_hidden_unit_has_a_score_without_pairs(tmp_path):
    """The nRMSE of pairs is NaN where there is no pair, which says nothing about the model."""
    model = CRBM(n_updates=300, n_chains=20, batch_size=20, progress=False)
    one = plant_recording(60, 1, (40, 40), 800, 20, random_state=0)
    (run,) = grid_search(model, one, [1], [0.01], [0], tmp_path, validation=SHORT).runs
    assert np.isnan(run.nrmse[-1]) and np.isfinite(run.nrmse[:4]).all()
    assert run.score in [1 - x for x in run.nrmse[:4]]


def test_a_run_is_a_fit_and_a_validation(tmp_path):
    search = grid_search(MODEL, RECORDING, [3], [0.01], [5], tmp_path, validation=SHORT)
    train, test = split_train_test(RECORDING)
    model = CRBM(**(MODEL.get_params() | {"n_hidden": 3, "l1": 0.01, "random_state": 5}))
    model = model.set_params(progress=False).fit(train)
    report = validate(model, train, test, random_state=5, **SHORT)
    (run,) = search.runs
    assert run.nrmse == tuple(getattr(report, x).nrmse for x in ("v", "h", "vh", "vv", "hh"))
    scores = [getattr(report, x) for x in ("v", "h", "vh", "vv", "hh")]
    assert run.nrmse_error == tuple(x.nrmse_error for x in scores)
    assert run.has_scale == tuple(x.has_scale for x in scores)
    assert run.score == report.score
    assert run.median_nllh == report.nllh.median
    assert run.left_out_log_likelihood == left_out_log_likelihood(model, test).mean()
    assert run.verdict == model.verdict_
    assert MODEL.n_hidden == CRBM().n_hidden


def test_the_grid_covers_recordings_sizes_penalties_and_seeds(tmp_path):
    recordings = {"one": RECORDING, "two": OTHER}
    search = grid_search(MODEL, recordings, [3, 2], [0.02, 0.01], [0, 1], tmp_path,
                         validation=SHORT)  # fmt: skip
    found = [(r.recording, r.n_hidden, r.l1, r.seed) for r in search.runs]
    assert found == [(name, m, lam, seed) for name in ("one", "two") for m in (2, 3)
                     for lam in (0.01, 0.02) for seed in (0, 1)]  # fmt: skip
    assert (search.n_hidden, search.l1) == ((2, 3), (0.01, 0.02))
    assert search.surface().shape == (2, 2)
    assert len(list(tmp_path.glob("*.json"))) == 16
    assert len(list(tmp_path.glob("frames/*.h5"))) == 4  # train and test of two recordings


def test_a_restart_computes_only_what_is_missing(tmp_path, monkeypatch):
    compute, done = selection._compute_run, []

    def interrupted(*job):
        if len(done) == 3:
            raise KeyboardInterrupt
        compute(*job)
        done.append(job[0])

    monkeypatch.setattr(selection, "_compute_run", interrupted)
    arguments = (MODEL, RECORDING, [2], [0.01], [0, 1, 2, 3, 4], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        grid_search(*arguments, validation=SHORT)
    assert len(list(tmp_path.glob("*.json"))) == 3  # saved as they came
    kept = {path: path.stat().st_mtime_ns for path in done}
    monkeypatch.setattr(selection, "_compute_run", compute)
    search = grid_search(*arguments, validation=SHORT)
    assert search.n_computed == 2 and len(search.runs) == 5
    assert all(path.stat().st_mtime_ns == kept[path] for path in kept)
    assert grid_search(*arguments, validation=SHORT).n_computed == 0
    assert not list(tmp_path.glob("*.part"))
    # Anything that determines a run makes it another run.
    assert grid_search(*arguments, validation=SHORT | {"n_saved": 4}).n_computed == 5


OF_ANOTHER = json.dumps(vars(a_run(2, 0.01, 1, 0.1)))
CUT_SHORT = json.dumps(
    vars(a_run(2, 0.01, 0, 0.1)) | {"recording": "recording", "nrmse": (0.1, 0.1)}
)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"seed": 1}', OF_ANOTHER, CUT_SHORT])
def test_a_damaged_result_is_computed_anew(tmp_path, damage):
    arguments = (MODEL, RECORDING, [2], [0.01], [0], tmp_path)
    first = grid_search(*arguments, validation=SHORT)
    (path,) = tmp_path.glob("*.json")
    path.write_text(damage)
    second = grid_search(*arguments, validation=SHORT)
    assert second.n_computed == 1
    assert second.runs[0].nrmse == first.runs[0].nrmse
    assert json.loads(path.read_text())["seed"] == 0


@pytest.mark.parametrize("damage", [b"", b"not HDF5"])
def test_damaged_frames_are_written_anew(tmp_path, damage):
    arguments = (MODEL, RECORDING, [2], [0.01], [0], tmp_path)
    first = grid_search(*arguments, validation=SHORT)
    next(tmp_path.glob("*.json")).unlink()
    for path in tmp_path.glob("frames/*.h5"):
        path.write_bytes(damage)
    selection._load_frames.cache_clear()
    assert grid_search(*arguments, validation=SHORT).runs[0].nrmse == first.runs[0].nrmse


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_run_that_raises_does_not_lose_the_others(tmp_path, n_jobs):
    recordings = {"silent": Recording(np.zeros((400, 40)), rate_hz=2.0), "sound": RECORDING}
    arguments = ([2], [0.01, 0.02], [0], tmp_path)
    with pytest.raises(RunsFailed, match=r"2 of 4 .*silent, M = 2, lambda = 0.01.*no spike"):
        grid_search(MODEL, recordings, *arguments, validation=SHORT, n_jobs=n_jobs)
    del recordings["silent"]
    assert grid_search(MODEL, recordings, *arguments, validation=SHORT).n_computed == 0


class Deadly(CRBM):
    """Its worker is killed, once at one seed and always at another, as by want of memory."""

    def fit(self, v, **options):
        once = os.path.join(os.environ["DEADLY"], "once")
        if self.random_state == 7 or (self.random_state == 1 and not os.path.exists(once)):
            if self.random_state == 1:
                open(once, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(v, **options)


def test_a_killed_worker_costs_the_runs_that_kill_it_and_no_others(tmp_path, monkeypatch):
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()  # workers of an earlier test would not see the variable
    monkeypatch.setenv("DEADLY", str(tmp_path))
    model = Deadly(**MODEL.get_params())
    arguments = (model, RECORDING, [2], [0.01])
    with (
        pytest.warns(UserWarning, match="a worker was killed, .*, seed 7"),
        pytest.raises(RunsFailed, match=r"1 of 3 runs failed.*seed 7: its worker was killed twice"),
    ):
        grid_search(*arguments, [0, 1, 7], tmp_path / "grid", validation=SHORT, n_jobs=2)
    left = grid_search(*arguments, [0, 1], tmp_path / "grid", validation=SHORT)
    assert (left.n_computed, [run.seed for run in left.runs]) == (0, [0, 1])
    assert list(tmp_path.glob("grid/*.running")) == []


def test_a_full_disk_ends_a_search_at_once(tmp_path, monkeypatch):
    def full(*_):
        tried.append(1)
        raise OSError(28, "No space left on device")

    tried = []
    monkeypatch.setattr(selection, "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        grid_search(MODEL, RECORDING, [2], [0.01, 0.02], [0], tmp_path, validation=SHORT)
    assert len(tried) == 1 and not list(tmp_path.glob("*.json"))


def test_two_processes_give_the_same_numbers(tmp_path):
    grid = (MODEL, RECORDING, [2], [0.01, 0.02], [0])
    alone = grid_search(*grid, tmp_path / "a", validation=SHORT)
    together = grid_search(*grid, tmp_path / "b", validation=SHORT, n_jobs=2)
    assert [r.nrmse for r in alone.runs] == [r.nrmse for r in together.runs]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_hidden": []}, "n_hidden is"),
        ({"l1": [0.1, 0.1]}, "l1 is .* each once"),
        ({"seeds": []}, "seeds is"),
        ({"n_hidden": [2, 2.5]}, "n_hidden is 2.5: give an integer"),
        ({"seeds": [0.5]}, "seeds is 0.5: give an integer"),
        ({"recordings": {}}, "recordings is empty"),
        ({"l1": [-0.1]}, "l1 is -0.1: give"),
        ({"recordings": {"brief": Recording(np.eye(4), rate_hz=1.0)}}, "recording 'brief'"),
    ],
)
def test_bad_grids_are_named(tmp_path, change, message):
    grid = {"recordings": RECORDING, "n_hidden": [2], "l1": [0.1], "seeds": [0]} | change
    with pytest.raises(ValueError, match=message):
        grid_search(MODEL, folder=tmp_path, validation=SHORT, **grid)


def test_on_a_dask_cluster_the_runs_of_a_killed_worker_are_finished_by_others(tmp_path):
    import joblib
    from distributed import Client, LocalCluster

    model = clone(MODEL).set_params(n_updates=200)
    grid = (model, RECORDING, [2], [0.01, 0.02], [0, 1, 2])
    alone = grid_search(*grid, tmp_path / "alone", validation=SHORT)
    folder, killed = tmp_path / "cluster", []

    def kill_a_busy_worker(client, over):
        while not over.wait(0.01):
            busy = [name for name, tasks in client.processing().items() if tasks]
            if busy and list(folder.glob("*.json")):  # in the midst of the search
                pid = client.run(os.getpid, workers=busy[:1])[busy[0]]
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return

    over = threading.Event()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        killer = threading.Thread(target=kill_a_busy_worker, args=(client, over))
        killer.start()
        try:
            search = grid_search(*grid, folder, validation=SHORT)
        finally:
            over.set()
            killer.join()
    assert len(killed) == 1
    assert search.n_computed == 6
    assert [r.nrmse for r in search.runs] == [r.nrmse for r in alone.runs]
    assert grid_search(*grid, folder, validation=SHORT).n_computed == 0
