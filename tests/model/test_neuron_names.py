"""A model knows its neurons by name: other ones, or another order, are refused at every door."""

import warnings

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV

from crbm_lite import CRBM, Recording, nllh, validate
from crbm_lite.connectivity import coupling, effective_connectivity
from crbm_lite.core.spikes import SpikesError
from crbm_lite.model import ModelFileError, cached_fit, model_key
from crbm_lite.validation import left_out_log_likelihood, left_out_nllh
from crbm_lite.validation.comparison import l1_variance_term
from crbm_lite.validation.scales import model_scales
from crbm_lite.validation.stability import stability_selection

SPIKES = (np.random.default_rng(0).random((120, 6)) < 0.3).astype(np.uint8)
NAMES = tuple("abcdef")
RECORDING = Recording(SPIKES, rate_hz=2.0, names=NAMES)
TURNED = RECORDING.select_neurons([1, 2, 3, 4, 5, 0])
OTHERS = Recording(SPIKES, rate_hz=2.0, names=tuple("abcdeg"))
OPTIONS = {"n_hidden": 2, "n_updates": 20, "n_gibbs": 2, "batch_size": 20, "n_chains": 10,
           "random_state": 0, "progress": False}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CRBM(**OPTIONS).fit(RECORDING)


def test_names_come_from_the_recording_and_go_with_the_next_fit(model):
    assert tuple(model.feature_names_in_) == NAMES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = CRBM(**OPTIONS).fit(RECORDING).fit(SPIKES)
    assert not hasattr(again, "feature_names_in_")


DOORS = {
    "mean_h_given_v": lambda model, v: model.mean_h_given_v(v),
    "transform": lambda model, v: model.transform(v),
    "reconstruct": lambda model, v: model.reconstruct(v),
    "free_energy": lambda model, v: model.free_energy(v),
    "score": lambda model, v: model.score(v),
    "nllh": nllh,
    "left_out_nllh": left_out_nllh,
    "left_out_log_likelihood": left_out_log_likelihood,
    "validate, train": lambda model, v: validate(model, v, RECORDING, n_saved=2, n_chains=4),
    "validate, test": lambda model, v: validate(model, RECORDING, v, n_saved=2, n_chains=4),
    "left_out_nllh, others": lambda model, v: left_out_nllh(model, RECORDING, others=v),
    "l1_variance_term": lambda model, v: l1_variance_term(model, v, 0.1),
    "model_scales": lambda model, v: model_scales(
        model, v if isinstance(v, Recording) else Recording(v, 2.0)
    ),
    "stability_selection": lambda model, v: stability_selection(
        v, model, 2, n_null=0, fit=lambda new, frames: model
    ),
    "effective_connectivity": lambda model, v: effective_connectivity(model, v, [0]),
    "coupling": lambda model, v: coupling(model, v, [0], [1]),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_another_order_and_other_neurons(model, door):
    with pytest.raises(SpikesError, match=r"in another order .neuron 0 is 'b', the model's 'a'"):
        DOORS[door](model, TURNED)
    with pytest.raises(SpikesError, match=r"other neurons than the model .neuron 5 is 'g'"):
        DOORS[door](model, OTHERS)
    DOORS[door](model, RECORDING)
    DOORS[door](model, SPIKES)  # without names the order is the caller's word


def test_columns_of_a_table_are_names():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(SPIKES, columns=NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CRBM(**OPTIONS).fit(table)
    assert list(model.feature_names_in_) == list(NAMES)
    with pytest.raises(SpikesError, match="another order"):
        model.transform(table[list("bacdef")])
    h = model.set_output(transform="pandas").transform(table)
    assert list(h.columns) == ["crbm0", "crbm1"]
    numbered = pandas.DataFrame(SPIKES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not hasattr(CRBM(**OPTIONS).fit(numbered), "feature_names_in_")
        columns = ColumnTransformer([("c", CRBM(**OPTIONS), list(NAMES[:4]))]).fit(table)
    assert list(columns.get_feature_names_out()) == ["c__crbm0", "c__crbm1"]


def test_numbers_of_columns_are_names_as_texts():
    """The numbers that a sorter gave, say; columns 0, 1, ... are only counted."""
    pandas = pytest.importorskip("pandas")
    sorted_units = pandas.DataFrame(SPIKES, columns=[17, 4, 8, 99, 3, 21])
    counted = pandas.DataFrame(SPIKES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, plain = CRBM(**OPTIONS).fit(sorted_units), CRBM(**OPTIONS).fit(counted)
    assert list(model.feature_names_in_) == ["17", "4", "8", "99", "3", "21"]
    model.transform(Recording(SPIKES, rate_hz=2.0, names=(17, 4, 8, 99, 3, 21)))
    for fitted, table in ((model, sorted_units[[4, 17, 8, 99, 3, 21]]),
                          (plain, counted[[1, 0, 2, 3, 4, 5]])):  # fmt: skip
        with pytest.raises(SpikesError, match="another order"):
            fitted.transform(table)
    with pytest.raises(SpikesError, match="other neurons"):
        model.transform(sorted_units.rename(columns={21: 22}))
    plain.transform(sorted_units)  # numbers that say nothing on the order of the model


def test_the_file_keeps_the_names(model, tmp_path):
    loaded = CRBM.load(model.save(tmp_path / "m.h5"))
    assert list(loaded.feature_names_in_) == list(NAMES)
    with pytest.raises(SpikesError, match="another order"):
        loaded.transform(TURNED)


def test_a_file_with_too_few_names_is_refused(model, tmp_path):
    short = CRBM.from_parameters(
        model.weights_, model.fields_, *(getattr(model.units, n) for n in
        ("gamma_plus", "gamma_minus", "theta_plus", "theta_minus")),
    )  # fmt: skip
    short._set_names(NAMES[:4])
    with pytest.raises(ModelFileError, match="4 names for 6 neurons"):
        CRBM.load(short.save(tmp_path / "m.h5"))


def test_the_cache_knows_the_names(model, tmp_path):
    named = model_key(CRBM(**OPTIONS), RECORDING)
    assert named not in {model_key(CRBM(**OPTIONS), v) for v in (SPIKES, OTHERS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            found = cached_fit(CRBM(**OPTIONS), RECORDING, tmp_path)
            assert list(found.feature_names_in_) == list(NAMES)


def test_the_score_is_the_mean_over_frames_and_neurons():
    rng = np.random.default_rng(1)
    model = CRBM.from_parameters(
        rng.normal(0, 1, (4, 2)), rng.normal(0, 1, 4), [1, 2], [2, 1], [0.5, -1], [-0.3, 1]
    )
    expected = []
    for v in SPIKES[:30, :4]:
        for i in range(4):
            flipped = v.copy()
            flipped[i] = 1 - v[i]
            a, b = (-model.free_energy(x[None])[0] for x in (v, flipped))
            expected.append(a - np.logaddexp(a, b))
    assert model.score(SPIKES[:30, :4]) == pytest.approx(np.mean(expected), abs=1e-9)


def test_a_grid_search_of_scikit_learn_uses_the_score():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(CRBM(**OPTIONS), {"l1": [0.01, 0.5]}, cv=2).fit(SPIKES)
    assert set(search.best_params_) == {"l1"} and np.isfinite(search.best_score_)
