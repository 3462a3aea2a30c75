"""The sparse VAE: bound and loss against hand computation, training against planted truth."""

import dataclasses
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit

from crbm_lite.baselines import vae_cache
from crbm_lite.baselines.vae import VAE, fit_vae
from crbm_lite.baselines.vae_cache import cached_vae
from crbm_lite.baselines.vae_network import _networks, batch_loss, folded, keras_on_jax
from crbm_lite.baselines.vae_validation import sweep_vae, validate_vae

if not (find_spec("keras") and find_spec("jax")):
    pytest.skip("needs the extra [vae]", allow_module_level=True)

BOOK = Path(__file__).resolve().parents[2] / "book"

# Two neurons, one latent: v = (1, 0) goes to 0.5 * 1 + 0.1 = 0.6, m = 2 * 0.6 - 0.2 = 1.0 and
# s = -0.6 + 0.1 = -0.5; v = (0, 1) to -0.9, the ReLU makes it 0, m = -0.2 and s = 0.1.
TINY = VAE(
    *(np.array(x, dtype=np.float32) for x in ([[0.5], [-1.0]], [0.1], [[2.0]], [-0.2])),
    *(np.array(x, dtype=np.float32) for x in ([[-1.0]], [0.1], [[1.5], [-0.7]], [-0.3, 0.4])),
    l1=0.1,
)
V = np.array([[1, 0], [0, 1]], dtype=np.uint8)


def by_hand(m, s, v):
    """ELBO of one frame, the expectation by Gauss-Hermite quadrature."""
    x, weight = hermegauss(40)
    z = m + np.exp(s / 2) * x
    p = expit(np.outer(z, [1.5, -0.7]) + [-0.3, 0.4])
    log_p = np.log(np.where(v, p, 1 - p)).sum(axis=1)
    return log_p @ weight / weight.sum() - 0.5 * (np.exp(s) + m**2 - 1 - s)


def test_the_encoder_of_the_tiny_case_is_that_of_the_comment():
    mean, log_variance = TINY.encode(V)
    np.testing.assert_allclose(mean.ravel(), [1.0, -0.2], atol=1e-6)
    np.testing.assert_allclose(log_variance.ravel(), [-0.5, 0.1], atol=1e-6)


def test_elbo_of_the_tiny_case_is_the_hand_computed_one_and_a_bound():
    expected = [by_hand(1.0, -0.5, V[0]), by_hand(-0.2, 0.1, V[1])]
    for v, one in zip(V, expected):
        np.testing.assert_allclose(TINY.elbo(v[None], 20_000), one, atol=0.01)
    np.testing.assert_allclose(TINY.elbo(V, 20_000), np.mean(expected), atol=0.01)
    x, weight = hermegauss(40)
    p = expit(np.outer(x, [1.5, -0.7]) + [-0.3, 0.4])
    for v, one in zip(V, expected):
        log_p = np.log(np.where(v, p, 1 - p).prod(axis=1) @ weight / weight.sum())
        assert one < log_p - 0.01


def test_without_weights_the_elbo_is_exact_for_any_number_of_samples():
    silent = VAE(**{**vars(TINY), "weights": np.zeros((2, 1), np.float32)})
    p = expit([-0.3, 0.4])
    divergence = [0.5 * (np.exp(-0.5) + 1.0 - 1 + 0.5), 0.5 * (np.exp(0.1) + 0.04 - 1 - 0.1)]
    log_p = np.log(np.where(V, p, 1 - p)).sum(axis=1)
    np.testing.assert_allclose(silent.elbo(V, 1), np.mean(log_p - divergence), atol=1e-6)


def tiny_networks():
    encoder, decoder = _networks(
        keras_on_jax(), 2, 1, np.array([0.3, 0.6]), np.random.default_rng()
    )
    identity = [np.ones(1), np.zeros(1)]  # of batch normalisation, whatever the batch
    values = [TINY.hidden_weights, TINY.hidden_offsets, *identity]
    values += [TINY.mean_weights, TINY.mean_offsets]
    values += [TINY.log_variance_weights, TINY.log_variance_offsets, *identity, *identity]
    for variable, value in zip(encoder.trainable_variables, values):
        variable.assign(value)
    for variable, value in zip(decoder.trainable_variables, (TINY.weights.T, TINY.fields)):
        variable.assign(value)
    return encoder, decoder


