"""CRBM(backend="jax"): the run around the compiled update, on JAX's CPU, and on four devices."""

import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from crbm_lite.core.gibbs import GibbsChains
from crbm_lite.core.spikes import as_spikes
from crbm_lite.model.model import CRBM
from crbm_lite.simulation.planted import plant_recording
from crbm_lite.training.hyperparameters import HyperparameterError, Schedule
from crbm_lite.training.start import random_start
from tests.training.runs import PARAMETERS, bits, correlations_with_truth

jax = pytest.importorskip("jax")

from crbm_lite.training.accelerator import devices as jax_devices  # noqa: E402
from crbm_lite.training.accelerator import update as jax_update  # noqa: E402
from crbm_lite.training.accelerator.trainer import JaxTrainer  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::crbm_lite.training.accelerator.devices.BackendWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)
HYPER = {
    "n_hidden": 8, "l1": 0.01, "n_updates": 300, "n_gibbs": 3, "n_chains": 40, "random_state": 0,
    "progress": False,
}  # fmt: skip


def planted_recording():
    return plant_recording(203, 6, (25, 35), 2000, 10, random_state=0)  # 203 is no multiple of 8


@pytest.fixture(scope="module")
def planted():
    return planted_recording()


@pytest.fixture(scope="module")
def models(planted):
    return {b: CRBM(**HYPER, backend=b).fit(planted.spikes) for b in ("numba", "jax")}


# ---------------------------------------------------------------------- what is learned


def test_planted_assemblies_are_found_and_the_run_converges(planted):
    longer = {"n_updates": 1500, "n_gibbs": 5, "n_chains": 100}
    model = CRBM(**HYPER | longer, backend="jax").fit(planted.spikes)
    found = correlations_with_truth(model.weights_, planted.truth).max(axis=1)
    assert (found > 0.9).all()
    assert model.verdict_ == "converged" and not model.certificate_.failed
    assert model.weights_.shape == (203, 8) and model.weights_.dtype == np.float32
    assert 0.0 < (model.weights_ == 0).mean() < 1.0
    np.testing.assert_allclose(model.certificate_.variance_h, 1.0, atol=0.2)
    assert len(model.history_.update) >= 150
    ratio = model.history_.activity_chains[-20:].mean() / model.history_.activity_data
    assert ratio == pytest.approx(1.0, abs=0.1)
    assert model.history_.effective_chains[-20:].min() > 0.9


def test_both_backends_learn_the_same(planted, models):
    one, two = models["numba"], models["jax"]
    found = [correlations_with_truth(m.weights_, planted.truth).argmax(axis=1) for m in (one, two)]
    for k, j in zip(*found):
        assert np.corrcoef(one.weights_[:, k], two.weights_[:, j])[0, 1] > 0.98
    p = [m.mean_v_given_h(m.mean_h_given_v(planted.spikes)).mean(axis=0) for m in (one, two)]
    errors = [np.sqrt(np.mean((x - planted.spikes.mean(axis=0)) ** 2)) for x in p]
    assert errors[1] < 1.3 * errors[0] < 0.02


@pytest.fixture(scope="module")
def numba_moments(planted, models):
    return moments(planted, models["jax"], "numba")


def moments(planted, model, backend, n_chains=2000):
    """Mean v, covariances of v and mean h over independent chains, 60 steps from the data."""
    spikes = as_spikes(planted.spikes)
    rng = np.random.default_rng(7 if backend == "numba" else 8)
    v = spikes.dense(rng.integers(spikes.n_frames, size=n_chains))
    w, g = model.weights_, model.fields_
    potential = np.stack([getattr(model, name) for name in PARAMETERS[2:]])
    if backend == "numba":
        chains = GibbsChains(*w.shape, n_chains, 0, 0)
        chains.set_weights(w)
        chains.set_spikes(v)
        chains.step(60, w, g.astype(np.float32), tuple(potential))
        v = chains.spikes()
    else:
        settings = jax_update.Settings(60, 0)
        with jax.enable_x64(True):
            v = jax.jit(jax_update.gibbs_steps, static_argnames="settings")(
                v,
                0,
                w,
                g,
                potential,
                np.zeros((1, 1)),
                np.ones(w.shape[1], bool),
                jax.random.key(2),
                settings=settings,
            )[0]
        v = np.asarray(v)
    v = v.astype(np.float64)
    h = model.mean_h_given_v(v.astype(np.uint8))
    units = v[:, np.abs(w).max(axis=1).argsort()[-60:]]
    product = (units[:, :, None] * units[:, None, :]).reshape(n_chains, -1)
    return {"v": v, "vv": product, "h": h}


