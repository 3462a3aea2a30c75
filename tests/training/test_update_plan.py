"""What each update is given: frames, rates, and the same after a restart."""

from collections import Counter

import numpy as np
import pytest

from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.start import Start
from crbm_lite.training.update_plan import UpdatePlan

SCHEDULE = Schedule(
    n_updates=100, batch_size=7, n_chains=2, n_gibbs=1, jump_every=0, l1=0.02, learning_rate=0.01,
    final_learning_rate=0.0001, decay_start=0.5, ramp=0.0, average_from=0.3, beta2=0.9,
    epsilon=1e-6,
)  # fmt: skip


def plan_of(n_frames=30, seed=0, **changes):
    start = Start(np.zeros((3, 1)), np.zeros(3), np.ones((4, 1)), field_rate_factor=5.0)
    rng = np.random.default_rng(seed)
    return UpdatePlan(Schedule(**vars(SCHEDULE) | changes), start, n_frames, rng)


def test_batches_go_through_the_frames_before_any_comes_again():
    plan, seen = plan_of(), Counter()
    for _ in range(4):  # 28 of 30 frames
        frames = plan.next_frames()
        assert (np.diff(frames) > 0).all() and len(frames) == 7
        seen.update(frames.tolist())
    assert max(seen.values()) == 1
    seen.update(plan.next_frames().tolist())
    assert max(seen.values()) == 2
    assert len(plan_of(n_frames=5).next_frames()) == 5  # a batch larger than the recording


def test_rates_of_adam_without_momentum_and_of_a_slowing_average():
    plan = plan_of()
    first = plan.rates()
    assert first.learning_rate == 0.01 and first.field_rate == pytest.approx(0.05)
    assert first.bias_correction == pytest.approx(10.0)  # the mean holds a tenth of a first square
    assert first.average_decay == pytest.approx(0.99)
    plan.update, plan.learning_rate_factor = 75, 0.5
    later = plan.rates()
    assert later.learning_rate == pytest.approx(0.5 * 0.001)
    assert later.average_decay == pytest.approx(1 - 0.01 * 0.05)
    plan.update = 99
    assert plan.rates().average_decay == pytest.approx(1 - 0.01 * 0.02)  # never slower


def test_later_updates_get_equal_shares_of_the_mean():
    plan, shares = plan_of(), {}
    for _ in range(100):
        weight = plan.count_update()
        if weight:
            shares = {update: s * (1 - weight) for update, s in shares.items()}
            shares[plan.update] = weight
    assert list(shares) == [40, 50, 60, 70, 80, 90, 100]
    np.testing.assert_allclose(list(shares.values()), 1 / 7)


def test_a_rewind_halves_the_rate_and_begins_the_mean_again():
    plan = plan_of()
    for _ in range(60):
        plan.count_update()
    before = plan.n_averaged
    plan.rewind(20)
    assert before == 3 and plan.n_averaged == 0
    assert plan.update == 20 and plan.learning_rate == 0.005


def test_a_restored_plan_goes_on_alike():
    plan, other = plan_of(seed=1), plan_of(seed=2, ramp=0.7)
    for _ in range(33):
        plan.next_frames()
        plan.count_update()
    plan.rewind(31)
    other.restore(plan.state())
    for _ in range(20):
        np.testing.assert_array_equal(other.next_frames(), plan.next_frames())
        assert other.rates() == plan.rates()
        assert other.count_update() == plan.count_update()
    assert other.rng.random() == plan.rng.random()
