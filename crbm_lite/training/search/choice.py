r"""Choose M, lambda, the start and the length of a training by evidence.

The evidence is the gain over independent neurons on validation blocks
(`crbm_lite.training.search.validation_blocks`), which no training of the search sees.

1. *Units.* There are as many as principal components above the noise and as many again, at least
   10 and at most 60, so that some are to spare. Units that the data do not need lose their weights.
2. *Starts.* Rotated components with the assemblies that grow from single neurons besides them,
   nonnegative factors, and small random weights compete.
3. *Path.* Each start is trained along a path of penalties from large to small, and each penalty
   goes on from the model of the one before (Friedman, Hastie & Tibshirani 2010). A large penalty
   lets only strong assemblies form; a smaller one lets them grow, and units of the start that died
   under the larger one begin again. A start ends where a penalty loses, or two gain no more than
   noise. It is left behind where it has gained far less than the best, or diverges. After three
   penalties only the best two go on, and the second only while it is close to the best. Before a
   start gains more than chance does, all go on.
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
   next larger penalty, too. While that is as good, it is taken: it has fewer chance weights.
9. *Length.* That model is trained on in rounds, as one more penalty of the same size, until a round
   brings less than 0.5 %. Where the first round loses by that, the model that comes before it is
   trained on in its place; where all of these lose, the penalty is too large, and those of the
   smaller penalties follow, until one does not lose.
10. *End.* The training ends with all frames. Its later half is a refit if that gained more.
11. *Longer.* Where that training has not converged, it goes on from where it ended, as long again,
    with four times as many Gibbs steps and a smaller learning rate. Chains that mix slowly leave
    noise in the parameters, and only more samples of them take it out.

After the path, all units jump, whatever they need to mix. Gibbs sampling alone may never leave the
data's states for others that a model has, and then neither training nor certificate sees those.

Lengths, and what is different above a million weights, are in `crbm_lite.training.search.rules`.

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
from crbm_lite.training.search.candidates import (
    Candidate,
    Trial,
    best_candidate,
    best_end,
    is_as_good,
    is_better,
    is_nearly,
)
from crbm_lite.training.search.report import SearchLog, SearchReport, reasons_for
from crbm_lite.training.search.residual_units import start_with_residual_units
from crbm_lite.training.search.rules import (
    FIRST_RAMP,
    LAST_REFIT,
    LONGER_RATE,
    LONGER_STEPS,
    MOST_ROUNDS,
    REFIT_UPDATES,
    ROUND_UPDATES,
    STAGE_UPDATES,
    Rules,
    penalties,
    with_jumps,
)
from crbm_lite.training.search.stage_end import SIGNIFICANT, StageEnd
from crbm_lite.training.search.starts import competing_starts, start_of_all
from crbm_lite.training.search.validation_blocks import (
    ValidationBlocks,
    standard_error,
    validation_blocks,
)
from crbm_lite.training.start import Start, logit_activity

__all__ = ["Choice", "Stage", "choose", "longer"]

_MOST_BORN = 60  # units of residuals that join at once
_LEAST_RISE = 0.005  # of the gain: a round that brings less is the last one
# of the best gain, for a start to go on after the first penalty, the second, and each later one
_LEAST_SHARES = (0.65, 0.9, 0.98)
_JOINED_AFTER = 2  # penalties
_GO_ON, _GO_ON_FROM = 2, 3  # starts that go on at most, after so many penalties


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
    most_longer : int
        How often the last training may go on (`longer`) while it has not converged.
    """

    last: Stage
    report: SearchReport
    is_empty: bool
    most_longer: int = 0


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
    path = penalties(float(spikes.activity().mean())) if l1 is None else [l1]
    candidates, rules = competing_starts(
        blocks.training, n_hidden, path[0], init, refit is None, rng, log
    )
    search = _Search(
        blocks, path, rules, with_jumps(schedule, rules.jump_every), n_hidden is not None,
        n_rounds=0 if n_updates else ROUND_UPDATES, n_last=n_updates or rules.n_last,
        rng=rng, log=log, train_stage=train_stage,
    )  # fmt: skip
    search.walk(candidates)
    winner, best = best_candidate(candidates), best_end(candidates)
    if not best.shows_structure():
        return _independent_neurons(spikes, schedule, n_hidden or 1, winner.best.l1, best, log)
    chosen = winner.sparsest(best)
    log.reasons += reasons_for(candidates, winner, chosen, path)
    trials = search.way_back(winner, chosen, best)
    chosen = trials[-1]
    search.schedule = with_jumps(schedule, rules.jump_every_later)
    if n_updates is None:
        chosen = search.trained_longer(winner, trials)
    if winner.n_born:
        log.reasons.append(
            f"units added from what the models left unexplained: {winner.n_born}; some may have "
            "been removed again"
        )
    start = search.start_after(winner, chosen)
    share = chosen.is_refit * LAST_REFIT if refit is None else refit
    last_rate = min(schedule.final_learning_rate, rules.final_learning_rate)
    last_schedule = replace(
        with_jumps(schedule, rules.jump_every_last), final_learning_rate=last_rate
    )  # fmt: skip
    last = Stage(
        f"all frames, lambda {chosen.l1:.2g}", spikes, start,
        _of_length(last_schedule, search.n_last, chosen.l1, refit=share), search.n_last,
    )  # fmt: skip
    report = log.report(winner.name, chosen.l1, chosen.is_refit, start.weights.shape[1])
    most_longer = rules.most_longer if n_updates is None else 0
    return Choice(last, report, is_empty=False, most_longer=most_longer)


