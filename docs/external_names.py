"""Names of other libraries that these pages link to, and where their documentation has them.

Sphinx usually downloads an inventory of all names from each library's site. This build uses no
network, so the few names that are needed stand here. A name that is missing fails the build
("reference target not found"): add it below.
"""

import zlib
from pathlib import Path

# Pages of scikit-learn's reference are named after what they describe.
SKLEARN_CLASSES = """
    base.BaseEstimator base.ClassifierMixin base.RegressorMixin base.TransformerMixin
    calibration.CalibratedClassifierCV compose.ColumnTransformer
    compose.TransformedTargetRegressor ensemble.BaggingClassifier
    ensemble.HistGradientBoostingClassifier model_selection.GridSearchCV
    model_selection.RandomizedSearchCV neural_network.MLPClassifier neural_network.MLPRegressor
    pipeline.Pipeline preprocessing.OneHotEncoder preprocessing.StandardScaler
    exceptions.ConvergenceWarning exceptions.NotFittedError multioutput.MultiOutputRegressor
    utils.metadata_routing.MetadataRequest
"""
SKLEARN_FUNCTIONS = """
    datasets.fetch_openml datasets.load_digits metrics.get_scorer metrics.r2_score
    model_selection.cross_validate model_selection.cross_val_score model_selection.train_test_split
    utils.estimator_checks.check_estimator base.clone set_config config_context
"""
SKLEARN_LABELS = {
    "metadata_routing": "metadata_routing.html#metadata-routing",
    "accuracy_score": "modules/model_evaluation.html#accuracy-score",
    "r2_score": "modules/model_evaluation.html#r2-score",
}

SKORCH_CLASSES = {
    "skorch.NeuralNet": "net.html#skorch.net.NeuralNet",
    "skorch.NeuralNetClassifier": "classifier.html#skorch.classifier.NeuralNetClassifier",
    "skorch.NeuralNetRegressor": "regressor.html#skorch.regressor.NeuralNetRegressor",
    "skorch.callbacks.EpochScoring": "callbacks.html#skorch.callbacks.EpochScoring",
    "skorch.callbacks.Checkpoint": "callbacks.html#skorch.callbacks.Checkpoint",
}

Entries = dict[tuple[str, str], str]  # (role, name) to the address below the site's


def sklearn_entries() -> Entries:
    """Names and labels of scikit-learn."""
    page = "modules/generated/sklearn.{0}.html#sklearn.{0}"
    entries = {
        ("py:class", f"sklearn.{name}"): page.format(name) for name in SKLEARN_CLASSES.split()
    }
    entries |= {
        ("py:function", f"sklearn.{name}"): page.format(name) for name in SKLEARN_FUNCTIONS.split()
    }
    entries |= {("std:label", name): uri for name, uri in SKLEARN_LABELS.items()}
    return entries | {("std:term", "meta-estimator"): "glossary.html#term-meta-estimator"}


def torch_entries() -> Entries:
    """Names of PyTorch."""
    return {
        ("py:class", "torch.nn.Module"): "generated/torch.nn.Module.html#torch.nn.Module",
        ("py:class", "torch.optim.Optimizer"): "optim.html#torch.optim.Optimizer",
        ("py:class", "torch.device"): "tensor_attributes.html#torch.device",
        ("py:class", "torch.Tensor"): "tensors.html#torch.Tensor",
        ("py:function", "torch.compile"): "generated/torch.compile.html#torch.compile",
        ("py:function", "torch.export.export"): "export.html#torch.export.export",
    }


def pandas_entries() -> Entries:
    """Names of pandas."""
    page = "reference/api/pandas.DataFrame.html#pandas.DataFrame"
    return {("py:class", "pandas.DataFrame"): page}


LIBRARIES: dict[str, tuple[str, Entries]] = {
    "python": (
        "https://docs.python.org/3/",
        {("py:module", "pickle"): "library/pickle.html#module-pickle"},
    ),
    "sklearn": ("https://scikit-learn.org/stable/", sklearn_entries()),
    "torch": ("https://docs.pytorch.org/docs/stable/", torch_entries()),
    "skorch": (
        "https://skorch.readthedocs.io/en/stable/",
        {("py:class", name): uri for name, uri in SKORCH_CLASSES.items()},
    ),
    "pandas": ("https://pandas.pydata.org/docs/", pandas_entries()),
}


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory per library, in Sphinx's format; return the intersphinx mapping."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for library, (site, entries) in LIBRARIES.items():
        lines = [f"{name} {role} 1 {uri} -\n" for (role, name), uri in entries.items()]
        header = f"# Sphinx inventory version 2\n# Project: {library}\n# Version: \n"
        header += "# The remainder of this file is compressed using zlib.\n"
        path = folder / f"{library}.inv"
        path.write_bytes(header.encode() + zlib.compress("".join(lines).encode()))
        mapping[library] = (site, str(path))
    return mapping
