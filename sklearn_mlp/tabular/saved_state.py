"""What the estimators for tables are saved as, in pickles and in files: plain values."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sklearn_mlp.estimators.saved_state import load_state, save_state
from sklearn_mlp.estimators.saving import SavedInFiles
from sklearn_mlp.export.pickling import device_here
from sklearn_mlp.export.plain import PLAIN_CLASSES, plain, restored
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.tabular.categories import Levels
from sklearn_mlp.tabular.coded_rows import Part
from sklearn_mlp.tabular.codes import TableCode
from sklearn_mlp.tabular.components import Components
from sklearn_mlp.tabular.ensemble import Ensemble, Group
from sklearn_mlp.tabular.intervals import HeldResiduals
from sklearn_mlp.tabular.judging import Mixture
from sklearn_mlp.tabular.members import FrozenMembers
from sklearn_mlp.tabular.numbers import Bins, Scale, Waves
from sklearn_mlp.tabular.thresholds import Thresholds

_OURS = (
    *(Bins, Components, Ensemble, FrozenMembers, Group, HeldResiduals, Levels),
    *(Mixture, Part, Scale, TableCode, Thresholds, Waves),
)
PLAIN_CLASSES.update({each.__name__: each for each in _OURS})

# The fitted attributes that are objects of this package.
_MADE = ("_code", "_codec", "_ensemble", "_residuals")


class SavedTable(SavedInFiles):
    """An estimator for tables that is pickled as plain values, and can be saved in a file."""

    def __getstate__(self) -> dict[str, Any]:
        state = save_state(super().__getstate__())  # type: ignore[arg-type]
        if "device_" in state:
            state["device_"] = str(state["device_"])
        if "_ensemble" in state:
            # It has its code from the encoder, which is saved, too.
            state["_ensemble"] = replace(state["_ensemble"], code=None)
        for name in _MADE:
            if name in state:
                state[name] = plain(state[name])
        return state

    @isolated
    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = load_state(self, state)
        if "device_" in attributes:
            attributes["device_"] = device_here(torch.device(attributes["device_"]))
        made = {name: restored(attributes[name]) for name in _MADE if name in attributes}
        if "_ensemble" in made:
            made["_ensemble"] = replace(made["_ensemble"], code=attributes["encoder_"]._code)
        super().__setstate__({**attributes, **made})  # type: ignore[misc]

    def _check_loaded(self) -> None:
        """Let what comes from a file be used once, for a row of missing values.

        Raises
        ------
        Exception
            Of any kind, if its parts do not go together.
        """
        if "_code" not in vars(self) and "_ensemble" not in vars(self):
            return
        double: Any = object.__new__(type(self))
        double.__dict__.update(vars(self))
        names = double.__dict__.pop("feature_names_in_", None)
        n_features: int = double.n_features_in_
        if names is not None:
            is_named = names.shape == (n_features,) and all(type(name) is str for name in names)
            if not is_named:
                raise ValueError("feature_names_in_ are not the names of the features")
        row = np.full((1, n_features), None, dtype=object)
        for method in ("transform", "predict", "_predict_any_quantile"):
            if hasattr(double, method):
                made = np.asarray(getattr(double, method)(row))
                if made.shape[:1] != (1,):
                    raise ValueError(f"what it makes of a row has the shape {made.shape}")
