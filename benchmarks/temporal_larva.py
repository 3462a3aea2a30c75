"""Time in a larva of a whole brain's size: what the past tells, beside its controls, and the cost.

python -m benchmarks.temporal_larva                   (10,000 neurons, 3,000 frames)
python -m benchmarks.temporal_larva 1000 2000         (neurons, frames)

A cRBM of the training frames, the couplings over it, and the same where the frames of training and
test are in random order, or run backwards. Then all parameters together. The planted states say
how long assemblies are really active. Parts go to results/temporal_larva.json one by one; a run
that was stopped goes on with the part that is missing, and the cRBM is kept by `cached_fit`. Costs
are CPU seconds of an update, and their ratio to the cRBM's in the same run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.assemblies.dynamics import hidden_states, time_constants_s
from crbm_lite.core.spikes import as_spikes
from crbm_lite.temporal import (
    RIVALS_IN_TIME,
    TemporalCRBM,
    compare_forecasts,
    dwell_times_s,
    lagged_covariances,
    likelihood_gain,
    reversed_in_time,
    shuffled_in_blocks,
    states_with_hysteresis,
)
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.training.start import Start
from crbm_lite.training.trainer import NumbaTrainer
from crbm_lite.validation.frame_likelihood import LikelihoodRefused

RESULTS = stored.RESULTS / "temporal_larva.json"
SEED = 100  # no seed that settings were chosen on
N, T = 10_000, 3_000
N_UPDATES = 2_000
N_LAGS, N_PAIRED = 10, 500  # neurons whose covariances are compared
RUN = 100  # frames of a free run


def frames_of(n: int, t: int) -> tuple[cl.Recording, cl.Recording]:
    """The larva's frames to train on, and those to judge on."""
    return cl.split_train_test(cl.simulate_recording(n, t, random_state=SEED))


def static_model(train: cl.Recording) -> cl.CRBM:
    """The cRBM to begin with: 1.3 times as many units as there are assemblies."""
    return cl.CRBM(
        n_hidden=round(1.3 * train.truth.n_assemblies), l1=0.01, n_updates=N_UPDATES,
        random_state=SEED, progress=sys.stderr.isatty(),
    )  # fmt: skip


def over(model: cl.CRBM, train: cl.Recording, **options: object) -> TemporalCRBM:
    """The temporal model, with the package's own settings."""
    return TemporalCRBM(model, random_state=SEED, progress=False, **options).fit(train)


def gain_of(temporal: TemporalCRBM, test: cl.Recording) -> dict[str, object]:
    """Nats per frame beyond the cRBM, or why they are not to be had."""
    try:
        gain = likelihood_gain(temporal, test, random_state=SEED)
    except LikelihoodRefused as refused:
        return {"refused": str(refused)}
    return {
        "gain_nats": gain.mean, "low": gain.interval[0], "high": gain.interval[1],
        "gap": gain.gap, "annealed_share": gain.annealed_share,
    }  # fmt: skip


def lags_of(runs: np.ndarray, test: cl.Recording) -> list[float]:
    """Correlations of the covariances at 0 to 10 frames with those of the test frames.

    Of pairs of 500 neurons, spread evenly; ``runs`` are (sequences, frames, N).
    """
    some = np.linspace(0, test.n_neurons - 1, min(N_PAIRED, test.n_neurons)).astype(int)
    cuts = np.arange(runs.shape[1], runs.shape[0] * runs.shape[1], runs.shape[1])
    own = lagged_covariances(runs[:, :, some].reshape(-1, len(some)), N_LAGS, cuts)
    wanted = lagged_covariances(test.spikes[:, some], N_LAGS, test.discontinuities)
    other = ~np.eye(len(some), dtype=bool)
    return [float(np.corrcoef(a[other], b[other])[0, 1]) for a, b in zip(own, wanted)]


def measure_time(temporal: TemporalCRBM, own: cl.Recording, test: cl.Recording) -> dict:
    """Couplings judged on frames in the order that they were learned in, and on test frames."""
    runs = temporal.sample(RUN, 20, random_state=SEED)
    return gain_of(temporal, own) | {
        "lags": lags_of(runs, test),
        "diagonal": float(np.median(np.diag(temporal.couplings_)[used(temporal.static_)])),
        "spectral_radius": float(temporal.history_.spectral_radius[-1]),
        "carried": float(temporal.history_.carried[-1]),
    }


def used(model: cl.CRBM) -> np.ndarray:
    """Units that have weights."""
    return (model.weights_ != 0).any(axis=0)


def measure_static(model: cl.CRBM, test: cl.Recording) -> dict:
    """The cRBM, whose draws have no order."""
    runs = model.sample(20 * RUN, random_state=SEED).reshape(20, RUN, -1)
    return {
        "verdict": model.verdict_, "n_hidden": int(model.units.n_hidden),
        "n_alive": int(used(model).sum()), "lags": lags_of(runs, test),
    }  # fmt: skip


