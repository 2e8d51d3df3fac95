"""The nets that an estimator trains, as its ``net_``: skorch's, with our loop of epochs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse
import torch
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import EarlyStopping, InputShapeSetter
from skorch.exceptions import SkorchTrainingImpossibleError
from torch import Tensor, nn

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.data.batches import Batch
from sklearn_mlp.data.kinds import rows_to_train_on
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.losses import Loss
from sklearn_mlp.losses.labels import both_classes
from sklearn_mlp.machine.shared_memory import tensor_to_read
from sklearn_mlp.machine.subnormals import subnormals_are_zero
from sklearn_mlp.machine.threads import rebalance_threads
from sklearn_mlp.network.alterations import may_write_to_inputs
from sklearn_mlp.network.mlp import place_of
from sklearn_mlp.network.normalization import lone_samples_spared
from sklearn_mlp.skorch_backend.data import (
    EpochBatches,
    LabelledSamples,
    Labels,
    UnlabelledSamples,
)
from sklearn_mlp.skorch_backend.parameters import parameter_of_ours
from sklearn_mlp.skorch_backend.run import NetRun
from sklearn_mlp.steps.precision import mixed_precision
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.targets.label_codecs import ColumnsCodec, LabelCodec

# What may change while the estimator trains its net.
_SETTABLE = {"lr", "optimizer__lr", "verbose"}


class OwnedNet(NeuralNet):
    """A net that belongs to an estimator, which alone trains it.

    Attributes
    ----------
    codec_ : TargetCodec
        The labels or numbers that targets and outputs stand for.
    loss_ : Loss
        For the output activation.
    given_, given_compile_ : dict or None, bool
        The ``backend_params`` and ``compile`` that it was made with.
    run_ : NetRun or None
        The fit, while it lasts.
    """

    codec_: TargetCodec
    loss_: Loss
    given_: Mapping[str, Any] | None
    given_compile_: bool
    run_: NetRun | None = None

    def is_given_others(self, config: TrainingConfig) -> bool:
        """Tell whether it was made with other parameters."""
        return self.given_ is not config.backend_params or self.given_compile_ != config.compile

    # Training.

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Train until the monitor says stop, or the user interrupts."""
        run = self._present_run()
        try:
            while not run.is_last:
                super().fit_loop(X, y, epochs=1, **fit_params)
        except KeyboardInterrupt as interrupt:
            if not _is_early_stopping(interrupt):
                # skorch, around this, would end one that goes on.
                run.interrupt = interrupt
            if run.is_within_epoch:
                # What is not whole would leave columns of the history that cannot be read.
                self.history.pop()
        return self

    def _present_run(self) -> NetRun:
        """Return the fit that the estimator has begun."""
        if self.run_ is None:
            raise SkorchTrainingImpossibleError(
                "This net belongs to an estimator, which trains it: call the fit or partial_fit "
                "of the estimator instead."
            )
        return self.run_

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Refuse to train but for the estimator; this comes before the callbacks."""
        self._present_run()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin an epoch; this comes before the callbacks."""
        rebalance_threads()
        run = self._present_run()
        run.check_parts(self)
        run.epoch_begins()
        super().on_epoch_begin(net, **kwargs)
        run.is_within_epoch = True

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Take an epoch's steps; this comes after what callbacks do as it begins."""
        if training:
            self._present_run().follow()
        with subnormals_are_zero():
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the epoch; this comes before the callbacks."""
        run = self._present_run()
        run.is_within_epoch = False
        try:
            run.epoch_ended(self)
        except KeyboardInterrupt as interrupt:
            # In a scorer: the callbacks are told of the epoch all the same.
            run.interrupt = interrupt
            run.is_last = True

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Put the best weights back in place; what callbacks restore comes after."""
        self._present_run().restore_best()

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Return the network's logits for a batch, which may be a single sample."""
        is_mixed = self.run_ is not None and self.run_.samples.config.is_mixed
        precision = mixed_precision(torch.device(self.device), is_mixed and self.module_.training)
        with lone_samples_spared(self.module_, len(x)), precision:
            # Training batches are copies anyway.
            if not self.module_.training and may_write_to_inputs(self.module_):
                x = x.clone() if isinstance(x, Tensor) else x
            logits = super().infer(x, **fit_params)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        """Compute the gradient of a batch, for a step whose rate and penalty are set first."""
        run, labels = self._present_run(), batch[1]
        # torch refuses a factor beyond its type's range; the largest diverges just the same.
        largest = torch.finfo(run.trained.parameters.values.dtype).max
        penalty = run.monitor.config.penalty / self._batch_of(labels).weight_sum
        self.optimizer_.penalty = min(penalty, largest)
        if run.rates is not None:
            self.optimizer_.learning_rate = run.rates[labels.place]
        return super().train_step_single(batch, **fit_params)

    def get_loss(self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Return the loss of a batch, in training including the penalty."""
        loss = self.criterion_(y_pred, self._batch_of(y_true))
        if not training or self.run_ is None:
            return loss
        # Its value: the solver adds its gradient.
        weights, penalty = self.run_.trained.parameters.flat_weights, self.optimizer_.penalty
        return loss.add(torch.dot(weights, weights), alpha=0.5 * penalty) if penalty else loss

    def _batch_of(self, y: Any) -> Batch:
        """Return the batch of labels; or labels, or numbers, of any other origin as one."""
        if isinstance(y, Labels):
            return y.batch
        codec, weight = self.codec_, place_of(self.module_)
        y = y.cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
        values = tensor_to_read(codec.encode(y))
        values = values.to(weight.device, torch.int64 if codec.is_coded else weight.dtype)
        return Batch(values, values.t(), values.t(), len(values), None, float(len(values)))

    # Parameters.

    def initialize(self) -> Any:
        """Make the parts of the net, which only the estimator does.

        Raises
        ------
        ValueError
            In a callback: what is being trained would be lost.
        """
        if self.run_ is not None:
            raise ValueError(
                "This net is being trained by an estimator, and cannot be initialized by a "
                "callback; change its module_ in place."
            )
        return super().initialize()

    def set_params(self, **kwargs: Any) -> Any:
        """Set what is the net's own, or the learning rate.

        Raises
        ------
        ValueError
            If the estimator has a parameter for it, by which it has made the net.
        """
        if not self.initialized_:
            return super().set_params(**kwargs)
        shapes = {
            f"{callback.module_name}__{callback.param_name}"
            for _, callback in self.callbacks_
            if isinstance(callback, InputShapeSetter)
        }
        # The network has been made for the shape of the samples.
        kwargs = {key: value for key, value in kwargs.items() if key not in shapes}
        for key in kwargs:
            ours = parameter_of_ours(key)
            if ours and key not in _SETTABLE:
                raise ValueError(
                    f"{key!r} cannot be set on this net, which belongs to an estimator; set the "
                    f"estimator's own parameter and fit it: {ours}."
                )
        return super().set_params(**kwargs)

    # Data.

    def check_data(self, X: Any, y: Any = None) -> None:
        """Check nothing: the estimator has checked what there is."""

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile the network, if asked to; the criterion takes next to no time."""
        return super().torch_compile(module, name) if name == "module" else module

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return a data set of what the estimator, a callback or the user passes."""
        if isinstance(X, torch.utils.data.Dataset):
            return X
        if not isinstance(X, Rows):
            if not (isinstance(X, np.ndarray | Tensor) or scipy.sparse.issparse(X)):
                X = np.asarray(X)
            if isinstance(X, Tensor) and X.layout != torch.strided:
                # A batch of sparse samples, from a callback.
                X = X.to_dense()
            weight = place_of(self.module_)
            X = rows_to_train_on(X, weight.dtype, weight.device)
        return UnlabelledSamples(X)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Return the part to train on, and the part that ``early_stopping`` holds out."""
        run = self._present_run()
        return run.samples, run.held_out

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return an iterator over batches; those of a fit are made once."""
        run = self.run_
        if run is not None and dataset is (run.samples if training else run.held_out):
            assert isinstance(dataset, LabelledSamples)
            if training not in run.iterators:
                make = self.iterator_train if training else EpochBatches
                options = self.get_params_for("iterator_train" if training else "iterator_valid")
                options["batch_size"] = dataset.config.batch_size
                run.iterators[training] = make(dataset, **options)
            return run.iterators[training]
        if isinstance(dataset, LabelledSamples):
            dataset = UnlabelledSamples(dataset.inputs)
        if not isinstance(dataset, UnlabelledSamples):
            return super().get_iterator(dataset, training)
        options = self.get_params_for("iterator_valid")
        size = options.pop("batch_size", dataset.inputs.chunk_rows)
        return self.iterator_valid(dataset, size, **options)

    # Predicting.

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        # A copy: the logits may be what a callback keeps.
        return lambda logits: self._activate(logits.detach().clone())

    def _activate(self, logits: Tensor) -> Tensor:
        """Return the outputs that predictions are made from; the logits may be used up."""
        return self.loss_.activate_(logits, dim=1)

    # Persistence, alone and as a part of the estimator.

    def __getstate__(self) -> dict[str, Any]:
        # A callback may save the net while it is being trained.
        return {name: value for name, value in super().__getstate__().items() if name != "run_"}

    @property
    def is_trimmed(self) -> bool:
        """Whether `trim_for_prediction` has taken away what training needs."""
        return getattr(self, "_trimmed_for_prediction", False)

    def checkpoint(self) -> Callable[[], None]:
        """Return what puts back all that a fit changes of the net, besides the network."""
        attributes, n_epochs, loss = dict(vars(self)), len(self.history), self.loss_

        def restore() -> None:
            """Put it back; what callbacks keep is their own affair."""
            self.__dict__ = attributes
            del self.history[n_epochs:]
            if not self.is_trimmed:
                self.criterion_.loss = loss

        return restore

    def plain(self, backend_params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what a saved estimator keeps of the net: what a new one would not have.

        Without the network, and without the records of batches, which grow with the data.
        ``backend_params`` is the estimator's parameter, which is saved anyway.
        """
        is_same = self.given_ is backend_params
        groups = [] if self.is_trimmed else self.optimizer_.param_groups
        return {
            "given": "backend_params" if is_same else self.given_,
            "is_compiled": self.given_compile_,
            "is_trimmed": self.is_trimmed,
            "history": [{**row, "batches": []} for row in self.history],
            # The user's own, which may remember something.
            "callbacks": self.callbacks_ if self.given_ else None,
            "param_groups": [
                {key: value for key, value in group.items() if key != "params"} for group in groups
            ],
        }


class SkorchClassifier(OwnedNet, NeuralNetClassifier):
    """A `skorch.NeuralNetClassifier` that `TorchMLPClassifier` trains, as its ``net_``."""

    codec_: LabelCodec

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels, as the estimator does."""
        return self.codec_.decode(self.predict_proba(X))

    def _activate(self, logits: Tensor) -> Tensor:
        if self.codec_.kind != "binary":
            return super()._activate(logits)
        return both_classes(self.loss_, logits, is_rounded=logits.dtype != torch.float64)


class SkorchColumnsClassifier(OwnedNet):
    """The net of a classifier of several columns of labels, for which skorch has no class."""

    codec_: ColumnsCodec

    def predict_proba(self, X: Any) -> Any:
        """Predict a list of probabilities, (n_samples, n_classes), as the estimator does."""
        return self.codec_.by_column(super().predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels, (n_samples, n_columns), as the estimator does."""
        return self.codec_.decode(super().predict_proba(X))


class SkorchRegressor(OwnedNet, NeuralNetRegressor):
    """A `skorch.NeuralNetRegressor` that `TorchMLPRegressor` trains, as its ``net_``."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers, (n_samples,) or (n_samples, n_outputs), as the estimator does."""
        return self.codec_.decode(self.loss_.predictions(super().predict_proba(X)))


def _is_early_stopping(interrupt: KeyboardInterrupt) -> bool:
    """Tell whether it is the interrupt by which skorch's `EarlyStopping` ends training."""
    traceback = interrupt.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = EarlyStopping.on_epoch_end.__code__
    return traceback is not None and traceback.tb_frame.f_code is code
