"""The watch over a run: when it goes back, and what it remembers."""

from types import SimpleNamespace

import numpy as np
import pytest
from tqdm import tqdm

from crbm_lite.training.monitors import MonitoredRun

N_UPDATES, ACTIVITY = 400, 0.1  # a record every second update, a snapshot every 25


class Plan(SimpleNamespace):
    """An update's number, and the factor that rewinds halve."""

    learning_rate = 0.1


class Trainer:
    """Chains whose activity is that of the data, but for some updates of the first time there."""

    def __init__(self, bursts):
        schedule = SimpleNamespace(n_updates=N_UPDATES, l1_at=lambda update: 0.0)
        self.plan = Plan(update=0, learning_rate_factor=1.0, schedule=schedule)
        self.bursts = dict(bursts)

    def one_update(self, measure=False):
        self.plan.update += 1
        return 1.0 if measure else None

    def activity_of_chains(self):
        return ACTIVITY * self.bursts.pop(self.plan.update, 1.0)

    def density(self):
        return 1.0

    def is_finite(self):
        return True

    def jumping(self):
        return None

    def snapshot(self):
        return {"update": self.plan.update}

    def rewind(self, snapshot):
        self.plan.update = snapshot["update"]
        self.plan.learning_rate_factor /= 2


@pytest.mark.parametrize("ratio", [20.0, 100.0])
def test_one_burst_costs_one_rewind(ratio):
    """What was recorded of the lost stretch does not count against the one that follows."""
    trainer = Trainer({300: ratio})
    run = MonitoredRun(ACTIVITY, tqdm(disable=True), SimpleNamespace(made=False))
    assert run.train(trainer) == "finished"
    assert trainer.plan.learning_rate_factor == 0.5
    assert sum("back to update" in event for event in run.events) == 1
    assert (np.diff(run.history().update) > 0).all()


def test_chains_that_stay_away_end_the_run():
    trainer = Trainer({})
    trainer.activity_of_chains = lambda: 10 * ACTIVITY
    run = MonitoredRun(ACTIVITY, tqdm(disable=True), SimpleNamespace(made=False))
    assert run.train(trainer) == "diverged"
    assert "no rewind left" in run.events[-1]
