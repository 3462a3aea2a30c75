"""Hidden units that two simulated larvae share: what a translation says, beside its controls.

python -m benchmarks.shared_animals                   (10,000 neurons, 3,000 frames)
python -m benchmarks.shared_animals 1000 2000         (neurons, frames)

A teacher of one larva, its student in another one of the same plan, and four students that lack one
thing each. A student of a larva of another plan is the last control. The rival is the sender's
activity, interpolated over space. What a student is scored by is
kept in results/shared_animals.json, part by part; a run that was stopped goes on with the part that
is missing, and the teacher is kept by `cached_fit`. The costs are CPU seconds an update, and their
ratio to the cRBM's in the same run.
"""

from __future__ import annotations

import sys

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from crbm_lite.animals.alignment import Alignment, align
from crbm_lite.animals.animal import Animal
from crbm_lite.animals.controls import CONTROLS
from crbm_lite.animals.scores import score_alignment, score_translation, state_correlations
from crbm_lite.animals.space import chosen_width_um, interpolation
from crbm_lite.animals.translation import translate
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training.hidden_term import HiddenTerm
from crbm_lite.training.hyperparameters import checked_schedule
from crbm_lite.training.start import Start
from crbm_lite.training.trainer import NumbaTrainer

RESULTS = stored.RESULTS / "shared_animals.json"
SEED, OTHER_PLAN = 100, 101  # no seed that settings were chosen on
N, T = 10_000, 3_000
N_UPDATES, N_UPDATES_OF_STUDENT = 4_000, 2_000
# what matters most
FIRST = ("student", "interpolated activity", "cost", "permuted maps", "no h", "another plan")
STUDENTS = {"student": {}, **CONTROLS, "free potentials": {"freeze_hidden": False}}


def larva(n: int, t: int, animal: int, seed: int = SEED) -> cl.Recording:
    """One larva of a plan."""
    return cl.simulate_recording(n, t, random_state=seed, animal=animal)


def teacher_of(n: int, t: int) -> Animal:
    """The teacher, with 1.3 times as many units as there are assemblies."""
    recording = larva(n, t, 0)
    n_hidden = round(1.3 * recording.truth.n_assemblies)
    model = cl.CRBM(
        n_hidden=n_hidden, l1=0.01, n_updates=N_UPDATES, random_state=SEED,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    return Animal(cl.cached_fit(model, recording), recording)


def planted(sender: Animal, recipient: Animal) -> float:
    """Mean correlation of the recipient's assemblies with the sender's true states."""
    v = translate(sender.model, recipient.model, sender.recording)
    truths = recipient.recording.truth, sender.recording.truth
    return float(np.nanmean(state_correlations(v, *truths)))


def interpolated(sender: Animal, recording: cl.Recording) -> dict[str, float]:
    """The rival that needs no model of the other larva: activity carried over space, smoothed."""
    width_um = chosen_width_um(sender.model.weights_, sender.coordinates)
    carries = interpolation(sender.coordinates, recording.coordinates, width_um)
    v = (carries @ sender.recording.spikes.T.astype(np.float32)).T
    truths = recording.truth, sender.recording.truth
    return {"true states": round(float(np.nanmean(state_correlations(v, *truths))), 3)}


def figures(found: Alignment) -> dict[str, object]:
    """Everything that a student is scored by."""
    (teacher,), student = found.teachers, found.student
    scores = {
        "to the student": vars(score_translation(teacher, student, random_state=SEED)),
        "to the teacher": vars(score_translation(student, teacher, random_state=SEED)),
        "hidden units": {
            k: x
            for k, x in vars(score_alignment(found, random_state=SEED)).items()
            if isinstance(x, dict)
        },
    }
    rounded = {
        route: {name: {k: round(x, 3) for k, x in each.items()} for name, each in of.items()}
        for route, of in scores.items()
    }
    return rounded | {
        "true states, to the student": round(planted(teacher, student), 3),
        "true states, to the teacher": round(planted(student, teacher), 3),
        "true states, before training": round(planted(teacher, found.before), 3),
        "true states, own neurons": round(planted(teacher, teacher), 3),
        "verdict": student.model.verdict_,
        "missing gain": round(student.model.certificate_.missing_gain, 4),
        "why": list(student.model.certificate_.failed + student.model.certificate_.undetermined),
        "units without tissue": len(found.without_tissue),
        "width um": round(found.sigma_um, 1),
    }


def elsewhere(teacher: Animal, student: Animal) -> dict[str, dict[str, float]]:
    """Scores of a translation to a larva of another plan."""
    scores = vars(score_translation(teacher, student, random_state=SEED))
    return {name: {k: round(x, 3) for k, x in each.items()} for name, each in scores.items()}


def costs(teacher: Animal, recording: cl.Recording) -> dict[str, float]:
    """CPU seconds of an update of a student, and of the same training without the teacher's h."""
    with_maps = align(teacher, recording, n_updates=1, random_state=SEED).before.model
    potential = np.stack(with_maps.units.parameters)
    start = Start(with_maps.weights_, with_maps.fields_, potential, field_rate_factor=1.0)
    h = teacher.sample_h(np.random.default_rng(SEED))
    schedule = checked_schedule(teacher.model)
    found = {}
    for name, term in (("student", HiddenTerm(h, 0.5, True)), ("cRBM from the same start", None)):
        rng = np.random.default_rng(SEED)
        trainer = NumbaTrainer(as_spikes(recording), start, schedule, rng, term)
        found[name] = command.cpu_s_per_update(trainer)
    found["ratio"] = found["student"] / found["cRBM from the same start"]
    return {k: round(x, 4) for k, x in found.items()}


def main(n: int = N, t: int = T) -> None:
    """Train and score what is missing."""
    entry = f"{n} neurons, {t} frames"
    teacher, second = teacher_of(n, t), larva(n, t, 1)

    def student_in(recording: cl.Recording, **options: object) -> Alignment:
        given = {"n_updates": N_UPDATES_OF_STUDENT, "random_state": SEED}
        return align(teacher, recording, **given | options)

    parts = {
        name: lambda options=options: figures(student_in(second, **options))
        for name, options in STUDENTS.items()
    } | {
        "another plan": lambda: elsewhere(teacher, student_in(larva(n, t, 1, OTHER_PLAN)).student),
        "interpolated activity": lambda: interpolated(teacher, second),
        "cost": lambda: costs(teacher, second),
    }
    for name in sorted(parts, key=(*FIRST, *parts).index):
        known = stored.read(RESULTS).get(entry, {})
        if name not in known or f"{entry}/{name}" in stored.old_parts(RESULTS):
            stored.keep(RESULTS, entry, {name: parts[name]()})
        print(f"{name:18} {stored.read(RESULTS)[entry][name]}", flush=True)


if __name__ == "__main__":
    command.run(main)
