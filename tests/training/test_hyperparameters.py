"""What the schedule says about each update."""

from dataclasses import replace

import numpy as np

from crbm_lite.training.hyperparameters import Schedule


def test_the_schedule_decays_geometrically_and_ramps_lambda():
    schedule = Schedule(
        n_updates=1000, batch_size=1, n_chains=2, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=1e-2, final_learning_rate=1e-4, decay_start=0.5, ramp=0.2,
        average_from=1.0, beta2=0.9, epsilon=1e-6,
    )  # fmt: skip
    rates = [schedule.learning_rate_at(u) for u in (0, 500, 750, 1000)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-4], rtol=1e-9)
    np.testing.assert_allclose([schedule.l1_at(u) for u in (0, 99, 199, 999)],
                               [1e-4, 0.01, 0.02, 0.02], rtol=1e-9)  # fmt: skip


def test_a_refit_has_no_penalty_and_keeps_zeros_and_averages_its_later_half():
    schedule = Schedule(
        n_updates=1000, batch_size=10, n_chains=10, n_gibbs=1, jump_every=0, l1=0.02,
        learning_rate=1e-2, final_learning_rate=1e-4, decay_start=0.5, ramp=0.2,
        average_from=0.5, beta2=0.9, epsilon=1e-6, refit=0.4,
    )  # fmt: skip
    assert [schedule.l1_at(u) for u in (99, 599, 600, 1000)] == [0.01, 0.02, 0.0, 0.0]
    at_zero = [schedule.l1_at_zero(u) for u in (99, 599, 600)]
    assert at_zero == [0.01, 0.02, np.inf]
    assert [schedule.is_averaged(u) for u in (501, 800, 801)] == [False, False, True]
    assert schedule.l1_nonzero == 0.0
    plain = replace(schedule, refit=0.0)
    assert (plain.l1_at(1000), plain.l1_at_zero(999), plain.l1_nonzero) == (0.02, 0.02, 0.02)
    assert [plain.is_averaged(u) for u in (500, 501)] == [False, True]
