"""Three promises, on data that come with scikit-learn, in about two minutes.

1. The same numbers, faster: scikit-learn's MLP and this library's side by side, in a Pipeline and
   in a small GridSearchCV, on digits, breast cancer and diabetes.
2. A search at once: a whole grid with BatchedGridSearchCV.
3. A raw table without preparation: diabetes with words and holes, by TabularMLPRegressor.

It prints tables of times, scores and differences, saves a picture of the loss curves, and exits
with an error if the two libraries do not agree in float64. Run it with ``make demo``, or::

    python examples/demo.py --output loss_curves.png
"""

import argparse
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import (
    BatchedGridSearchCV,
    TabularMLPRegressor,
    TorchMLPClassifier,
    TorchMLPRegressor,
)

mpl.use("Agg")  # the picture goes to a file; a machine without a display can draw it
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (100,), "max_iter": 100, "random_state": 0}
SEARCH_GRID = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 3e-3, 1e-2]}
SEARCH_EPOCHS = 30
GRID = {"mlp__hidden_layer_sizes": [(50,), (100,)], "mlp__alpha": [1e-4, 1.0]}
REPEATS = 3
TOLERANCE = 1e-9  # float64 against scikit-learn's float64; what is usually seen is 1e-13

THEIRS = "scikit-learn"
SAME = 'sklearn_mlp, dtype="float64", device="cpu"'
DEFAULT = "sklearn_mlp, defaults"


@dataclass
class Task:
    """A data set, split in two, and the classes that learn it."""

    name: str
    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    theirs: type[BaseEstimator]
    ours: type[BaseEstimator]
    score: str

    def pipelines(self) -> dict[str, Pipeline]:
        """Unfitted pipelines by label, which differ in their last step only."""
        models = {
            THEIRS: self.theirs(**SETTINGS),
            SAME: self.ours(**SETTINGS, dtype="float64", device="cpu"),
            DEFAULT: self.ours(**SETTINGS),
        }
        return {
            label: Pipeline([("scale", StandardScaler()), ("mlp", model)])
            for label, model in models.items()
        }


@dataclass
class Result:
    """A fitted model, the seconds it took, and what it says about the test rows."""

    model: Pipeline
    seconds: float
    score: float
    output: np.ndarray