def longer(last: Stage, end: StageEnd) -> Stage:
    """Go on from the end of a training with all frames, by as many updates of more Gibbs steps.

    There are as many sweeps of jumps as before. Where the training ended without a penalty, this
    one has none.
    """
    schedule = last.schedule
    n_gibbs, jump_every = LONGER_STEPS * schedule.n_gibbs, schedule.jump_every
    schedule = replace(
        schedule, n_gibbs=n_gibbs, ramp=0.0, refit=float(schedule.refit > 0),
        jump_every="auto" if jump_every == "auto" else LONGER_STEPS * jump_every,
        learning_rate=LONGER_RATE * schedule.learning_rate,
        final_learning_rate=LONGER_RATE * schedule.final_learning_rate,
    )  # fmt: skip
    start = end.start(last.start.field_rate_factor, all_units=True)
    what = f"all frames, {n_gibbs} Gibbs steps"
    return Stage(what, last.spikes, start, schedule, schedule.n_updates)


@dataclass
class _Search:
    """A search under way. What is random in it are births; each stage has numbers of its own."""

    blocks: ValidationBlocks
    path: list[float]
    rules: Rules
    schedule: Schedule
    keeps_all_units: bool
    n_rounds: int  # updates that are expected of rounds after the path
    n_last: int
    rng: np.random.Generator
    log: SearchLog
    train_stage: TrainStage

    def walk(self, candidates: list[Candidate]) -> None:
        """Train all starts along the path; one that joins their units may come to them."""
        going = list(candidates)
        for k, penalty in enumerate(self.path):
            for j, candidate in enumerate(going):
                n_stages = len(going) * (len(self.path) - k) - j - 1
                n_later = n_stages * STAGE_UPDATES + self.n_rounds + self.n_last
                has_random = candidate.first.n_linear_units < candidate.first.weights.shape[1]
                ramp = FIRST_RAMP if has_random and not k else 0.0
                self._under_penalty(candidate, penalty, n_later, ramp)
            share = _LEAST_SHARES[min(k, len(_LEAST_SHARES) - 1)]
            may_join = k + 1 == _JOINED_AFTER < len(self.path) and not self.keeps_all_units
            if may_join and (joined := start_of_all(_not_behind(going, share))) is not None:
                self._under_penalty(joined, penalty, n_later)
                candidates.append(joined)
                going.append(joined)
            going = [
                c for c in _not_behind(going, share)
                if np.isfinite(c.gain_now) and not c.has_peaked(self.rules.little)
            ]  # fmt: skip
            if k + 1 >= _GO_ON_FROM and _some_show_structure(going):
                going = sorted(going, key=lambda c: -c.gain_now)[:_GO_ON]
            if not going or k + 1 == len(self.path):
                break
            for candidate in going:
                if candidate.has_shown_structure():
                    candidate.start = self._with_births(
                        candidate, candidate.start, candidate.last_end, penalty
                    )

    def way_back(self, winner: Candidate, chosen: Trial, best: StageEnd) -> list[Trial]:
        """Go back from a trial to larger penalties while those are as good as the best end.

        Units that joined late, or died under a large penalty when they were few and poor, live
        under it now, and chance weights do not. Of a large model a larger penalty may cost a
        little: under a small one chance weights have not grown yet, so it looks better than it is.

        Return the winner's trials up to the chosen one, and those that are taken in its place.
        """
        trials = winner.up_to(chosen)
        while larger := [penalty for penalty in self.path if penalty > trials[-1].l1]:
            back = self._trained_on(
                winner, trials[-1], self.start_after(winner, trials[-1]), larger[-1],
                STAGE_UPDATES, self.n_rounds + self.n_last,
            )  # fmt: skip
            costs_little = is_nearly(back.end.mean_gain, best.mean_gain, self.rules.little)
            if not (is_as_good(back.end, best) or costs_little):
                break
            trials.append(back)
            best = max(best, back.end, key=lambda end: end.mean_gain)
        if trials[-1].l1 > chosen.l1:
            self.log.reasons.append(
                f"with its units, the larger lambda = {trials[-1].l1:.2g} gains nearly as much"
            )
        return trials

    def trained_longer(self, winner: Candidate, trials: list[Trial]) -> Trial:
        """Train the last of some trials on in rounds, or one before it where that loses."""

        def longer(trial: Trial) -> Trial:
            start = self._with_births(winner, self.start_after(winner, trial), trial.end, trial.l1)
            return self._trained_on(winner, trial, start, trial.l1, ROUND_UPDATES, self.n_last)

        last_round = _lasting(trials, winner.below(min(trial.l1 for trial in trials)), longer)
        if last_round[1].l1 != trials[-1].l1:
            self.log.reasons.append(f"trained on, lambda = {last_round[1].l1:.2g} gains more")
        return _longest(last_round, longer)

    def start_after(self, winner: Candidate, trial: Trial) -> Start:
        """Return the start that goes on from the end of a trial."""
        return trial.end.start(winner.first.field_rate_factor, self.keeps_all_units)

    def _under_penalty(
        self, candidate: Candidate, penalty: float, n_later: int, ramp: float = 0.0
    ) -> None:
        """Train a start under the next penalty, and refit what it leaves as long as that gains."""
        trial = self._tried(
            candidate.name, candidate.start, penalty, STAGE_UPDATES, n_later, ramp=ramp
        )  # fmt: skip
        candidate.trials.append(trial)
        candidate.start = trial.end.start_with_births(candidate.first, self.keeps_all_units)
        if candidate.may_refit and trial.end.shows_structure():
            start = self.start_after(candidate, trial)
            refitted = self._refitted(candidate.name, start, penalty, n_later)
            candidate.trials.append(refitted)
            least = trial.end.mean_gain * (1.0 + self.rules.little)
            candidate.may_refit = refitted.end.mean_gain > least

    def _trained_on(
        self, winner: Candidate, trial: Trial, start: Start, penalty: float, n: int, n_later: int
    ) -> Trial:
        """Train on, and refit where the trial before was a refit; return the better of both."""
        more = self._tried(winner.name, start, penalty, n, n_later)
        if not trial.is_refit:
            return more
        refitted = self._refitted(winner.name, self.start_after(winner, more), penalty, n_later)
        return max(more, refitted, key=lambda trial: trial.end.mean_gain)

    def _refitted(self, name: str, start: Start, penalty: float, n_later: int) -> Trial:
        return self._tried(name, start, penalty, REFIT_UPDATES, n_later, is_refit=True)

    def _tried(
        self, name: str, start: Start, penalty: float, n: int, n_later: int, *,
        ramp: float = 0.0, is_refit: bool = False,
    ) -> Trial:  # fmt: skip
        stage = Stage(
            f"{name}, lambda {penalty:.2g}", self.blocks.training, start,
            _of_length(self.schedule, n, penalty, ramp, float(is_refit)), n + n_later,
        )  # fmt: skip
        trial = Trial(penalty, is_refit, self.train_stage(stage, self.blocks))
        self.log.rows.append((name, n, trial))
        return trial

    def _with_births(
        self, candidate: Candidate, start: Start, end: StageEnd, penalty: float
    ) -> Start:
        if self.keeps_all_units:
            return start
        born = start_with_residual_units(
            self.blocks.training, start, end, penalty, _MOST_BORN, self.rng
        )
        candidate.n_born += born.weights.shape[1] - start.weights.shape[1]
        return born


