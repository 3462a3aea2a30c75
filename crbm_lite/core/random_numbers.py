"""Counter-based random numbers: a pure function of (key, counter), so threads cannot change them.

A key is 64 bits; ``hash64`` is the finaliser of SplitMix64 (Steele, Lea & Flood 2014) applied to
``key + counter * golden``; ``hash32`` is two rounds of a 32-bit multiply-xorshift finaliser that
vectorises. Both are bijections of the counter for a fixed key, so no value repeats early.
"""

from __future__ import annotations

import numpy as np

from crbm_lite.core.compilation import cached_njit

__all__ = ["hash32", "hash64", "uniform01"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MUL1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL2 = np.uint64(0x94D049BB133111EB)
_M1 = np.uint32(0x7FEB352D)
_M2 = np.uint32(0x846CA68B)
_TWO_M53 = 2.0**-53


@cached_njit()
def hash64(key, counter):
    """Return 64 random bits for (key, counter), both uint64."""
    z = np.uint64(key) + (np.uint64(counter) + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MUL1
    z = (z ^ (z >> np.uint64(27))) * _MUL2
    return z ^ (z >> np.uint64(31))


@cached_njit()
def uniform01(key, counter):
    """Return a float64 in the open interval (0, 1), made of 53 random bits."""
    return (np.float64(hash64(key, counter) >> np.uint64(11)) + 0.5) * _TWO_M53


@cached_njit()
def hash32(counter, key0, key1):
    """Return 32 random bits for a uint32 counter and two uint32 keys; loops of it vectorise."""
    x = np.uint32(counter + key0)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * _M1)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(15))) * _M2)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) ^ key1)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * _M1)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(15))) * _M2)
    return np.uint32(x ^ np.uint32(x >> np.uint32(16)))
