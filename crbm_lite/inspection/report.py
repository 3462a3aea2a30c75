"""A page about a recording before anything is trained on it: findings, each with what to do.

The single checks and their equations are in `crbm_lite.inspection.findings`. The suggestions and
the rules behind them are in `crbm_lite.inspection.advice`. Numbers about the population come from
at most 1,000 neurons drawn at random. The recording is not changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap

import numpy as np

from crbm_lite.checks.arguments import as_generator
from crbm_lite.inspection import findings as checks
from crbm_lite.inspection.advice import Advice, advise
from crbm_lite.inspection.findings import Finding, counted
from crbm_lite.recordings.files import Recording
from crbm_lite.recordings.recording import as_recording

__all__ = ["RecordingReport", "check_recording"]

_MOST_NEURONS = 1000
_LEVELS = ("ok", "look", "problem")


@dataclass(frozen=True)
class RecordingReport:
    """What `check_recording` found; ``print(report)`` shows the page.

    Parameters
    ----------
    title : str
        The recording in one line.
    findings : tuple of Finding
    advice : Advice
    """

    title: str
    findings: tuple[Finding, ...]
    advice: Advice = field(repr=False)

    @property
    def worst(self) -> str:
        """The most serious level among the findings: ok, look or problem."""
        return max((f.level for f in self.findings), key=_LEVELS.index)

    def finding(self, name: str) -> Finding:
        """Return the finding of this name.

        Raises
        ------
        ValueError
            If there is none.
        """
        for found in self.findings:
            if found.name == name:
                return found
        names = ", ".join(f.name for f in self.findings)
        raise ValueError(f"name is {name!r}: give a finding, one of {names}")

    def __str__(self) -> str:
        return self.page()

    def page(self, code: str | None = None) -> str:
        """Write the page; ``print(report)`` shows the same.

        Parameters
        ----------
        code : str, optional
            The last line, what to type next; by default the suggested training in Python.
        """
        lines = [self.title, ""]
        for f in self.findings:
            first, *rest = wrap(f.text, 75)
            lines.append(f"{f.level:<9}{f.name:<13}{first}")
            lines += [f"{'':<22}{line}" for line in rest]
            if f.todo:
                lines += [f"{'':<22}{line}" for line in wrap(f"-> {f.todo}", 75)]
            lines += [f"{'':<9}{line}" for line in f.code.splitlines()]  # not wrapped: to be copied
        lines += ["", "a training that chooses for itself:"]
        plan = self.advice.page(code).splitlines()
        return "\n".join([*lines, *(f"  {line}" for line in plan)])


def check_recording(
    recording: Recording,
    n_hidden: int | None = None,
    *,
    measure_cost: bool = True,
    random_state: int = 0,
) -> RecordingReport:
    """Look a recording over before training on it.

    Parameters
    ----------
    recording : Recording
    n_hidden : int, optional
        The number of hidden units M that you have in mind; by default the training chooses it.
    measure_cost : bool
        Whether to run a few updates on this machine, which tell the minutes and the memory that a
        training will take; True by default.
    random_state : int
        Seed of the subsamples and the shifts; default 0.

    Returns
    -------
    RecordingReport

    Raises
    ------
    ValueError
        If the recording has fewer than 20 frames or two neurons, or n_hidden is not positive.

    Examples
    --------
    >>> from crbm_lite.simulation.planted import plant_recording
    >>> options = {"n_unassigned": 15, "activity_range": (0.1, 0.1)}
    >>> recording = plant_recording(150, 4, (30, 36), 2600, **options)
    >>> report = check_recording(recording, measure_cost=False)
    >>> report.worst, report.finding("silent").text
    ('ok', 'every neuron spikes')
    """
    if as_recording(recording).n_frames < 20 or recording.n_neurons < 2:
        raise ValueError(
            f"recording has {recording.n_frames} frames of {recording.n_neurons} neurons: give at "
            "least 20 frames and 2 neurons"
        )
    rng = as_generator(random_state)
    varying = np.setdiff1d(np.arange(recording.n_neurons), recording.constant_neurons)
    if varying.size > _MOST_NEURONS:
        varying = np.sort(rng.choice(varying, _MOST_NEURONS, replace=False))
    advice = advise(recording, n_hidden, measure_cost=measure_cost, random_state=random_state)
    found = [
        checks.check_orientation(recording, varying, rng),
        checks.check_rate(recording, rng),
        checks.check_activity(recording),
        *checks.check_neurons(recording),
        checks.check_artefacts(recording),
    ]
    if varying.size < 2:
        text = "fewer than two neurons vary"
        found.append(Finding("pairs", "problem", text, "check the threshold of the deconvolution"))
    else:
        sample = recording.select_neurons(varying)
        found += [
            checks.check_drift(sample, advice.correlation_frames),
            checks.check_ceiling(sample, rng),
            checks.check_pairs(sample, rng),
        ]
    found.append(_length(recording, advice))
    return RecordingReport(repr(recording), tuple(found), advice)


def _length(recording: Recording, advice: Advice) -> Finding:
    """Find out whether T suffices for M."""
    if advice.n_components == 0:
        text = "no component stands out from the noise of shifted neurons"
        return Finding("length", "problem", text, "record longer or more neurons: nothing to learn")
    text = (
        f"T = {recording.n_frames} frames are worth {advice.n_independent:.0f} independent ones "
        f"(activity outlasts {advice.correlation_frames:.1f} frames), with "
        f"{advice.spikes_per_neuron:.0f} spikes per neuron; "
        f"{counted(advice.n_components, 'component stands', 'components stand')} out from the "
        f"noise{advice.sample_note}"
    )
    if not advice.is_long_enough:
        todo = "too short for all assemblies: take those that both halves of the recording show"
        return Finding("length", "look", text, todo, value=advice.n_independent)
    asked = advice.n_hidden
    if asked != "auto" and asked > 3 * advice.n_components and not advice.is_lower_limit:
        todo = f"most of the {asked} units will end without weights: leave n_hidden out"
        return Finding("length", "look", text, todo, value=advice.n_independent)
    return Finding("length", "ok", text, value=advice.n_independent)
