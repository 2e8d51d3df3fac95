"""Names of other libraries that these pages link to, and where their documentation has them.

Sphinx usually downloads an inventory of all names from each library's site. This build uses no
network: the names are listed from the libraries as installed, whose reference has a page per name
with an address made of it. A name that is still missing fails the build ("reference target not
found"): add it below.
"""

import inspect
import sys
import zlib
from itertools import takewhile
from pathlib import Path
from typing import Any

import matplotlib.axes
import skorch.callbacks
import torch
from sklearn.utils.discovery import all_displays, all_estimators, all_functions

SKLEARN_CLASSES = """
    base.BaseEstimator base.ClassifierMixin base.RegressorMixin base.TransformerMixin
    callback.ProgressBar callback.ScoringMonitor
    exceptions.ConvergenceWarning exceptions.NotFittedError
    utils.metadata_routing.MetadataRequest utils.metadata_routing.MetadataRouter
"""
SKLEARN_FUNCTIONS = """
    base.clone config_context set_config metrics.get_scorer_names
    utils.estimator_checks.check_estimator
"""
SKLEARN_LABELS = {
    "metadata_routing": "metadata_routing.html#metadata-routing",
    "accuracy_score": "modules/model_evaluation.html#accuracy-score",
    "r2_score": "modules/model_evaluation.html#r2-score",
    "df_output_transform": "modules/df_output_transform.html#df-output-transform",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "auto_examples/miscellaneous/plot_set_output.html"
    ),
}
TORCH = {
    ("py:class", "torch.device"): "tensor_attributes.html#torch.device",
    ("py:class", "torch.Tensor"): "tensors.html#torch.Tensor",
    ("py:class", "torch.utils.data.Dataset"): "data.html#torch.utils.data.Dataset",
    ("py:class", "torch.optim.Optimizer"): "optim.html#torch.optim.Optimizer",
    ("py:module", "torch.optim"): "optim.html#module-torch.optim",
    ("py:function", "torch.compile"): "generated/torch.compile.html#torch.compile",
    ("py:function", "torch.onnx.export"): "onnx_export.html#torch.onnx.export",
    ("py:function", "torch.export.export"): "export.html#torch.export.export",
}
SKORCH = {
    ("py:class", "skorch.NeuralNet"): "net.html#skorch.net.NeuralNet",
} | {
    ("py:class", f"skorch.NeuralNet{task}"): f"{page}.html#skorch.{page}.NeuralNet{task}"
    for task, page in (("Classifier", "classifier"), ("Regressor", "regressor"))
}
PANDAS = {
    ("py:class", "pandas.DataFrame"): "reference/api/pandas.DataFrame.html#pandas.DataFrame",
}
PYTHON = {("py:module", "pickle"): "library/pickle.html#module-pickle"}

Entries = dict[tuple[str, str], str]  # (role, name) to the address below the site's


def public_paths(found: list[tuple[str, Any]]) -> list[str]:
    """The names that classes or functions of scikit-learn are imported by, without "sklearn."."""
    paths = []
    for name, obj in found:
        public = list(takewhile(lambda part: part[0] != "_", obj.__module__.split(".")[1:]))
        if hasattr(sys.modules[".".join(["sklearn", *public])], name):
            paths.append(".".join([*public, name]))
    return paths


def sklearn_entries() -> Entries:
    """All estimators, displays and functions of scikit-learn, and the other names above."""
    page = "modules/generated/sklearn.{0}.html#sklearn.{0}"
    classes = [*public_paths([*all_estimators(), *all_displays()]), *SKLEARN_CLASSES.split()]
    functions = [*public_paths(all_functions()), *SKLEARN_FUNCTIONS.split()]
    entries: Entries = {}
    for role, names in (("py:class", classes), ("py:function", functions)):
        entries |= {(role, f"sklearn.{name}"): page.format(name) for name in names}
    entries |= {("std:label", name): uri for name, uri in SKLEARN_LABELS.items()}
    for term in ("meta-estimator", "classes_"):
        entries["std:term", term] = f"glossary.html#term-{term}"
    return entries


def torch_entries() -> Entries:
    """The modules, initialisers and optimizers of PyTorch, and the other names above."""
    entries: Entries = {}
    for package in (torch.nn, torch.optim, torch.optim.lr_scheduler, torch.optim.swa_utils):
        for name, cls in inspect.getmembers(package, inspect.isclass):
            path = f"{package.__name__}.{name}"
            if cls.__module__.startswith("torch") and not name.startswith("_"):
                entries["py:class", path] = f"generated/{path}.html#{path}"
    for name, _ in inspect.getmembers(torch.nn.init, inspect.isfunction):
        uri = f"nn.init.html#torch.nn.init.{name}"
        entries["py:function", f"torch.nn.init.{name}"] = uri
    return entries | TORCH


def skorch_entries() -> Entries:
    """The callbacks of skorch, and the other names above."""
    names = [f"skorch.callbacks.{name}" for name in skorch.callbacks.__all__]
    return SKORCH | {("py:class", name): f"callbacks.html#{name}" for name in names}


def matplotlib_entries() -> Entries:
    """The methods of matplotlib's axes."""
    page = "api/_as_gen/matplotlib.axes.Axes.{0}.html#matplotlib.axes.Axes.{0}"
    methods = inspect.getmembers(matplotlib.axes.Axes, inspect.isfunction)
    return {
        ("py:method", f"matplotlib.axes.Axes.{name}"): page.format(name) for name, _ in methods
    }


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory per library, in Sphinx's format; return the intersphinx mapping."""
    libraries: dict[str, tuple[str, Entries]] = {
        "python": ("https://docs.python.org/3/", PYTHON),
        "sklearn": ("https://scikit-learn.org/stable/", sklearn_entries()),
        "torch": ("https://docs.pytorch.org/docs/stable/", torch_entries()),
        "skorch": ("https://skorch.readthedocs.io/en/stable/", skorch_entries()),
        "matplotlib": ("https://matplotlib.org/stable/", matplotlib_entries()),
        "pandas": ("https://pandas.pydata.org/docs/", PANDAS),
    }
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for library, (site, entries) in libraries.items():
        lines = [f"{name} {role} 1 {uri} -\n" for (role, name), uri in entries.items()]
        header = f"# Sphinx inventory version 2\n# Project: {library}\n# Version: \n"
        header += "# The remainder of this file is compressed using zlib.\n"
        path = folder / f"{library}.inv"
        path.write_bytes(header.encode() + zlib.compress("".join(lines).encode()))
        mapping[library] = (site, str(path))
    return mapping
