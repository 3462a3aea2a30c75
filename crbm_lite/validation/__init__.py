"""Model against held-out data: moments, scores, reports, and the choice of M and lambda."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
