"""Hidden units that several animals share, and the translation of one's activity into another's."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
