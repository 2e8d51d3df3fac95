"""What a fit that is one of several processes' checks with the others before it trains."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse
from torch import Tensor, nn

from sklearn_mlp.contract.fit import CheckedParameters, CheckedSamples, PreparedFit
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.data.sourced import SourceRows
from sklearn_mlp.machine.random_numbers import draw_seed
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.ranks.agreement import agree, fingerprint
from sklearn_mlp.ranks.group import Group

# Up to so many numbers all of the samples are compared, of more so many rows.
_FEW_NUMBERS = 1 << 20
_SOME_ROWS = 64

# What each process may have its own of.
_OWN_PARAMETERS = {"device", "max_time", "verbose"}

# Layers that need all of a batch, or draw for it: each process has a part alone.
_WITHIN_A_BATCH = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LONGEST = 120


def check_can_join(group: Group, parameters: CheckedParameters) -> None:
    """Check that a fit can be one of several processes'.

    Raises
    ------
    ValueError
        If what the parameters ask for is for one process alone.
    """
    plain = parameters.plain
    if plain["backend"] != "torch":
        raise _for_one(group, f"backend={plain['backend']!r}", "use backend='torch'")
    if plain["normalization"] == "batch":
        raise _for_one(
            group,
            "normalization='batch' (statistics of whole batches)",
            "use normalization='layer'",
        )


def _for_one(group: Group, what: str, instead: str) -> ValueError:
    """Return the error for what has to be trained by a single process."""
    return ValueError(
        f"a network with {what} is trained by one process, not by {group.size} together; "
        f"{instead}, or train alone within `with sklearn_mlp.distributed(False):`."
    )


def agree_on_parameters(
    group: Group, estimator: Any, parameters: CheckedParameters, *, incremental: bool
) -> None:
    """Check that all processes are given the same parameters, and do the same with them.

    Raises
    ------
    ValueError
        In each of them, if not.
    """
    group.seed = int(group.gather(draw_seed(np.random.RandomState()))[0])
    facts = {"estimator": type(estimator).__name__}
    facts["call"] = "partial_fit" if incremental else "fit"
    facts["rows (of distributed)"] = "'own'" if group.has_own_rows else "'same'"
    plain = parameters.plain
    facts |= {name: _said(plain[name]) for name in plain if name not in _OWN_PARAMETERS}
    agree(group, facts)


def agree_on_form(group: Group, X: Any, features: Mapping[str, Any]) -> None:
    """Check that the samples of all processes have the same columns, of one kind.

    Raises
    ------
    ValueError
        In each of them, if not.
    """
    facts = {"number of features of X": str(X.shape[1])} | _names_of(features)
    agree(group, facts | _kind_of("X", X))


def _names_of(features: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of the names of the features."""
    names = features.get("feature_names_in_")
    return {"names of the features of X": "none" if names is None else _said(list(names))}


def _kind_of(name: str, X: Any) -> dict[str, str]:
    """Return facts of what samples lie in."""
    is_sparse = scipy.sparse.issparse(X)
    return {f"{name}.dtype": str(X.dtype), f"kind of {name}": "sparse" if is_sparse else "dense"}


def agree_on_samples(group: Group, checked: CheckedSamples) -> None:
    """Check that all processes are given samples of one form, the same number of them.

    Where each has rows of its own, these need not be as many.

    Raises
    ------
    ValueError
        In each of them, if not.
    """
    facts = {"past (fitted before, or not)": "none" if checked.is_first else "one to go on from"}
    sets = {"X": None if group.has_own_rows else checked.samples, "X_val": checked.watched}
    for name, samples in sets.items():
        if samples is not None:
            facts[f"{name}.shape"] = str(tuple(samples.X.shape))
            facts |= _kind_of(name, samples.X)
            is_weighted = samples.sample_weight is not None
            facts[f"weights of {name}"] = "some" if is_weighted else "none"
    facts["targets (classes, or number of columns)"] = _said(_classes_of(checked))
    agree(group, facts | _names_of(checked.features))


def _classes_of(checked: CheckedSamples) -> Any:
    """Return what is known of the targets of all samples."""
    classes = getattr(checked.codec, "classes", None)
    return checked.targets.shape[1] if classes is None else classes


def agree_on_numbers(group: Group, prepared: PreparedFit) -> None:
    """Check that all processes train the same network on the same numbers.

    Raises
    ------
    ValueError
        In each of them, if not, or if the network cannot be trained by several.
    """
    network, data = prepared.network, prepared.data
    if not isinstance(network, MLP):
        for module in network.modules():
            if isinstance(module, _WITHIN_A_BATCH):
                name = type(module).__name__
                raise _for_one(group, f"a {name} of the user's", "leave it out")
    values = [value.detach().cpu().double() for value in _numbers_of(network)]
    weights = [] if data.sample_weight is None else [data.sample_weight]
    _, words, place, *_ = data.random_state.get_state(legacy=True)
    # In the order of what comes of what: the first that differs is named.
    facts = {
        "random_state": fingerprint(np.asarray(words), np.array([int(place)])),
        "network to start from": fingerprint(*(value.numpy() for value in values)),
    }
    if not group.has_own_rows:
        facts["X"] = _fingerprint_of(data.inputs)
        facts["y"] = fingerprint(data.targets.cpu().numpy())
        facts["sample_weight"] = fingerprint(*weights)
    if data.validation is not None:
        facts["X_val"] = _fingerprint_of(data.validation.inputs)
        facts["y_val"] = fingerprint(data.validation.targets.numpy())
    agree(group, facts)


def _numbers_of(network: Any) -> Iterator[Tensor]:
    """Go through the parameters and buffers of a network."""
    return chain(network.parameters(), network.buffers())


def _fingerprint_of(rows: Rows) -> str:
    """Return a text that differs for other samples; of many it knows some rows.

    Of those that are read block by block, it knows the first ones, the blocks and the range.
    """
    if isinstance(rows, SourceRows):
        source, array = rows.source, rows.array
        places = np.arange(0) if source.rows is None else source.rows
        return fingerprint(array.head, array.bounds, np.array(source.bounds), places)
    n_rows, n_features = rows.shape
    places = np.arange(n_rows)
    if n_rows * n_features > _FEW_NUMBERS:
        places = np.linspace(0, n_rows - 1, _SOME_ROWS).astype(int)
    samples = rows.made_dense().batch(places)
    return fingerprint(samples.cpu().numpy())


def _said(value: Any) -> str:
    """Return a parameter as a text: the same in every process, and not too long."""
    text = _ADDRESS.sub("", repr(value))
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({fingerprint(np.frombuffer(text.encode(), np.uint8))})"
    return text
