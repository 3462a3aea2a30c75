"""Kernels: a damaged or missing cache stops nobody, and workers compute after a fork."""

import importlib
import os
import pkgutil
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher
from tqdm import tqdm

import crbm_lite
from crbm_lite.core.compilation import _Cache, compilation_shown, items_of, parallel_njit

PARALLEL = """
import numpy as np
from crbm_lite.core.compilation import items_of, parallel_njit

@parallel_njit(worth_bytes=0)
def double(thread, x, out):
    for i in items_of(thread, x.size):
        out[i] = 2 * x[i]
"""


def modules():
    """All modules of the package that can be imported here."""
    for found in pkgutil.walk_packages(crbm_lite.__path__, "crbm_lite."):
        if not found.name.endswith("__main__"):
            yield (
                pytest.importorskip(found.name)
                if "vae" in found.name
                else (importlib.import_module(found.name))
            )


def test_every_kernel_is_compiled_by_the_decorators_of_this_package():
    kernels = {
        f"{obj.py_func.__module__}.{name}": obj
        for module in modules()
        for name, obj in vars(module).items()
        if isinstance(obj, Dispatcher)
    }
    assert len(kernels) > 20
    bare = [name for name, kernel in kernels.items() if type(kernel._cache) is FunctionCache]
    assert not bare, "numba's own cache fails where its files are damaged: use cached_njit"
    parallel = [n for n, kernel in kernels.items() if kernel.targetoptions.get("parallel")]
    assert not parallel, "these take long to compile and end a forked process: use parallel_njit"
    assert any(type(kernel._cache) is _Cache for kernel in kernels.values())


# ---------------------------------------------------------------------- forks

FORKS = """
import os, signal, sys, warnings
import numpy as np
from crbm_lite import CRBM
from crbm_lite.core import compilation
from crbm_lite.core.spikes import as_spikes
warnings.simplefilter("ignore")
compilation._n_bytes = lambda arguments: 2**30  # everything is worth a thread
one = np.ones(2)
model = CRBM.from_parameters(np.ones((12, 2)), -one[0] * np.ones(12), one, one, 0 * one, 0 * one)
spikes = (np.random.default_rng(0).random((200, 12)) < 0.2).astype(np.uint8)
tiny = CRBM(n_hidden=2, n_updates=3, n_gibbs=1, batch_size=50, n_chains=4, progress=False)
h = np.zeros((200, 2))
doors = {
    "fit": lambda: tiny.fit(spikes),
    "mean_h_given_v": lambda: model.mean_h_given_v(spikes),
    "transform": lambda: model.transform(spikes),
    "sample_h_given_v": lambda: model.sample_h_given_v(spikes, np.random.default_rng(0)),
    "free_energy": lambda: model.free_energy(spikes),
    "reconstruct": lambda: model.reconstruct(spikes),
    "energy": lambda: model.energy(spikes, h),
    "sample": lambda: model.sample(3, burn_in=1),
    "log_partition": lambda: model.log_partition("ais", n_temperatures=2),
    "units": lambda: model.units.cumulant(h),
    "sums": lambda: as_spikes(spikes).by_neuron().sums(h.astype(np.float32), slice(0, 12)),
}
model.transform(spikes)
for name, door in doors.items():
    pid = os.fork()
    if pid == 0:
        door()
        print(name, flush=True)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status:
        print(name, "died of", os.WTERMSIG(status), flush=True)
print("parent", model.transform(spikes).shape)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
def test_after_a_fork_every_door_to_a_kernel_is_open():
    """The threads of a process do not survive a fork: a child starts its own."""
    words = [sys.executable, "-c", FORKS]
    found = subprocess.run(words, capture_output=True, text=True, timeout=600)
    lines = found.stdout.splitlines()
    assert found.returncode == 0 and lines[-1] == "parent (200, 2)", found.stdout + found.stderr
    assert len(lines) == 12


# ---------------------------------------------------------------------- threads


def test_every_item_is_computed_once_however_many_threads_there_are():
    @numba.njit
    def count(k, n, counts):
        for i in items_of((k, n), counts.size):
            counts[i] += 1

    for n in (1, 2, 3, 7, 20):
        counts = np.zeros(11, int)
        for k in range(n):
            count(k, n, counts)
        assert (counts == 1).all()


def test_an_error_in_any_thread_reaches_the_caller():
    @parallel_njit(worth_bytes=0)
    def fail_at(thread, where, out):
        for i in items_of(thread, out.size):
            if i == where:
                raise ValueError("here")
            out[i] = 1

    for where in (0, 99):
        with pytest.raises(ValueError, match="here"):
            fail_at(where, np.zeros(100))


def test_a_bar_says_that_kernels_are_compiled():
    shown = []

    class Bar:
        postfix = "loss 1"

        def set_postfix_str(self, text, refresh=True):
            shown.append(text)

    for disabled in (False, True):
        with compilation_shown(tqdm(disable=True) if disabled else Bar()):
            numba.njit(lambda x: np.empty(x).sum())(3)  # compiles others on its way
    assert shown == ["compiling", "loss 1"]


# ---------------------------------------------------------------------- the cache on the disk


def run(tmp_path, folder, before=""):
    """Run two kernels with a cache folder: what it prints, and how many warnings it gives."""
    script = tmp_path / "script.py"
    script.write_text(before + CODE)
    only = {"NUMBA_CACHE_DIR": folder, "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    found = subprocess.run(
        [sys.executable, script], env=os.environ | only, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip(), found.stderr.count("KernelCacheWarning")


CODE = (
    PARALLEL
    + """
from crbm_lite.core.random_numbers import uniform01
out = np.empty(3)
double(np.arange(3.0), out)
print(out, uniform01(1, 2))
"""
)


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("n_bytes", [0, 50])
def test_a_damaged_cache_recovers_with_one_warning(tmp_path, kind, n_bytes):
    folder = tmp_path / "cache"
    expected = run(tmp_path, folder)[0], 0
    files = list(folder.rglob(f"*.{kind}"))
    assert len(files) >= 2
    for path in files:
        path.write_bytes(path.read_bytes()[:n_bytes])
    assert run(tmp_path, folder) == (expected[0], 1)
    assert run(tmp_path, folder) == expected
    assert all(path.stat().st_size > n_bytes for path in files)  # they have been made again


def test_without_a_place_to_keep_kernels_there_is_one_warning(tmp_path):
    expected = run(tmp_path, tmp_path / "cache")[0]
    (tmp_path / "file").touch()
    assert run(tmp_path, tmp_path / "file" / "below") == (expected, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files there")
def test_where_kernels_cannot_be_written_there_is_one_warning(tmp_path):
    expected = run(tmp_path, tmp_path / "cache")[0]
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    assert run(tmp_path, tmp_path / "other", limit) == (expected, 1)


def test_a_kept_kernel_is_not_used_when_what_it_calls_has_changed(tmp_path):
    """numba itself looks only at the file of the kernel."""
    folder = tmp_path / "cache"
    run(tmp_path, folder)
    n_files = len(list(folder.rglob("*.nbc")))
    changed = (
        "import crbm_lite.core.compilation as c\n"
        "c._digest_of_this_folder = lambda: 'another text of the folder'\n"
    )
    run(tmp_path, folder, changed)
    assert len(list(folder.rglob("*.nbc"))) == 2 * n_files
    run(tmp_path, folder)
    assert len(list(folder.rglob("*.nbc"))) == 2 * n_files
