"""Time: a cRBM whose hidden units are driven by what they did a frame ago."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
