"""The protocol against its steps, done by hand on models that are known."""

import numpy as np
import pytest

import crbm_lite as cl
from crbm_lite.connectivity.couplings import effective_connectivity
from crbm_lite.connectivity.protocol import connectivity_of_animals

N = 30


def larva(seed, t=50, names=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    region = np.sort(rng.permutation(np.arange(N) % 3))
    return cl.Recording(
        (rng.random((t, N)) < 0.3).astype(np.uint8),
        rate_hz=2.5,
        labels=region[:, None] == np.arange(3),
        label_names=names,
    )


def known_models(factors):
    """A fit that ignores the data: the seed decides the weights, factors their spread."""

    def fit(model, recording):
        rng = np.random.default_rng([model.random_state, recording.n_frames])
        weights = rng.normal(size=(N, 2))
        weights *= factors[model.random_state] / weights.std()
        seen.append((model.n_hidden, model.random_state))
        made = cl.CRBM.from_parameters(weights, [0] * N, [1, 2], [2, 1], [-0.5, 0.1], [0.5, 0.1])
        return made

    seen = []
    fit.seen = seen
    return fit


def test_every_step_by_hand():
    animals = [larva(0, t=50), larva(1, t=90)]
    factors = {7: 0.05, 8: 0.2, 9: 0.08}  # the second run is not kept
    fit = known_models(factors)
    template = cl.CRBM(n_hidden=2)
    result = connectivity_of_animals(template, animals, n_repeats=3, fit=fit, random_state=7)
    assert result.n_kept == (2, 2)
    assert fit.seen == [(2, 7), (2, 8), (2, 9)] * 2
    assert template.random_state is None
    top = np.zeros((3, 3))
    bottom = np.zeros((3, 3))
    for animal, found in zip(animals, result.animals):
        kept = [fit(cl.CRBM(n_hidden=2, random_state=s), animal) for s in (7, 9)]
        j = np.abs(np.mean([effective_connectivity(m, animal, range(N)) for m in kept], axis=0))
        member = np.asarray(animal.labels).astype(float)
        n = member.sum(axis=0)
        pairs = np.outer(n, n) - np.diag(n)
        by_hand = member.T @ j @ member / pairs
        np.testing.assert_allclose(found.values, by_hand, rtol=1e-10)
        weight = animal.n_frames * (n[:, None] + n)
        top, bottom = top + weight * by_hand, bottom + weight
    np.testing.assert_allclose(result.average, top / bottom, rtol=1e-10)


def test_an_animal_without_a_kept_run_is_left_out():
    animals = [larva(0), larva(1)]
    fit = known_models({0: 0.05})

    def keep(models):
        keep.calls += 1
        return models if keep.calls == 1 else ()

    keep.calls = 0
    result = connectivity_of_animals(cl.CRBM(2), animals, n_repeats=1, fit=fit, keep=keep)
    assert result.n_kept == (1, 0) and result.animals[1] is None
    np.testing.assert_allclose(result.average, result.animals[0].values)
    with pytest.raises(ValueError, match="no run of any animal"):
        connectivity_of_animals(cl.CRBM(2), animals, fit=known_models(dict.fromkeys(range(5), 9.0)))


def test_bad_recordings_are_named():
    unlabelled = cl.Recording(np.eye(N, dtype=np.uint8), rate_hz=1.0)
    with pytest.raises(ValueError, match=r"recordings\[1\] has no labels"):
        connectivity_of_animals(cl.CRBM(2), [larva(0), unlabelled])
    with pytest.raises(ValueError, match=r"recordings\[1\] has other label_names"):
        connectivity_of_animals(cl.CRBM(2), [larva(0), larva(1, names=("a", "c", "b"))])
    with pytest.raises(ValueError, match="recordings is empty: give one"):
        connectivity_of_animals(cl.CRBM(2), [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "x"}, "missing is 'x'"),
        ({"diagonal": "x"}, "diagonal is 'x'"),
        ({"min_neurons": 1}, "min_neurons is 1"),
    ],
)
def test_bad_options_are_named_before_anything_is_trained(options, message):
    def fit(model, recording):
        raise AssertionError("trained")

    with pytest.raises(ValueError, match=message):
        connectivity_of_animals(cl.CRBM(2), [larva(0)], fit=fit, **options)
    both = np.ones((N, 2), bool)
    overlapping = cl.Recording(np.eye(N, dtype=np.uint8), rate_hz=1.0, labels=both)
    with pytest.raises(ValueError, match=r"recordings\[0\]: .*several regions"):
        connectivity_of_animals(cl.CRBM(2), [overlapping], fit=fit)
