"""A training in a child process that is really killed; started by test_checkpoint.py.

Reads one job a line (JSON) and answers with how the child ended. The children are forked, so that
the imports are done once. A job kills its child with SIGKILL either a while after its first
checkpoint, or inside the n-th call of a function of `os` (before or after the call takes effect).
"""

import json
import os
import signal
import sys
import time
import warnings

from crbm_lite.model.model import CRBM
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training import checkpoint

HYPER = {"n_hidden": 4, "l1": 0.01, "n_updates": 240, "batch_size": 50, "n_chains": 16,
         "n_gibbs": 2, "random_state": 0, "progress": False}  # fmt: skip


def recording():
    return plant_recording(60, 3, (15, 25), 400, 5, random_state=0)


def train(path, job, started):
    """In the child: fit, and die as the job says."""
    write = checkpoint.CheckpointFile.write

    def announce(*args):
        write(*args)
        os.write(started, b".")

    checkpoint.CheckpointFile.write = announce
    if "in" in job:
        call, left = getattr(os, job["in"]), [job["nth"]]

        def deadly(*args):
            left[0] -= 1
            if left[0] or not job["before"]:
                call(*args)
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        setattr(os, job["in"], deadly)
    warnings.simplefilter("ignore")
    CRBM(**HYPER).fit(recording(), checkpoint=path, checkpoint_every=job["every"], resume=True)


def main():
    for line in sys.stdin:
        job = json.loads(line)
        listen, started = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(listen)
            try:
                train(job["path"], job, started)
            finally:
                os._exit(0)
        os.close(started)
        os.read(listen, 1)
        if "after_s" in job:
            time.sleep(job["after_s"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(listen)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


if __name__ == "__main__":
    main()
