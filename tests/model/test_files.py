"""A model's file: every bit comes back, and nothing but a sound model is read."""

import os
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from crbm_lite.model.files import ModelFileError
from crbm_lite.model.model import CRBM

ARRAYS = ("weights", "fields", "gamma_plus", "gamma_minus", "theta_plus", "theta_minus")


def small_machine():
    """Six neurons and two units."""
    rng, one = np.random.default_rng(0), np.ones(2)
    return CRBM.from_parameters(rng.normal(size=(6, 2)), np.zeros(6), one, one, 0 * one, -one)


@pytest.fixture(scope="module")
def trained():
    v = (np.random.default_rng(0).random((60, 9)) < 0.3).astype(np.uint8)
    model = CRBM(
        n_hidden=2, l1=0.001, n_updates=40, batch_size=20, n_chains=5, n_gibbs=2, init="random",
        random_state=1, progress=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(v), v


FITTED = ("weights_", "fields_", "gamma_plus_", "gamma_minus_", "theta_plus_", "theta_minus_",
          "chains_")  # fmt: skip


def test_a_saved_model_comes_back_bit_for_bit(trained, tmp_path):
    model, v = trained
    path = model.save(tmp_path / "model.h5")
    loaded = CRBM.load(path)
    assert loaded.get_params() == model.get_params()
    for name in FITTED:
        old, new = getattr(model, name), getattr(loaded, name)
        assert old.dtype == new.dtype and old.tobytes() == new.tobytes(), name
    assert loaded.verdict_ == model.verdict_ and loaded.converged_ == model.converged_
    assert loaded.history_.events == model.history_.events
    np.testing.assert_array_equal(loaded.history_.density, model.history_.density)
    assert loaded.certificate_.failed == model.certificate_.failed
    assert loaded.certificate_.residual == model.certificate_.residual
    np.testing.assert_array_equal(loaded.free_energy(v), model.free_energy(v))
    np.testing.assert_array_equal(
        loaded.sample(6, burn_in=1, random_state=0), model.sample(6, burn_in=1, random_state=0)
    )


def test_a_model_of_given_parameters_comes_back(tmp_path):
    model = small_machine()
    loaded = CRBM.load(model.save(tmp_path / "given.h5"))
    assert loaded.weights_.dtype == np.float64
    np.testing.assert_array_equal(loaded.weights_, model.weights_)
    assert not hasattr(loaded, "verdict_")


@pytest.mark.parametrize("state", [None, 7, np.int64(7)])
def test_a_random_state_is_kept_where_it_is_a_number(tmp_path, state):
    model = small_machine().set_params(random_state=state)
    assert CRBM.load(model.save(tmp_path / "given.h5")).random_state == state


def test_a_generator_is_not_kept_and_the_user_is_told(tmp_path):
    model = small_machine().set_params(random_state=np.random.default_rng(0))
    with pytest.warns(UserWarning, match="random_state is a generator"):
        path = model.save(tmp_path / "given.h5")
    assert CRBM.load(path).random_state is None


def test_a_model_of_version_1_is_read(tmp_path):
    path = Path(__file__).parents[1] / "data" / "model_version_1.h5"
    with h5py.File(path) as file:
        assert file.attrs["version"] == 1
        weights, residual = file["weights"][()], file["certificate/residual"][()]
    old = CRBM.load(path)
    np.testing.assert_array_equal(old.weights_, weights)
    assert old.certificate_.residual == residual and isinstance(old.certificate_.residual, float)
    assert old.n_updates == 5 and old.random_state is None
    again = CRBM.load(old.save(tmp_path / "again.h5"))
    np.testing.assert_array_equal(again.weights_, weights)
    assert again.history_.events == old.history_.events


def test_a_file_is_hdf5_without_python_objects(trained, tmp_path, monkeypatch):
    import pickle

    def refuse(*args, **kwargs):
        raise AssertionError("a model file must not be pickled")

    for name in ("dump", "dumps", "load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    path = trained[0].save(tmp_path / "model.h5")
    CRBM.load(path)
    kinds = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: kinds.append(getattr(item, "dtype", np.dtype("f8")).kind))
    assert kinds and set(kinds) <= set("fiub")


def test_a_failed_save_leaves_the_old_file(trained, tmp_path, monkeypatch):
    path = trained[0].save(tmp_path / "model.h5")
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        trained[0].save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["model.h5"]


def foreign(path):
    with h5py.File(path, "w") as file:
        file["Data/Brain/Coordinates"] = np.zeros((3, 4))


def text(path):
    path.write_text("not a model")


def empty(path):
    path.write_bytes(b"")


BAD_FILES = {"foreign": foreign, "text": text, "empty": empty}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_foreign_model_file_is_named(tmp_path, kind):
    path = tmp_path / "model.h5"
    BAD_FILES[kind](path)
    with pytest.raises(ModelFileError, match=r"model\.h5"):
        CRBM.load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_model_file_is_named(tmp_path, share):
    path = small_machine().save(tmp_path / "model.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelFileError, match=r"model\.h5"):
        CRBM.load(path)


def test_a_model_file_of_another_version_says_which(tmp_path):
    path = small_machine().save(tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 99
    with pytest.raises(ModelFileError, match=r"version 99.*reads 1 and 2"):
        CRBM.load(path)


@pytest.mark.parametrize("name", [*ARRAYS, "hyperparameters"])
def test_a_model_file_with_a_missing_part_is_named(tmp_path, name):
    path = small_machine().save(tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        if name == "hyperparameters":
            del file.attrs[name]
        else:
            del file[name]
    with pytest.raises(ModelFileError, match=name):
        CRBM.load(path)


def test_a_model_file_with_another_shape_or_nan_is_damaged(tmp_path):
    path = small_machine().save(tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file["fields"][0] = np.nan
    with pytest.raises(ModelFileError, match="fields holds NaN or infinity"):
        CRBM.load(path)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.h5"):
        CRBM.load(tmp_path / "nowhere.h5")


def external(file, name, path):
    """Numbers that lie in another file of the disk."""
    (path.parent / "secret").write_bytes(bytes(file[name].nbytes))
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype, external=[(str(path.parent / "secret"), 0, 10**6)])


def unwritten(file, name, path):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype)


def partly_written(file, name, path):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype, chunks=(1,) * len(shape))[:1] = 1


def huge(file, name, path):
    """4 GB in a few bytes."""
    del file[name]
    file.create_dataset(name, (10**6, 1000), "f4", chunks=(10**6, 1000), compression="gzip")


def large_beside_it(file, name, path):
    """A dataset that no model has, and that inflates to more than the file could hold."""
    file.create_dataset("x", 2**27, "u1", chunks=(2**20,), compression="gzip")[:] = 0


def pipe(file, name, path):
    os.mkfifo(path.parent / "pipe")
    del file[name]
    file[name] = h5py.ExternalLink("pipe", "/x")


HOSTILE = {
    external: "lies in other files",
    unwritten: "not written to the end",
    partly_written: "not written to the end",
    huge: "asks for 4.0 GB",
    large_beside_it: "asks for 0.1 GB",
    pipe: "",
}


@pytest.mark.parametrize("name", ["weights", "fields", "theta_plus"])
@pytest.mark.parametrize("do", HOSTILE, ids=lambda do: do.__name__)
def test_a_model_holds_its_own_sound_numbers(tmp_path, do, name):
    path = small_machine().save(tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        do(file, name, path)
    with pytest.raises(ModelFileError, match=rf"model\.h5.*{HOSTILE[do]}"):
        CRBM.load(path)


def test_chains_that_are_no_frames_of_the_model_are_refused(trained, tmp_path):
    path = trained[0].save(tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file["chains"][0, 0] = 2
    with pytest.raises(ModelFileError, match="chains holds 2"):
        CRBM.load(path)


def test_a_named_pipe_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="no regular file"):
        CRBM.load(tmp_path / "model.h5")