def test_moments_agree_with_numba_within_monte_carlo_error(planted, models, numba_moments):
    found = moments(planted, models["jax"], "jax")
    for name, a in numba_moments.items():
        b = found[name]
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / len(a))
        z = ((a.mean(axis=0) - b.mean(axis=0)) / np.maximum(error, 1e-6))[error > 0]
        # entries share chains, so the mean square varies more than that of independent ones
        assert np.mean(z**2) < 3.0, (name, np.mean(z**2))
        assert np.abs(z).max() < 6.0, name


# ---------------------------------------------------------------------- runs


def test_a_seed_gives_the_same_bits_and_a_model_goes_to_the_other_backend(
    planted, models, tmp_path
):
    again = CRBM(**HYPER, backend="jax").fit(planted.spikes)
    assert bits(again) == bits(models["jax"])
    models["jax"].save(tmp_path / "model.h5")
    loaded = CRBM.load(tmp_path / "model.h5")
    assert loaded.backend == "jax" and bits(loaded) == bits(again)
    loaded.set_params(backend="numba", n_updates=20).fit(planted.spikes)
    models["numba"].save(tmp_path / "model.h5")
    CRBM.load(tmp_path / "model.h5").set_params(backend="jax").transform(planted.spikes)


class Stop(Exception):
    pass


def test_a_resumed_run_after_a_random_start_raises_lambda_as_slowly(planted, tmp_path):
    spikes, rng = as_spikes(planted.spikes), np.random.default_rng(0)
    trainer = trainer_of_four_updates(spikes, rng)
    trainer.one_update()
    state = trainer.state()
    other = trainer_of_four_updates(spikes, np.random.default_rng(1))
    other.plan.schedule = replace(other.plan.schedule, ramp=0.0)
    other.restore(state)
    assert other.plan.schedule == trainer.plan.schedule
    trainer.one_update()
    other.one_update()
    for name, value in trainer.state().items():
        np.testing.assert_array_equal(other.state()[name], value, err_msg=name)


def test_a_run_that_dies_goes_on_to_the_same_bits(planted, models, tmp_path, monkeypatch):
    plain, path = JaxTrainer.one_update, tmp_path / "run.h5"

    def deadly(self, measure=False):
        if self.plan.update == 230:
            raise Stop
        return plain(self, measure)

    with monkeypatch.context() as patch:
        patch.setattr(JaxTrainer, "one_update", deadly)
        with pytest.raises(Stop):
            CRBM(**HYPER, backend="jax").fit(planted.spikes, checkpoint=path, checkpoint_every=60)
    resumed = CRBM(**HYPER, backend="jax")
    resumed.fit(planted.spikes, checkpoint=path, checkpoint_every=60, resume=True)
    assert bits(resumed) == bits(models["jax"])
    assert resumed.verdict_ == models["jax"].verdict_
    with pytest.raises(ValueError, match="backend is 'jax' there and 'numba' here"):
        CRBM(**HYPER).fit(planted.spikes, checkpoint=path, resume=True)