def _some_show_structure(going: list[Candidate]) -> bool:
    return any(candidate.has_shown_structure() for candidate in going)


def _not_behind(going: list[Candidate], share: float) -> list[Candidate]:
    """Return the starts with a share of the best gain; before one shows structure, all of them."""
    most = max(candidate.gain_now for candidate in going)
    if not _some_show_structure(going) or most <= 0.0:
        return going
    return [candidate for candidate in going if candidate.gain_now >= share * most]


def _lasting(trials: list[Trial], smaller: list[Trial], longer: Callable[[Trial], Trial]) -> Round:
    """Train the last of some trials on, or another one where that loses; return the best round.

    A penalty that is too small is good for as long as chance weights have not grown, so the trials
    before it come next. One that is too large is good for as long as it has not taken weights, so
    those of smaller penalties come last. Where all diverge, the last trial stays as it was.
    """
    rounds: list[Round] = []
    for trial in [*reversed(trials), *smaller]:
        rounds.append((trial, longer(trial)))
        if not is_better(*(trial.end for trial in rounds[-1])):
            break
    rounds = [r for r in rounds if np.isfinite(r[1].end.mean_gain)] or [(trials[-1], trials[-1])]
    return max(rounds, key=lambda r: r[1].end.mean_gain if r[1].end.n_alive else -np.inf)


def _longest(last_round: Round, longer: Callable[[Trial], Trial]) -> Trial:
    """Train a trial on, round after round, as long as the last one brought enough."""
    before, trial = last_round
    for _ in range(MOST_ROUNDS - 1):
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


def _independent_neurons(
    spikes: Spikes, schedule: Schedule, n_hidden: int, l1: float, best: StageEnd, log: SearchLog
) -> Choice:
    """Choose hidden units that have no weights, since nothing was found, and say so."""
    log.reasons.append(
        f"no model gains more than {SIGNIFICANT:g} standard errors over independent neurons, "
        f"or in every block: {best.mean_gain:.3f} +- {standard_error(best.gain):.3f} nats per "
        "frame at best"
    )
    weights = np.zeros((spikes.n_neurons, n_hidden), np.float32)
    potential = np.array([[1.0], [1.0], [0.0], [0.0]]) * np.ones(n_hidden)
    start = Start(weights, logit_activity(spikes), potential, field_rate_factor=1.0)
    last = Stage("independent neurons", spikes, start, _of_length(schedule, 1, l1), 0)
    report = log.report("independent neurons", l1, is_refit=False, n_hidden=n_hidden)
    return Choice(last, report, is_empty=True)