def test_the_training_loss_is_the_hand_computed_one_with_the_penalty():
    encoder, decoder = tiny_networks()
    parameters = [x.value for x in encoder.trainable_variables + decoder.trainable_variables]
    averages = [x.value for x in encoder.non_trainable_variables]
    noise = np.array([[0.4], [-1.2]], dtype=np.float32)
    loss, _ = batch_loss(
        encoder, decoder, parameters, averages, V.astype(np.float32), noise, l1=0.1
    )
    # Batch normalisation of two frames, epsilon 1e-3: by hand, layer by layer.
    standardised = lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-3)  # noqa: E731
    first = np.maximum(standardised(np.array([0.6, -0.9])), 0.0)
    m, s = standardised(2.0 * first - 0.2), standardised(-first + 0.1)
    z = m + np.exp(s / 2) * noise.ravel()
    p = expit(np.outer(z, [1.5, -0.7]) + [-0.3, 0.4])
    log_p = np.log(np.where(V, p, 1 - p)).sum(axis=1)
    divergence = 0.5 * (np.exp(s) + m**2 - 1 - s)
    expected = np.mean(divergence - log_p) + 0.1 * (1.5 + 0.7)
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences_and_the_penalty_a_sub_gradient():
    import jax

    encoder, decoder = tiny_networks()
    parameters = [x.value for x in encoder.trainable_variables + decoder.trainable_variables]
    averages = [x.value for x in encoder.non_trainable_variables]
    noise = np.array([[0.4], [-1.2]], dtype=np.float32)

    def loss(weights, l1):
        all_of_them = [*parameters[:-2], weights, parameters[-1]]
        return batch_loss(encoder, decoder, all_of_them, averages, V.astype(np.float32), noise, l1)[
            0
        ]

    slope = jax.grad(loss)(parameters[-2], 0.1)
    for i in range(2):
        step = np.zeros((1, 2), np.float32)
        step[0, i] = 0.01
        numeric = (loss(parameters[-2] + step, 0.1) - loss(parameters[-2] - step, 0.1)) / 0.02
        np.testing.assert_allclose(slope[0, i], numeric, atol=2e-3)
    penalty = slope - jax.grad(loss)(parameters[-2], 0.0)
    np.testing.assert_allclose(penalty, [[0.1, -0.1]], atol=1e-6)


def test_folding_keeps_what_keras_computes():
    rng = np.random.default_rng(0)
    encoder, decoder = _networks(keras_on_jax(), 7, 3, np.full(7, 0.2), rng)
    for variable in encoder.variables:  # variances must be positive
        variable.assign(rng.uniform(0.2, 1.5, variable.shape))
    v = (rng.random((20, 7)) < 0.4).astype(np.float32)
    vae = VAE(**folded(encoder, decoder))
    for mine, theirs in zip(vae.encode(v), encoder(v, training=False)):
        np.testing.assert_allclose(mine, np.asarray(theirs), rtol=1e-4, atol=1e-5)
    h = rng.normal(size=(20, 3)).astype(np.float32)
    logits = np.asarray(decoder(h))
    np.testing.assert_allclose(vae.mean_v_given_h(h), expit(logits), atol=1e-6)
    np.testing.assert_allclose(vae.fields, np.log(0.2 / 0.8), atol=1e-6)


@pytest.fixture(scope="module")
def planted():
    """Two assemblies of fifteen neurons, and ten neurons of none."""
    rng = np.random.default_rng(3)
    on = np.repeat(rng.random((2000, 2)) < 0.4, 15, axis=1)
    p = np.hstack([np.where(on, 0.7, 0.05), np.full((2000, 10), 0.1)])
    return (rng.random(p.shape) < p).astype(np.uint8)


