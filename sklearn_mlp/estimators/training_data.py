"""The samples as a backend takes them: on the device, some held out, and a scorer to ask."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from sklearn_mlp.arrays.tensors import exact_dtype, prediction_dtype
from sklearn_mlp.contract.fit import CheckedSamples
from sklearn_mlp.data.samples import Samples, TrainingData, ValidationData
from sklearn_mlp.estimators.own_rows import split_all_rows, weighed_together
from sklearn_mlp.estimators.scorers import Rescore
from sklearn_mlp.estimators.validation_set import check_some_weight, of_validation_set, split_rows
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.placement import is_stochastic
from sklearn_mlp.machine.shared_memory import tensor_to_read
from sklearn_mlp.network.alterations import may_write_to_inputs
from sklearn_mlp.network.mlp import place_of
from sklearn_mlp.ranks.group import Group


def training_data(
    estimator: Any,
    checked: CheckedSamples,
    network: nn.Module,
    loss: Loss,
    fit_dtype: np.dtype,
    random_state: np.random.RandomState,
    group: Group | None,
) -> TrainingData:
    """Bring everything onto the device, with a part held out if early stopping wants one.

    Parameters
    ----------
    estimator : BaseTorchMLP
        What is being fitted.
    checked : CheckedSamples
        The samples, those to be watched on among them where the user gave some.
    network : Module
        Tells the device and the type.
    loss : Loss
        Tells the form of the targets.
    fit_dtype : dtype
        The type of the samples that the network was first fitted on.
    random_state : RandomState
        Advanced where rows are held out; later it gives the epochs their order.
    group : Group or None
        The processes that train together.
    """
    samples, watched, rows = checked.samples, checked.watched, None
    if watched is None and estimator.early_stopping and is_stochastic(estimator.solver):
        rows, watched = _hold_out(estimator, checked, random_state, group)
    like = place_of(network)
    inputs, targets = samples.tensors(like.dtype, like.device, loss)
    validation = None
    if watched is not None:
        origin = "of X_val and y_val" if rows is None else "that early_stopping holds out"
        validation = _validation_data(estimator, watched, like, loss, fit_dtype, origin)
    return TrainingData(
        inputs,
        targets,
        checked.codec,
        random_state,
        samples.sample_weight,
        rows,
        validation,
        is_copied=may_write_to_inputs(network),
        numbers=checked.numbers,
    )


def _hold_out(
    estimator: Any,
    checked: CheckedSamples,
    random_state: np.random.RandomState,
    group: Group | None,
) -> tuple[np.ndarray, Samples]:
    """Return the rows to train on, and the samples that early stopping holds out."""
    samples, numbers, fraction = checked.samples, checked.numbers, estimator.validation_fraction
    stratify = estimator._stratify(samples.targets, checked.codec)
    if numbers is not None:
        assert group is not None
        rows, watched = split_all_rows(group, numbers, samples, stratify, fraction, random_state)
        check_some_weight(watched.sample_weight, "held out for validation")
        weighed_together(group, samples.take(numbers.find(rows)[1]), "to train on")
        return rows, watched
    rows, held_out = split_rows(samples.X.shape[0], fraction, stratify, random_state)
    watched = samples.take(held_out)
    check_some_weight(watched.sample_weight, "held out for validation")
    if samples.sample_weight is not None:
        check_some_weight(samples.sample_weight[rows], "to train on")
    return rows, watched


def _validation_data(
    estimator: Any,
    watched: Samples,
    like: Tensor,
    loss: Loss,
    fit_dtype: np.dtype,
    origin: str,
) -> ValidationData:
    """Prepare what the network is watched on, by what ``scoring`` names."""
    with of_validation_set():
        inputs, targets = watched.tensors(like.dtype, like.device, loss)
    weights, rescore = watched.sample_weight, None
    if estimator.scoring not in (None, "loss"):
        rescore = Rescore(estimator, estimator.scoring, watched.X, watched.y, weights, origin)
    return ValidationData(
        inputs,
        targets.cpu(),
        None if weights is None else tensor_to_read(weights),
        exact_dtype(prediction_dtype(watched.X, fit_dtype)),
        None if estimator.scoring == "loss" else loss.metric,
        rescore,
    )
