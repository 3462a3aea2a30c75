"""A model's way to a file and back: what `crbm_lite.CRBM` gets from here is ``save`` and ``load``.

The layout of the file is `crbm_lite.model.files`'s; here is what of a model goes into it.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Self

from sklearn.utils.validation import check_is_fitted

from crbm_lite.model import files as storage
from crbm_lite.model.conditionals import POTENTIALS
from crbm_lite.training.hyperparameters import hyperparameters_as_json


class Kept:
    """What an estimator with parameters, a history and a certificate needs to be kept in a file."""

    def save(self, path: str | os.PathLike) -> Path:
        """Write the model to an HDF5 file (`crbm_lite.model.files`), whole or not at all.

        Warns
        -----
        UserWarning
            If random_state is a generator, which is not kept; an int is.
        """
        check_is_fitted(self, "weights_")
        arrays = {"weights": self.weights_, "fields": self.fields_}
        arrays |= {name: getattr(self, f"{name}_") for name in POTENTIALS}
        hyper = hyperparameters_as_json(self.get_params())
        if hyper["random_state"] is None and self.random_state is not None:
            warnings.warn(
                "random_state is a generator, which a model file does not keep: the loaded model "
                "has random_state=None. The parameters are not affected; to keep it use an int.",
                stacklevel=2,
            )
        attributes: dict[str, object] = {"hyperparameters": hyper}
        if hasattr(self, "chains_"):
            arrays["chains"] = self.chains_
            arrays |= storage.arrays_of("history", self.history_)
            arrays |= storage.arrays_of("certificate", self.certificate_)
            attributes["verdict"] = self.verdict_
        return storage.write_model(path, arrays, attributes)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a model that ``save`` wrote.

        Raises
        ------
        FileNotFoundError
        ModelFileError
            If the file is no model, is damaged, or is of another version.
        """
        from crbm_lite.training.certificate import Certificate
        from crbm_lite.training.monitors import History

        arrays, attributes = storage.read_model(path)
        try:
            model = cls(**attributes["hyperparameters"])
            checked = cls.from_parameters(
                arrays["weights"], arrays["fields"], *(arrays[name] for name in POTENTIALS)
            )
            potential = (getattr(checked, f"{name}_") for name in POTENTIALS)
            model._set_parameters(checked.weights_, checked.fields_, *potential)
            if "verdict" in attributes:
                model.chains_ = arrays["chains"]
                model.history_ = storage.result_of(History, "history", arrays)
                model.certificate_ = storage.result_of(Certificate, "certificate", arrays)
                model.verdict_ = attributes["verdict"]
                model.converged_ = model.verdict_ == "converged"
        except (KeyError, TypeError, ValueError) as error:
            raise storage.ModelFileError(f"{path} is incomplete or damaged: {error!r}.") from error
        return model
