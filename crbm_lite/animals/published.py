r"""The published recordings and models of shared hidden units, from their files.

Dommanget-Kott et al. (2026) keep, in HDF5, the spikes and places of six larvae, a model of each,
and thirty models that share hidden units (data set zebrafish-shared). Their models are
standardised,

.. math:: E(v, h) = -\sum_i \theta_i v_i + \sum_\mu U_\mu(h_\mu)
          - \sum_{i\mu} w_{i\mu} \frac{v_i - l_i}{s_i} \frac{h_\mu - l_\mu}{s_\mu} ,

with potentials of the four numbers :math:`\theta, \gamma, \Delta, \xi`. The same P(v, h) in the
symbols of this book has :math:`W_{i\mu} = w_{i\mu} / (s_i s_\mu)`,
:math:`g_i = \theta_i - \sum_\mu W_{i\mu} l_\mu`, and, with
:math:`t_\mu = \theta_\mu - \sum_i W_{i\mu} l_i` and :math:`\eta = \xi / (1 + |\xi|)`,

.. math:: \gamma_\pm = \frac{|\gamma|}{1 \pm \eta}, \qquad
          \theta_\pm = -t \mp \frac{\Delta}{1 \pm \eta} .

The constant :math:`\sum_{i\mu} W_{i\mu} l_i l_\mu` belongs to Z.

The layout is known from the code that writes the files. It writes arrays column by column, so their
axes are read in the opposite order.
"""

from __future__ import annotations

import os

import numpy as np

from crbm_lite.checks.arguments import as_path
from crbm_lite.files.errors import RecordingError, named_failures
from crbm_lite.files.hdf5 import open_hdf5, read_array, read_tiles
from crbm_lite.model.model import CRBM
from crbm_lite.recordings.recording import Recording

__all__ = ["crbm_given_standardised", "import_shared_model", "import_shared_recording"]

_MODEL = "brainRBM/RBM"


def import_shared_recording(path: str | os.PathLike, *, rate_hz: float) -> Recording:
    """Import a recording of the published data set zebrafish-shared.

    Parameters
    ----------
    path : path of a file ``DATA_<Fish>.h5``
    rate_hz : float
        Frames per second, which the files do not keep.

    Returns
    -------
    Recording
        Coordinates are in um, in the reference space of all six fish.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError: the file is truncated, damaged or foreign; the message names the key.
    """
    with open_hdf5(as_path(path)) as file:
        spikes = read_tiles(file, "Data/spikes")
        coordinates = read_array(file, "Data/coords", ndim=2)
        where = f"{path}: key /Data/coords"
        if coordinates.shape != (3, spikes.shape[1]):
            raise RecordingError(
                f"{where} has shape {coordinates.shape}: expected (3, {spikes.shape[1]}), a column "
                "for each neuron"
            )
        with named_failures(where):
            return Recording(
                spikes,
                rate_hz,
                coordinates=coordinates.T,
                provenance={
                    "source": "Dommanget-Kott et al. 2026, doi:10.5281/zenodo.17121390",
                    "file": as_path(path).name,
                },
            )


def import_shared_model(path: str | os.PathLike) -> CRBM:
    """Import a published model, a teacher's or a student's, in the symbols of this book.

    Parameters
    ----------
    path : path of a file ``bRBM_<Fish>_....h5`` or ``biRBM_<student>_FROM_<teacher>_....h5``

    Returns
    -------
    CRBM
        Its hidden units have the scale, the signs and the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordingError
        A ValueError: the file is truncated, damaged or foreign; the message names the key.
    """
    with open_hdf5(as_path(path)) as file:

        def read(key: str, ndim: int = 1) -> np.ndarray:
            return np.asarray(read_array(file, f"{_MODEL}/{key}", ndim=ndim), np.float64)

        standard = {
            name: read(f"Standardization/{name}")
            for name in ("offset_v", "offset_h", "scale_v", "scale_h")
        }
        hidden = read("HiddenLayer/params", ndim=2)
        if hidden.shape[1] != 4:
            raise RecordingError(
                f"{path}: key /{_MODEL}/HiddenLayer/params has shape {hidden.shape}: expected four "
                "numbers for each hidden unit"
            )
        with named_failures(f"{path}: key /{_MODEL}"):
            return crbm_given_standardised(
                read("weights", ndim=2).T, read("VisibleLayer/params", ndim=2)[:, 0], *hidden.T,
                **standard,
            )  # fmt: skip


def crbm_given_standardised(
    weights: np.ndarray, theta_v: np.ndarray, theta: np.ndarray, gamma: np.ndarray,
    delta: np.ndarray, xi: np.ndarray, *, offset_v: np.ndarray, offset_h: np.ndarray,
    scale_v: np.ndarray, scale_h: np.ndarray,
) -> CRBM:  # fmt: skip
    """Make the model of this book that has the P(v, h) of a standardised one.

    The equations are those of the module.

    Parameters
    ----------
    weights : ndarray, shape (N, M)
        Of the standardised v and h.
    theta_v : ndarray, shape (N,)
    theta, gamma, delta, xi : ndarray, shape (M,)
        The numbers of the potentials.
    offset_v, scale_v : ndarray, shape (N,)
    offset_h, scale_h : ndarray, shape (M,)

    Returns
    -------
    CRBM

    Examples
    --------
    >>> one, none = np.ones(1), np.zeros(1)
    >>> model = crbm_given_standardised(np.array([[2.0]]), none, none, one, one, none,
    ...     offset_v=0.5 * one, offset_h=none, scale_v=0.5 * one, scale_h=one)
    >>> model.weights_[0], model.theta_plus_, model.theta_minus_
    (array([4.]), array([1.]), array([3.]))
    """
    w = weights / np.outer(scale_v, scale_h)
    fields = theta_v - w @ offset_h
    shifted = theta - offset_v @ w
    eta = xi / (1.0 + np.abs(xi))
    plus, minus = 1.0 + eta, 1.0 - eta
    size = np.abs(gamma)
    return CRBM.from_parameters(
        w, fields, size / plus, size / minus, -shifted - delta / plus, -shifted + delta / minus
    )