def load_tasks() -> list[Task]:
    """Digits, breast cancer and diabetes; the last with a target of mean 0 and variance 1."""
    tasks = []
    for name, load in [
        ("digits", load_digits),
        ("breast cancer", load_breast_cancer),
        ("diabetes", load_diabetes),
    ]:
        X, y = load(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        classes: tuple[type[BaseEstimator], type[BaseEstimator], str]
        if name == "diabetes":
            # An MLP's outputs start near 0 and take long to reach a target of up to 346.
            mean, std = y_train.mean(), y_train.std()
            y_train, y_test = (y_train - mean) / std, (y_test - mean) / std
            classes = MLPRegressor, TorchMLPRegressor, "test R²"
        else:
            classes = MLPClassifier, TorchMLPClassifier, "test accuracy"
        tasks.append(Task(name, X_train, X_test, y_train, y_test, *classes))
    return tasks


def fit(model: BaseEstimator, task: Task) -> Result:
    """Fit once and look at the test rows."""
    start = time.perf_counter()
    model.fit(task.X_train, task.y_train)
    seconds = time.perf_counter() - start
    predict = model.predict_proba if is_classifier(model) else model.predict
    output = predict(task.X_test)
    return Result(model, seconds, model.score(task.X_test, task.y_test), output)


def fit_pipelines(task: Task) -> dict[str, Result]:
    """Fit each pipeline REPEATS times in turn, so that a busy moment hits all; median time."""
    runs: dict[str, list[Result]] = {label: [] for label in task.pipelines()}
    for _ in range(REPEATS):
        for label, model in task.pipelines().items():
            runs[label].append(fit(model, task))
    results = {label: repeats[-1] for label, repeats in runs.items()}
    for label, repeats in runs.items():
        results[label].seconds = statistics.median(run.seconds for run in repeats)
    return results


def fit_searches(task: Task) -> dict[str, Result]:
    """Search the grid once with each model; its time includes the final refit."""
    results = {}
    for label, model in task.pipelines().items():
        result = fit(GridSearchCV(model, GRID, cv=3), task)
        result.model = result.model.best_estimator_
        results[label] = result
    return results


def compare_searches() -> float:
    """Search one grid with scikit-learn and with ours, print the scores; their difference."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    settings: dict[str, Any] = {**SETTINGS, "max_iter": SEARCH_EPOCHS}
    searches = {
        "GridSearchCV(MLPClassifier)": GridSearchCV(MLPClassifier(**settings), SEARCH_GRID, cv=5),
        "BatchedGridSearchCV, float64": BatchedGridSearchCV(
            TorchMLPClassifier(**settings, dtype="float64", device="cpu"), SEARCH_GRID, cv=5
        ),
        "BatchedGridSearchCV, defaults": BatchedGridSearchCV(
            TorchMLPClassifier(**settings), SEARCH_GRID, cv=5
        ),
    }
    seconds = {}
    for label, search in searches.items():
        start = time.perf_counter()
        search.fit(X, y)
        seconds[label] = time.perf_counter() - start
    theirs, same, default = (search.cv_results_ for search in searches.values())
    print(
        f"\n2. A search at once: digits, 12 candidates x 5 folds, {SEARCH_EPOCHS} epochs each\n"
        f"    {'alpha':>8}{'learning_rate_init':>20}{'scikit-learn':>15}{'float64':>10}"
        f"{'defaults':>10}   mean accuracy"
    )
    scores = [results["mean_test_score"] for results in (theirs, same, default)]
    for candidate, *means in zip(theirs["params"], *scores, strict=True):
        columns = "".join(
            f"{mean:>{width}.4f}" for mean, width in zip(means, (15, 10, 10), strict=True)
        )
        print(f"    {candidate['alpha']:>8}{candidate['learning_rate_init']:>20}{columns}")
    slowest = next(iter(seconds.values()))
    for label, took in seconds.items():
        print(f"    {label:<44}{took:7.3f} s{slowest / took:8.2f}")
    splits = [f"split{split}_test_score" for split in range(5)]
    return max(float(np.abs(same[split] - theirs[split]).max()) for split in splits)


def make_raw_table() -> tuple[pd.DataFrame, np.ndarray]:
    """Diabetes as files have it: sex and decade in words, a tenth of the numbers missing."""
    table, progression = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    missing = np.random.default_rng(0).random(table.shape) < 0.1
    decade = (table["age"] // 10 * 10).astype(int).astype(str) + "s"
    sex = table["sex"].map({1.0: "one", 2.0: "other"})
    numbers = table.mask(missing).drop(columns=["sex", "age"])
    return numbers.assign(sex=sex, decade=decade), progression.to_numpy()


def make_usual_pipeline() -> BaseEstimator:
    """What scikit-learn's network needs before it takes such a table."""
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    network = make_pipeline(columns, MLPRegressor(random_state=0))
    return TransformedTargetRegressor(network, transformer=StandardScaler())


def compare_on_raw_table() -> None:
    """Fit a table with words and holes; print what becomes of rows held out."""
    X, y = make_raw_table()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    print(
        f"\n3. A raw table without preparation: diabetes, {len(X_train)} rows to train, "
        f"{len(X_test)} to test,\n   two columns of words, a tenth of the numbers missing\n"
        f"    {'':<44}{'fit time':>9}{'test R²':>15}"
    )
    model = TabularMLPRegressor(random_state=0)
    for label, fitted in {
        "imputer, scaler, encoder, MLPRegressor": make_usual_pipeline(),
        "TabularMLPRegressor, the table as it is": model,
    }.items():
        start = time.perf_counter()
        fitted.fit(X_train, y_train)
        seconds = time.perf_counter() - start
        print(f"    {label:<44}{seconds:7.3f} s{fitted.score(X_test, y_test):15.4f}")
    low, high = model.predict_interval(X_test, coverage=0.9).T
    inside = float(np.mean((low <= y_test) & (y_test <= high)))
    print(
        f"    R² expected from rows held out in training: {model.oof_score_:.4f}; "
        f"intervals asked to hold 90 %\n    of new rows hold {inside:.0%}"
    )


def difference(results: dict[str, Result], label: str) -> float:
    """Return the largest absolute difference of an output from scikit-learn's."""
    return float(np.abs(results[label].output - results[THEIRS].output).max())


def print_table(task: Task, title: str, results: dict[str, Result]) -> None:
    """Print a line per model: time, ratio, epochs, score, difference."""
    print(f"  {title}")
    for label, result in results.items():
        mlp = result.model["mlp"]
        apart = "" if label == THEIRS else f"{difference(results, label):.1e}"
        if label == DEFAULT:
            label = f"{label} ({mlp.dtype_}, {mlp.device_})".replace("torch.", "")
        ratio = results[THEIRS].seconds / result.seconds
        print(
            f"    {label:<44}{result.seconds:7.3f} s{ratio:8.2f}{mlp.n_iter_:8d}"
            f"{result.score:15.4f}{apart:>12}"
        )


def save_loss_curves(curves: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw the loss curves of all models, a panel per data set."""
    styles: dict[str, dict[str, Any]] = {
        THEIRS: {"color": "#9ecae1", "linewidth": 6},
        SAME: {"color": "#08306b", "linewidth": 1.5},
        DEFAULT: {
            "color": "#ff7f0e",
            "linewidth": 3,
            "linestyle": (0, (0.1, 4)),
            "dash_capstyle": "round",
        },
    }
    figure, panels = plt.subplots(1, len(curves), figsize=(12, 4.4), layout="constrained")
    for panel, (name, by_label) in zip(panels, curves.items(), strict=True):
        for label, losses in by_label.items():
            panel.plot(range(1, len(losses) + 1), losses, label=label, **styles[label])
        panel.set(title=name, xlabel="epoch", yscale="log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("training loss, log scale")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("Training loss by epoch (loss_curve_): scikit-learn's curve lies under ours")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run the comparison and report it."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("demo_loss_curves.png"))
    output = parser.parse_args().output

    # All models train for a set number of epochs, so that their times compare the same work.
    # That ends before the loss is flat, which is what this warning says.
    warnings.simplefilter("ignore", ConvergenceWarning)

    settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
    print(
        f"Settings: {settings}; for the rest the\n"
        "defaults that both share (solver='adam', batch_size='auto', alpha=0.0001, ...).\n"
        f"Threads of torch on the CPU: {torch.get_num_threads()}.\n"
        f"fit time: of a pipeline the median of {REPEATS} fits, of a search one.\n"
        "ratio: scikit-learn's fit time over this one's; above 1 is faster.\n"
        "difference: the largest from scikit-learn's probabilities (diabetes: predictions, in\n"
        "standard deviations of the target) for the test rows."
    )
    print("\n1. The same numbers, faster")
    curves = {}
    worst = 0.0
    for task in load_tasks():
        rows, columns = task.X_train.shape
        print(
            f"\n{task.name}: {rows} rows to train, {len(task.X_test)} to test, {columns} columns\n"
            f"    {'':<44}{'fit time':>9}{'ratio':>8}{'epochs':>8}{task.score:>15}"
            f"{'difference':>12}"
        )
        results = fit_pipelines(task)
        searches = fit_searches(task)
        print_table(task, "Pipeline(StandardScaler, MLP)", results)
        print_table(task, "GridSearchCV of it: 2 alpha x 2 hidden_layer_sizes, cv=3", searches)
        curves[task.name] = {k: result.model["mlp"].loss_curve_ for k, result in results.items()}
        worst = max(worst, difference(results, SAME), difference(searches, SAME))

    apart = compare_searches()
    compare_on_raw_table()
    save_loss_curves(curves, output)
    print(f"\nloss curves: {output}")
    if worst > TOLERANCE:
        sys.exit(f"in float64 the outputs are {worst:.1e} apart, more than {TOLERANCE:.0e}")
    if apart > TOLERANCE:
        sys.exit(f"in float64 the scores of a fold are {apart:.1e} apart in the two searches")
    print(f"in float64 the two libraries agree: no output is more than {worst:.1e} apart")


if __name__ == "__main__":
    main()
