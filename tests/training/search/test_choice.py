"""The search for M, lambda, start and length: what it decides, and what it finds."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import crbm_lite as cl
from crbm_lite.core.spikes import as_spikes
from crbm_lite.training import task
from crbm_lite.training.certificate import ADVICE
from crbm_lite.training.checkpoint import CheckpointFile
from crbm_lite.training.hyperparameters import HyperparameterError, checked_schedule
from crbm_lite.training.parameters import TrainedParameters
from crbm_lite.training.search import choice as search
from crbm_lite.training.search import rules, starts
from crbm_lite.training.search import run as search_run
from crbm_lite.training.search.candidates import (
    Candidate,
    Trial,
    best_candidate,
    best_end,
    is_better,
)
from crbm_lite.training.search.choice import choose
from crbm_lite.training.search.stage_end import (
    StageEnd,
    end_of_stage,
    joined_start,
    stage_ends_of,
    state_of,
)
from crbm_lite.training.start import Start

N, M = 30, 4
V = (np.random.default_rng(0).random((200, N)) < 0.2).astype(np.uint8)


def path_of(v):
    return rules.penalties(float(as_spikes(v).activity().mean()))


def end(gain, n_alive=2, n_hidden=M, n_neurons=N):
    """The end of a stage whose model has some units alive and gains what is said in each block."""
    weights = np.zeros((n_neurons, n_hidden), np.float32)
    weights[:3, :n_alive] = 1.0
    potential = np.array([[1.0], [1.0], [0.0], [0.0]]) * np.ones(n_hidden)
    fields = np.full(n_neurons, -2.5)
    parameters = TrainedParameters(weights, fields, potential, np.zeros(n_hidden))
    return end_of_stage(parameters, np.zeros((5, n_neurons), np.uint8), np.asarray(gain, float))


def is_way_back(stage, stages):
    """On the path no penalty is larger than the one before, and after it all units jump."""
    is_larger = bool(stages) and stage.schedule.l1 > stages[-1].schedule.l1
    return is_larger and stage.schedule.jump_every == "auto"


def chosen(gain_of, **given):
    """Run a search whose stages end as ``gain_of(stage)`` says; return its choice and stages."""
    stages = []

    def train_stage(stage, blocks):
        stages.append(stage)
        found = gain_of(stage)
        shape = {"n_hidden": stage.start.weights.shape[1]}
        return found if isinstance(found, StageEnd) else end(found, **shape)

    wanted = {"n_hidden": M, "l1": None, "n_updates": 7, "init": "random", "seed": 0}
    wanted |= {"refit": 0.0} | given
    schedule = checked_schedule(cl.CRBM())
    return choose(as_spikes(V), schedule, train_stage=train_stage, **wanted), stages


@pytest.mark.parametrize(
    ("by_number", "n_tried"),
    [
        ([1.0, 2.0, 3.0, 3.0, 3.0, 9.0, 9.0], 5),  # two gain nothing
        ([1.0, 2.0, 3.0, 2.9, 9.0, 9.0, 9.0], 4),  # one loses
    ],
)
def test_the_path_goes_from_large_to_small_penalties_and_stops_where_they_gain_nothing(
    by_number, n_tried
):
    noise = 0.01 * np.arange(8)

    def gain_of(stage):
        k = penalties.index(stage.schedule.l1)
        return by_number[k] + noise

    penalties = path_of(V)
    choice, stages = chosen(gain_of)
    *tried, back = [stage.schedule.l1 for stage in stages]
    assert tried == penalties[:n_tried]
    assert np.all(np.diff(tried) < 0)
    assert back == penalties[1]  # the one before the best is tried once more
    assert choice.report.chosen_l1 == penalties[2]


def test_a_loss_that_may_be_chance_does_not_end_the_path():
    alternating = 0.2 * (-1.0) ** np.arange(8)

    def gain_of(stage):
        k = penalties.index(stage.schedule.l1)
        return [1.0, 2.0, 3.0, 2.95, 3.5, 2.0, 2.0][k] + alternating * (k == 3)

    penalties = path_of(V)
    assert chosen(gain_of)[0].report.chosen_l1 == penalties[4]


def test_the_sparsest_model_that_is_as_good_as_the_best_is_taken():
    """The first gains less than the third in every block: that is no noise. Then it is.

    With the noise, .9 % less is as good, and 4 % less is not.
    """
    blocks = np.linspace(1.0, 8.0, 8)  # blocks differ by far more than models
    penalties = path_of(V)
    alternating = 0.8 * (-1.0) ** np.arange(8)

    def surely(stage):
        return blocks + 0.1 * min(penalties.index(stage.schedule.l1), 2)

    def perhaps(stage, step):
        k = penalties.index(stage.schedule.l1)
        return blocks + step * min(k, 2) + (alternating if k == 2 else 0.0)

    assert chosen(surely)[0].report.chosen_l1 == penalties[2]
    assert chosen(partial(perhaps, step=0.1))[0].report.chosen_l1 == penalties[2]
    choice, _ = chosen(partial(perhaps, step=0.02))
    assert choice.report.chosen_l1 == penalties[0]
    assert any("within one standard error" in reason for reason in choice.report.reasons)


def test_a_refit_is_tried_as_long_as_it_gains_and_is_the_end_if_it_gains_most():
    """Without the penalty the first model is the best, and the second worse than with it."""
    noise = 0.01 * np.arange(8)
    penalties = path_of(V)
    refitted = {penalties[0]: 5.0, penalties[1]: 2.5}
    given = {penalties[0]: 2.0, penalties[1]: 3.0}

    def gain_of(stage):
        of = refitted if stage.schedule.refit else given
        return of.get(stage.schedule.l1, 2.9) + noise

    choice, stages = chosen(gain_of, n_updates=None, refit=None)
    path, (longer, refit) = stages[:5], stages[5:]  # no penalty is larger than the one chosen
    assert [s.schedule.refit for s in path] == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert [s.schedule.l1 for s in path] == [penalties[k] for k in (0, 0, 1, 1, 2)]
    assert (longer.schedule.n_updates, longer.schedule.refit) == (1000, 0.0)
    assert (refit.schedule.n_updates, refit.schedule.refit) == (300, 1.0)
    assert longer.schedule.l1 == refit.schedule.l1 == penalties[0]
    assert (choice.report.chosen_l1, choice.report.chosen_refit) == (penalties[0], True)
    assert choice.last.schedule.refit == 0.5
    assert choice.report.is_refit.tolist()[:5] == [bool(s.schedule.refit) for s in path]


@pytest.mark.parametrize(("is_large", "n_penalties", "n_refits"), [(True, 2, 1), (False, 7, 7)])
def test_of_a_large_model_little_gains_end_the_path_and_the_refits(
    is_large, n_penalties, n_refits, monkeypatch
):
    """A penalty brings .8 % in every block, and a refit .5 %. So the way back costs .8 %."""
    monkeypatch.setattr(rules, "_MANY_WEIGHTS", 0 if is_large else 10**6)
    penalties = path_of(V)

    def gain_of(stage):
        of_penalty = 1.0 + 0.008 * penalties.index(stage.schedule.l1)
        return np.linspace(1.0, 8.0, 8) * of_penalty * (1.005 if stage.schedule.refit else 1.0)

    choice, stages = chosen(gain_of, refit=None)
    tried = [stage.schedule.l1 for stage in stages]
    back = next(k for k in range(1, len(tried)) if tried[k] > tried[k - 1])  # the way back begins
    path = stages[:back]
    assert sorted(set(tried[:back])) == sorted(penalties[:n_penalties])
    assert sum(s.schedule.refit for s in path) == n_refits
    assert choice.report.chosen_l1 == (penalties[0] if is_large else penalties[-1])
    assert (choice.last.schedule.final_learning_rate < 1e-4) == is_large


def test_the_last_refit_makes_as_many_steps_as_one_that_is_tried():
    """A step is as long as the learning rate, which decays."""

    def n_steps(n_updates, share):
        schedule = search._of_length(checked_schedule(cl.CRBM()), n_updates, 0.01)
        first = round((1.0 - share) * n_updates)
        return sum(schedule.learning_rate_at(k) for k in range(first, n_updates))

    tried = n_steps(rules.REFIT_UPDATES, 1.0)
    last = n_steps(rules.rules_for(N, M).n_last, rules.LAST_REFIT)
    assert last == pytest.approx(tried, rel=0.1)


def test_after_a_longer_training_the_penalty_may_gain_more_than_its_refit():
    def gain_of(stage):
        gain = 2.0 if stage.schedule.refit else 1.0 if stage.schedule.n_updates < 1000 else 3.0
        return gain + 0.01 * np.arange(8)

    choice, stages = chosen(gain_of, n_updates=None, refit=None)
    rounds = [s.schedule.refit for s in stages if s.schedule.jump_every != "auto"]
    assert rounds == [0.0, 1.0, 0.0]  # from then on without a refit
    assert not choice.report.chosen_refit and choice.last.schedule.refit == 0.0


def test_the_path_goes_on_from_the_model_with_the_penalty_and_not_from_its_refit():
    by_refit = {0.0: end_of_units([1, 2], [5]), 1.0: end_of_units([7], [8], gain=2.0)}
    _, stages = chosen(lambda stage: by_refit[stage.schedule.refit], refit=None)
    np.testing.assert_array_equal(stages[1].start.weights, by_refit[0.0].weights.toarray())
    assert stages[2].schedule.refit == 0.0
    np.testing.assert_array_equal(
        stages[2].start.weights[:, :2], by_refit[0.0].weights.toarray()[:, :2]
    )


def test_a_share_without_penalty_that_is_given_is_kept():
    choice, stages = chosen(lambda stage: 1.0 + 0.01 * np.arange(8), refit=0.3)
    assert {stage.schedule.refit for stage in stages} == {0.0}
    assert choice.last.schedule.refit == 0.3


def search_of_all_starts(gain_of, refit=0.0, n_updates=7, **given):
    """Let all starts compete, with gains that are given by the first word of their names.

    The way back loses, and is not among the names of the stages that are returned.
    """
    v = cl.plant_recording(200, 4, (40, 50), 800, 20, random_state=0).spikes
    stages, names = [], []

    def train_stage(stage, blocks):
        shape = {"n_hidden": stage.start.weights.shape[1], "n_neurons": 200}
        if is_way_back(stage, stages):
            return end(np.full(8, -1.0), **shape)
        stages.append(stage)
        names.append(stage.what.split()[0])
        gain = np.full(8, gain_of(names[-1], names.count(names[-1]))) + 0.01 * np.arange(8)
        return end(gain, **shape)

    choice = choose(
        as_spikes(v), checked_schedule(cl.CRBM()), l1=None, n_updates=n_updates,
        refit=refit, init="auto", seed=0, train_stage=train_stage, **{"n_hidden": None} | given,
    )  # fmt: skip
    return choice, names


@pytest.mark.parametrize(("most_weights", "has_spare_units"), [(0, False), (10**6, True)])
def test_a_large_model_has_no_units_to_spare(most_weights, has_spare_units, monkeypatch):
    """Units that begin at random are dense, and lambda has to come slowly for them."""
    monkeypatch.setattr(rules, "_MANY_WEIGHTS", most_weights)
    recording = cl.plant_recording(100, 5, (20, 22), 1000, 0, random_state=0)
    stages = []

    def train_stage(stage, blocks):
        stages.append(stage)
        return end(np.zeros(8), 0, stage.start.weights.shape[1], 100)

    choose(
        as_spikes(recording.spikes), checked_schedule(cl.CRBM()), n_hidden=None, l1=None,
        n_updates=None, refit=None, init="auto", seed=0, train_stage=train_stage,
    )  # fmt: skip
    start, schedule = stages[0].start, stages[0].schedule
    assert start.n_linear_units == 5
    assert (start.weights.shape[1] > 5) == has_spare_units == (schedule.ramp > 0)


def test_the_best_start_wins_and_one_that_diverges_or_lags_is_left_behind():
    of = {"nonnegative": -np.inf, "random": 1.0, "rotated": 3.0, "all": 0.0}
    choice, stages = search_of_all_starts(lambda name, k: of[name])
    assert choice.report.chosen_start == "rotated components"
    assert stages.count("nonnegative") == 1  # it diverged
    assert stages.count("random") == 1  # far behind
    assert choice.last.schedule.n_updates == 7


def births_of_a_search(monkeypatch, gain_of, **given):
    """The models whose residuals a search looked at, and its stages but for the way back.

    Each time one unit of weights 9 joins the start. The way back loses.
    """
    looked_at, starts = [], []

    def one_unit_more(spikes, start, end, l1, n_most, rng):
        looked_at.append((round(end.mean_gain, 2), l1))
        weights = np.hstack([start.weights, np.full((len(start.weights), 1), 9.0, np.float32)])
        potential = np.hstack([start.potential, np.ones((4, 1))])
        return Start(weights, start.fields, potential, 1.0, n_linear_units=start.n_linear_units)

    monkeypatch.setattr(search, "start_with_residual_units", one_unit_more)

    def train_stage(stage, blocks):
        if is_way_back(stage, starts):
            return end(np.full(8, -1.0), n_hidden=stage.start.weights.shape[1])
        starts.append(stage)
        gain = gain_of(len(starts), stage) + 0.001 * np.arange(8)
        return end(gain, n_hidden=stage.start.weights.shape[1])

    wanted = {"n_hidden": None, "init": "random", "seed": 0, "refit": 0.0, "n_updates": 7}
    schedule = checked_schedule(cl.CRBM())
    choice = choose(as_spikes(V), schedule, train_stage=train_stage, l1=None, **wanted | given)
    return looked_at, starts, choice


def has_born_unit(stage):
    return bool((stage.start.weights[:, -1] == 9.0).all())


def test_units_of_what_a_model_leaves_over_join_before_the_next_penalty(monkeypatch):
    """A start is asked for them once it has shown structure, and while its path goes on."""
    gains = [-1.0, 1.0, 2.0, 3.0, 2.0]
    looked_at, stages, choice = births_of_a_search(monkeypatch, lambda n, stage: gains[n - 1])
    penalties = path_of(V)
    assert looked_at == [(1.0, penalties[1]), (2.0, penalties[2]), (3.0, penalties[3])]
    assert [has_born_unit(stage) for stage in stages] == [False, False, True, True, True]
    assert any(
        reason.endswith("left unexplained: 3; some may have been removed again")
        for reason in choice.report.reasons
    )


def test_after_the_last_penalty_none_is_born(monkeypatch):
    looked_at, stages, choice = births_of_a_search(monkeypatch, lambda n, stage: float(n))
    assert len(stages) == 7 and len(looked_at) == 6
    assert any(
        reason.endswith("left unexplained: 6; some may have been removed again")
        for reason in choice.report.reasons
    )


def test_the_residuals_are_those_of_the_model_with_the_penalty(monkeypatch):
    """The path goes on from it, and not from its refit."""
    looked_at, _, _ = births_of_a_search(
        monkeypatch, lambda n, stage: 5.0 + stage.schedule.refit, refit=None
    )
    assert looked_at and {gain for gain, _ in looked_at} == {5.0}


def test_such_units_join_before_every_longer_training_but_not_the_last(monkeypatch):
    def gain_of(n, stage):
        return 1.0 + 0.1 * min(n, 5)

    _, stages, choice = births_of_a_search(monkeypatch, gain_of, n_updates=None)
    rounds = [stage for stage in stages if stage.schedule.n_updates == 1000]
    assert rounds and all(has_born_unit(stage) for stage in rounds)
    assert not has_born_unit(choice.last)


def test_where_the_units_are_given_none_is_born(monkeypatch):
    looked_at, stages, _ = births_of_a_search(
        monkeypatch, lambda n, stage: 1.0, n_hidden=5, n_updates=None
    )
    assert stages and not looked_at


def candidate(name, gain, n_alive):
    return Candidate(name, None, None, [Trial(0.1, False, end(gain, n_alive))], True)


def test_of_starts_that_gain_as_much_that_of_the_fewest_units_wins():
    """Poor gains half a nat less than many in every block, and few 0.03 less, give or take 0.8.

    Behind is within the same noise, but 2 % less.
    """
    blocks, noise = np.linspace(1.0, 8.0, 8), np.tile([0.8, -0.8], 4)
    many, few = candidate("many", blocks, 4), candidate("few", blocks - 0.03 + noise, 2)
    poor, lost = candidate("poor", blocks - 0.5, 1), candidate("lost", np.full(8, -np.inf), 1)
    behind = candidate("behind", blocks - 0.1 + noise, 1)
    assert best_candidate([many, few, poor, behind, lost]) is few
    assert best_candidate([many, poor, lost]) is many
    assert best_candidate([lost]) is lost


@pytest.mark.parametrize(
    ("gains", "n_tried"),
    [((3.0, 2.99, 2.98), (7, 7, 3)), ((3.0, 2.9, 2.8), (7, 3, 3)), ((3.0, 2.99, 2.0), (7, 7, 2))],
    ids=["two close", "one close", "one far behind"],
)
def test_after_three_penalties_the_best_start_goes_on_and_a_second_that_is_close(gains, n_tried):
    names = ("rotated", "nonnegative", "random")
    of = dict(zip(names, gains, strict=True)) | {"all": 0.0}
    _, stages = search_of_all_starts(lambda name, k: of[name] + 0.1 * k)
    assert tuple(stages.count(name) for name in names) == n_tried


def test_while_nothing_gains_the_path_goes_on_to_smaller_penalties():
    """Weak assemblies die under the first penalties, where a model may gain less than nothing."""
    by_penalty = (-0.04, -0.05, -0.04, -0.03, 0.5, 0.7, 0.7)  # 0.035 are added to each
    choice, stages = search_of_all_starts(
        lambda name, k: by_penalty[k - 1] if name == "rotated" else -0.03
    )
    assert not choice.is_empty
    assert choice.report.chosen_start == "rotated components"
    assert stages.count("rotated") == 7


@pytest.mark.slow
def test_weak_assemblies_are_found():
    """The first two penalties kill every unit; correlations with members say what is found."""
    recording = cl.plant_recording(
        400, 8, (30, 40), 6000, 120, effect_range=(1.2, 1.44), random_state=5
    )
    train, _ = cl.split_train_test(recording)
    model = cl.CRBM(random_state=0, progress=False).fit(train)
    members = (recording.truth.effects != 0).toarray()
    weights = model.weights_[:, model.weights_.any(axis=0)]
    r = np.abs(np.corrcoef(members.T, weights.T)[:8, 8:])
    assert (r.max(axis=1) > 0.8).sum() >= 7


def test_with_the_units_of_the_best_larger_penalties_are_taken_as_long_as_they_are_as_good():
    """The fifth of six gains most; again, the fourth and third gain as much, the second less."""
    gains = iter([1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 5.0, 5.1, 5.0])
    penalties = path_of(V)
    choice, stages = chosen(lambda stage: next(gains) + 0.001 * np.arange(8))
    assert [stage.schedule.l1 for stage in stages[:6]] == penalties[:6]
    assert [stage.schedule.l1 for stage in stages[6:]] == [penalties[k] for k in (3, 2, 1)]
    assert choice.report.chosen_l1 == choice.last.schedule.l1 == penalties[2]
    assert any(reason.startswith("with its units") for reason in choice.report.reasons)


def test_a_refit_is_tried_under_the_larger_penalty_too_where_one_is_the_best():
    def gain_of(stage):
        k, refit = penalties.index(stage.schedule.l1), stage.schedule.refit
        return [1.0, 2.0, 1.0][k] + refit + 0.001 * np.arange(8)

    penalties = path_of(V)
    choice, stages = chosen(gain_of, refit=None)
    back, refit = stages[-2:]
    assert back.schedule.l1 == refit.schedule.l1 == penalties[0]
    assert (back.schedule.refit, refit.schedule.refit) == (0.0, 1.0)
    assert choice.report.chosen_l1 == penalties[1]


def test_a_sure_gain_is_structure_where_a_larger_one_may_be_chance():
    """The smaller penalty gains 0.5 on average, and loses in two of eight blocks."""
    penalties = path_of(V)
    sure, unsure = 0.3 + 0.01 * np.arange(8), np.array([-0.2, -0.2, 0.2, 0.2, 1.0, 1.0, 1.0, 1.0])
    assert not end(unsure).shows_structure()
    of = {penalties[0]: sure, penalties[1]: unsure}
    choice, _ = chosen(lambda stage: of.get(stage.schedule.l1, 0.1 * unsure))
    assert not choice.is_empty
    assert choice.report.chosen_l1 == penalties[0]


def test_starts_that_lose_or_are_far_behind_give_no_units_to_the_joined_start(monkeypatch):
    """Without units of another start there is nothing to join."""
    monkeypatch.setattr(starts, "joined_start", lambda end, others, factor: end.start(factor, True))
    for least, joins in ((2.9, True), (1.0, False), (-9.0, False)):
        gains = {"rotated": 3.0, "nonnegative": least}
        _, stages = search_of_all_starts(lambda name, k, of=gains: of.get(name, -9.0))
        assert ("all" in stages) == joins


@pytest.mark.parametrize(
    "ends",
    [
        lambda: end(np.array([0.5, -0.5] * 4)),  # it gains nothing
        lambda: end(np.full(8, 1.0) + 0.01 * np.arange(8), n_alive=0),  # its units are empty
    ],
    ids=["no gain", "no units"],
)
def test_without_a_gain_the_model_is_that_of_independent_neurons(ends):
    choice, _ = chosen(lambda stage: ends())
    assert choice.is_empty
    assert not choice.last.start.weights.any()
    p = V.mean(axis=0)
    np.testing.assert_allclose(choice.last.start.fields, np.log(p / (1 - p)), atol=0.1)


def test_a_gain_in_every_block_is_structure_though_one_block_gains_most_of_it():
    rare = np.array([46.0, 3.0, 2.0, 4.0, 5.0, 5.0, 6.0, 6.0])
    assert end(rare).shows_structure()
    assert not end(rare, n_alive=0).shows_structure()
    assert not end(rare[:5]).shows_structure()  # chance gains in all of five once in 32
    assert not end(np.append(rare[:7], -0.1)).shows_structure()


@pytest.mark.parametrize(
    ("rises", "n_rounds"),
    [
        ([0.1, 0.1, 0.1, 0.003, 0.1], 4),
        ([0.003, 0.1], 1),
        ([0.1, -0.1, 0.1], 2),
        ([0.1] * 9, 7),
    ],
    ids=["less", "less at once", "a loss", "the most"],
)
def test_rounds_go_on_until_one_brings_less_than_half_a_hundredth(rises, n_rounds):
    def gain_of(stage):
        rounds.append(stage.schedule.n_updates == 1000)
        return 1.0 + sum(rises[: sum(rounds)]) + 0.001 * np.arange(8)

    rounds = []
    chosen(gain_of, n_updates=None)
    assert sum(rounds) == n_rounds


def test_a_round_that_loses_is_not_taken():
    """The model of the round before has two units, and that which loses has one."""
    of_round = iter([(2.0, 2), (1.5, 1)])

    def gain_of(stage):
        gain, n_alive = next(of_round) if stage.schedule.n_updates == 1000 else (1.0, 3)
        return end(gain + 0.001 * np.arange(8), n_alive)

    choice, _ = chosen(gain_of, n_updates=None)
    assert choice.last.start.weights.any(axis=0).sum() == 2


def test_after_the_path_all_units_jump_unless_the_steps_between_jumps_are_given():
    def gain_of(stage):
        return 1.0 + 0.001 * np.arange(8)

    choice, stages = chosen(gain_of, n_updates=None)
    on_path = [s.schedule.n_updates < 1000 for s in stages]
    assert [s.schedule.jump_every == "auto" for s in stages] == on_path and not all(on_path)
    assert isinstance(choice.last.schedule.jump_every, int)
    given = checked_schedule(cl.CRBM(jump_every=0))
    assert rules.with_jumps(given, 6) == given
    auto, sizes = checked_schedule(cl.CRBM()), ((N, M), (10**6, 10))
    later = [rules.rules_for(*size).jump_every_later for size in sizes]
    few, many = (rules.with_jumps(auto, steps).jump_every for steps in later)
    assert few < many


def test_where_a_longer_training_loses_a_larger_penalty_is_trained_on():
    """The third penalty is the best after 500 updates, and the second after 1,500."""
    penalties = path_of(V)
    early = dict(zip(penalties, [1.0, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0], strict=True))
    late = {penalties[1]: 2.5, penalties[2]: 2.2}

    def gain_of(stage):
        of = late if stage.schedule.n_updates >= 1000 else early
        return of[stage.schedule.l1] + 0.01 * np.arange(8)

    choice, stages = chosen(gain_of, n_updates=None)
    rounds = [(s.schedule.l1, s.schedule.n_updates) for s in stages if s.schedule.n_updates >= 1000]
    assert rounds == [(penalties[2], 1000), (penalties[1], 1000), (penalties[1], 1000)]
    assert choice.report.chosen_l1 == choice.last.schedule.l1 == penalties[1]


def test_where_all_longer_trainings_lose_a_smaller_penalty_is_trained_on():
    """The first penalty is as good as all others, and takes weights when it is trained longer."""
    penalties = path_of(V)
    late = dict(zip(penalties, [1.0, 1.5, 2.1, 2.2, 2.2, 2.2, 2.2], strict=True))

    def gain_of(stage):
        gain = late[stage.schedule.l1] if stage.schedule.n_updates >= 1000 else 2.0
        return gain + 0.001 * np.arange(8)

    choice, stages = chosen(gain_of, n_updates=None)
    tried = [s.schedule.l1 for s in stages if s.schedule.n_updates >= 1000]
    assert tried[:3] == penalties[:3] and {*tried[3:]} == {penalties[2]}  # it lasts: no further
    assert choice.report.chosen_l1 == choice.last.schedule.l1 == penalties[2]


def test_of_a_smaller_penalty_the_better_trial_is_trained_on():
    trials = [Trial(l1, is_refit, end(gain)) for l1, is_refit, gain in (
        (0.4, False, [1.0]), (0.4, True, [2.0]), (0.2, False, [2.0]), (0.2, True, [1.5]),
        (0.1, False, [3.0]), (0.05, False, [-np.inf]))]  # fmt: skip
    trials[-1] = Trial(0.05, False, end([9.0], n_alive=0))
    start = Start(np.zeros((N, M), np.float32), np.zeros(N), np.ones((4, M)), 1.0)
    candidate = Candidate("a", start, start, trials, True)
    assert candidate.below(0.4) == [trials[2], trials[4]]  # no unit is left of the last one
    assert candidate.below(1.0) == [trials[1], trials[2], trials[4]]
    assert candidate.below(0.05) == []


def diverging_when_longer(larger_too):
    """What stages gain where the rounds after the path diverge, under the third penalty or all."""
    penalties = path_of(V)

    def gain_of(stage):
        k = min(penalties.index(stage.schedule.l1), 2)
        diverges = stage.schedule.n_updates >= 1000 and (larger_too or k == 2)
        return end(np.full(8, -np.inf), 1) if diverges else end(1.0 + k + 0.01 * np.arange(8), 2)

    return gain_of, penalties


def test_where_a_longer_training_diverges_a_larger_penalty_is_trained_on():
    gain_of, penalties = diverging_when_longer(larger_too=False)
    choice, stages = chosen(gain_of, n_updates=None)
    rounds = [(s.schedule.l1, s.schedule.n_updates) for s in stages if s.schedule.n_updates >= 1000]
    assert rounds == [(penalties[2], 1000), (penalties[1], 1000)]
    assert choice.last.schedule.l1 == penalties[1]


def test_where_all_longer_trainings_diverge_the_last_round_begins_with_the_model_of_the_path():
    gain_of, penalties = diverging_when_longer(larger_too=True)
    choice, _ = chosen(gain_of, n_updates=None)
    assert choice.last.schedule.l1 == penalties[2]
    assert choice.last.start.weights.any(axis=0).sum() == 2  # that which diverged has one unit


def test_an_end_that_diverged_is_better_than_none():
    lost, kept = end(np.full(8, -np.inf)), end(np.ones(8))
    assert is_better(kept, lost) and not is_better(lost, kept) and not is_better(lost, lost)


def test_only_units_with_weights_go_on_unless_their_number_was_given():
    flat = 1.0 + 0.01 * np.arange(8)
    choice, _ = chosen(lambda stage: end(flat, n_alive=2))
    assert choice.last.start.weights.shape == (N, M)
    assert end(flat, n_alive=2).start(1.0, all_units=False).weights.shape == (N, 2)


def end_of_units(*units, gain=1.0):
    """The end of a stage whose units have weights 1 where it is said; none for a dead unit."""
    weights = np.zeros((N, len(units)), np.float32)
    for mu, members in enumerate(units):
        weights[members, mu] = 1.0
    potential = np.arange(4 * len(units), dtype=float).reshape(4, -1) + 1.0
    parameters = TrainedParameters(weights, np.arange(N) / N, potential, np.zeros(len(units)))
    return end_of_stage(parameters, np.zeros((5, N), np.uint8), np.full(8, gain))


def test_units_of_the_start_that_died_begin_again_and_spare_ones_do_not():
    first = Start(
        np.full((N, 4), 0.5, np.float32), np.zeros(N), np.full((4, 4), 7.0), 5.0, n_linear_units=2
    )
    left = end_of_units([1, 2], [], [], [5])  # the second of two given units, and a spare one, died
    start = left.start_with_births(first, all_units=False)
    expected = left.weights.toarray()[:, [0, 1, 3]]
    expected[:, 1] = 0.5
    np.testing.assert_array_equal(start.weights, expected)
    np.testing.assert_array_equal(start.potential[:, 1], 7.0)
    np.testing.assert_array_equal(start.potential[:, [0, 2]], left.potential[:, [0, 3]])
    np.testing.assert_array_equal(start.fields, left.fields)
    assert (start.n_linear_units, start.field_rate_factor) == (2, 5.0)
    assert left.start_with_births(first, all_units=True).weights.shape == (N, 4)


def test_a_random_start_whose_units_all_died_keeps_its_units():
    first = Start(np.ones((N, 2), np.float32), np.zeros(N), np.ones((4, 2)), 1.0)
    assert end_of_units([], []).start_with_births(first, all_units=False).weights.shape == (N, 2)


def test_units_of_other_starts_join_once_if_they_are_unlike():
    one, same = [0, 1, 2, 3], [0, 1, 2, 4]  # a cosine of 3/4
    poor = end_of_units(same, [10, 11, 12], [20], gain=1.0)
    rich = end_of_units([10, 11, 13], gain=2.0)
    start = joined_start(end_of_units(one, []), [poor, rich], 5.0)
    assert [np.flatnonzero(w).tolist() for w in start.weights.T] == [one, [10, 11, 13], [20]]
    np.testing.assert_array_equal(start.potential[:, 2], poor.potential[:, 2])
    assert joined_start(end_of_units(one), [end_of_units(same)], 5.0) is None


@pytest.mark.parametrize(
    ("of_all", "winner", "n_tried"), [(9.0, "all", 6), (3.1, "rotated", 6), (0.0, "rotated", 1)]
)
def test_the_units_of_all_starts_compete_from_the_second_penalty_on(
    monkeypatch, of_all, winner, n_tried
):
    """They win if they gain more. With as much as another, as by 3.1, more units do not win."""
    monkeypatch.setattr(starts, "joined_start", lambda end, others, factor: end.start(factor, True))
    of = {"nonnegative": 2.9, "random": 1.0, "rotated": 3.0, "all": of_all}
    choice, stages = search_of_all_starts(lambda name, k: of[name] + 0.1 * k)
    assert stages[:3] == ["rotated", "nonnegative", "random"]
    assert stages[3:6] == ["rotated", "nonnegative", "all"] and stages.count("all") == n_tried
    assert choice.report.chosen_start.split()[0] == winner


def test_the_ends_of_stages_survive_being_written():
    ends = [end(np.arange(8.0)), end(np.arange(8.0) + 1, n_alive=0)]
    back = stage_ends_of({name: np.asarray(x) for name, x in state_of(ends).items()})
    for a, b in zip(ends, back, strict=True):
        assert (a.weights != b.weights).nnz == 0
        for name in ("fields", "potential", "mean_h", "frames", "gain"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.fixture
def short(monkeypatch):
    """A search of short stages."""
    for name, value in {"STAGE_UPDATES": 60, "ROUND_UPDATES": 80, "MOST_ROUNDS": 1}.items():
        monkeypatch.setattr(search, name, value)
    monkeypatch.setattr(rules, "_FEW", replace(rules._FEW, n_last=80))


def test_planted_assemblies_are_found_without_a_setting(short):
    recording = cl.plant_recording(200, 4, (40, 50), 1500, 20, random_state=0)
    model = cl.CRBM(random_state=0, progress=False).fit(recording)
    members = (recording.truth.effects != 0).toarray()
    r = np.corrcoef(members.T, model.weights_.T)[:4, 4:]
    assert (r.max(axis=1) > 0.8).all()
    assert model.report_.chosen_n_hidden == model.weights_.shape[1]
    assert model.l1_ == model.report_.chosen_l1 > 0
    assert "components above the noise" in str(model.report_)


def test_neurons_that_share_nothing_give_no_units_and_say_so(short):
    v = np.random.default_rng(1).random((800, 40)) < 0.1
    with pytest.warns(Warning, match="no structure"):
        model = cl.CRBM(random_state=0, progress=False).fit(v)
    assert model.verdict_ == "no structure"
    assert not model.weights_.any()
    activity = model.sample(20_000, n_steps=1, burn_in=1, random_state=0).mean()
    assert activity == pytest.approx(v.mean(), abs=0.005)


def test_a_search_that_was_killed_ends_in_the_same_bits(short, tmp_path):
    v = cl.plant_recording(60, 3, (15, 20), 400, 5, random_state=0).spikes

    def model():
        return cl.CRBM(random_state=3, progress=False)

    whole = model().fit(v)
    for n_saves in (2, 7, 12):
        path = tmp_path / f"{n_saves}.h5"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            _die_after(n_saves, patch)
            model().fit(v, checkpoint=path, checkpoint_every=40)
        again = model().fit(v, checkpoint=path, checkpoint_every=40, resume=True)
        np.testing.assert_array_equal(again.weights_, whole.weights_)
        np.testing.assert_array_equal(again.chains_, whole.chains_)
        assert again.report_.reasons == whole.report_.reasons


def _die_after(n_saves, patch):
    write, counts = CheckpointFile.try_write, []

    def write_and_die(self, identity, state):
        write(self, identity, state)
        counts.append(1)
        if len(counts) == n_saves:
            raise KeyboardInterrupt

    patch.setattr(CheckpointFile, "try_write", write_and_die)


@pytest.mark.parametrize(
    ("n_updates", "jump_every", "refit"), [(None, "auto", None), (None, 10, 0.0), (7, 0, None)]
)
def test_a_longer_training_goes_on_from_the_end_with_more_gibbs_steps(n_updates, jump_every, refit):
    choice, _ = chosen(lambda stage: 1.0 + 0.01 * np.arange(8) + stage.schedule.refit,
                       n_updates=n_updates, refit=refit)  # fmt: skip
    assert choice.most_longer == (2 if n_updates is None else 0)  # a number is what it says
    last = replace(choice.last, schedule=replace(choice.last.schedule, jump_every=jump_every))
    ended = end(np.empty(0), n_alive=1)
    more = search.longer(last, ended)
    assert more.schedule.n_gibbs == 4 * last.schedule.n_gibbs
    assert more.schedule.jump_every == {10: 40}.get(jump_every, jump_every)
    assert more.schedule.n_updates == more.n_expected == last.schedule.n_updates
    assert more.schedule.refit == (1.0 if refit is None else 0.0)
    assert more.schedule.l1 == last.schedule.l1 and more.spikes is last.spikes
    assert more.schedule.learning_rate == pytest.approx(0.4 * last.schedule.learning_rate)
    np.testing.assert_array_equal(more.start.weights, ended.weights.toarray())
    np.testing.assert_array_equal(more.start.frames, ended.frames)


V_WITH_STRUCTURE = cl.plant_recording(100, 2, (40, 45), 800, 10, random_state=0).spikes


@pytest.fixture
def never_enough(monkeypatch):
    """Whatever the verdict of the training with all frames is, it goes on."""
    monkeypatch.setattr(search_run, "_TRAINED_LONGER", tuple(ADVICE))


@pytest.mark.filterwarnings("ignore::crbm_lite.model.model.ConvergenceWarning")
def test_a_training_that_has_not_converged_goes_on_twice_and_says_so(short, never_enough):
    model = cl.CRBM(random_state=0, progress=False).fit(V_WITH_STRUCTURE)
    assert "so it went on 2 times, at last with 96 Gibbs steps" in model.report_.reasons[-1]
    assert model.certificate_.n_steps > 0 and np.abs(model.weights_).max() > 0.1


@pytest.mark.filterwarnings("ignore::crbm_lite.model.model.ConvergenceWarning")
def test_one_that_has_converged_does_not_go_on(short, monkeypatch):
    monkeypatch.setattr(search_run, "_TRAINED_LONGER", ())
    model = cl.CRBM(random_state=0, progress=False).fit(V_WITH_STRUCTURE)
    assert "went on" not in str(model.report_)


@pytest.mark.filterwarnings("ignore::crbm_lite.model.model.ConvergenceWarning")
def test_a_longer_training_that_was_killed_ends_in_the_same_bits(short, never_enough, tmp_path):
    whole = cl.CRBM(random_state=3, progress=False).fit(V_WITH_STRUCTURE)
    counted = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointFile, "try_write", lambda *_: counted.append(1))
        cl.CRBM(random_state=3, progress=False).fit(
            V_WITH_STRUCTURE, checkpoint=tmp_path / "count.h5", checkpoint_every=40
        )
    for n_before_the_last in (1, 4):  # of three saves of each training with all frames
        path = tmp_path / f"{n_before_the_last}.h5"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            _die_after(len(counted) - n_before_the_last, patch)
            cl.CRBM(random_state=3, progress=False).fit(
                V_WITH_STRUCTURE, checkpoint=path, checkpoint_every=40
            )
        again = cl.CRBM(random_state=3, progress=False).fit(
            V_WITH_STRUCTURE, checkpoint=path, checkpoint_every=40, resume=True
        )
        np.testing.assert_array_equal(again.weights_, whole.weights_)
        np.testing.assert_array_equal(again.chains_, whole.chains_)
        assert again.report_.reasons == whole.report_.reasons


@pytest.mark.filterwarnings("ignore::crbm_lite.model.model.ConvergenceWarning")
def test_of_a_longer_training_that_diverges_the_one_before_is_kept(
    short, never_enough, monkeypatch
):
    verdict_of = task._verdict

    def verdict(how, weights, certificate, l1_is_chosen):
        verdicts.append(how)
        of_this = "diverged" if len(verdicts) == 2 else how
        return verdict_of(of_this, weights, certificate, l1_is_chosen)

    verdicts = []
    monkeypatch.setattr(task, "_verdict", verdict)
    model = cl.CRBM(random_state=0, progress=False).fit(V_WITH_STRUCTURE)
    assert verdicts == ["finished", "finished"]
    assert model.verdict_ != "diverged" and "went on" not in str(model.report_)


def test_numbers_that_are_given_are_kept(short):
    v = cl.plant_recording(60, 3, (15, 20), 400, 5, random_state=0).spikes
    model = cl.CRBM(n_hidden=5, n_updates=50, random_state=0, progress=False).fit(v)
    assert model.weights_.shape == (60, 5)
    model = cl.CRBM(l1=0.004, random_state=0, progress=False).fit(v)
    assert model.l1_ == 0.004


@pytest.mark.parametrize("name", ["n_hidden", "l1", "n_updates"])
def test_other_words_than_auto_are_refused(name):
    with pytest.raises(HyperparameterError, match='or "auto"'):
        checked_schedule(cl.CRBM(**{name: "automatic"}))


def test_the_published_settings_choose_nothing():
    model = cl.CRBM.as_published(n_updates=10)
    assert (model.n_hidden, model.l1, model.n_gibbs, model.init) == (200, 0.02, 15, "random")
    assert model.n_updates == 10


def test_a_report_is_kept_in_the_file_of_the_model(short, tmp_path):
    v = cl.plant_recording(60, 3, (15, 20), 400, 5, random_state=0).spikes
    model = cl.CRBM(random_state=0, progress=False).fit(v)
    kept = cl.CRBM.load(model.save(tmp_path / "model.h5"))
    assert str(kept.report_) == str(model.report_)
    for name, value in vars(model.report_).items():
        loaded = getattr(kept.report_, name)
        assert type(loaded) is type(value)
        assert np.asarray(loaded).dtype == np.asarray(value).dtype, name
    assert kept.l1_ == model.l1_


def test_the_sparsest_that_is_as_good_is_none_that_diverged():
    """A difference from minus infinity has no error: it is below every other one."""
    flat = np.ones(8)
    trials = [
        Trial(0.1, False, end(0.2 * flat)),
        Trial(0.1, True, end(np.full(8, -np.inf))),  # a refit after which the start goes on
        Trial(0.05, False, end(flat)),
    ]
    assert Candidate("pca", None, None, trials, False).sparsest(trials[2].end) is trials[2]


def test_start_and_penalty_together_cost_no_more_than_one_may():
    """The winner of fewer units loses .9 %; its sparser trial .9 % more, and the noise is large."""
    by_block = np.arange(8)
    one, two, four = (3.0 * (-1.0) ** (by_block // n) for n in (1, 2, 4))
    rival = Candidate("nmf", None, None, [Trial(0.05, False, end(100.0 + one, 4))], False)
    trials = [Trial(0.1, False, end(98.2 + two, 2)), Trial(0.05, False, end(99.1 + four, 2))]
    winner = Candidate("pca", None, None, trials, False)
    assert best_candidate([rival, winner]) is winner
    assert winner.sparsest(trials[1].end) is trials[0]
    assert winner.sparsest(best_end([rival, winner])) is trials[1]
