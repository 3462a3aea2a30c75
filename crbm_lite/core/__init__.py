"""The numerics of the model: potentials, spikes, random numbers, samplers, partition function."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