def measure_dwell(temporal: TemporalCRBM, test: cl.Recording) -> dict:
    """Time constants over the planted ones, and turns of the alternating assembly, in four ways."""
    model = temporal.static_
    on, rate, cuts = used(model), test.rate_hz, test.discontinuities
    h_frame = model.mean_h_given_v(test)[:, on]
    h_past = temporal.mean_h_given_past(test)[:, on]
    match = cl.match_assemblies(model.weights_[:, on], test.truth.effects.toarray())
    planted_s = time_constants_s(test.truth.states, rate, cuts)[match.second]
    turning = test.truth.states[:, [test.truth.kinds.index("antiphasic")]] != 0
    r = [np.corrcoef(turning[:, 0], x)[0, 1] for x in h_frame.T]
    unit = int(np.nanargmax(r))
    ways = {
        "frame, threshold": (h_frame, 0.0), "frame, hysteresis": (h_frame, 0.25),
        "past, threshold": (h_past, 0.0), "past, hysteresis": (h_past, 0.25),
    }  # fmt: skip
    ratio, turn_s = {}, {"planted": float(np.mean(dwell_times_s(turning, rate, cuts)[0]))}
    for name, (h, margin) in ways.items():
        active = states_with_hysteresis(h, hidden_states(h), margin, cuts)
        found_s = time_constants_s(active, rate, cuts)[match.first]
        ratio[name] = float(np.nanmedian(found_s / planted_s))
        turn_s[name] = float(np.mean(dwell_times_s(active, rate, cuts)[unit]))
    return {"time constant over planted": ratio, "turn_s": turn_s, "r of the turning unit": r[unit]}


def measure_all(model: cl.CRBM, train: cl.Recording, test: cl.Recording) -> dict:
    """All parameters, after the couplings."""
    with command.timed() as elapsed:
        temporal = over(model, train, trains="all")
    runs = temporal.sample(RUN, 20, random_state=SEED)
    moved = np.abs(temporal.weights_ - model.weights_).sum() / np.abs(model.weights_).sum()
    return gain_of(temporal, test) | {
        "lags": lags_of(runs, test), "moved": float(moved), "cpu_s": elapsed.cpu_s,
        "spectral_radius": float(temporal.history_.spectral_radius[-1]),
    }  # fmt: skip


def measure_forecasts(temporal: TemporalCRBM, train: cl.Recording, test: cl.Recording) -> dict:
    """The next frame: the temporal model and its rivals, in nats per frame beyond the rate."""
    names = [name for name in RIVALS_IN_TIME if "Markov" not in name]  # hmmlearn is an extra
    found = compare_forecasts(temporal, train, test, names, random_state=SEED)
    return {x.name: [x.gain_nats, *x.interval] for x in found}


def measure_cost(model: cl.CRBM, train: cl.Recording) -> dict[str, float]:
    """CPU seconds of an update: of the cRBM from where it ended, of the couplings, and of all."""
    start = Start(model.weights_, model.fields_, np.stack(model.units.parameters), 1.0)
    schedule = checked_schedule(static_model(train))
    trainer = NumbaTrainer(as_spikes(train), start, schedule, np.random.default_rng(SEED))
    found = {"cRBM": command.cpu_s_per_update(trainer)}

    def seconds(n_updates: int, trains: str) -> float:
        with command.timed() as elapsed:
            over(model, train, n_updates=n_updates, trains=trains)
        return elapsed.cpu_s

    for trains in ("couplings", "all"):
        seconds(1, trains)
        found[trains] = (seconds(25, trains) - seconds(5, trains)) / 20
    found["all"] -= found["couplings"]
    ratios = {f"{name} over cRBM": found[name] / found["cRBM"] for name in ("couplings", "all")}
    return found | ratios


def rounded(x: object) -> object:
    """The same with three digits after the point."""
    if isinstance(x, dict):
        return {name: rounded(each) for name, each in x.items()}
    if isinstance(x, list):
        return [rounded(each) for each in x]
    return round(float(x), 4) if isinstance(x, float) else x


def main(n: int = N, t: int = T) -> None:
    """Measure what is missing, and print all."""
    entry = f"{n} neurons, {t} frames"
    train, test = frames_of(n, t)
    model = cl.cached_fit(static_model(train), train)
    temporal = cache(partial(over, model, train))

    def shuffled(recording: cl.Recording, seed: int) -> cl.Recording:
        return shuffled_in_blocks(recording, random_state=seed)

    def in_order(change: Callable) -> dict:
        fitted = over(model, change(train, SEED))
        return measure_time(fitted, change(test, SEED + 1), test)

    parts = {
        "cRBM": lambda: measure_static(model, test),
        "as recorded": lambda: measure_time(temporal(), test, test),
        "dwell": lambda: measure_dwell(temporal(), test),
        "cost": lambda: measure_cost(model, train),
        "shuffled": lambda: in_order(shuffled),
        "all parameters": lambda: measure_all(model, train, test),
        "reversed": lambda: in_order(lambda recording, seed: reversed_in_time(recording)),
        "forecasts": lambda: measure_forecasts(temporal(), train, test),
    }
    for name, part in parts.items():
        known = stored.read(RESULTS).get(entry, {})
        if name not in known or f"{entry}/{name}" in stored.old_parts(RESULTS):
            stored.keep(RESULTS, entry, {name: rounded(part())})
        print(name, stored.read(RESULTS)[entry][name], flush=True)


if __name__ == "__main__":
    command.run(main)