@pytest.fixture(scope="module")
def vae(planted):
    fit = {"n_updates": 2000, "learning_rate": (5e-3, 2e-4)}
    return fit_vae(planted[:1500], 4, 0.01, **fit, random_state=0)


def test_it_finds_the_planted_assemblies_and_disconnects_the_other_latents(vae):
    found = vae.sparse_weights(0.3) != 0
    member = np.repeat([[True, False], [False, True], [False, False]], [15, 15, 10], axis=0)
    assert vae.connected().sum() == 2
    for k in range(2):
        assert (found == member[:, [k]]).all(axis=0).sum() == 1
    assert vae.loss.shape == (4,)
    assert vae.loss[-1] < vae.loss[0]


def test_it_generates_and_reconstructs(vae, planted):
    report = validate_vae(vae, planted[:1500], planted[1500:], random_state=0)
    assert report.v.nrmse < 0.2
    assert report.vv.pearson_r > 0.7
    assert report.h.n_entries == 2
    assert report.nllh.median > 0.15
    assert report.vh.n_entries == (vae.sparse_weights() != 0).sum()


def test_samples_are_those_of_the_prior():
    v = TINY.sample(200_000, random_state=0)
    x, weight = hermegauss(40)
    p = expit(np.outer(x, [1.5, -0.7]) + [-0.3, 0.4])
    mean = weight @ p / weight.sum()
    both = weight @ p.prod(axis=1) / weight.sum()
    np.testing.assert_allclose(v.mean(axis=0), mean, atol=0.005)
    np.testing.assert_allclose((v[:, 0] & v[:, 1]).mean(), both, atol=0.005)
    assert v.dtype == np.uint8
    np.testing.assert_array_equal(TINY.sample(50, 1), TINY.sample(50, 1))


def test_the_same_seed_gives_the_same_model_in_float32(planted):
    first, again = (fit_vae(planted, 2, n_updates=20, random_state=5) for _ in range(2))
    for name, array in vars(first).items():
        np.testing.assert_array_equal(array, getattr(again, name))
        assert name in ("l1", "loss") or array.dtype == np.float32
    one, other = (
        _networks(keras_on_jax(), 5, 2, np.full(5, 0.1), np.random.default_rng(seed))[1]
        for seed in (0, 1)
    )
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_the_sweep_scores_held_out_blocks_by_the_elbo(planted, monkeypatch):
    seen = []

    def fake(v, n_hidden, l1, random_state, **training):
        seen.append((v.shape[0], n_hidden, random_state, training))
        return VAE(**{**vars(TINY), "weights": np.float32(l1) * TINY.weights})

    monkeypatch.setattr("crbm_lite.baselines.vae_validation.fit_vae", fake)
    v = planted[:90, [0, 20]]
    sweep = sweep_vae(v, ((3, 0.5), (4, 2.0)), n_folds=3, n_samples=2, random_state=7, n_updates=9)
    assert seen[:2] == [(60, 3, 7, {"n_updates": 9}), (60, 4, 7, {"n_updates": 9})]
    twice = VAE(**{**vars(TINY), "weights": np.float32(2.0) * TINY.weights})
    np.testing.assert_allclose(sweep.scores[1, 1], twice.elbo(v[30:60], 2, 7))
    assert sweep.values == ((3, 0.5), (4, 2.0))


