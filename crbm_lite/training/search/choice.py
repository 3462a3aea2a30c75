r"""Choose M, lambda, the start and the length of a training by evidence.

The evidence is the gain over independent neurons on validation blocks
(`crbm_lite.training.search.validation_blocks`), which no training of the search sees.

1. *Units.* There are as many as principal components above the noise and as many again, at least
   10 and at most 60, so that some are to spare. Units that the data do not need lose their weights.
   Above a million weights none are to spare, since those that begin at random are dense.
2. *Starts.* Rotated components with the assemblies that grow from single neurons besides them,
   nonnegative factors, and small random weights compete.
3. *Path.* Each start is trained along a path of penalties from large to small, and each penalty
   goes on from the model of the one before (Friedman, Hastie & Tibshirani 2010). A large penalty
   lets only strong assemblies form; a smaller one lets them grow, and units of the start that died
   under the larger one begin again. A start ends where a penalty loses, or two gain no more than
   noise, and above a million weights where one gains less than 1 %. It is left behind where it has
   gained far less than the best, or diverges. After three penalties only the best two go on, and
   the second only while it is close to the best. Before a start gains more than chance does, all
   go on.
4. *Births.* Before each smaller penalty, units of what the model leaves over join the start
   (`crbm_lite.training.search.residual_units`), once it has gained more than chance does.
5. *Refit.* A penalty that leaves out chance weights shrinks the others, too, and most where
   neurons are seldom active. So the weights that each penalty has left are fitted without it beside
   the path, as long as that brings more (the relaxed lasso of Meinshausen 2007).
6. *Joining.* After two penalties, the units of the best start and those of the others that are
   unlike all of them compete as one more start. Starts that are far behind give none.
7. *Penalty.* The start wins whose best model gains most; of those that are as good, the one whose
   model has the fewest units. Of its path, the sparsest model is taken that is as good as the best
   one. As good means within one standard error, and within 1 % of the gain. Errors are those of
   differences, paired by blocks.
8. *Way back.* The units of that model, among them those that were born late, are trained under the
   next larger penalty, too. While that is as good, it is taken: it has fewer chance weights. Above
   a million weights it may gain 1 % less.
9. *Length.* That model is trained on in rounds, as one more penalty of the same size, until a round
   brings less than 0.5 %. Where the first round loses by that, the model that comes before it is
   trained on in its place.
10. *End.* The training ends with all frames. Its later half is a refit if that gained more.

After the path, all units jump, whatever they need to mix, and above a million weights from the
beginning. Gibbs sampling alone may never leave the data's states for others that a model has, and
then neither training nor certificate sees those.

Where no model gains more than three standard errors, or in every block, the neurons share nothing
that is to be seen beyond noise, and the model is that of independent neurons.

Every stage of the search is a training of its own with random numbers of its own. Its decisions
depend on nothing but the ends of the stages, so a search that was interrupted goes on by making the
same decisions again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crbm_lite.core.spikes import Spikes
from crbm_lite.training.hyperparameters import Schedule
from crbm_lite.training.linear_units import (
    joined_units,
    linear_units_given_courses,
    linear_units_of_members,
    nonnegative_factors,
    rotated_components,
)
from crbm_lite.training.search.candidates import (
    Candidate,
    Trial,
    best_candidate,
    best_end,
    is_as_good,
    is_better,
    is_nearly,
)
from crbm_lite.training.search.grown_units import grown_courses
from crbm_lite.training.search.report import SearchLog, SearchReport, reasons_for
from crbm_lite.training.search.residual_units import start_with_residual_units
from crbm_lite.training.search.stage_end import (
    SIGNIFICANT,
    StageEnd,
    joined_start,
)
from crbm_lite.training.search.validation_blocks import (
    ValidationBlocks,
    standard_error,
    validation_blocks,
)
from crbm_lite.training.start import Start, logit_activity, random_start, start_given_units

__all__ = [
    "Choice",
    "Stage",
    "choose",
    "expected_updates",
    "units_to_begin_with",
]

_FIRST_PENALTY, _PATH_FACTOR, _PATH_LENGTH = 0.1, 0.5, 7  # the first in sqrt(p (1 - p))
_SELDOM_REACHED = 2  # penalties at the end of the path
_STAGE_UPDATES = 500
_REFIT_UPDATES, _USUAL_REFITS = 300, 3  # refits of a start
# share of the last training. The learning rate has decayed there, so half of 3,000 updates make as
# many steps as a refit that was tried. Without the penalty, a longer one learns noise
_LAST_REFIT = 0.5
_FIRST_RAMP = 0.5  # share of the first stage over which lambda rises: random units must live
_ROUND_UPDATES, _MOST_ROUNDS = 1000, 7  # after the path, while they gain
_LAST_UPDATES = 3000  # with all frames
_LAST_UPDATES_OF_MANY = 2000  # weights
_MOST_BORN = 60  # units of residuals that join at once
_JUMP_EVERY = 6  # Gibbs steps after the path
# of a model with many weights, where jumps cost as much as all else: in the search, and at its end
_SELDOM_JUMP_EVERY, _LAST_JUMP_EVERY = 24, 12
_LEAST_RISE = 0.005  # of the gain: a round that brings less is the last one
# of the best gain, for a start to go on after the first penalty, the second, and each later one
_LEAST_SHARES = (0.65, 0.9, 0.98)
_JOINED_AFTER = 2  # penalties
_GO_ON, _GO_ON_FROM = 2, 3  # starts that go on at most, after so many penalties
_MOST_COMPONENTS = 300
_SPARE = (10, 60)  # units beyond the components, at least and at most
_DEAREST_RIVALS = 1_000_000  # weights of a model, above which components alone are tried
_DEAREST_FACTORS = 100_000_000  # spikes times units, above which there is no factorisation


@dataclass(frozen=True)
class Stage:
    """What to train next, on which frames and from where.

    Attributes
    ----------
    what : str
        A few words for the progress bar.
    spikes : Spikes
    start : Start
    schedule : Schedule
    n_expected : int
        How many updates the search expects from here on to the end, this stage's among them.
    """

    what: str
    spikes: Spikes
    start: Start
    schedule: Schedule
    n_expected: int


@dataclass(frozen=True)
class Choice:
    """What the search ends with.

    Attributes
    ----------
    last : Stage
        The training with all frames.
    report : SearchReport
    is_empty : bool
        Whether no model is better than independent neurons: then `last` makes no update.
    """

    last: Stage
    report: SearchReport
    is_empty: bool


TrainStage = Callable[[Stage, ValidationBlocks], StageEnd]
Round = tuple[Trial, Trial]  # before some more updates, and after them


def choose(
    spikes: Spikes,
    schedule: Schedule,
    *,
    n_hidden: int | None,
    l1: float | None,
    n_updates: int | None,
    refit: float | None,
    init: str,
    seed: int,
    train_stage: TrainStage,
) -> Choice:
    """Find what is None by evidence, by the steps of the module.

    Parameters
    ----------
    spikes : Spikes
        All frames to train on.
    schedule : Schedule
        Everything else about the updates.
    n_hidden, l1, n_updates : int, float, int or None
        M, lambda, and the length of the training with all frames.
    refit : float or None
        The share of that training without penalty.
    init : {"auto", "pca", "nmf", "random"}
        "auto" lets all three compete.
    seed : int
    train_stage : callable
        Trains a `Stage` and returns its `StageEnd`.
    """
    blocks = validation_blocks(spikes)
    rng = np.random.default_rng(seed)
    log = SearchLog([], [])
    path = _penalties(spikes) if l1 is None else [l1]
    candidates = _candidates(blocks.training, n_hidden, path[0], init, refit is None, rng, log)

    many_weights = _has_many_weights(*candidates[0].first.weights.shape)
    if many_weights:
        last_schedule = _with_jumps(schedule, _LAST_JUMP_EVERY)
        schedule = _with_jumps(schedule, _SELDOM_JUMP_EVERY)
    n_last = n_updates or _usual_last_updates(*candidates[0].first.weights.shape)
    n_rounds = 0 if n_updates else _ROUND_UPDATES

    def tried(
        name: str, start: Start, penalty: float, n: int, n_later: int, *,
        ramp: float = 0.0, is_refit: bool = False,
    ) -> Trial:  # fmt: skip
        stage = Stage(
            f"{name}, lambda {penalty:.2g}", blocks.training, start,
            _of_length(schedule, n, penalty, ramp, float(is_refit)), n + n_later,
        )  # fmt: skip
        trial = Trial(penalty, is_refit, train_stage(stage, blocks))
        log.rows.append((name, n, trial))
        return trial

    def try_penalty(candidate: Candidate, penalty: float, n_later: int, ramp: float) -> None:
        end = tried(
            candidate.name, candidate.start, penalty, _STAGE_UPDATES, n_later, ramp=ramp
        )  # fmt: skip
        candidate.trials.append(end)
        candidate.start = end.end.start_with_births(candidate.first, n_hidden is not None)
        if candidate.may_refit and end.end.shows_structure():
            start = end.end.start(candidate.first.field_rate_factor, n_hidden is not None)
            refitted = tried(
                candidate.name, start, penalty, _REFIT_UPDATES, n_later, is_refit=True
            )  # fmt: skip
            candidate.trials.append(refitted)
            candidate.may_refit = refitted.end.mean_gain > end.end.mean_gain

    def with_births(candidate: Candidate, start: Start, end: StageEnd, penalty: float) -> Start:
        if n_hidden is not None:
            return start
        born = start_with_residual_units(blocks.training, start, end, penalty, _MOST_BORN, rng)
        candidate.n_born += born.weights.shape[1] - start.weights.shape[1]
        return born

    going = list(candidates)
    for k, penalty in enumerate(path):
        for j, candidate in enumerate(going):
            n_stages = len(going) * (len(path) - k) - j - 1
            n_later = n_stages * _STAGE_UPDATES + n_rounds + n_last
            has_random = candidate.first.n_linear_units < candidate.first.weights.shape[1]
            try_penalty(candidate, penalty, n_later, _FIRST_RAMP if has_random and not k else 0.0)
        share = _LEAST_SHARES[min(k, len(_LEAST_SHARES) - 1)]
        may_join = k + 1 == _JOINED_AFTER < len(path) and n_hidden is None
        if may_join and (joined := _joined(_not_behind(going, share))) is not None:
            try_penalty(joined, penalty, n_later, 0.0)
            candidates.append(joined)
            going.append(joined)
        going = [
            c for c in _not_behind(going, share)
            if np.isfinite(c.gain_now) and not c.has_peaked(many_weights)
        ]  # fmt: skip
        if k + 1 >= _GO_ON_FROM and _some_show_structure(going):
            going = sorted(going, key=lambda c: -c.gain_now)[:_GO_ON]
        if not going or k + 1 == len(path):
            break
        for candidate in going:
            if candidate.has_shown_structure():
                candidate.start = with_births(
                    candidate, candidate.start, candidate.last_end, penalty
                )
    winner, best = best_candidate(candidates), best_end(candidates)
    if not best.shows_structure():
        log.reasons.append(
            f"no model gains more than {SIGNIFICANT:g} standard errors over independent neurons, "
            f"or in every block: {best.mean_gain:.3f} +- {standard_error(best.gain):.3f} nats per "
            "frame at best"
        )
        empty = _empty_start(spikes, n_hidden or 1)
        penalty = winner.best.l1
        last = Stage("independent neurons", spikes, empty, _of_length(schedule, 1, penalty), 0)
        report = log.report("independent neurons", penalty, False, empty.weights.shape[1])
        return Choice(last, report, is_empty=True)
    chosen = winner.sparsest(best)
    log.reasons += reasons_for(candidates, winner, chosen)

    def start_after(trial: Trial) -> Start:
        return trial.end.start(winner.first.field_rate_factor, n_hidden is not None)

    def trained_on(trial: Trial, start: Start, penalty: float, n: int, n_later: int) -> Trial:
        more = tried(winner.name, start, penalty, n, n_later)
        if not trial.is_refit:
            return more
        refitted = tried(
            winner.name, start_after(more), penalty, _REFIT_UPDATES, n_later, is_refit=True
        )  # fmt: skip
        return max(more, refitted, key=lambda trial: trial.end.mean_gain)

    def under_larger_penalty(trial: Trial) -> Trial | None:
        larger = [penalty for penalty in path if penalty > trial.l1]
        if not larger:
            return None
        n_later = n_rounds + n_last
        return trained_on(trial, start_after(trial), larger[-1], _STAGE_UPDATES, n_later)

    def longer(trial: Trial) -> Trial:
        start = with_births(winner, start_after(trial), trial.end, trial.l1)
        return trained_on(trial, start, trial.l1, _ROUND_UPDATES, n_last)

    trials = _with_way_back(winner.up_to(chosen), best, under_larger_penalty, many_weights)
    if trials[-1].l1 > chosen.l1:
        log.reasons.append(
            f"with its units, the larger lambda = {trials[-1].l1:.2g} gains nearly as much"
        )
    chosen = trials[-1]
    if not many_weights:
        schedule = last_schedule = _with_jumps(schedule, _JUMP_EVERY)
    if n_updates is None:
        last_round = _lasting(trials, longer)
        if last_round[1].l1 != chosen.l1:
            log.reasons.append(f"trained on, lambda = {last_round[1].l1:.2g} gains more")
        chosen = _longest(last_round, longer)
    if winner.n_born:
        log.reasons.append(
            f"{winner.n_born} units of what its models left over joined it on the way, and may "
            "have died since"
        )
    start = start_after(chosen)
    share = chosen.is_refit * _LAST_REFIT if refit is None else refit
    last = Stage(
        f"all frames, lambda {chosen.l1:.2g}", spikes, start,
        _of_length(last_schedule, n_last, chosen.l1, refit=share), n_last,
    )  # fmt: skip
    report = log.report(winner.name, chosen.l1, chosen.is_refit, start.weights.shape[1])
    return Choice(last, report, is_empty=False)


def _some_show_structure(going: list[Candidate]) -> bool:
    return any(candidate.has_shown_structure() for candidate in going)


def _not_behind(going: list[Candidate], share: float) -> list[Candidate]:
    """Return the starts with a share of the best gain; before one shows structure, all of them."""
    most = max(candidate.gain_now for candidate in going)
    if not _some_show_structure(going) or most <= 0.0:
        return going
    return [candidate for candidate in going if candidate.gain_now >= share * most]


def _with_way_back(
    trials: list[Trial],
    best: StageEnd,
    under_larger_penalty: Callable[[Trial], Trial | None],
    is_dear: bool,
) -> list[Trial]:
    """Go back from the last of some trials to larger penalties, while those are as good as `best`.

    Units that joined late, or died under a large penalty when they were few and poor, live under it
    now, and chance weights do not. Of a dear model a larger penalty may cost a little more: under a
    small one chance weights have not grown yet, so that it looks better than it is.
    """
    trials = list(trials)
    while (back := under_larger_penalty(trials[-1])) and (
        is_as_good(back.end, best) or (is_dear and is_nearly(back.end.mean_gain, best.mean_gain))
    ):
        trials.append(back)
        best = max(best, back.end, key=lambda end: end.mean_gain)
    return trials


def _lasting(trials: list[Trial], longer: Callable[[Trial], Trial]) -> Round:
    """Train the last of some trials on, or one before it where that loses; return the best round.

    A penalty that is too small is good for as long as chance weights have not grown. Where all
    diverge, the last trial stays as it was.
    """
    rounds: list[Round] = []
    for trial in reversed(trials):
        rounds.append((trial, longer(trial)))
        if not is_better(*(trial.end for trial in rounds[-1])):
            break
    rounds = [r for r in rounds if np.isfinite(r[1].end.mean_gain)] or [(trials[-1], trials[-1])]
    return max(rounds, key=lambda r: r[1].end.mean_gain if r[1].end.n_alive else -np.inf)


def _longest(last_round: Round, longer: Callable[[Trial], Trial]) -> Trial:
    """Train a trial on, round after round, as long as the last one brought enough."""
    before, trial = last_round
    for _ in range(_MOST_ROUNDS - 1):
        if not is_better(trial.end, before.end, _LEAST_RISE):
            break
        before, trial = trial, longer(trial)
        if trial.end.mean_gain <= before.end.mean_gain or not trial.end.n_alive:
            return before
    return trial


def _of_length(
    schedule: Schedule, n_updates: int, l1: float, ramp: float = 0.0, refit: float = 0.0
) -> Schedule:
    return replace(schedule, n_updates=n_updates, l1=l1, ramp=ramp, refit=refit)


def _with_jumps(schedule: Schedule, jump_every: int) -> Schedule:
    """Let all units jump where the sampler was to choose."""
    return replace(schedule, jump_every=jump_every) if schedule.jump_every == "auto" else schedule


def _penalties(spikes: Spikes) -> list[float]:
    """Return the path of penalties, in two digits: they scale with the spread of the spikes."""
    p = float(spikes.activity().mean())
    first = _FIRST_PENALTY * np.sqrt(p * (1.0 - p))
    return [float(f"{first * _PATH_FACTOR**k:.2g}") for k in range(_PATH_LENGTH)]


def _candidates(
    spikes: Spikes,
    n_hidden: int | None,
    l1: float,
    init: str,
    may_refit: bool,
    rng: np.random.Generator,
    log: SearchLog,
) -> list[Candidate]:
    """Make the starts that compete."""
    n_most = min(n_hidden or _MOST_COMPONENTS, _MOST_COMPONENTS)
    courses = rotated_components(spikes, n_most, rng)
    n_components = courses.shape[1]
    linear = linear_units_of_members(spikes, courses, l1)
    n_rotated = linear.h.shape[1]
    if init == "auto":
        seeds = np.flatnonzero(~linear.rise.any(axis=1))
        grown = grown_courses(spikes, seeds, n_most, rng)
        more = linear_units_given_courses(spikes, grown, l1)
        linear = joined_units(linear, more, n_most)
    n_linear = linear.h.shape[1]
    n_units = n_hidden or units_to_begin_with(n_linear)
    many_weights = _has_many_weights(spikes.n_neurons, n_units)
    if many_weights:
        n_units = n_hidden or n_linear or n_units
    log.reasons.append(
        f"{n_components} components stand above the noise, and {n_linear - n_rotated} more "
        f"assemblies grow from single neurons; trained with {n_units} hidden units"
    )
    found = []

    def add(name: str, start: Start | None) -> None:
        if start is not None:
            found.append(Candidate(name, start, start, [], may_refit))

    dear = len(spikes.neurons) * n_units > _DEAREST_FACTORS
    if init in ("auto", "pca"):
        name = "rotated and grown" if n_linear > n_rotated else "rotated components"
        add(name, start_given_units(spikes, linear, n_units, rng))
    if init == "nmf" or (init == "auto" and not (many_weights or dear)):
        n_factors = min(n_units, *spikes.shape)
        factors = nonnegative_factors(spikes, n_factors, rng)
        units = linear_units_given_courses(spikes, factors, l1)
        add("nonnegative factors", start_given_units(spikes, units, n_units, rng))
    if init == "random" or not found or (init == "auto" and not many_weights):
        add("random weights", random_start(spikes, n_units, rng))
    return found


def _joined(going: list[Candidate]) -> Candidate | None:
    """Make one more start of the units of all that gain, at the end of their last penalty."""
    ranked = sorted((c for c in going if c.gain_now > 0.0), key=lambda c: -c.gain_now)
    if len(ranked) < 2:
        return None
    best, *others = (c.last_end for c in ranked)
    start = joined_start(best, others, ranked[0].first.field_rate_factor)
    may_refit = any(c.may_refit for c in ranked)
    return start and Candidate("all starts", start, start, [], may_refit)


def units_to_begin_with(n_components: int) -> int:
    """Say how many hidden units the search begins with: components, and as many more or so.

    Examples
    --------
    >>> units_to_begin_with(0), units_to_begin_with(20), units_to_begin_with(200)
    (10, 40, 260)
    """
    return n_components + int(np.clip(n_components, *_SPARE))


def expected_updates(n_neurons: int, n_units: int) -> int:
    """Say how many updates a search usually makes in all.

    Examples
    --------
    >>> expected_updates(100, 20), expected_updates(40_000, 260)
    (14200, 6400)
    """
    n_starts = 1 if _has_many_weights(n_neurons, n_units) else 3
    n_on_path = (_PATH_LENGTH - _SELDOM_REACHED) * _STAGE_UPDATES + _USUAL_REFITS * _REFIT_UPDATES
    return n_starts * n_on_path + _ROUND_UPDATES + _usual_last_updates(n_neurons, n_units)


def _usual_last_updates(n_neurons: int, n_units: int) -> int:
    return _LAST_UPDATES_OF_MANY if _has_many_weights(n_neurons, n_units) else _LAST_UPDATES


def _has_many_weights(n_neurons: int, n_units: int) -> bool:
    """Say whether a model is so large that only one start is tried."""
    return n_neurons * n_units > _DEAREST_RIVALS


def _empty_start(spikes: Spikes, n_hidden: int) -> Start:
    """Return independent neurons, with hidden units that have no weights."""
    weights = np.zeros((spikes.n_neurons, n_hidden), np.float32)
    potential = np.array([[1.0], [1.0], [0.0], [0.0]]) * np.ones(n_hidden)
    return Start(weights, logit_activity(spikes), potential, field_rate_factor=1.0)
