"""Files written whole, locks, the cache folder, and HDF5 files read with care."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
