"""What `crbm_lite.inspection.advice` suggests, measured: planted recordings, short trainings.

python -m benchmarks.advice          print advice.csv
python -m benchmarks.advice measure  train again and write advice.csv (half an hour on one core)

A row is one training. It holds the recording (neurons, assemblies, frames, activity, seconds that
an assembly stays active), lambda and updates, then the correlation time in frames, the components
above the noise, the assemblies found (|r| > 0.5 with a column of W), the median nLLH of 1,500
unseen frames under the model and under the true probabilities, the density of W and the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import numpy as np

import crbm_lite as cl
from benchmarks import command, stored
from benchmarks.planted import nllh_of_truth, recovered
from crbm_lite.inspection.advice import signal_components
from crbm_lite.validation.likelihood import nllh

TABLE = Path(__file__).with_name("advice.csv")
COLUMNS = (
    "n_neurons", "n_assemblies", "n_frames", "activity", "active_s", "l1", "n_updates",
    "correlation_frames", "n_components", "n_found", "nllh", "nllh_truth", "density", "verdict",
)  # fmt: skip
ASSEMBLIES = {100: 5, 300: 10, 1000: 15, 3000: 20}
PENALTIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04)
N_TEST = 1500
TRAINING = {"n_gibbs": 6, "final_learning_rate": 1e-4, "jump_every": 3, "ramp": 0.5}


def runs() -> Iterator[tuple]:
    """Neurons, frames, activity, seconds active, lambda, updates of every training."""
    for n, t, a, l1 in product(ASSEMBLIES, (500, 1000, 2000, 4000), (0.01, 0.03, 0.08), PENALTIES):
        # from a fiftieth of the activity to all of it, beyond which nothing is left
        if a / 50 <= l1 <= a and (n < 3000 or t == 4000):
            yield n, t, a, 4.0, l1, 600
    for t, l1 in product((500, 1000, 2000, 4000), (0.005, 0.01)):
        yield 300, t, 0.08, 12.0, l1, 600
    for n, n_updates in product((100, 300), (75, 150, 300, 1200, 2400)):
        yield n, 2000, 0.08, 4.0, 0.005, n_updates


def recording(n: int, t: int, activity: float, active_s: float) -> cl.Recording:
    """A planted recording with 1.5 memberships a neuron on average."""
    k = ASSEMBLIES[n]
    sizes = (round(1.0 * n / k), round(1.6 * n / k))
    return cl.plant_recording(
        n, k, sizes, t + N_TEST, n_unassigned=round(0.15 * n), active_s=active_s,
        inactive_s=6 * active_s, activity_range=(activity, activity), random_state=n + t,
    )  # fmt: skip


def measure_one(n: int, t: int, activity: float, active_s: float, l1: float, n_up: int) -> dict:
    """Train once; the row of the table."""
    whole = recording(n, t, activity, active_s)
    train, test = whole.select_frames(slice(0, t)), whole.select_frames(slice(t, None))
    components, frames = signal_components(train)
    model = cl.CRBM(
        n_hidden=round(1.4 * ASSEMBLIES[n]),
        l1=l1,
        n_updates=n_up,
        random_state=0,
        progress=False,
        **TRAINING,
    ).fit(train)
    values = (
        n, ASSEMBLIES[n], t, activity, active_s, l1, n_up, f"{frames:.1f}", components,
        recovered(model.weights_, np.asarray(whole.truth.membership, dtype=float)),
        f"{nllh(model, test).median:.4f}",
        f"{nllh_of_truth(test):.4f}",
        f"{np.mean(model.weights_ != 0):.3f}", model.verdict_,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def read_table() -> list[dict]:
    """Return the rows of advice.csv, numbers as numbers."""
    return stored.read_rows(TABLE, texts=("verdict",))


def main(what: str = "print") -> None:
    """Print the table, or train what is missing of it and write it, row by row."""
    if what == "measure":
        done = stored.rows_begun(TABLE, texts=("verdict",))
        rest = (measure_one(*run) for run in islice(runs(), len(done), None))
        stored.write_rows(TABLE, COLUMNS, rest, append=True)
        stored.write_rows(TABLE, COLUMNS, read_table())
    print(TABLE.read_text())


if __name__ == "__main__":
    command.run(main)
