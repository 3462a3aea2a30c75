"""One update of ``CRBM(backend="jax")`` on this device, its parts, and what the device can do.

python -m benchmarks.jax_update               # sizes that fit the device
python -m benchmarks.jax_update N M ...       # these sizes

Every time is the median of runs that end with the device synchronised. It is wall time on an
accelerator, and the time of all cores together on a CPU. A limit is what the part would take at the
measured rate of large products, or at the measured memory bandwidth. The table is kept in
results/jax_update.json under the name of the device.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks import command, stored
from benchmarks.still_trainer import random_weights, still_trainer

CHAINS, BATCH, STEPS, FRAMES, ACTIVITY, DENSITY = 100, 100, 15, 400, 0.04, 0.07
ON_GPU, ON_CPU = [(40_709, 200), (1_000_000, 1_000)], [(4_071, 200), (40_709, 200)]
RESULTS = stored.RESULTS / "jax_update.json"


def median_s(call: object, budget_s: float = 3.0) -> float:
    """Median time of ``call`` synchronised, after one call that compiles."""
    import jax

    # other programs on a CPU would be in the wall time
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    jax.block_until_ready(call())
    times = []
    while len(times) < 3 or (sum(times) < budget_s and len(times) < 50):
        began = clock()
        jax.block_until_ready(call())
        times.append(clock() - began)
    return float(np.median(times))


def device_limits(on_gpu: bool) -> dict[str, float]:
    """Measured FLOP/s of large products, and bytes/s of a large sum."""
    import jax
    import jax.numpy as jnp

    from crbm_lite.training.accelerator.update import hidden_inputs

    size = 8192 if on_gpu else 1536
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.float32)
    product = jax.jit(hidden_inputs)
    limits = {"float32": 2 * size**3 / median_s(lambda: product(a, a))}
    x = jnp.zeros((2**28 if on_gpu else 2**24,), jnp.float32)
    add = jax.jit(lambda x: x + 1.0)
    limits["bytes"] = 2 * x.nbytes / median_s(lambda: add(x))
    return limits


def trainer_of(n: int, m: int, jump_every: int) -> object:
    """A trainer of noise, with weights of the density of a trained model that stay as they are."""
    from crbm_lite.core.spikes import Spikes
    from crbm_lite.training.accelerator.trainer import JaxTrainer

    rng = np.random.default_rng(0)
    n_active = int(ACTIVITY * n)
    neurons = np.sort(rng.integers(n, size=(FRAMES, n_active), dtype=np.int32), axis=1)
    spikes = Spikes(np.arange(FRAMES + 1) * n_active, neurons.ravel(), n)
    return still_trainer(
        JaxTrainer, spikes, random_weights(n, m, DENSITY, rng), rng, n_chains=CHAINS,
        n_gibbs=STEPS, jump_every=jump_every, l1=1.0,
    )  # fmt: skip


def parts_of(trainer: object) -> dict[str, object]:
    """Return functions that do the products, the sampling and the optimiser of an update alone."""
    import jax
    import jax.numpy as jnp

    from crbm_lite.core.reference import Rates
    from crbm_lite.training.accelerator import update as ju

    s = trainer._state
    m = s["weights"].shape[1]
    potential = ju.potential_given(s["hidden"], s["offset"])

    @jax.jit
    def all_products(v, weights, fields):
        def step(inputs, _):
            logits = ju.logits_given_h(inputs * 0.1, weights, fields)
            return ju.hidden_inputs((logits > 0).astype(jnp.float32), weights), None

        begin = ju.hidden_inputs(v, weights)
        inputs = jax.lax.scan(step, begin, length=STEPS)[0]
        on_data = ju.hidden_inputs(v[::-1], weights)
        h = on_data.astype(jnp.float64)
        return ju.weight_gradient(v, h, v, inputs.astype(jnp.float64), trainer._activity)

    @jax.jit
    def all_sampling(inputs, fields, key):
        def step(carry, key):
            key_h, key_v = jax.random.split(key)
            h = ju.sample(carry.astype(jnp.float64), potential, key_h).astype(jnp.float32)
            logits = fields.astype(jnp.float32) + h[:, :1]
            v = ju.sample_neurons(logits, key_v, jnp.float32)
            return 0.5 * carry + v[:, :m] + v.mean(axis=1, keepdims=True), None

        return jax.lax.scan(step, inputs, jax.random.split(key, STEPS))[0]

    @jax.jit
    def optimiser(s, gradient, rates):
        statistics = ju.hidden_statistics(jnp.zeros((BATCH + CHAINS, m)), potential, s["mean_h"])
        new, _ = ju.move_weights(s, gradient, statistics.mean(axis=(0, 1)), Rates(*rates))
        return new, jnp.abs(new["weights"].astype(jnp.float64)).sum(axis=0)

    gradient = jnp.full(s["weights"].shape, 1e-4, jnp.float32)
    rates = jnp.array(trainer.plan.rates())
    inputs = jnp.zeros((CHAINS, m), jnp.float32)
    small = {k: s[k] for k in ("weights", "weight_square", "weight_average", "mean_h")}
    return {
        "products": lambda: all_products(s["v"], s["weights"], s["fields"]),
        "sampling": lambda: all_sampling(inputs, s["fields"], jax.random.key(0)),
        "optimiser": lambda: optimiser(small, gradient, rates),
    }


def limits_of(n: int, m: int, limits: dict[str, float]) -> dict[str, float]:
    """Seconds that the parts would take at the device's own rates."""
    one = 2 * CHAINS * n * m  # FLOP of a product
    inputs = (2 * STEPS + 1) * one + one * BATCH / CHAINS
    gradient = one * (BATCH + CHAINS) / CHAINS
    return {
        "products": (inputs + gradient) / limits["float32"],
        "sampling": STEPS * CHAINS * n * 8 / limits["bytes"],
        "optimiser": 7 * 4 * n * m / limits["bytes"],
    }


