"""scikit-learn's contract. A reader starts at `fit` in `classifier` or `regressor`.

`classifier`          `TorchMLPClassifier`
`regressor`           `TorchMLPRegressor`
`base`                their common base: `_fit` from top to bottom
`fitted`              fitted attributes, and predictions
`parameterized`       their parameters, set and read
`parameters`          a row per parameter: what it may be, and in a stack
`backends`            the backends by name
`training_data`       the samples as a backend takes them, some held out
`validation_set`      X_val, y_val, or a part held out
`sources`             rows that are read block by block: fits, predictions, scores
`scorers`             a scorer asked while a network is trained
`callbacks`           scikit-learn's callbacks
`among_ranks`         what processes that train together check first
`own_rows`            what they know of all rows, where each has its own
`on_dask`             `fit_on_dask`: workers, each with its partitions
`progress`            the bar of verbose='progress'
`coefficients`        `coefs_` and `intercepts_`, which write through
`written`             fitted attributes that the user writes
`network_of_weights`  a network from weights written before any fit
`sklearn_conversion`  to scikit-learn's own networks, and back
`onnx_conversion`     to ONNX
`input_gradients`     how predictions change with each feature
`hidden`              activations of hidden layers
`hidden_features`     `HiddenFeatures`, which passes them on in a Pipeline
`saved_state`         the state that is pickled, and other versions'
`saving`, `loading`   `save` and `load`: files without code
`file_format`         an estimator in such a file, written and read
`own_network`         and of its network
`array_api`           tensors in, tensors out

May import `training`, `skorch_backend`, and what lies below them.
"""
