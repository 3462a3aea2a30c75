"""Small systems that can be enumerated: maximum entropy and random machines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