def measure(n: int, m: int, limits: dict[str, float], with_jumps: bool) -> dict:
    """Seconds of an update and of its parts, beside the device's limits."""
    import jax

    trainer = trainer_of(n, m, 0)

    def update() -> object:
        trainer.one_update()
        return trainer._state

    seconds = {"update": median_s(update)}
    with jax.enable_x64(True):
        for name, call in parts_of(trainer).items():
            seconds[name] = median_s(call)
    if with_jumps:
        trainer = trainer_of(n, m, STEPS)  # one sweep an update
        seconds["update with a sweep of jumps"] = median_s(update)
    limit = limits_of(n, m, limits)
    limit["update"] = sum(limit.values())
    print(f"\nN = {n:,}, M = {m:,}")
    for name, value in seconds.items():
        share = f"{1e3 * limit[name]:10.2f} ms at the device's limit" if name in limit else ""
        print(f"  {name:<30} {1e3 * value:10.2f} ms {share}", flush=True)
    return {"N": n, "M": m, "seconds": seconds, "limit": limit}


def keep(found: dict) -> None:
    """Write results under the name of the device, beside what is there of it already."""
    import jax

    stored.keep(RESULTS, f"{jax.device_count()} x {jax.devices()[0].device_kind}", found)


def main(*words: str) -> None:
    """Print the device's limits and one block for each size; keep them."""
    import jax

    on_gpu = jax.devices()[0].platform != "cpu"
    limits = device_limits(on_gpu)
    print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, JAX {jax.__version__}")
    for name, value in limits.items():
        print(f"  {name:<8} {value:.3g} {'bytes/s' if name == 'bytes' else 'FLOP/s'}")
    numbers = [int(x.replace(",", "").replace("_", "")) for x in words]
    sizes = list(zip(numbers[::2], numbers[1::2], strict=True))
    rows = [
        measure(n, m, limits, with_jumps=on_gpu or n < 10_000)
        for n, m in sizes or (ON_GPU if on_gpu else ON_CPU)
    ]
    keep({"limits": limits, "rows": rows})


if __name__ == "__main__":
    command.run(main)
