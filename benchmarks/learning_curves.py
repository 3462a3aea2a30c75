"""Time to quality: processor seconds until a training is as good as a long one.

python -m benchmarks.learning_curves [planted] [retina]     both if none is named

One choice is changed at a time: start, ramp, chains, Gibbs steps, jumps. Adaptive Gibbs steps are
made by `AdaptiveTrainer`, which is only here. A run of n updates has its learning rate decay and
its parameters averaged over these n updates, so a learning curve is made of whole runs, each twice
as long as the one before, and not of moments of one run. "As good" compares all five statistics and
the median nLLH, on test frames, with the longest run with the usual choices:

- the nRMSE is at most 0.05 higher (1 is the distance from shuffled to training data; below 0 counts
  as 0);
- where nRMSE has no scale, because shuffled data are hardly worse than training data (by less than
  five standard errors of an RMSE of so many entries), the RMSE itself is at most 5 % or that
  standard error higher, whichever is larger;
- the median nLLH is at least 95 %.

The shortest run of a choice that is as good counts. Every length is twice the one before, so a time
is known to a factor of two in updates; its seconds per update are exact. They are CPU seconds of
one thread from the first look at the spikes to the last update, without certificate and validation.
There is one seed. Results go to results/learning_curves.json, row by row, and what is there already
is not measured again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
from tqdm import tqdm

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.training.interruption import StopRequest
from crbm_lite.training.monitors import MonitoredRun
from crbm_lite.training.task import TrainingTask, start_trainer
from crbm_lite.training.trainer import NumbaTrainer
from crbm_lite.validation.comparison import STATISTICS

RESULTS = stored.RESULTS / "learning_curves.json"
SEED, TOLERANCE = 0, 0.05
SAMPLING = {"n_chains": 100, "n_saved": 60, "n_steps": 5, "burn_in": 60}
CHOICES: dict[str, dict[str, object]] = {
    "usual": {},
    "random start": {"init": "random"},
    "no jumps": {"jump_every": 0},
    "jumps every 3 steps": {"jump_every": 3},
    "3 Gibbs steps": {"n_gibbs": 3},
    "15 Gibbs steps": {"n_gibbs": 15},
    "50 chains": {"n_chains": 50},
    "200 chains": {"n_chains": 200},
    "ramp over 10 % of the updates": {"ramp": 0.1},
    "jumps every 6 steps": {"jump_every": 6},
    "jumps every 15 steps": {"jump_every": 15},
    "10 Gibbs steps": {"n_gibbs": 10},
    "adaptive Gibbs steps": {"n_gibbs": "adaptive"},
    "ramp over 30 % of the updates": {"ramp": 0.3},
}


class AdaptiveTrainer(NumbaTrainer):
    """Take 1 to 30 Gibbs steps per update, so that it forgets half of what the chains were.

    What is left is the correlation over the chains of a hidden unit's input before an update and
    after it, averaged over the units. Above 0.5 the next update takes one step more, and below 0.3
    one less.
    """

    _FEWEST, _MOST, _FORGOTTEN, _KEPT = 1, 30, 0.3, 0.5

    def one_update(self, measure: bool = False) -> float | None:
        before = self.chains.inputs().copy()
        result = super().one_update(measure)
        after = self.chains.inputs()
        before, after = (x - x.mean(axis=0) for x in (before, after))
        norm = np.sqrt((before**2).sum(axis=0) * (after**2).sum(axis=0))
        alive = norm > 0
        left = np.mean((before * after).sum(axis=0)[alive] / norm[alive]) if alive.any() else 0.0
        change = int(left > self._KEPT) - int(left < self._FORGOTTEN)
        n_gibbs = min(max(self.plan.schedule.n_gibbs + change, self._FEWEST), self._MOST)
        self.plan.schedule = replace(self.plan.schedule, n_gibbs=n_gibbs)
        return result


@dataclass(frozen=True)
class Problem:
    """A recording, the usual choices and the lengths of runs in updates."""

    train: cl.Recording
    test: cl.Recording
    usual: dict[str, object]
    lengths: tuple[int, ...]


def problem(name: str) -> Problem:
    """A planted recording of 600 neurons, or every third unit of the retina of `benchmarks.retina`.

    Smaller than in the other benchmarks, since two dozen choices and lengths are trained.
    """
    usual = {"n_gibbs": 6, "final_learning_rate": 1e-4}
    if name == "planted":
        recording = cl.plant_recording(600, 8, (60, 120), 3000, 90, random_state=0)
        parts = recording.select_frames(slice(0, 2000)), recording.select_frames(slice(2000, None))
        usual |= {"n_hidden": 10, "l1": 0.01, "jump_every": 3}
        return Problem(*parts, usual, (60, 125, 250, 500, 1000, 2000, 4000))
    retina = cl.load_retina()
    train, test = cl.split_train_test(retina.select_neurons(np.arange(0, retina.n_neurons, 3)))
    usual |= {"n_hidden": 20, "l1": 0.002, "jump_every": 0}
    return Problem(train, test, usual, (500, 1000, 2000, 4000, 8000))


def run(case: Problem, choice: dict[str, object], n_updates: int) -> dict[str, object]:
    """Train once and validate; seconds of the training alone."""
    is_adaptive = choice.get("n_gibbs") == "adaptive"
    model = cl.CRBM(**case.usual | ({} if is_adaptive else choice), n_updates=n_updates)
    schedule, spikes = checked_schedule(model), as_spikes(case.train)
    make_trainer = AdaptiveTrainer if is_adaptive else NumbaTrainer
    task = TrainingTask(spikes, model.n_hidden, schedule, model.init, SEED, make_trainer)
    with command.timed() as training:
        watch = MonitoredRun(float(spikes.activity().mean()), tqdm(disable=True), StopRequest())
        trainer = start_trainer(task, watch)
        ended = watch.train(trainer)
        end, _ = trainer.finish()
    fitted = cl.CRBM.from_parameters(end.weights, end.fields, *end.potential)
    report = cl.validate(fitted, case.train, case.test, random_state=SEED, **SAMPLING)
    scores = {name: getattr(report, name) for name in STATISTICS}
    return {
        "n_updates": n_updates,
        "cpu_s": training.cpu_s,
        "ended": ended,
        "last_n_gibbs": trainer.plan.schedule.n_gibbs,
        "events": watch.events,
        "nllh": report.nllh.median,
        "nrmse": {name: score.nrmse for name, score in scores.items()},
        "rmse": {name: score.rmse for name, score in scores.items()},
        "rmse_optimal": {name: score.rmse_optimal for name, score in scores.items()},
        "has_scale": {name: score.has_scale for name, score in scores.items()},
        "error": {name: 1.0 / np.sqrt(2.0 * max(s.n_entries, 1)) for name, s in scores.items()},
    }


def shortfalls(found: dict, longest: dict) -> list[str]:
    """Name what is worse in a run than in the longest run; a NaN is worse."""
    out = []
    for name in STATISTICS:
        if longest["has_scale"][name]:
            good = found["nrmse"][name] <= max(longest["nrmse"][name], 0.0) + TOLERANCE
        else:
            least = max(longest["rmse"][name], found["rmse_optimal"][name])
            good = found["rmse"][name] <= least * (1.0 + max(TOLERANCE, longest["error"][name]))
        out += [] if good else [name]
    return out + ([] if found["nllh"] >= (1.0 - TOLERANCE) * longest["nllh"] else ["nLLH"])


def shortest(case: Problem, choice: dict, longest: dict, runs: list[dict]) -> dict:
    """The shortest run that is as good as the longest; all that were needed go to ``runs``."""
    for n_updates in case.lengths:
        found = run(case, choice, n_updates)
        found["shortfalls"] = shortfalls(found, longest)
        runs.append(found)
        if not found["shortfalls"]:
            return found
    return {"cpu_s": None, "n_updates": None}


def measure(name: str) -> None:
    """Measure every choice on one recording that is not in the table yet; print a line for each."""
    case, kept = problem(name), {"choices": {}}
    if stored.is_current(RESULTS, f"{name}/usual"):
        kept = stored.read(RESULTS)[name]
    longest, usual = kept.get("longest"), kept["choices"].get("usual")
    for title, choice in CHOICES.items():
        same = choice and all(case.usual.get(k) == x for k, x in choice.items())
        if same or stored.is_current(RESULTS, f"{name}/{title}"):
            continue
        if longest and title == "random start" and "begun again" in " ".join(longest["events"]):
            continue  # the usual run has one already
        runs: list[dict] = []
        if longest is None:
            longest = run(case, choice, case.lengths[-1])
        best = shortest(case, choice, longest, runs)
        usual = usual or best
        ratio = best["cpu_s"] and best["cpu_s"] / usual["cpu_s"]
        row = {"choice": choice, "n_updates": best["n_updates"], "cpu_s": best["cpu_s"],
               "ratio": ratio, "runs": runs}  # fmt: skip
        shown = f"{row['n_updates']} updates, {row['cpu_s']:.1f} s, x {ratio:.2f}" if ratio else "-"
        misses = {r["n_updates"]: r["shortfalls"] for r in runs if r["shortfalls"]}
        print(f"{name:<8}{title:<32}{shown:<30}{misses}", flush=True)
        keep(name, longest, {title: row})


def keep(name: str, longest: dict, rows: dict[str, dict]) -> None:
    """Add rows to the table."""
    results = stored.read(RESULTS)
    choices = results.get(name, {"choices": {}})["choices"] | rows
    choices = {title: choices[title] for title in CHOICES if title in choices}
    results[name] = {"longest": longest, "choices": choices, "threads": numba.get_num_threads()}
    stored.write(RESULTS, results, *(f"{name}/{title}" for title in rows))


def main(*names: str) -> None:
    """Measure what is named."""
    for name in names or ("planted", "retina"):
        measure(name)


if __name__ == "__main__":
    command.run(main)
