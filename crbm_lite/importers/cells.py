r"""Cells that an analysis tool found in a movie: which are kept, where they lie, their recording.

A cell lies at the centre of mass of its footprint, in pixels or micrometres: cell i at
:math:`\sum_p a_{pi}\, (x_p, y_p, z_p) / \sum_p a_{pi}`, over its pixels p with weights
:math:`a_{pi} \ge 0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_flag, as_number, as_rate_hz
from crbm_lite.checks.sparse import as_sparse
from crbm_lite.importers.binarisation import ToBinary, binarise
from crbm_lite.importers.options import takes_options_of
from crbm_lite.recordings.recording import Recording

__all__ = ["CellOptions", "centres_given_footprints", "recording_of_cells"]


def centres_given_footprints(
    footprints: scipy.sparse.sparray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the centres of mass of footprints, in pixels.

    Parameters
    ----------
    footprints : (pixels, N) sparse
        Weights of the pixels of an image or volume. `shape` is (y, x) or (y, x, z), and pixels are
        numbered with the first axis fastest (order F).
    shape : tuple of int

    Returns
    -------
    (N, 3) float
        x, y, z; z = 0 of an image.

    Raises
    ------
    ValueError
        If the shapes do not fit, a weight is negative or not finite, or a cell has no pixel.

    Examples
    --------
    >>> one = scipy.sparse.csc_array(np.array([[0.0], [1.0], [0.0], [3.0], [0.0], [0.0]]))
    >>> centres_given_footprints(one, (2, 3))
    array([[0.75, 1.  , 0.  ]])
    """
    matrix = as_sparse(footprints, "footprints").tocsc().astype(np.float64)
    shape = tuple(int(n) for n in shape)
    if len(shape) not in (2, 3) or min(shape) < 1 or int(np.prod(shape)) != matrix.shape[0]:
        raise ValueError(f"footprints of {matrix.shape[0]} pixels in an image of {shape}")
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("footprints hold negative weights, NaN or infinity")
    weight = np.asarray(matrix.sum(axis=0)).ravel()
    if not (weight > 0).all():
        raise ValueError(f"footprint {int((weight <= 0).argmax())} is empty")
    pixel = np.column_stack(np.unravel_index(np.arange(matrix.shape[0]), shape, order="F"))
    centres = (matrix.T @ pixel) / weight[:, None]
    y, x = centres[:, 0], centres[:, 1]
    return np.column_stack([x, y, centres[:, 2] if len(shape) == 3 else np.zeros(len(x))])


@takes_options_of(ToBinary)
@dataclass(frozen=True, eq=False, kw_only=True)
class CellOptions(ToBinary):
    """What the user says on the cells that an analysis tool found.

    Parameters
    ----------
    rate_hz : float, optional
        Frames per second; what the file says if not given.
    accepted_only : bool
        Whether to keep only the cells that the tool, or its user, accepted (default True).
    um_per_pixel : float, optional
        Makes micrometres of positions in pixels. Without it `coordinate_unit` is "pixel".
    """

    rate_hz: float | None = None
    accepted_only: bool = True
    um_per_pixel: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        as_flag(self.accepted_only, "accepted_only")
        if self.rate_hz is not None:
            as_rate_hz(self.rate_hz)
        if self.um_per_pixel is not None:
            side = "the side of a pixel in um"
            as_number(self.um_per_pixel, "um_per_pixel", side, positive=True)


def recording_of_cells(
    traces: np.ndarray,
    where: str,
    rate_hz: float,
    options: CellOptions,
    *,
    keep: np.ndarray,
    positions: np.ndarray | None,
    provenance: dict,
    is_dff: bool = False,
    names: Sequence[str] | None = None,
    um_per_pixel: np.ndarray | None = None,
    discontinuities: np.ndarray | tuple = (),
) -> Recording:
    """Make a Recording of the cells that are kept.

    Parameters
    ----------
    traces : (T, kept cells)
    where : str
        File and key, for error messages.
    rate_hz : float
    options : CellOptions
    keep : int indices of the cells that are kept
    positions : (cells, 3) float, or None
        Of all cells, in pixels.
    provenance : dict
    is_dff : bool
        Whether the traces are dF/F, which are kept beside the spikes.
    names : sequence of str, optional
        Of all cells; their numbers if not given.
    um_per_pixel : float array, optional
        What the file says; the user's own word comes first.
    discontinuities : int indices
        Frames before which time jumps.

    Returns
    -------
    Recording

    Raises
    ------
    RecordingError
        A ValueError naming `where`, as `crbm_lite.importers.binarisation.binarise`.

    Examples
    --------
    >>> options = CellOptions(threshold=0, um_per_pixel=0.5)
    >>> recording_of_cells(np.eye(2)[:, 1:], "spks.npy", 10.0, options, keep=np.array([1]),
    ...                    positions=np.ones((2, 3)), provenance={}).coordinates
    array([[0.5, 0.5, 0.5]])
    """
    traces = np.ascontiguousarray(traces)
    binary = binarise(traces, where, rate_hz, options, discontinuities)
    um = um_per_pixel if options.um_per_pixel is None else options.um_per_pixel
    return Recording(
        binary.spikes,
        rate_hz=rate_hz,
        coordinates=None if positions is None else positions[keep] * (1.0 if um is None else um),
        coordinate_unit="pixel" if um is None else "um",
        names=[str(i) if names is None else names[i] for i in keep],
        discontinuities=discontinuities,
        dff=traces if is_dff else binary.dff,
        provenance=provenance | {"spikes": binary.note},
    )
