"""Compositional Restricted Boltzmann Machines for whole-brain neural recordings.

The names below are imported when they are first used, so ``import crbm_lite`` costs nothing.
"""

from __future__ import annotations

import importlib
import os

# Threads that wait must sleep: OpenMP's default, spinning, makes runs that share a machine's cores
# tens of times slower. It is read when the first parallel kernel runs; set it yourself to override.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_HOMES = {
    "CRBM": "model.model",
    "DReLU": "core.drelu",
    "Recording": "recordings.files",
    "load_recording": "recordings.files",
    "save_recording": "recordings.files",
    "import_recording": "importers.any_file",
    "simulate_recording": "simulation.larva_recording",
    "plant_recording": "simulation.planted",
    "split_recording": "recordings.splits",
    "split_train_test": "recordings.splits",
    "check_recording": "inspection.report",
    "fetch": "datasets.registry",
    "load_retina": "datasets.registry",
    "validate": "validation.report",
    "deconvolve": "calcium.deconvolution",
    "grid_search": "validation.selection",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"crbm_lite.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'crbm_lite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
