"""Random numbers: uniform, independent between keys, and functions of key and counter."""

import numpy as np
from scipy.stats import chisquare, kstest

from crbm_lite.core.random_numbers import hash32, hash64, uniform01


def test_random_numbers_are_uniform_and_differ_between_keys():
    u = np.array([uniform01(np.uint64(5), np.uint64(k)) for k in range(20_000)])
    other = np.array([uniform01(np.uint64(6), np.uint64(k)) for k in range(20_000)])
    assert u.min() > 0 and u.max() < 1 and len(np.unique(u)) == len(u)
    assert kstest(u, "uniform").pvalue > 1e-3 and kstest(other, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


def test_hashes_are_functions_of_key_and_counter():
    words = np.array([hash32(np.uint32(k), np.uint32(1), np.uint32(2)) for k in range(50_000)])
    assert len(np.unique(words)) == len(words)  # a bijection of the counter
    random_bytes = words.astype(np.uint32).view(np.uint8)
    assert chisquare(np.bincount(random_bytes, minlength=256)).pvalue > 1e-3
    # the published first output of SplitMix64 for the seed 0
    assert int(hash64(np.uint64(0), np.uint64(0))) == 0xE220A8397B1DCDAF
