"""The common base of classifier and regressor: scikit-learn's contract around a backend."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Tags, check_random_state
from torch import nn

from sklearn_mlp.arrays.checks import features_of
from sklearn_mlp.arrays.target_checks import naming
from sklearn_mlp.arrays.tensors import fitted_dtype, on_host
from sklearn_mlp.compiled.forms import why_not_compiled
from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.fit import CheckedParameters, CheckedSamples, PreparedFit
from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.data.kinds import first_rows
from sklearn_mlp.data.row_numbers import RowNumbers
from sklearn_mlp.data.samples import Samples
from sklearn_mlp.estimators.among_ranks import (
    agree_on_form,
    agree_on_numbers,
    agree_on_parameters,
    agree_on_samples,
    check_can_join,
)
from sklearn_mlp.estimators.backends import BACKENDS, check_backend
from sklearn_mlp.estimators.callbacks import EpochTasks
from sklearn_mlp.estimators.fitted import FittedNetwork
from sklearn_mlp.estimators.input_gradients import InputGradientsMixin
from sklearn_mlp.estimators.network_of_weights import network_of_weights, untrained_attributes
from sklearn_mlp.estimators.onnx_conversion import OnnxConversionMixin
from sklearn_mlp.estimators.own_rows import number_rows, weighed_together
from sklearn_mlp.estimators.progress import epoch_bar
from sklearn_mlp.estimators.sklearn_conversion import SklearnConversionMixin
from sklearn_mlp.estimators.training_data import training_data
from sklearn_mlp.estimators.validation_set import (
    NO_VALIDATION_SET,
    ValidationSet,
    check_given,
    check_some_weight,
    check_sum_of_weights,
    of_validation_set,
)
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.devices import resolve_device
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.kernels import recompute_attributes
from sklearn_mlp.machine.placement import Placement, is_stochastic, warn_if_clipped
from sklearn_mlp.machine.plain_numbers import plain_parameters
from sklearn_mlp.machine.sklearn_internals import check_sample_weight, has_callbacks
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.network.alterations import can_be_trained_as_made
from sklearn_mlp.network.architecture import Architecture
from sklearn_mlp.network.memory import less_to_fit, naming_device_memory, naming_memory
from sklearn_mlp.network.mlp import count_parameters
from sklearn_mlp.network.module_parameters import module_parameters_of
from sklearn_mlp.network.parameter_vector import own_memory
from sklearn_mlp.network.user_module import check_changed, check_numbers, dtype_to_go_on
from sklearn_mlp.ranks.context import joined_group
from sklearn_mlp.ranks.group import Group
from sklearn_mlp.solvers.choice import check_solver
from sklearn_mlp.steps.choice import choose_engine
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.training.checkpoint import Checkpoint
from sklearn_mlp.training.divergence import check_trained
from sklearn_mlp.training.randomness import settled_training
from sklearn_mlp.training.schedules import check_schedule


class BaseTorchMLP(
    CallbackSupportMixin,
    SklearnConversionMixin,
    OnnxConversionMixin,
    InputGradientsMixin,
    FittedNetwork,
    ABC,
):
    """Base of the estimators; use `TorchMLPClassifier` or `TorchMLPRegressor`.

    A fit goes through `_fit` from top to bottom: check, encode, make the network, train it by the
    backend, set the fitted attributes.
    """

    # What the two tasks differ in. ``codec`` is a `LabelCodec` or a `NumberCodec`.

    @abstractmethod
    def _validate_data(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, np.ndarray]:
        """Check what the user passed; the targets stay labels or numbers."""

    @abstractmethod
    def _read_codec(self, y: np.ndarray, weights: np.ndarray | None) -> TargetCodec:
        """Return what the targets of a first fit stand for."""

    @abstractmethod
    def _read_codec_of_all(self, y: np.ndarray, weights: np.ndarray | None, own: Group) -> Any:
        """Return what the targets of all processes stand for, where each has its own rows."""

    @abstractmethod
    def _check_known(self, y: np.ndarray, codec: Any, own: Group | None) -> None:
        """Check that targets can be encoded by what was known before.

        With a group they are those of this process's rows.
        """

    @abstractmethod
    def _encode_targets(
        self,
        y: np.ndarray,
        weights: np.ndarray | None,
        codec: Any,
        own: Group | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the targets as the losses take them, and what each counts.

        With a group they are those of this process's rows.
        """

    @abstractmethod
    def _check_validation_targets(self, y: np.ndarray, codec: Any) -> None:
        """Check that the targets of a validation set can be encoded, too."""

    def _learned(self, codec: Any, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fitted attributes that the checks of the samples have found."""
        return {"_codec": codec, **features}

    @abstractmethod
    def _choose_loss(self, codec: Any) -> Loss:
        """Return the loss for encoded targets."""

    @abstractmethod
    def _count_outputs(self, targets: np.ndarray, loss: Loss, codec: Any) -> int:
        """Return the number of the network's outputs."""

    @abstractmethod
    def _stratify(self, targets: np.ndarray, codec: Any) -> np.ndarray | None:
        """Return what the validation split is stratified by, if by anything."""

    # Fitting.

    @naming_device_memory(less_to_fit)
    @isolated
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_set: ValidationSet = NO_VALIDATION_SET,
        *,
        incremental: bool,
        codec: TargetCodec | None = None,
    ) -> Self:
        """Fit, or with ``incremental`` go on for one epoch; ``codec`` is as in `_check_samples`.

        Alone, or as one of several processes that are given the same.
        """
        with joined_group() as group:
            parameters = self._check_parameters()
            if group is not None:
                check_can_join(group, parameters)
                agree_on_parameters(group, self, parameters, incremental=incremental)
            checked = self._check_samples(
                parameters,
                X,
                y,
                sample_weight,
                validation_set,
                incremental=incremental,
                codec=codec,
                group=group,
            )
            if group is not None:
                agree_on_samples(group, checked)
            return self._fit_checked(
                X, sample_weight, parameters, checked, group, incremental=incremental
            )

    def _fit_checked(
        self,
        X: Any,
        sample_weight: Any,
        parameters: CheckedParameters,
        checked: CheckedSamples,
        group: Group | None,
        *,
        incremental: bool,
    ) -> Self:
        """Fit what has been checked.

        The estimator stays as it was up to `_finish`, which sets all attributes at once; only a
        network that training goes on with changes before, and is put back if the fit fails.
        """
        earlier = None if checked.is_first else Checkpoint(self.module_, self._state)
        prepared = None
        try:
            prepared = self._prepare(parameters, checked, incremental=incremental, group=group)
            if group is not None:
                agree_on_numbers(group, prepared)
            tasks = self._begin_tasks(X, sample_weight, checked, prepared)
            if any(task.is_interrupted for task in tasks):
                prepared.state.n_iter = 0
            else:
                with epoch_bar(type(self).__name__, prepared.config, prepared.state) as bars:
                    self._train(prepared.observed_by(*tasks, *bars))
            self._finish(prepared)
        except BaseException:
            if earlier is not None and self._state is earlier.state:
                earlier.restore(has_begun=prepared is not None)
            raise
        for task in tasks:
            task.fit_ended()
        return self

    def _begin_tasks(
        self, X: Any, sample_weight: Any, checked: CheckedSamples, prepared: PreparedFit
    ) -> list[EpochTasks]:
        """Tell scikit-learn's callbacks that training begins; return who tells them the rest."""
        if not has_callbacks(self):
            return []
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        arguments = {"X": X, "y": checked.samples.y, "metadata": metadata}
        reconstruct = partial(self._reconstruction_attributes, prepared)
        max_epochs = 1 if prepared.config.incremental else self.max_iter
        state = prepared.state

        def last_record() -> dict[str, Any]:
            """Return the last epoch's row of the history."""
            return state.history.last_epoch()

        return [EpochTasks(self, max_epochs, last_record, arguments, reconstruct)]

    def _check_samples(
        self,
        parameters: CheckedParameters,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_set: ValidationSet = NO_VALIDATION_SET,
        *,
        incremental: bool,
        codec: TargetCodec | None = None,
        group: Group | None = None,
    ) -> CheckedSamples:
        """Check the samples; encode the targets.

        What is learned on the way is returned: none of it may stay if the fit fails later on.
        ``codec`` is what the user has said of the targets, if a first fit is not to read them.
        """
        is_watched = check_given(*validation_set)
        if incremental and self.early_stopping and not is_watched:
            raise ValueError(
                "partial_fit does not support early_stopping=True without a validation set; "
                "pass X_val and y_val"
            )
        is_first = not self.__sklearn_is_fitted__() or not (self.warm_start or incremental)
        # scikit-learn's checks write the features onto what they are given.
        double = self._double()
        samples, codec, numbers = self._take_samples(
            double, X, y, sample_weight, codec, group, is_first=is_first
        )
        watched = None
        if is_watched:
            n_columns = samples.targets.shape[1]
            watched = double._check_validation_set(*validation_set, codec, n_columns)
        n_rows = samples.X.shape[0] if numbers is None else numbers.n_rows
        return CheckedSamples(
            samples,
            watched,
            fitted_dtype(samples.X),
            is_first,
            codec,
            features_of(double),
            Placement.of(parameters.plain, parameters.device, n_rows),
            numbers,
        )

    def _take_samples(
        self,
        double: Self,
        X: Any,
        y: Any,
        sample_weight: Any,
        codec: TargetCodec | None,
        group: Group | None,
        *,
        is_first: bool,
    ) -> tuple[Samples, TargetCodec, RowNumbers | None]:
        """Return the samples, what their targets stand for, and where they are among all."""
        own = group if group is not None and group.has_own_rows else None
        with nullcontext() if own is None else own.errors_told("take its rows"):
            X, y = double._validate_data(X, y, reset=is_first)
            weights = self._validate_weights(sample_weight, X, is_part=own is not None)
            if codec is not None or not is_first:
                codec = codec or self._codec
                self._check_known(y, codec, own)
        which = "to train on, once class_weight has multiplied them"
        if own is None:
            codec = codec or self._read_codec(y, weights)
            samples = Samples(X, y, *self._encode_targets(y, weights, codec))
            check_some_weight(samples.sample_weight, which)
            return samples, codec, None
        agree_on_form(own, X, features_of(double))
        numbers = number_rows(own, X)
        codec = codec or self._read_codec_of_all(y, weights, own)
        samples = Samples(X, y, *self._encode_targets(y, weights, codec, own))
        return weighed_together(own, samples, which), codec, numbers

    def _check_parameters(self) -> CheckedParameters:
        """Check what the parameters ask for together, and of this machine."""
        architecture = Architecture.of(vars(self), module_parameters_of(self))
        device = resolve_device(self.device)
        check_backend(self.backend, self.solver, self.backend_params)
        parameters = self._plain_parameters()
        check_solver(parameters)
        check_schedule(parameters)
        return CheckedParameters(parameters, architecture, device)

    def _prepare(
        self,
        parameters: CheckedParameters,
        checked: CheckedSamples,
        *,
        incremental: bool,
        group: Group | None = None,
    ) -> PreparedFit:
        """Make the network, or go on with the one there is, and all else that a backend needs."""
        architecture, plain = parameters.architecture, dict(parameters.plain)
        if group is not None and not group.is_first:
            # One of them prints.
            plain["verbose"] = False
        loss = self._choose_loss(checked.codec)
        n_outputs = self._count_outputs(checked.targets, loss, checked.codec)
        random_state = _own_random_state(self.random_state, group)
        if checked.is_first:
            state, fit_dtype = TrainingState(), checked.dtype
            network = self._new_network(checked, architecture, n_outputs, random_state, loss)
        else:
            self._check_same_outputs(n_outputs, loss)
            state, fit_dtype = replace(self._state.own()), self._fit_dtype
            network = self._network_to_go_on(checked, architecture, n_outputs)
        learned = self._learned(checked.codec, checked.features)
        data = training_data(self, checked, network, loss, fit_dtype, random_state, group)
        if is_stochastic(self.solver):
            warn_if_clipped(self.batch_size, data.n_train)
        batch_size = min(checked.placement.batch_size, data.n_train)
        why_not = partial(
            why_not_compiled,
            loss=loss,
            parameters=plain,
            inputs=data.inputs,
            batch_size=batch_size,
        )
        config = TrainingConfig.of(
            plain,
            batch_size=batch_size,
            incremental=incremental,
            loss=loss,
            engine=choose_engine(network, self.backend, None if group else why_not),
            n_outputs=n_outputs,
            group=group,
        )
        prepared = PreparedFit(network, data, config, state, fit_dtype, architecture, learned)
        if data.validation is not None and data.validation.rescore is not None:
            data.validation.rescore.fitted_now = partial(self._as_of, prepared)
        return prepared

    def _new_network(
        self,
        checked: CheckedSamples,
        architecture: Architecture,
        n_outputs: int,
        random_state: np.random.RandomState,
        loss: Loss,
    ) -> nn.Module:
        """Return a network with initial weights, where and in the type that it is trained in."""
        device, dtype = checked.placement.device, checked.placement.dtype
        samples = first_rows(checked.X, dtype, device)
        network = architecture.build(samples, n_outputs, random_state, loss.out_activation)
        network.to(device=device, dtype=dtype)
        is_given_away = callable(self.weight_init)  # the layers, to do with as it likes
        if is_given_away and not can_be_trained_as_made(network, samples.shape[1], n_outputs):
            check_changed(network, samples, n_outputs)
        return network

    def _network_to_go_on(
        self, checked: CheckedSamples, architecture: Architecture, n_outputs: int
    ) -> nn.Module:
        """Return ``module_``, checked, as it is trained in further."""
        network, placement = self.module_, checked.placement
        check_numbers(network, "module_")
        is_auto = self.dtype == "auto"
        dtype = dtype_to_go_on(network, self.dtype_) if is_auto else placement.dtype
        architecture.go_on(network, self._architecture)
        network.to(device=placement.device, dtype=dtype)
        if not can_be_trained_as_made(network, checked.X.shape[1], n_outputs):
            check_changed(network, first_rows(checked.X, dtype, placement.device), n_outputs)
        return network

    def _train(self, prepared: PreparedFit) -> None:
        """Hand everything to the backend."""
        network, data, config = prepared.network, prepared.data, prepared.config
        samples = config.batch_size if config.is_stochastic else data.n_train
        settled = settled_training(network, prepared.state, data.random_state)
        asked = naming_memory(self.hidden_layer_sizes, config.batch_size)
        with asked, shared_threads(count_parameters(network) * samples), settled:
            BACKENDS[self.backend]([prepared])

    def _finish(self, prepared: PreparedFit) -> None:
        """Check what training has left, and set the fitted attributes."""
        network = prepared.network
        check_trained(network, prepared.state, self._plain_parameters)
        if prepared.config.engine not in ("compiled", "closed_form"):
            recompute_attributes(network.eval())
        own_memory(network)
        self._set_fitted(prepared)

    def _check_validation_set(
        self, X: Any, y: Any, sample_weight: Any, codec: TargetCodec, n_columns: int
    ) -> Samples:
        """Check what the user passed to be watched on."""
        with of_validation_set():
            X, y = self._validate_data(X, y, reset=False)
            weights = self._validate_weights(sample_weight, X)
            self._check_validation_targets(y, codec)
            targets, weights = self._encode_targets(y, weights, codec)
            check_some_weight(weights, "to be scored")
            if targets.shape[1] != n_columns:
                raise ValueError(
                    f"y has {targets.shape[1]} columns, but y of training {n_columns}."
                )
            return Samples(X, y, targets, weights)

    def _plain_parameters(self) -> dict[str, Any]:
        """Return the parameters with numbers as Python's own, whatever numbers the user set."""
        return plain_parameters(self._own_parameters(), self._own_constraints)

    def _validate_weights(
        self, sample_weight: Any, X: Any, *, is_part: bool = False
    ) -> np.ndarray | None:
        """Check the sample weights, of all samples or a part; return them as float64."""
        if sample_weight is None:
            return None
        given = on_host(sample_weight, "sample_weight")
        # Only the number of samples is read off the stand-in for X.
        like = np.broadcast_to(0.0, (X.shape[0], 1))
        with naming("sample_weight"):
            weights = check_sample_weight(
                given, like, dtype=np.float64, allow_all_zero_weights=is_part
            )
        check_sum_of_weights(weights, is_part=is_part)
        # To float32's rounding too, weights of 1 are no weights.
        return None if (weights == 1).all() else weights

    def _check_same_outputs(self, n_outputs: int, loss: Loss) -> None:
        """Check that a network to go on with still has the outputs that the targets ask for."""
        if loss.out_activation != self._loss.out_activation:
            raise ValueError(
                f"the loss asks for the output activation {loss.out_activation!r}, but the "
                f"network was fitted with {self._loss.out_activation!r}; set warm_start=False "
                "and call fit to begin anew."
            )
        if self.n_outputs_ != n_outputs:
            raise ValueError(
                f"y has {n_outputs} outputs, but the network was fitted with {self.n_outputs_}."
            )

    def _attributes_of_weights(
        self, weights: list[np.ndarray], biases: list[np.ndarray], codec: TargetCodec
    ) -> dict[str, Any]:
        loss = self._choose_loss(codec)
        network = network_of_weights(self, weights, biases, codec)
        return {
            **self._learned(codec, {"n_features_in_": len(weights[0])}),
            **untrained_attributes(self, network, loss, np.result_type(*weights)),
        }

    def _check_solver(self) -> bool:
        """Make `partial_fit` unavailable where the solver cannot go on from where it was."""
        if not is_stochastic(self.solver):
            raise AttributeError(
                "partial_fit is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _own_random_state(random_state: Any, group: Group | None) -> np.random.RandomState:
    """Return the generator that a fit draws from.

    Where scikit-learn takes NumPy's global generator for None, this takes a fresh one: a fit
    neither reads nor changes any global state. Processes that train together draw the same.
    """
    if random_state is None:
        return np.random.RandomState(None if group is None else group.seed)
    return check_random_state(random_state)
