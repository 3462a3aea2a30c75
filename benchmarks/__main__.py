"""Run every benchmark but `benchmarks.any_recording` and `benchmarks.detectors`, which take hours.

What is stored with its own key or row is not computed again.
"""

import warnings

from benchmarks import (
    connectivity_animals,
    convergence,
    deconvolution,
    glm,
    learning_curves,
    planted,
    rehearsal,
    retina,
    scaling,
    update,
)

warnings.simplefilter("ignore")
for benchmark in (
    update, scaling, planted, convergence, learning_curves, retina, glm, deconvolution,
    connectivity_animals, rehearsal,
):  # fmt: skip
    print(f"== {benchmark.__name__}: {(benchmark.__doc__ or '').splitlines()[0]}", flush=True)
    benchmark.main()