def test_a_diverged_run_goes_back_and_halves_its_learning_rate(planted, monkeypatch):
    plain, calls = JaxTrainer.one_update, []

    def poisoned(self, measure=False):
        measured = plain(self, measure)
        calls.append(self.plan.update)
        if len(calls) == 250:
            self._state["fields"] = self._state["fields"] * np.nan
        return measured

    monkeypatch.setattr(JaxTrainer, "one_update", poisoned)
    model = CRBM(**HYPER, backend="jax").fit(planted.spikes)
    back = [event for event in model.history_.events if "back to update" in event]
    assert len(back) == 1 and "learning rate x 0.5" in back[0] and len(calls) > 300
    assert model.verdict_ != "diverged"
    assert np.isfinite(model.weights_).all() and np.isfinite(model.fields_).all()


# ---------------------------------------------------------------------- several devices


def trainer_of_four_updates(spikes, rng):
    schedule = Schedule(
        n_updates=4, batch_size=100, n_chains=40, n_gibbs=3, jump_every=3, l1=0.01,
        learning_rate=5e-3, final_learning_rate=1e-5, decay_start=0.25, ramp=0.0,
        average_from=0.5, beta2=0.999, epsilon=1e-6,
    )  # fmt: skip
    return JaxTrainer(spikes, random_start(spikes, 8, rng), schedule, rng)


def what_devices_send(trainer):
    """Operation and shapes of everything that one update without jumps sends between devices."""
    settings = replace(trainer._settings, jump_every=0)
    with jax.enable_x64(True):
        program = jax_update.one_update.lower(
            trainer._state, trainer._activity, trainer._data, np.arange(100, dtype=np.int32),
            np.ones(8), trainer._key, settings=settings,
        ).compile()  # fmt: skip
    operations = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    lines = re.findall(rf"= (.*?) (?:{operations})(?:-start)?\(.*", program.as_text())
    reduced = re.findall(r"= (.*?) all-reduce(?:-start)?\(.*", program.as_text())
    return [str(len(lines) - len(reduced)), *reduced]


def few_updates():
    """Number of devices, the state after three updates, how W lies, and the trainer."""
    spikes = as_spikes(planted_recording().spikes)
    trainer = trainer_of_four_updates(spikes, np.random.default_rng(0))
    for _ in range(3):
        trainer.one_update()
    return jax.device_count(), trainer._fetch_all(), trainer._state["weights"].sharding, trainer


