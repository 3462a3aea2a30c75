"""Is the verdict to be believed? Good models, and models damaged on purpose, with their verdicts.

python -m benchmarks.certificates [planted] [retina] [tectum] [larva]     all by default
python -m benchmarks.certificates tables     prints what the verdicts come to

On small recordings models are trained from several seeds with lambda of several sizes, and for too
short a time. The good ones are damaged: weights scaled, fields shifted, a unit deleted, chains
stuck in one state, or the neurons are those of another recording. Each gets the verdict of the
certificate that a training of its length would give it.

A model is *good* if its left-out log-likelihood of unseen frames, as a gain over independent
neurons, is within 2 % of the best known on that recording. The score of a model is the largest
residual in units of its tolerance, or what the covariances lack, if that is more. The tables are
the confusion of kinds and verdicts, the area under the curve of that score for good models, and how
often twenty certificates of one model agree. Rows go to results/certificates.json, in three parts
for each recording: models as they were trained, damaged ones, and one model certified again.

The tolerances were chosen on the planted recording and the retina with seed 0 (see ``CHOSEN_ON``),
whose rows are told apart in the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.any_recording.recordings import tectum
from crbm_lite.baselines.independent import fit_independent
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.training.certificate import Certificate, certify, rounds_within, sample_model
from crbm_lite.training.data_side import DataMeans
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.validation.likelihood import left_out_nllh

RESULTS = stored.RESULTS / "certificates.json"
CHOSEN_ON = ("planted 0", "retina 0")
N_UPDATES, N_GIBBS, N_CHAINS = 2000, 6, 100
N_AGAIN = 20  # certificates of one model
MISSING = 0.02  # of the gain by the data's patterns, which a certificate tolerates
N_SEEDS = {"planted": 5, "larva": 4, "tectum": 3, "retina": 4}
FACTORS, SHIFTS = (0.8, 0.9, 1.1, 1.2), (-0.3, 0.3)
WITHIN = 0.02  # of the best gain, for a good model
L1 = {"planted": 0.005, "retina": 0.002, "tectum": 0.002, "larva": 0.005}
HIDDEN = {"planted": 8, "retina": 20, "tectum": 15, "larva": 20}


def recording_of(name: str, seed: int) -> cl.Recording:
    """A small recording; simulated ones differ from seed to seed."""
    if name == "planted":
        return cl.plant_recording(300, 6, (30, 60), 3000, 60, random_state=seed)
    if name == "larva":
        return cl.simulate_recording(300, 3000, random_state=seed, n_assemblies=8)
    if name == "retina":
        whole = cl.load_retina()
        return whole.select_neurons(np.arange(seed, whole.n_neurons, 6))
    return tectum()


def trained(name: str, seed: int, train: cl.Recording, **changes: object) -> cl.CRBM:
    """A model by hand settings that suit all of these recordings."""
    usual = {
        "n_hidden": HIDDEN[name], "l1": L1[name], "n_updates": N_UPDATES, "n_gibbs": N_GIBBS,
        "n_chains": N_CHAINS, "jump_every": 0, "final_learning_rate": 1e-4, "random_state": seed,
        "progress": False,
    }  # fmt: skip
    return cl.CRBM(**usual | changes).fit(train)


def parameters_of(model: cl.CRBM, spikes: Spikes) -> TrainedParameters:
    """The parameters of a model, with the mean of h over the data."""
    potential = np.stack(model.units.parameters)
    weights = model.weights_.astype(np.float32)
    mean_h = np.mean(model.units.mean(spikes.inputs(weights)), axis=0)
    return TrainedParameters(weights, model.fields_.copy(), potential, mean_h)


def certified(
    spikes: Spikes, end: TrainedParameters, l1: float, seed: int, start: np.ndarray | None = None
) -> Certificate:
    """Certify as a training does; chains begin at frames of the data, or at ``start``."""
    n_chains = 3 * N_CHAINS
    chains = GibbsChains(*end.weights.shape, n_chains, seed, 0)
    chains.set_weights(end.weights)
    frames = np.random.default_rng(seed).integers(spikes.n_frames, size=n_chains)
    chains.set_spikes(spikes.dense(frames) if start is None else start)
    n_rounds = rounds_within(N_UPDATES * N_GIBBS * N_CHAINS / n_chains)
    data = DataMeans(spikes, end)
    return certify(end, data, sample_model(end, chains, data, n_rounds), l1, l1)


def gain_of(end: TrainedParameters, train: cl.Recording, test: cl.Recording) -> float:
    """Left-out log-likelihood of unseen frames over that of independent neurons, nats per frame."""
    model = cl.CRBM.from_parameters(end.weights, end.fields, *end.potential)
    scores = [left_out_nllh(x, test).log_likelihood.sum() for x in (model, fit_independent(train))]
    return float(scores[0] - scores[1])


def score_of(found: Certificate) -> float:
    """How far a model is from passing: below 1 it passes."""
    if found.n_units_alive == 0:
        return 100.0
    residuals = float(np.nanmax(found.residual_by_unit)), found.residual_fields
    return min(max(*residuals, found.missing_gain / MISSING), 100.0)


def row_of(kind: str, found: Certificate, verdict: str, gain: float) -> dict[str, object]:
    """One line of the table; None stands for what a model without weights has not."""
    alive = found.n_units_alive > 0
    numbers = {
        "score": score_of(found),
        "residual": np.nanmax(found.residual_by_unit) if alive else np.nan,
        "fields": found.residual_fields,
        "noise": max(np.nanmax(found.noise_by_unit), found.noise_fields) if alive else 0.0,
        "missing_gain": found.missing_gain,
        "mixing_time": np.nanmax(found.mixing_times) if alive else np.nan,
        "n_steps": found.n_steps,
        "gain": gain,
    }
    rounded = {k: float(f"{x:.5g}") if np.isfinite(x) else None for k, x in numbers.items()}
    worst = "; ".join(found.failed + found.undetermined)
    return {"kind": kind, "verdict": verdict} | rounded | {"worst": worst}


def trainings(name: str) -> dict[str, dict[str, object]]:
    """Kinds of models, and how their training differs from the usual one."""
    l1 = L1[name]
    return {
        "good": {},
        "random start": {"init": "random"},
        "refitted": {"refit": 0.3},
        "stopped at 3 %": {"n_updates": N_UPDATES // 32, "init": "random"},
        "stopped at 12 %": {"n_updates": N_UPDATES // 8, "init": "random"},
        "lambda x 10": {"l1": 10 * l1},
        "lambda x 3": {"l1": 3 * l1},
        "lambda / 4": {"l1": l1 / 4},
        "a third of the units": {"n_hidden": HIDDEN[name] // 3},
    }


def damaged(good: TrainedParameters) -> dict[str, TrainedParameters]:
    """The good model, damaged in several ways."""
    w, fields = good.weights, good.fields
    first, second = np.argsort(-np.square(w).sum(axis=0), kind="stable")[:2]
    kinds = {f"weights x {x}": replace(good, weights=w * np.float32(x)) for x in FACTORS}
    kinds |= {f"fields {x:+}": replace(good, fields=fields + x) for x in SHIFTS}
    for title, unit in (("largest", first), ("second", second)):
        lacking = w.copy()
        lacking[:, unit] = 0.0
        # its mean input to the neurons stays, so that their rates change little
        mean_input = w[:, unit] * good.mean_h[unit]
        kinds[f"{title} unit deleted"] = replace(good, weights=lacking, fields=fields + mean_input)
    one, half = w.copy(), w.copy()
    one[:, first] *= np.float32(1.3)
    half[np.flatnonzero(w[:, first])[::2], first] = 0.0
    return kinds | {
        "one unit x 1.3": replace(good, weights=one), "half a unit": replace(good, weights=half),
    }  # fmt: skip


def stuck(good: TrainedParameters, spikes: Spikes) -> tuple[TrainedParameters, np.ndarray]:
    """A model with high barriers, and chains that all begin in the frame of most spikes."""
    busiest = np.argmax(np.diff(spikes.frame_starts))
    start = np.repeat(spikes.dense(np.array([busiest])), 3 * N_CHAINS, axis=0)
    return replace(good, weights=good.weights * np.float32(2.0)), start


def of_another_recording(good: TrainedParameters, seed: int) -> TrainedParameters:
    """A model of as many neurons, in another order."""
    order = np.random.default_rng(seed).permutation(len(good.fields))
    return replace(good, weights=good.weights[order], fields=good.fields[order])


def measure(name: str, seed: int) -> None:
    """Measure the models of one recording and seed; what is in the table already is skipped."""
    entry, l1 = f"{name} {seed}", L1[name]
    train, test = cl.split_train_test(recording_of(name, seed))
    spikes = as_spikes(train)
    fit = cache(lambda kind: trained(name, seed, train, **trainings(name)[kind]))

    def as_trained() -> Iterator[dict]:
        for kind in trainings(name):
            model = fit(kind)
            gain = gain_of(parameters_of(model, spikes), train, test)
            yield row_of(kind, model.certificate_, model.verdict_, gain)

    def certified_row(kind: str, end: TrainedParameters, seed: int, start=None) -> dict:
        found = certified(spikes, end, l1, seed, start)
        return row_of(kind, found, found.verdict, gain_of(end, train, test))

    def when_damaged() -> Iterator[dict]:
        good = parameters_of(fit("good"), spikes)
        for kind, end in damaged(good).items():
            yield certified_row(kind, end, seed)
        steep, start = stuck(good, spikes)
        yield certified_row("chains stuck", steep, seed, start)
        yield certified_row("other recording", of_another_recording(good, seed), seed)

    def again() -> Iterator[dict]:
        good = parameters_of(fit("good"), spikes)
        for k in range(1, N_AGAIN + 1):
            yield certified_row("good", good, 1000 * seed + k)

    for part, rows in (("trained", as_trained), ("damaged", when_damaged), ("again", again)):
        if not stored.is_current(RESULTS, f"{entry}/{part}"):
            stored.keep(RESULTS, entry, {part: list(rows())})
            for row in stored.read(RESULTS)[entry][part]:
                told = f"{row['score']:.2f} {row['gain']:.3f} {row['worst'][:60]}"
                print(f"{entry:<10} {row['kind']:<24}{row['verdict']:<15}{told}", flush=True)


def area_under_curve(score: np.ndarray, is_good: np.ndarray) -> float:
    """Probability that a good model has a lower score than another one."""
    good, bad = score[is_good], score[~is_good]
    lower = (good[:, None] < bad).mean() + 0.5 * (good[:, None] == bad).mean()
    return float(lower)


def models() -> dict[str, list[dict]]:
    """The rows of all models, by recording; each says whether its model is good."""
    found = {}
    for entry, parts in stored.read(RESULTS).items():
        rows = [row for part in ("trained", "damaged") for row in parts.get(part, ())]
        best = max((row["gain"] for row in rows), default=0.0)
        found[entry] = [row | {"is_good": row["gain"] >= (1 - WITHIN) * best} for row in rows]
    return found


def tables() -> None:
    """Print what the verdicts come to."""
    by_recording = models()
    rows = [row for of in by_recording.values() for row in of]
    again = {
        entry: Counter(row["verdict"] for row in parts.get("again", ()))
        for entry, parts in stored.read(RESULTS).items()
    }
    n_again = sum(map(Counter.total, again.values()))
    print(f"{len(rows)} models, and {n_again} certificates of the same again")
    verdicts = ("converged", "undetermined", "not converged", "collapsed", "diverged")
    print(f"{'kind':<26}" + "".join(f"{x:>15}" for x in (*verdicts, "gain within 2%")))
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of_kind = [row for row in rows if row["kind"] == kind]
        counts = Counter(row["verdict"] for row in of_kind)
        numbers = [counts[x] for x in verdicts] + [sum(row["is_good"] for row in of_kind)]
        print(f"{kind:<26}" + "".join(f"{x:>15}" for x in numbers))
    for title, wanted in (("tolerances chosen on", True), ("not chosen on", False)):
        some = [
            row for entry, of in by_recording.items() if (entry in CHOSEN_ON) == wanted
            for row in of
        ]  # fmt: skip
        if some:
            score, is_good = (np.array([row[k] for row in some]) for k in ("score", "is_good"))
            area = area_under_curve(score, is_good)
            print(f"{title}: {len(some)} models, {is_good.sum()} good, area {area:.3f}")
            for good in (True, False):
                counts = Counter(row["verdict"] for row in some if row["is_good"] == good)
                print(f"  {'good' if good else 'others'}: {dict(counts)}")
    for entry, counts in again.items():
        print(f"{entry}, one model certified again: {dict(counts)}")


def main(*names: str) -> None:
    """Measure the recordings that are named, or all, seed after seed; then print the tables."""
    chosen = [name for name in names if name != "tables"] or list(N_SEEDS)
    for seed in range(max(N_SEEDS.values()) if names != ("tables",) else 0):
        for name in chosen:
            if seed < N_SEEDS[name]:
                measure(name, seed)
    tables()


if __name__ == "__main__":
    command.run(main)
