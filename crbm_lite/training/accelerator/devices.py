"""Where the accelerator backend runs: the devices, how arrays lie on them, whether they fit.

The neurons are split evenly over all devices that JAX shows (``jax.devices()``; some can be hidden
by CUDA_VISIBLE_DEVICES). Arrays without a neuron axis are on each of them. This module is imported
only where JAX is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from crbm_lite.files.memory import memory_limit
from crbm_lite.training.hyperparameters import HyperparameterError

__all__ = [
    "BackendWarning",
    "DeviceMemoryError",
    "Devices",
    "check_memory",
    "memory_needed",
    "warn_without_accelerator",
]

# which axis of an array runs over the neurons, see `crbm_lite.training.accelerator.update`
_NEURON_AXIS = {
    "weights": 0, "weight_square": 0, "weight_average": 0, "mean_weights": 0, "fields": 0,
    "field_square": 0, "mean_fields": 0, "activity": 0, "v": 1, "data": 1,
}  # fmt: skip
_SILENT = -1e4  # field of a neuron that only fills up the last device


class DeviceMemoryError(HyperparameterError):
    """A training that does not fit into the memory of the devices."""


class BackendWarning(UserWarning):
    """A backend that runs, but not where one would want it to."""


def warn_without_accelerator() -> None:
    """Warn where JAX has nothing but the CPU.

    Warns
    -----
    BackendWarning
    """
    if jax.default_backend() == "cpu":
        warnings.warn(
            "JAX sees no GPU, so backend='jax' runs on the CPU, where backend='numba' is faster. "
            "For an NVIDIA card: pip install 'jax[cuda13]', or 'jax[cuda12]' with an older driver",
            BackendWarning,
            stacklevel=2,
        )


def memory_needed(
    n_neurons: int, n_hidden: int, n_chains: int, batch_size: int, n_frames: int, jumps: bool = True
) -> int:
    """Estimate the bytes of all devices together that a training takes at its peak.

    The estimate is right within about a third.

    Parameters
    ----------
    n_neurons, n_hidden, n_chains, batch_size, n_frames : int
    jumps : bool, default True
        Whether hidden units jump, which takes the room of W once more.

    Examples
    --------
    >>> round(memory_needed(1_000_000, 1_000, 100, 100, 6_000) / 1e9)
    35
    """
    # W, two averages of the optimiser, the mean, the gradient and two temporaries
    weights = 4 * n_neurons * n_hidden * (7 + jumps)
    neurons = n_neurons * (5 * 4 * n_chains + 5 * batch_size + n_frames // 8 + 40)
    hidden = 8 * 40 * n_hidden * (n_chains + batch_size)
    return weights + neurons + hidden


def check_memory(
    available: int, n_devices: int, n_neurons: int, n_hidden: int, *rest: int, jumps: bool = True
) -> None:
    """Check that a training fits; ``rest`` are the further arguments of `memory_needed`.

    Raises
    ------
    DeviceMemoryError
        If it does not. The message says how much is needed, and what would fit.

    Examples
    --------
    >>> check_memory(10**9, 1, 1000, 10, 100, 100, 1000)
    """
    needed = memory_needed(n_neurons, n_hidden, *rest, jumps=jumps)
    if needed <= available:
        return

    def largest(value: int, without: int) -> int:
        return max(int(value * (available - without) / (needed - without)) - 1, 0)

    n_fit = largest(n_neurons, memory_needed(0, n_hidden, *rest, jumps=jumps))
    m_fit = largest(n_hidden, memory_needed(n_neurons, 0, *rest, jumps=jumps))
    each = available / n_devices
    advice = [f"up to N = {n_fit:,} neurons", f"{-int(-needed // each)} such devices"]
    if m_fit > 0:
        advice.insert(1, f"n_hidden = {m_fit:,}")
    raise DeviceMemoryError(
        f"N = {n_neurons:,} and n_hidden = {n_hidden:,} need {needed / 1e9:.3g} GB of device "
        f"memory and {available / 1e9:.3g} GB are there ({n_devices} device(s)): take "
        f"{', or '.join(advice)}; fewer chains or frames save little"
    )


class Devices:
    """Hold all devices in a row, with the neurons split over them.

    Parameters
    ----------
    n_neurons : int

    Attributes
    ----------
    n_padded : int
        Number of neurons with those that fill up the last device; each device has a multiple of
        eight.
    """

    def __init__(self, n_neurons: int) -> None:
        self.mesh = Mesh(np.array(jax.devices()), ("neurons",))
        share = 8 * self.mesh.size
        self.n_neurons, self.n_padded = n_neurons, -(-n_neurons // share) * share

    @property
    def available(self) -> int:
        """Free bytes of all devices together; on a CPU, the machine's memory."""
        stats = [device.memory_stats() for device in self.mesh.local_devices]
        if any(s is None for s in stats):
            return memory_limit()
        free = min(s["bytes_limit"] - s["bytes_in_use"] for s in stats)
        return free * self.mesh.size

    def put(self, values: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
        """Lay arrays on the devices by their names, the neurons filled up."""
        return {name: self._put(name, np.asarray(value)) for name, value in values.items()}

    def _put(self, name: str, array: np.ndarray) -> jax.Array:
        axis = _NEURON_AXIS.get(name)
        spec = [None] * array.ndim
        if axis is not None:
            length = self.n_padded // 8 if name == "data" else self.n_padded
            widths = [(0, 0)] * array.ndim
            widths[axis] = (0, length - array.shape[axis])
            fill = _SILENT if name.endswith("fields") else 0
            if widths[axis][1]:
                array = np.pad(array, widths, constant_values=fill)
            spec[axis] = "neurons"
        return jax.device_put(array, NamedSharding(self.mesh, PartitionSpec(*spec)))

    def fetch(self, name: str, array: jax.Array) -> np.ndarray:
        """Copy an array to the host, without what filled it up."""
        host, keep = np.array(array), slice(self.n_neurons)
        axis = _NEURON_AXIS.get(name)
        if axis is None:
            return host
        return np.ascontiguousarray(host[keep] if axis == 0 else host[:, keep])
