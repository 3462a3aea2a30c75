"""Settings for every test: where the real recordings are, and how many threads a process takes.

Tests may run in several processes (pytest-xdist). Together they use the machine's cores once: each
takes its share by numba's mask, which a test may raise to compare numbers of threads. Two threads
are made for that on one core, too; those beyond the mask sleep.
"""

import os
import signal
from pathlib import Path

# A folder shared/data beside the checkout serves where CRBM_LITE_DATA is not set, so that the
# tests on real recordings run instead of being skipped.
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
if _BESIDE.is_dir():
    os.environ.setdefault("CRBM_LITE_DATA", str(_BESIDE))

_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
_processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
SHARE = max(1, _cores // _processes)

# Read by numba and numpy when they are first imported.
os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, _cores)))
if _processes > 1:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(SHARE))


def pytest_configure():
    import crbm_lite  # noqa: F401  (first, so that threads that wait sleep: OMP_WAIT_POLICY)

    import numba  # isort: skip

    # A shell starts what runs in the background with SIGINT ignored, which tests of Ctrl-C send.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    numba.set_num_threads(min(SHARE, numba.config.NUMBA_NUM_THREADS))
