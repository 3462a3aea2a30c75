"""Detectors of assemblies: what a neuroscientist would use instead, under one interface.

Each is called with activity (T, N), binary or traces, and returns `DetectedAssemblies`: members,
scores and activity. With ``n_assemblies`` it is told how many there are, and without it follows a
rule of its own. All are written from the descriptions in the literature; where one departs from its
description, its module says so.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
