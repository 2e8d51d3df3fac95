"""One row per parameter: signatures, docstrings, table and training configuration agree."""

import inspect
import re
from dataclasses import MISSING, fields

import pytest

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.estimators.parameters import PARAMETERS

ESTIMATORS = [TorchMLPClassifier, TorchMLPRegressor]

# What is not a parameter, or is resolved from one.
RESOLVED = {"incremental", "engine", "n_outputs", "observers", "group"}

# Those whose meaning depends on the task.
OF_THE_TASK = {"loss", "output_activation", "early_stopping", "scoring", "validation_fraction"}
OF_THE_TASK |= {"n_iter_no_change"}


def signature(estimator):
    """Return the constructor's parameters by name, without those for a module."""
    given = inspect.signature(estimator).parameters
    return {name: one for name, one in given.items() if one.kind is not one.VAR_KEYWORD}


def described(estimator):
    """Return what the docstring says of each parameter: its type, and its text."""
    text = inspect.getdoc(estimator)
    section = re.search(r"Parameters\n-+\n(.*?)\n\w+\n--+\n", text, re.DOTALL).group(1)
    told = {}
    for entry in re.split(r"\n(?=\S)", section):
        names, _, rest = entry.partition(" : ")
        told.update(dict.fromkeys(names.split(", "), rest.strip()))
    return told


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_has_a_row_and_a_description(estimator):
    assert set(estimator._table) == set(signature(estimator))
    assert set(estimator._parameter_constraints) == set(signature(estimator))
    told = {name for name in described(estimator) if not name.startswith("**")}
    assert told == set(signature(estimator))


def test_both_estimators_have_the_same_defaults():
    ours, theirs = (signature(estimator) for estimator in ESTIMATORS)
    for name in PARAMETERS:
        assert ours[name].default == theirs[name].default, name


def test_both_estimators_describe_what_they_share_in_the_same_words():
    ours, theirs = (described(estimator) for estimator in ESTIMATORS)
    different = {name for name in set(PARAMETERS) | {"loss"} if ours[name] != theirs[name]}
    assert different <= OF_THE_TASK


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_training_configuration_repeats_no_default(estimator):
    for field in fields(TrainingConfig):
        if field.name in signature(estimator):
            assert field.default is field.default_factory is MISSING, field.name
        else:
            assert field.name in RESOLVED
