r"""Where a cell lies in an image: the centre of mass of its footprint, in pixels or micrometres.

Position of cell i: :math:`\sum_p a_{pi}\, (x_p, y_p, z_p) / \sum_p a_{pi}` over its pixels p with
weights :math:`a_{pi} \ge 0`.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from crbm_lite.checks.arguments import as_number

__all__ = ["centres_given_footprints", "check_um_per_pixel", "kept_places"]


def centres_given_footprints(
    footprints: scipy.sparse.sparray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the centres of mass of footprints, in pixels.

    Parameters
    ----------
    footprints : (pixels, N) sparse
        Weights, the pixels of an image or volume of `shape` = (y, x) or (y, x, z) numbered with
        the first axis fastest (order F).
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
    matrix = scipy.sparse.csc_array(footprints).astype(np.float64)
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


def check_um_per_pixel(um_per_pixel: float | None) -> None:
    """Raise ValueError unless it is None or a positive number."""
    if um_per_pixel is not None:
        as_number(um_per_pixel, "um_per_pixel", "the side of a pixel in um", positive=True)


def kept_places(
    positions: np.ndarray | None, keep: np.ndarray, um_per_pixel: float | None
) -> dict[str, object]:
    """Coordinates, their unit and the names of the cells that are kept, for a Recording.

    Parameters
    ----------
    positions : (cells, 3) float, pixels, or None
    keep : int indices of the cells, which become their names
    um_per_pixel : float, optional
        Makes micrometres of pixels.

    Examples
    --------
    >>> kept_places(np.ones((2, 3)), np.array([1]), 0.5)["coordinates"]
    array([[0.5, 0.5, 0.5]])
    """
    return {
        "coordinates": None if positions is None else positions[keep] * (um_per_pixel or 1.0),
        "coordinate_unit": "um" if um_per_pixel else "pixel",
        "names": [str(i) for i in keep],
    }
