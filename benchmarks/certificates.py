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
often twenty certificates of one model agree. Rows go to results/certificates.csv, one by one.

The tolerances were chosen on the planted recording and the retina with seed 0 (see ``CHOSEN_ON``),
whose rows are told apart in the tables.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.baselines.independent import fit_independent
from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import Spikes, as_spikes
from crbm_lite.datasets.registry import fetch
from crbm_lite.training.certificate import Certificate, certify, rounds_within, sample_model
from crbm_lite.training.data_side import DataMeans
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.validation.likelihood import left_out_nllh

RESULTS = stored.RESULTS / "certificates.csv"
TEXTS = ("recording", "kind", "verdict", "worst")
COLUMNS = (
    "recording", "kind", "seed", "l1", "certificate_seed", "verdict", "score", "residual",
    "fields", "noise", "missing_gain", "mixing_time", "n_steps", "gain", "worst",
)  # fmt: skip
CHOSEN_ON = (("planted", 0), ("retina", 0))
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
    file = fetch("zebrafish-tectum", progress=False).paths["zf_20151104-f1.mat"]
    keys = {"keys": {"spikes": "activity_matrix"}, "time_axis": 1, "rate_hz": 2.2}
    return cl.import_recording(file, **keys)


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
    """Left-out log-likelihood of unseen frames over that of independent neurons, nats a frame."""
    model = cl.CRBM.from_parameters(end.weights, end.fields, *end.potential)
    scores = [left_out_nllh(x, test).log_likelihood.sum() for x in (model, fit_independent(train))]
    return float(scores[0] - scores[1])


def score_of(found: Certificate) -> float:
    """How far a model is from passing: below 1 it passes."""
    if found.n_units_alive == 0:
        return 100.0
    residuals = float(np.nanmax(found.residual_by_unit)), found.residual_fields
    return min(max(*residuals, found.missing_gain / MISSING), 100.0)


def row_of(name: str, kind: str, seed: int, l1: float, found: Certificate, gain: float) -> dict:
    """One line of the table."""
    alive = found.n_units_alive > 0
    return {
        "recording": name, "kind": kind, "seed": seed, "l1": l1, "certificate_seed": 0,
        "verdict": found.verdict, "score": score_of(found),
        "residual": float(np.nanmax(found.residual_by_unit)) if alive else np.nan,
        "fields": found.residual_fields,
        "noise": float(max(np.nanmax(found.noise_by_unit), found.noise_fields)) if alive else 0.0,
        "missing_gain": found.missing_gain,
        "mixing_time": float(np.nanmax(found.mixing_times)) if alive else np.nan,
        "n_steps": found.n_steps, "gain": gain,
        "worst": "; ".join(found.failed + found.undetermined)[:90],
    }  # fmt: skip


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