def test_bad_arguments_are_named(planted, vae):
    for arguments, message in (
        ({"n_hidden": 0}, "n_hidden is 0: give an integer"),
        ({"l1": -1.0}, "l1 is -1"),
        ({"learning_rate": (1e-3, 0.0)}, "learning_rate is"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_vae(planted, **{"n_updates": 1, **arguments})
    with pytest.raises(ValueError, match="n_samples is 0"):
        vae.elbo(planted, 0)
    with pytest.raises(ValueError, match="n_frames is 0"):
        vae.sample(0)
    with pytest.raises(ValueError, match="40 features"):
        vae.elbo(planted[:, :5])
    with pytest.raises(ValueError, match="0 latents have a weight beyond 100"):
        validate_vae(vae, planted, planted, threshold=100.0)


def in_a_fresh_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_backend_and_a_missing_package_are_told_and_the_environment_is_kept():
    other = in_a_fresh_process(
        "import sys, types\n"
        "keras = types.ModuleType('keras')\n"
        "keras.backend = types.SimpleNamespace(backend=lambda: 'torch')\n"
        "sys.modules['keras'] = keras\n"
        "from crbm_lite.baselines.vae_network import keras_on_jax\n"
        "keras_on_jax()\n"
    )
    assert "RuntimeError: the backend of Keras is 'torch'" in other.stderr
    missing = in_a_fresh_process(
        "import sys\n"
        "sys.modules['keras'] = None\n"
        "from crbm_lite.baselines.vae_network import keras_on_jax\n"
        "keras_on_jax()\n"
    )
    assert "pip install 'crbm_lite[vae]'" in missing.stderr
    kept = in_a_fresh_process(
        "import os, sys\n"
        "import crbm_lite.baselines.vae\n"
        "assert 'keras' not in sys.modules and 'jax' not in sys.modules\n"
        "from crbm_lite.baselines.vae_network import keras_on_jax\n"
        "print(keras_on_jax().backend.backend(), os.environ['KERAS_BACKEND'])\n",
        KERAS_BACKEND="tensorflow",
    )
    assert kept.stdout.split() == ["jax", "tensorflow"], kept.stderr


def test_the_stored_runs_are_whole_and_agree_with_themselves():
    stored = json.loads((BOOK / "baselines" / "vae_long_run.json").read_text(encoding="utf-8"))
    for name, n_neurons in (("larva", 2000), ("retina", 477)):
        search = stored[name]["search"]
        elbo = np.array(search["elbo"]).mean(axis=0)
        assert search["settings"][elbo.argmax()] == search["best"]
        assert [stored[name]["best"][k] for k in ("n_hidden", "l1")] == search["best"]
        assert [stored[name]["shown_in_paper"][k] for k in ("n_hidden", "l1")] == [200, 0.02]
        for key in ("best", "shown_in_paper"):
            run = stored[name][key]
            n_connected = len(run["assembly_sizes"])
            assert run["fraction_disconnected"] == round(1 - n_connected / run["n_hidden"], 4)
            assert sum(run["log10_weight_counts"]) == n_neurons * run["n_hidden"]
            assert run["n_parameters"] == sum(run["assembly_sizes"]) + n_neurons
            assert len(run["loss"]) == run["n_updates"] // 500
            assert run["elbo_test"] < 0
    assert stored["larva"]["shown_in_paper"]["n_updates"] == 200_000  # as the paper's


def test_a_vae_is_trained_once_and_again_when_anything_changes(planted, tmp_path, monkeypatch):
    trained = []

    def counted(v, n_hidden, l1, **training):
        trained.append((n_hidden, l1))
        return fit_vae(v, n_hidden, l1, **training)

    monkeypatch.setattr(vae_cache, "fit_vae", counted)
    training = {"n_updates": 20, "learning_rate": (1e-3, 1e-4), "folder": tmp_path}
    first, seconds = cached_vae(planted, 3, 0.01, **training)
    again, kept_seconds = cached_vae(planted.astype(bool), 3, 0.01, **training)
    assert trained == [(3, 0.01)]
    assert kept_seconds == seconds > 0
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))
    cached_vae(planted, 3, 0.02, **training)
    cached_vae(planted, 3, 0.01, **training, random_state=1)
    cached_vae(planted[:-1], 3, 0.01, **training)
    assert len(trained) == 4
    for path in tmp_path.glob("*.npz"):  # a file of another run is not returned
        path.write_bytes(min(tmp_path.glob("*.npz")).read_bytes())
    for _ in range(2):
        cached_vae(planted, 3, 0.01, **training)
        cached_vae(planted, 3, 0.02, **training)
    assert 5 <= len(trained) <= 6  # one of the two may be the one that was copied
    trained[:] = [0] * 4
    for path in tmp_path.glob("*.npz"):  # a broken file is made anew
        path.write_bytes(path.read_bytes()[:100])
    cached_vae(planted, 3, 0.01, **training)
    assert len(trained) == 5
