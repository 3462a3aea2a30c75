"""What a process may have: the least of the machine's memory, its limits and its groups'."""

import subprocess
import sys

import pytest

from crbm_lite.files import memory
from crbm_lite.files.errors import RecordingError
from crbm_lite.files.memory import check_fits, memory_limit


@pytest.mark.skipif(sys.platform != "linux", reason="limits and groups of Linux")
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_counts(kind):
    code = (
        "import resource; from crbm_lite.files.memory import memory_limit;"
        f"resource.setrlimit(resource.{kind}, (3 * 2**28,) * 2); print(memory_limit())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == 3 * 2**28


@pytest.mark.skipif(sys.platform != "linux", reason="limits and groups of Linux")
@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/batch/job", "batch/memory.max"),  # the limit of a group around its own
        ("0::/batch/job", "memory.max"),
        ("9:memory:/batch/job", "memory/batch/job/memory.limit_in_bytes"),
    ],
)
def test_a_limit_of_a_control_group_counts(tmp_path, monkeypatch, line, file):
    (tmp_path / "cgroup").write_text(f"7:cpu,cpuacct:/x\n{line}\n")
    groups = tmp_path / "groups"
    (groups / file).parent.mkdir(parents=True)
    (groups / file).write_text("200000\n")
    (groups / "batch" / "job").mkdir(parents=True, exist_ok=True)
    (groups / "batch" / "job" / "memory.max").write_text("max\n")
    monkeypatch.setattr(memory, "_CGROUPS", groups)
    monkeypatch.setattr(memory, "_GROUPS_OF_PROCESS", tmp_path / "cgroup")
    assert memory_limit() == 200_000
    check_fits(100_000, "a")
    with pytest.raises(RecordingError, match=r"^a asks for .* GB, more than half .* \(0\.0 GB\)"):
        check_fits(100_001, "a")
