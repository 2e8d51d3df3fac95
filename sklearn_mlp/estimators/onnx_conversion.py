"""To ONNX, which runs without torch and without scikit-learn."""

import os
from typing import TYPE_CHECKING, Any

from sklearn_mlp.machine.isolation import isolated


class OnnxConversionMixin:
    """Writes a fitted estimator as a model of ONNX."""

    if TYPE_CHECKING:
        # Of the estimator that this is a part of.
        def _check_is_fitted(self) -> None: ...

    @isolated
    def to_onnx(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return the fitted estimator as a model of ONNX, and write it to a file.

        Parameters
        ----------
        path : str or path-like, default=None
            Where to write it, if anywhere.

        Returns
        -------
        model : onnx.ModelProto
            Its input ``X`` is of shape (n_samples, n_features), for any number of samples, in
            ``dtype_``, which is float32 or float64; so are its numbers. Its outputs:

            ==============================  ====================================================
            a classifier                    ``label`` and ``probabilities``, as `predict` and
                                            `predict_proba` return them; labels are strings,
                                            numbers or booleans, and those of a multilabel task
                                            a dense matrix
            one with columns of labels      ``label_0``, ``probabilities_0``, and so on
            a regressor                     ``value``, as `predict` returns it, in its own units
            one with ``'gaussian_nll'``     ``std``, too
            ==============================  ====================================================

        Raises
        ------
        ImportError
            If onnx is not installed, or for a network of the user's onnxscript.
        ValueError
            If the network computes in another type, or is the user's own and torch cannot write
            it.

        Notes
        -----
        The operators are those of opset 17, for which onnxruntime has float32 and float64, with
        one exception: the error function in ``'gelu'`` is always float32's. A ``module``, an
        activation of the user's, or a network that has been changed, is written by
        `torch.onnx.export`, with the opset that torch chooses.

        Examples
        --------
        >>> import numpy as np
        >>> import onnxruntime
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mlp import TorchMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = TorchMLPClassifier(dtype="float32", max_iter=20, tol=1, random_state=0)
        >>> model = clf.fit(X, y).to_onnx()
        >>> session = onnxruntime.InferenceSession(model.SerializeToString())
        >>> label, probabilities = session.run(None, {"X": X.astype(np.float32)})
        >>> bool(abs(probabilities - clf.predict_proba(X)).max() < 1e-6)
        True
        """
        # Not every user writes ONNX.
        from sklearn_mlp.export.onnx_model import make_model, write_model

        self._check_is_fitted()
        fitted: Any = self
        properties = {"estimator": type(self).__name__, "n_features_in": fitted.n_features_in_}
        if hasattr(self, "feature_names_in_"):
            properties["feature_names_in"] = list(map(str, fitted.feature_names_in_))
        model = make_model(
            fitted.module_,
            fitted._loss,
            fitted._codec,
            fitted.n_features_in_,
            fitted.n_outputs_,
            properties,
        )
        if path is not None:
            write_model(model, path)
        return model
