"""The search: choose M, lambda, the start and the length of a training by evidence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