def test_four_devices_give_the_result_of_one(tmp_path):
    here = Path(__file__).parent
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(here.parents[2]),
    }
    subprocess.run(
        [sys.executable, here / "jax_sharded_run.py", tmp_path / "four.npz"],
        check=True, env=environment,
    )  # fmt: skip
    four = np.load(tmp_path / "four.npz")
    _, one, _, _ = few_updates()
    assert four["n_devices"] == 4 and "'neurons'" in str(four["sharding"])
    np.testing.assert_array_equal(four["v"], one["v"])
    others, *sums = four["sent"].tolist()
    assert others == "0"  # nothing is gathered: what is sent are sums
    # the (chains, M) inputs: once in the loop over the Gibbs steps, once before it
    assert sum(text.count("f32[40,8]") for text in sums) == 2, sums
    sizes = [np.prod([int(n) for n in dims.split(",") if n] or [1])
             for text in sums for dims in re.findall(r"\[([\d,]*)\]", text)]  # fmt: skip
    assert max(sizes) == 100 * 8, sums  # those of the batch; none has the neurons' size
    for name, value in one.items():
        assert four[name].shape == np.shape(value), name
        np.testing.assert_allclose(four[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


# ---------------------------------------------------------------------- bad input


def test_without_jax_the_pip_line_is_named(planted, monkeypatch):
    for name in [x for x in sys.modules if x.startswith("crbm_lite.training.accelerator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r"pip install 'crbm_lite\[jax\]'"):
        CRBM(**HYPER, backend="jax").fit(planted.spikes)
    with pytest.raises(HyperparameterError, match="backend is 'cuda': give one of"):
        CRBM(**HYPER, backend="cuda").fit(planted.spikes)


def test_the_core_does_not_import_jax():
    code = (
        "import sys, numpy as np, crbm_lite as cl\n"
        "v = (np.random.default_rng(0).random((120, 20)) < 0.2)\n"
        "cl.CRBM(n_hidden=2, n_updates=2, n_gibbs=1, progress=False).fit(v)\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_it_says_that_it_runs_on_the_cpu():
    if jax.default_backend() != "cpu":
        pytest.skip("there is an accelerator")
    with pytest.warns(jax_devices.BackendWarning, match="runs on the CPU"):
        jax_devices.warn_without_accelerator()


def test_too_little_device_memory_tells_what_is_needed_and_what_fits(planted, monkeypatch):
    monkeypatch.setattr(jax_devices.Devices, "available", property(lambda self: 500_000))
    with pytest.raises(jax_devices.DeviceMemoryError, match=r"need .* GB .* 0.0005 GB are there"):
        CRBM(**HYPER, backend="jax").fit(planted.spikes)
    size, rest = (2_000_000, 1_000), (100, 100, 6_000)
    with pytest.raises(jax_devices.DeviceMemoryError) as caught:
        jax_devices.check_memory(40 * 10**9, 1, *size, *rest)
    words = str(caught.value).replace(",", "").split()
    n_fit = int(words[words.index("N", 10) + 2])
    m_fit = int(words[words.index("n_hidden", 15) + 2])
    n_devices = int(words[words.index("such") - 1])
    jax_devices.check_memory(40 * 10**9, 1, n_fit, 1_000, *rest)
    jax_devices.check_memory(40 * 10**9, 1, 2_000_000, m_fit, *rest)
    jax_devices.check_memory(40 * 10**9 * n_devices, n_devices, *size, *rest)
    for size in ((n_fit + 9_000, 1_000), (2_000_000, m_fit + 9)):  # and hardly more would
        with pytest.raises(jax_devices.DeviceMemoryError):
            jax_devices.check_memory(40 * 10**9, 1, *size, *rest)
    assert n_devices == 2


def test_the_memory_asked_for_is_what_the_compiled_update_takes(planted):
    n, m, n_chains, batch, n_frames = 4096, 64, 40, 50, 500
    shape = jax.ShapeDtypeStruct
    f32, f64 = np.float32, np.float64
    square = {k: shape((n, m), f32) for k in ("weights", "weight_square", "weight_average",
                                              "mean_weights")}  # fmt: skip
    state = square | {k: shape((n,), f64) for k in ("fields", "field_square", "mean_fields")}
    state |= {k: shape((4, m), f64) for k in ("hidden", "hidden_square", "mean_potential")}
    state |= {k: shape((m,), f64) for k in ("mean_h", "offset", "size")}
    state |= {"n_nonzero": shape((), np.int64), "n_steps": shape((), np.int64),
              "v": shape((n_chains, n), np.uint8), "counts": shape((m, 96), f64)}  # fmt: skip
    settings = jax_update.Settings(3, 0)
    with jax.enable_x64(True):
        compiled = jax_update.one_update.lower(
            state, shape((n,), f64), shape((n_frames, n // 8), np.uint8), shape((batch,), np.int32),
            shape((8,), f64), jax.random.key(0), settings=settings,
        ).compile()  # fmt: skip
    memory = compiled.memory_analysis()
    taken = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    asked = jax_devices.memory_needed(n, m, n_chains, batch, n_frames, jumps=False)
    assert 0.75 < taken / asked < 1.1


def test_an_interrupted_run_goes_on_in_memory(planted, models, monkeypatch):
    import signal

    plain = JaxTrainer.one_update

    def stopping(self, measure=False):
        if self.plan.update == 150:
            signal.raise_signal(signal.SIGINT)
        return plain(self, measure)

    model = CRBM(**HYPER, backend="jax")
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        patch.setattr(JaxTrainer, "one_update", stopping)
        model.fit(planted.spikes)
    assert model.verdict_ == "interrupted"
    model.fit(planted.spikes, resume=True)
    assert bits(model) == bits(models["jax"])
