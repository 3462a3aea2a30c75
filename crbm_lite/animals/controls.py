"""What a student must beat: the same training without one of the things that should matter.

The publication compares students with shuffled data and with shuffled maps. A student that begins
with the teacher's maps keeps some of them whatever it is trained on, so these cannot tell what the
shared hidden units bring. Three other trainings can.
"""

from __future__ import annotations

from collections.abc import Sequence

from crbm_lite.animals.alignment import Alignment, align
from crbm_lite.animals.animal import Animal
from crbm_lite.recordings.recording import Recording

__all__ = ["CONTROLS", "trained_controls"]

#: What each control changes in the arguments of `align`.
CONTROLS = {
    "permuted maps": {"start": "permuted maps"},
    "random start": {"start": "random"},
    "no h": {"hidden_share": 0.0},
    "no v": {"hidden_share": 1.0},
}


def trained_controls(
    teacher: Animal | Sequence[Animal],
    recording: Recording,
    names: Sequence[str] = tuple(CONTROLS),
    **options: object,
) -> dict[str, Alignment]:
    """Train the controls of a student.

    Parameters
    ----------
    teacher, recording
        As in `align`.
    names : sequence of str
        Which ones, by default all: "permuted maps" begins with the maps of wrong units; "random
        start" begins with small random weights; "no h" leaves log P(h) out, so that the teacher
        gives the start alone; "no v" leaves the student's own frames out.
    **options
        The arguments of the student's `align`.

    Returns
    -------
    dict of str to Alignment

    Raises
    ------
    ValueError
        If there is no such control, or as `align`.

    Examples
    --------
    >>> trained_controls(None, None, ["no teacher"])
    Traceback (most recent call last):
    ValueError: names has 'no teacher': give some of permuted maps, random start, no h, no v
    """
    for name in names:
        if name not in CONTROLS:
            raise ValueError(f"names has {name!r}: give some of {', '.join(CONTROLS)}")
    return {name: align(teacher, recording, **options | CONTROLS[name]) for name in names}