def measure(name: str, seed: int) -> None:
    """Measure the models of one recording and seed; what is in the table already is skipped."""
    train, test = cl.split_train_test(recording_of(name, seed))
    spikes, l1, fitted = as_spikes(train), L1[name], {}

    def is_new(kind: str, again: int = 0) -> bool:
        wanted = (name, kind, seed, again)
        keys = ("recording", "kind", "seed", "certificate_seed")
        rows = stored.read_rows(RESULTS, TEXTS)
        return all(tuple(row[key] for key in keys) != wanted for row in rows)

    def fit(kind: str) -> cl.CRBM:
        if kind not in fitted:
            fitted[kind] = trained(name, seed, train, **trainings(name)[kind])
        return fitted[kind]

    def keep(kind: str, end: TrainedParameters, l1: float, found: Certificate, **more) -> None:
        row = row_of(name, kind, seed, l1, found, gain_of(end, train, test)) | more
        stored.write_rows(RESULTS, COLUMNS, [row], append=True)
        told = f"{row['score']:.2f} {row['gain']:.3f} {row['worst']}"
        print(f"{name:<8}{seed:<3}{kind:<24}{row['verdict']:<15}{told}", flush=True)

    for kind in filter(is_new, trainings(name)):
        model = fit(kind)
        keep(kind, parameters_of(model, spikes), model.l1, model.certificate_,
             verdict=model.verdict_)  # fmt: skip
    if not is_new("good", N_AGAIN):
        return
    good = parameters_of(fit("good"), spikes)
    for kind, end in damaged(good).items():
        if is_new(kind):
            keep(kind, end, l1, certified(spikes, end, l1, seed))
    if is_new("chains stuck"):  # in the frame of most spikes, with high barriers around it
        busiest = np.argmax(np.diff(spikes.frame_starts))
        start = np.repeat(spikes.dense(np.array([busiest])), 3 * N_CHAINS, axis=0)
        steep = replace(good, weights=good.weights * np.float32(2.0))
        keep("chains stuck", steep, l1, certified(spikes, steep, l1, seed, start))
    if is_new("other recording"):  # of as many neurons, in another order
        order = np.random.default_rng(seed).permutation(train.n_neurons)
        end = replace(good, weights=good.weights[order], fields=good.fields[order])
        keep("other recording", end, l1, certified(spikes, end, l1, seed))
    for again in range(1, N_AGAIN + 1):
        if is_new("good", again):
            found = certified(spikes, good, l1, 1000 * seed + again)
            keep("good", good, l1, found, certificate_seed=again)


def area_under_curve(score: np.ndarray, is_good: np.ndarray) -> float:
    """Probability that a good model has a lower score than another one."""
    good, bad = score[is_good], score[~is_good]
    lower = (good[:, None] < bad).mean() + 0.5 * (good[:, None] == bad).mean()
    return float(lower)


def tables() -> None:
    """Print what the verdicts come to."""
    rows = stored.read_rows(RESULTS, TEXTS)
    first = [row for row in rows if row["certificate_seed"] == 0]
    best: dict[tuple, float] = {}
    for row in first:
        key = (row["recording"], row["seed"])
        best[key] = max(best.get(key, -np.inf), row["gain"])
    for row in first:
        row["is_good"] = row["gain"] >= (1.0 - WITHIN) * best[row["recording"], row["seed"]]
    print(f"{len(first)} models, and {len(rows) - len(first)} certificates of the same again")
    verdicts = ("converged", "undetermined", "not converged", "collapsed", "diverged")
    print(f"{'kind':<26}" + "".join(f"{x:>15}" for x in (*verdicts, "gain within 2%")))
    for kind in dict.fromkeys(row["kind"] for row in first):
        of_kind = [row for row in first if row["kind"] == kind]
        counts = Counter(row["verdict"] for row in of_kind)
        numbers = [counts[x] for x in verdicts] + [sum(row["is_good"] for row in of_kind)]
        print(f"{kind:<26}" + "".join(f"{x:>15}" for x in numbers))
    is_chosen = [(row["recording"], row["seed"]) in CHOSEN_ON for row in first]
    for title, wanted in (("tolerances chosen on", True), ("not chosen on", False)):
        some = [row for row, chosen in zip(first, is_chosen) if chosen == wanted]
        if some:
            score, is_good = (np.array([row[k] for row in some]) for k in ("score", "is_good"))
            area = area_under_curve(score, is_good)
            print(f"{title}: {len(some)} models, {is_good.sum()} good, area {area:.3f}")
            for good in (True, False):
                counts = Counter(row["verdict"] for row in some if row["is_good"] == good)
                print(f"  {'good' if good else 'others'}: {dict(counts)}")
    for key in best:
        seen = Counter(
            row["verdict"] for row in rows
            if (row["recording"], row["seed"]) == key and row["certificate_seed"] > 0
        )  # fmt: skip
        print(f"{key[0]} {key[1]:.0f}, one model certified again: {dict(seen)}")


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
