"""Compositional Restricted Boltzmann Machines for whole-brain neural recordings.

The public names stand in ``__init__.pyi`` and are imported when they are first used, so ``import
crbm_lite`` costs nothing. Every folder offers its own public names in the same way, for example
``crbm_lite.connectivity.perturb``.
"""

import os

import lazy_loader

# Threads that wait must sleep: OpenMP's default, spinning, makes runs that share a machine's cores
# tens of times slower. It is read when the first parallel kernel runs; set it yourself to override.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
