"""Run every benchmark."""

from benchmarks import connectivity_animals, deconvolution, glm, planted, rehearsal, retina, update

for benchmark in (update, planted, retina, glm, deconvolution, connectivity_animals, rehearsal):
    print(f"== {benchmark.__name__}: {(benchmark.__doc__ or '').splitlines()[0]}", flush=True)
    benchmark.main()
