"""What is stored of a fish, or measured now of a recording in a file."""

from __future__ import annotations

from pathlib import Path

from benchmarks import stored
from benchmarks.retrace.run import RESULTS, key_of_animals, retrace
from benchmarks.retrace.subject import Subject

__all__ = ["largest_scale", "of_fish", "results_of"]


def largest_scale(results: dict, fish: int = 3) -> float:
    """The largest scale at which there are results of a fish.

    >>> largest_scale({"fish 3, scale 0.02": {}, "fish 3, scale 0.1": {}, "fish 8, scale 1": {}})
    0.1
    """
    mine = [key for key in results if key.startswith(f"fish {fish}, ")]
    return max(float(key.rpartition(" ")[2]) for key in mine)


def of_fish(results: dict, key: str) -> dict:
    """The steps of one fish and, beside them as ``animals``, what all fish of its scale show."""
    _, simulated, scale = key.partition(", scale ")
    return results[key] | (results.get(key_of_animals(float(scale)), {}) if simulated else {})


def results_of(recording: str | None = None, folder: str = ".") -> tuple[str, dict]:
    """Name a fish and return what is known of it.

    It is the recording in a file, of which all that is missing is measured now (hours at full
    size), or else the stored fish 3 at its largest scale.
    """
    if recording is None:
        results = stored.read(RESULTS)
        key = Subject("3", largest_scale(results)).key
        return key, of_fish(results, key)
    subject, path = Subject(recording), Path(folder) / "retrace.json"
    retrace(subject, path)
    return subject.key, of_fish(stored.read(path), subject.key)
